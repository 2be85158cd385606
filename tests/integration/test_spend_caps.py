"""A runaway agent costs at most its cap: by the ledger, by the providers' own books, and whatever crashes meanwhile."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from processes import frozen, until
from spending import (
    CHEAP,
    DEAR,
    Run,
    ask,
    balanced,
    budget,
    cli,
    code,
    events,
    in_force,
    more_proxies,
    nano,
    runaway,
    served,
    spend,
    under_way,
)
from stack import Product, Project, data_folder, free_ports, simulator

from modelux.events.v1.budget_pb2 import BudgetAlert, BudgetExceeded, RunAborted, RunLooping
from modelux_contracts.topics import BUDGET_ALERT, BUDGET_EXCEEDED, RUN_ABORTED, RUN_LOOPING

SCENARIO: dict[str, object] = {
    "keep_bodies": True,
    "behaviour": {"ttft_ms": 5, "output_tokens": 150, "output_sigma": 0.3},
    "rules": [
        {"match": {"prompt": "together"}, "behaviour": {"ttft_ms": 150}},
        {"match": {"prompt": "Think long."}, "behaviour": {"ttft_ms": 5_000}},
    ],
}
"""A call costs some $0.0015 at the dear model."""
POLICY = {"strategy": "single", "model": DEAR}
GUARD = ("--tag", "run_id", "--each", "--downgrade-to", CHEAP, "--max-calls", "2000", "--max-duration", "30m")
CAP = 50_000_000
SHARED_CAP = 300_000_000
CALLERS = 12


@pytest.fixture(scope="module")
def capped() -> Iterator[Product]:
    """A product of its own: its processes are killed, and its providers keep their own books."""
    with simulator(SCENARIO) as url, data_folder() as folder:
        running = Product(folder, free_ports(), url).start()
        running.provider("simulated openai", "openai", "/openai/v1")
        try:
            yield running
        finally:
            running.stop()


@pytest.fixture(scope="module")
def project(capped: Product) -> Project:
    return capped.project("agents", POLICY)


@pytest.fixture(scope="module")
def guard(capped: Product, project: Project) -> str:
    """$0.05 for each run, and the same call five times over is reported."""
    made = budget(capped, project, *GUARD, "--cap", "0.05", "--loop-calls", "5")
    in_force(capped, project, tags={"run_id": "probe"})
    return made


@pytest.fixture(scope="module")
def run(capped: Product, project: Project, guard: str) -> Run:
    return runaway(capped, project, "run_away")


def test_a_runaway_agent_is_downgraded_and_then_aborted(run: Run) -> None:
    dear, cheap = run.models.count(DEAR), run.models.count(CHEAP)
    assert run.models == [DEAR] * dear + [CHEAP] * cheap
    assert min(dear, cheap) > 5
    assert run.refusal is not None
    assert (run.refusal.status_code, run.refusal.code) == (402, "run_aborted")
    assert run.refusal.response.headers["x-should-retry"] == "false"
    assert run.requests == len(run.answers) + 1, "the SDK tried again"


def test_it_costs_at_most_its_cap_by_the_ledger_and_by_the_providers(capped: Product, guard: str, run: Run) -> None:
    assert run.refusal is not None
    aborted = run.refusal.response.headers["x-request-id"]
    until(lambda: capped.manage(f"/logs/{aborted}").status == 200, "the refused call is in the log too")
    row = balanced(capped, guard, run.id)
    by_providers = served(capped, run.id)
    print(f"cap {CAP}, ledger {nano(row['settled_usd'])}, providers {by_providers}, {len(run.answers)} calls")
    assert CAP * 0.98 < by_providers <= CAP
    assert nano(row["settled_usd"]) == by_providers
    assert (row["difference_usd"], row["unexplained_usd"], row["logged_requests"]) == (0, 0, len(run.answers) + 1)
    stands = spend(capped, guard, run.id)
    assert (stands["aborted"], stands["reserved_usd"], stands["calls"]) == (True, 0, len(run.answers))


@pytest.mark.parametrize("group", ["budgets", "budget"])
def test_explain_says_why_it_was_downgraded_and_aborted(capped: Product, guard: str, run: Run, group: str) -> None:
    assert run.refusal is not None
    aborted = run.refusal.response.headers["x-request-id"]
    for request_id in (run.last(CHEAP), aborted):
        until(lambda: capped.manage(f"/logs/{request_id}").status == 200, "the call is in the log")  # noqa: B023
    told = cli(capped, group, "explain", run.last(CHEAP)).splitlines()
    assert told[0].endswith(f"asked for {DEAR} and was downgraded and answered by {CHEAP}.")
    assert f"Downgraded: {DEAR} -> {CHEAP} (over budget; 9" in told[1]
    told = cli(capped, group, "explain", aborted).splitlines()
    assert told[0].endswith(f"asked for {DEAR} and was blocked with 402 run_aborted.")
    assert f"the run '{run.id}' is aborted by budget" in "".join(told)
    assert any(line.startswith("What to do: Start a new run") for line in told)


def test_the_trace_shows_the_downgrade(capped: Product, run: Run) -> None:
    request_id = run.last(CHEAP)
    until(lambda: capped.manage(f"/logs/{request_id}").status == 200, "the call is in the log")
    told = " ".join(cli(capped, "logs", "--trace", request_id).split())
    assert f"attempt_1 {DEAR}:openai not sent: over budget attempt_2 {CHEAP}:openai 200 OK" in told
    assert f"via budget -> {CHEAP} (over budget;" in told


def test_another_run_is_not_affected(capped: Product, project: Project, guard: str, run: Run) -> None:
    answer = ask(capped.endpoints["proxy_url"], project, "run_other")
    assert (answer.status, answer.headers["x-modelux-model"]) == (200, DEAR)
    assert code(ask(capped.endpoints["proxy_url"], project, run.id)) == "402 run_aborted", "for good"


def test_what_happened_is_on_the_bus_exactly_once(capped: Product, guard: str, run: Run) -> None:
    balanced(capped, guard, run.id)
    until(lambda: events(capped, RUN_LOOPING, RunLooping, guard), "the loop is told")
    (aborted,) = [event for event in events(capped, RUN_ABORTED, RunAborted, guard) if event.value == run.id]
    assert (aborted.limit, aborted.tag, aborted.cap) == ("cost", "run_id", CAP)
    (exceeded,) = [event for event in events(capped, BUDGET_EXCEEDED, BudgetExceeded, guard) if event.value == run.id]
    assert (exceeded.action, exceeded.unit, exceeded.settled) == ("downgrade", "usd", aborted.settled)
    alerts = [event for event in events(capped, BUDGET_ALERT, BudgetAlert, guard) if event.value == run.id]
    assert [event.threshold_ppm for event in alerts] == [500_000, 800_000, 950_000]
    (looping,) = [event for event in events(capped, RUN_LOOPING, RunLooping, guard) if event.value == run.id]
    assert (looping.tag, looping.calls) == ("run_id", 5)


def until_aborted(proxies: Sequence[str], project: Project, run_id: str, answers: Counter[str], first: int) -> None:
    """Calls the proxies in turn until one says that the run is over."""
    for turn in count(first):
        assert turn < 5_000, "nothing stops the run"
        try:
            outcome = code(ask(proxies[turn % len(proxies)], project, run_id))
        except OSError:
            outcome = "broken"
        answers[outcome] += 1
        if outcome == "402 run_aborted":
            return


def test_a_cap_holds_over_four_proxies_of_which_one_is_killed(capped: Product) -> None:
    project, run_id, answers = capped.project("together", POLICY), "run_together", Counter[str]()
    guard = budget(capped, project, *GUARD, "--cap", "0.30")
    with more_proxies(capped, 3) as others, ThreadPoolExecutor(CALLERS + 1) as callers:
        proxies = [capped.endpoints["proxy_url"], *others]
        in_force(capped, project, tags={"run_id": "probe"})
        for url in others:
            until(lambda: "x-modelux-budget-remaining-usd" in ask(url, project, "probe").headers, "a budget holds")  # noqa: B023
        calling = [callers.submit(until_aborted, proxies, project, run_id, answers, n) for n in range(CALLERS)]
        until(lambda: served(capped, run_id) > SHARED_CAP // 3, "a third is spent")
        cut = callers.submit(ask, proxies[0], project, run_id, more=" Think long.")
        until(lambda: under_way(capped, "Think long."), "a call is under way at the proxy that dies")
        capped.kill_child("proxy")
        assert isinstance(cut.exception(10), OSError)
        for each in calling:
            each.result(60)
        row = balanced(capped, guard, run_id)
    by_ledger, by_providers = nano(row["settled_usd"]), served(capped, run_id)
    explained = {name: nano(amount) for name, amount in row["explained"].items()}
    print(f"cap {SHARED_CAP}, ledger {by_ledger}, providers {by_providers}, {explained}, {dict(answers)}")
    assert answers["broken"] > 0
    assert by_providers <= by_ledger <= SHARED_CAP
    assert by_ledger - by_providers <= explained["unknown_usd"] + explained["forfeited_usd"]
    assert explained["unknown_usd"] > 0, "what was under way when the proxy was killed"
    assert row["unexplained_usd"] == 0
    assert len(events(capped, RUN_ABORTED, RunAborted, guard)) == 1


AWAY_S = 60.0


@pytest.mark.nightly
@pytest.mark.timeout(300)
def test_a_cap_holds_while_postgresql_is_away_for_a_minute(capped: Product) -> None:
    project, url = capped.project("away", POLICY), capped.endpoints["proxy_url"]
    hard = budget(capped, project, "--tag", "run_id", "--each", "--cap", "20")
    budget(capped, project, "--tag", "team", "--each", "--cap", "0.001", "--action", "alert")
    in_force(capped, project, tags={"run_id": "probe"})
    in_force(capped, project, tags={"team": "probe"})
    phase, stopped = ["before"], threading.Event()
    seen: dict[str, Counter[tuple[str, str]]] = {"hard": Counter(), "alert": Counter()}

    def calling(kind: str, tag: str) -> None:
        while not stopped.wait(0.05):
            now = phase[0]
            seen[kind][now, code(ask(url, project, f"run_{kind}", tag))] += 1

    with ThreadPoolExecutor(2) as callers:
        both = [callers.submit(calling, "hard", "run_id"), callers.submit(calling, "alert", "team")]
        try:
            until(lambda: seen["hard"]["before", "200"] > 50, "calls are made")
            with frozen(capped.pid):  # so that nobody starts it again
                capped.kill_child("postgres")
                phase[0] = "away"
                stopped.wait(AWAY_S)
            phase[0] = "back"
            until(lambda: seen["hard"]["back", "200"] > 50, "calls go on", 20)
        finally:
            stopped.set()
        for each in both:
            each.result(30)
    row = balanced(capped, hard, "run_hard")
    by_ledger, by_providers = nano(row["settled_usd"]), served(capped, "run_hard")
    print(f"ledger {by_ledger}, providers {by_providers}, {seen}")
    assert seen["hard"]["away", "200"] > 0, "no call was made from a slice"
    assert seen["hard"]["away", "503 budget_store_unavailable"] > 0
    assert {outcome for _, outcome in seen["hard"]} == {"200", "503 budget_store_unavailable"}
    assert {outcome for _, outcome in seen["alert"]} == {"200"}, "a budget that only alerts stopped a call"
    assert by_providers <= by_ledger <= 20 * 10**9
