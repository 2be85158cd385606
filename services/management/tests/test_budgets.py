"""Budgets over the REST API: made, changed, asked about, and held against the request log."""

from __future__ import annotations

import pytest
from management_harness import Client, charge

from modelux_store.database import Database

GUARD = {"name": "runs", "scope": "tag", "scopeKey": "run_id", "each": True, "capUsd": 0.05}
CAP = {"name": "all", "scope": "organization", "capUsd": "100"}


async def priced(acme: Client) -> None:
    """Gives the tenant a credential whose models a budget may downgrade to."""
    body = {"name": "openai", "provider": "openai", "secret": "sk-budgets", "models": ["gpt-4o-mini", "gpt-4o"]}
    await acme.post("/credentials", body)


async def test_a_budget_from_creation_to_deletion(acme: Client, globex: Client) -> None:
    await priced(acme)
    body = GUARD | {"downgradeTo": "gpt-4o-mini", "downgradeAtPercent": 80, "maxCalls": 200, "maxDurationS": 1800}
    made = await acme.post("/budgets", body | {"loopCalls": 5})
    assert made["id"].startswith("bud_")
    assert (made["cap_usd"], made["max_calls"], made["max_duration_s"], made["loop_calls"]) == (0.05, 200, 1800, 5)
    assert (made["action"], made["downgrade_to"], made["downgrade_at_percent"]) == ("downgrade", "gpt-4o-mini", 80.0)
    assert (made["period"], made["time_zone"], made["alert_percents"]) == ("total", "UTC", [50, 80, 95, 100])
    assert (await acme.get(f"/budgets/{made['id']}"))["data"] == made
    assert [row["id"] for row in (await acme.get("/budgets", scope="tag"))["data"]] == [made["id"]]
    assert (await acme.get("/budgets", scope="model"))["data"] == []
    changes = {"capUsd": "0.000000001", "maxCalls": None, "action": "block", "downgradeTo": "", "alertPercents": []}
    changed = (await acme.send("PATCH", f"/budgets/{made['id']}", json=changes)).json()["data"]
    assert (changed["cap_usd"], changed["max_calls"], changed["max_duration_s"]) == (1e-9, None, 1800)
    assert (changed["action"], changed["downgrade_to"], changed["alert_percents"]) == ("block", None, [])
    for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/spend"), ("GET", "/reconcile")):
        options = {"json": {}} if method == "PATCH" else {}
        problem = await globex.refused(method, f"/budgets/{made['id']}{path}", 404, **options)
        assert problem["code"] == "not_found"
    deleted = await acme.send("DELETE", f"/budgets/{made['id']}")
    assert deleted.json() == {"data": {"id": made["id"], "deleted": True}}
    await acme.refused("GET", f"/budgets/{made['id']}", 404)


async def test_creation_is_idempotent_and_pages_are_whole(acme: Client) -> None:
    header = {"idempotency-key": "once"}
    first, second = [(await acme.send("POST", "/budgets", json=CAP, headers=header)).json() for _ in range(2)]
    assert first == second
    for number in range(4):
        await acme.post("/budgets", CAP | {"name": f"b{number}"})
    seen, cursor = [], ""
    while cursor is not None:
        page = await acme.get("/budgets", limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [row["name"] for row in page["data"]]
        cursor = page["next_cursor"]
    assert seen == ["all", "b0", "b1", "b2", "b3"]


@pytest.mark.parametrize(
    ("content", "cap"),
    [
        pytest.param('"0.05"', 0.05, id="text"),
        pytest.param("0.1", 0.1, id="a number that no double holds"),
        pytest.param("5e-05", 0.00005, id="an exponent"),
        pytest.param("12345.123456789", 12345.123456789, id="nine decimals"),
        pytest.param("0.000000001", 1e-9, id="a nano-dollar"),
        pytest.param("1000000000", 1e9, id="a billion"),
    ],
)
async def test_caps_are_read_exactly(acme: Client, content: str, cap: float) -> None:
    body = f'{{"name": "x", "scope": "organization", "capUsd": {content}}}'.encode()
    answer = await acme.send("POST", "/budgets", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 201, answer.text
    assert answer.json()["data"]["cap_usd"] == cap


@pytest.mark.parametrize(
    ("field", "content"),
    [
        ("capUsd", "-1"),
        ("capUsd", "0"),
        ("capUsd", "1e18"),
        ("capUsd", '"1000000000.000000001"'),
        ("capUsd", '"NaN"'),
        ("capUsd", '"Infinity"'),
        ("capUsd", '"1e999999999"'),
        ("capUsd", "1e999"),
        ("capUsd", '"10 USD"'),
        ("capUsd", '"1_000"'),
        ("capUsd", '"0.30000000000000004"'),
        ("capUsd", "0.30000000000000004"),
        ("capUsd", "0.3000000000000000000000000000001"),
        ("capUsd", "1.0000000001"),
        ("capUsd", "true"),
        ("capUsd", "[]"),
        ("capUsd", '""'),
        ("maxCalls", "0"),
        ("maxCalls", "1.5"),
        ("maxCalls", '"5"'),
        ("maxDurationS", "-1"),
        ("period", '"1x"'),
        ("period", '"fortnight"'),
        ("periodStart", "29"),
        ("timeZone", '"Mars"'),
        ("timeZone", '"../../etc/passwd"'),
        ("scope", '"galaxy"'),
        ("scopeKey", '"sideways"'),
        ("action", '"warn"'),
        ("downgradeTo", '"no-such-model"'),
        ("downgradeAtPercent", "101"),
        ("loopCalls", "1"),
        ("alertPercents", "[0]"),
        ("alertPercents", "[101]"),
        ("each", "true"),
        ("organizationId", '"org_1"'),
        ("spent", "0"),
    ],
)
async def test_bad_budgets_name_the_field(acme: Client, field: str, content: str) -> None:
    fields = {"name": '"x"', "scope": '"organization"', "capUsd": "1"} | {field: content}
    body = "{" + ", ".join(f'"{name}": {value}' for name, value in fields.items()) + "}"
    headers = {"content-type": "application/json"}
    problem = await acme.refused("POST", "/budgets", 422, content=body.encode(), headers=headers)
    assert problem["errors"][0]["field"].partition("[")[0] == field
    assert problem["errors"][0]["message"]
    assert (await acme.get("/budgets"))["data"] == []


async def test_a_budget_that_limits_nothing_or_downgrades_to_itself_is_refused(acme: Client) -> None:
    await priced(acme)
    nothing = await acme.refused("POST", "/budgets", 422, json={"name": "x", "scope": "organization"})
    assert nothing["errors"][0]["field"] == "capUsd"
    itself = {"name": "x", "scope": "model", "scopeKey": "gpt-4o", "capUsd": 1, "downgradeTo": "gpt-4o"}
    assert (await acme.refused("POST", "/budgets", 422, json=itself))["errors"][0]["field"] == "downgradeTo"


async def test_spend_is_told_per_value(acme: Client, database: Database) -> None:
    fresh = (await acme.get(f"/budgets/{(await acme.post('/budgets', CAP))['id']}/spend"))["data"]
    assert [(row["cap_usd"], row["settled_usd"], row["remaining_usd"]) for row in fresh] == [(100.0, 0.0, 100.0)]
    assert fresh[0]["resets_at"] > fresh[0]["window_start"]
    runs = await acme.post("/budgets", GUARD | {"maxCalls": 10})
    amounts = {"settled": 20_000_000, "leased": 1_000_000, "unknown": 500, "forfeited": 7, "overrun": 2}
    await charge(database, runs["id"], "run_a", **amounts)
    await charge(database, runs["id"], "run_a", unit="calls", cap=10, settled=4, leased=1)
    await charge(database, runs["id"], "run_b", unit="calls", cap=10, settled=2)
    await charge(database, runs["id"], "run_b", settled=49_999_999, exceeded=1)
    rows = (await acme.get(f"/budgets/{runs['id']}/spend"))["data"]
    assert [row["value"] for row in rows] == ["run_b", "run_a"]
    least = rows[1]
    assert (least["settled_usd"], least["overrun_usd"], least["reserved_usd"]) == (0.019999998, 2e-9, 0.001)
    assert (least["unknown_usd"], least["forfeited_usd"], least["remaining_usd"]) == (5e-7, 7e-9, 0.029)
    assert (least["resets_at"], least["forecast_usd"], rows[0]["exceeded"]) == (None, None, True)
    assert (least["calls"], least["max_calls"], least["reserved_calls"], least["remaining_calls"]) == (4, 10, 1, 5)
    one = await acme.get(f"/budgets/{runs['id']}/spend", value="run_b")
    assert [row["remaining_usd"] for row in one["data"]] == [1e-9]
    first = await acme.get(f"/budgets/{runs['id']}/spend", limit=1)
    second = await acme.get(f"/budgets/{runs['id']}/spend", limit=1, cursor=first["next_cursor"])
    assert [(row["value"], row["calls"]) for row in first["data"] + second["data"]] == [("run_b", 2), ("run_a", 4)]
    assert second["next_cursor"] is None
