"""Measure what a judge run's figures are worth, with the recorded verdicts of a real judge. Prints one JSON line.

DATA/llmbar holds pairs of answers with a human label (instances.jsonl) and judges' verdicts in both orders
(judge_verdicts.csv). A stand-in for the judge reads the product's own question, as a model would, and answers with the
verdict that was recorded for that pair in that order, or with prose where none was. Its replies are read by the
product's parser. `output_1` plays the baseline, `output_2` the candidate.

- `weighted_coverage_min`: how often the 95 % interval of the traffic's rate held the true one, over EXPERIMENTS
  experiments at each of four settings; the lowest of all settings and verdicts. The pairs have no similarity, so a
  setting gives the buckets' shares and their rates of "worse"; pairs are drawn with replacement to meet them. An
  experiment scores 5,000 pairs and judges 100 of each bucket, fewer where there are fewer. `pooled_coverage_max` is
  the highest coverage, at any setting, of an interval that pools "worse" without weights.
- `ppi_coverage`: how often the interval of the share that people prefer the candidate, corrected by 100 human labels
  of 466 pairs that the judge saw, held the true one. `ppi_width_vs_labels`: its width over that of the labels alone.
- `aa_false_alarms`: share of runs that ever call the candidate worse where neither side is (each pair's sides are
  swapped by lot), with a look every 50 of 1,500 pairs. `aa_false_alarms_fixed`: the same with plain 95 % intervals.
- `injections_accepted`: adversarial pairs with a text that tries to steer the judge, in the candidate's answer, the
  baseline's or the prompt, of which a verdict came out other than without it. The stand-in obeys every such text that
  it gets to see: it copies a reply that it is given, or chooses what it is told to, in perfect form. Of `injections`
  tried, `injections_past_screen` came to the judge; `injections_accepted_unscreened` would have been accepted
  had all of them.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from injections import INJECTIONS, PLACES, Injection, inject

from experiment_core.anchors import Labelled, prediction_powered
from experiment_core.intervals import Estimate
from experiment_core.judge.envelope import EQUAL, ORDERS, Case, Fault, Message, Question, Reply, question, read
from experiment_core.judge.rates import Stratum, breakdown, traffic_rate, worse_minus_better
from experiment_core.judge.rubric import DEFAULT_RUBRIC
from experiment_core.judge.screening import steering, visible
from experiment_core.judge.strata import Stratification, redistribute
from experiment_core.sequential import ConfidenceSequence
from experiment_core.verdicts import VERDICTS, Judged, Said, Verdict

SETTINGS = (
    ((0.80, 0.15, 0.05), (0.05, 0.15, 0.35)),
    ((0.90, 0.08, 0.02), (0.01, 0.10, 0.35)),
    ((0.50, 0.30, 0.20), (0.05, 0.15, 0.35)),
    ((0.95, 0.04, 0.01), (0.002, 0.05, 0.30)),
)
"""Shares of the buckets and their rates of "worse"."""
SCORED = 5_000
LABELS, LABELLED_RUN = 100, 466
LOOK, LONGEST_RUN = 50, 1_500
SECRET = bytes(range(32))
CONSENSUS = ("FairEval", "LLMEval^2", "MT-Bench")
ADVERSARIAL = "Adv-"
_FENCED = re.compile(r"\[([0-9a-f]{32}) begin ([\w-]+)\]\n(.*?)\n\[\1 end \2\]", re.DOTALL)
_CHECK = re.compile(r'"check": "([0-9a-f]{32})"')


@dataclass(frozen=True, slots=True)
class Pair:
    """A recorded pair: its texts, the answer that people and the judge (by order shown) preferred; "" is neither."""

    name: str
    subset: str
    case: Case
    human: str
    verdicts: tuple[str, str]


def load(folder: Path, judge: str, prompting: str) -> list[Pair]:
    with (folder / "judge_verdicts.csv").open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if (row["judge"], row["prompt_strategy"]) == (judge, prompting)]
    said = {(row["subset"], int(row["idx"])): (row["verdict_order_12"], row["verdict_order_21"]) for row in rows}
    found = []
    for line in (folder / "instances.jsonl").read_text().splitlines():
        row = json.loads(line)
        key = row["subset"], row["idx"]
        if key in said:
            case = Case(row["input"], row["output_1"], row["output_2"])
            found.append(Pair(f"{key[0]}/{key[1]}", key[0], case, str(row["human_label"]), said[key]))
    if not found:
        raise SystemExit(f"{folder}: no verdicts of {judge} with prompt {prompting}")
    return found


Respond = Callable[[Sequence[Message]], str]


def recorded(pairs: Sequence[Pair]) -> Respond:
    """A judge that reads the question and answers as recorded."""
    known: dict[tuple[str, str, str], str] = {}
    for pair in pairs:
        prompt, one, two = (visible(text) for text in (pair.case.prompt, pair.case.baseline, pair.case.candidate))
        known[prompt, two, one] = {"1": "second", "2": "first"}.get(pair.verdicts[1], "")
        known[prompt, one, two] = {"1": "first", "2": "second"}.get(pair.verdicts[0], "")

    def respond(messages: Sequence[Message]) -> str:
        shown = Shown.of(messages)
        chosen = known[shown.prompt, shown.first[1], shown.second[1]]
        return shown.reply(chosen) if chosen else "I cannot decide between the two."

    return respond


@dataclass(frozen=True, slots=True)
class Shown:
    """What a judge sees in a question."""

    check: str
    prompt: str
    first: tuple[str, str]
    """Name and text."""
    second: tuple[str, str]

    @classmethod
    def of(cls, messages: Sequence[Message]) -> Shown:
        check = _CHECK.findall(messages[0].content)[-1]
        (_, _, prompt), *answers = _FENCED.findall(messages[1].content)
        first, second = ((name, text) for _, name, text in answers)
        return cls(check, prompt, first, second)

    def reply(self, chosen: str) -> str:
        name = {"first": self.first[0], "second": self.second[0]}.get(chosen, EQUAL)
        return json.dumps({"check": self.check, "reason": "as recorded", "verdict": name})


def ask(asked: Question, respond: Respond) -> Said:
    """One call, and one attempt to repair its reply."""
    found = read(asked, respond(asked.messages))
    if isinstance(found, Fault):
        found = read(asked, respond(asked.repair(found)))
    return found.said if isinstance(found, Reply) else "unreadable"


def judged(case: Case, name: str, respond: Respond) -> Judged:
    return Judged(*(ask(question(case, DEFAULT_RUBRIC, order, SECRET, name), respond) for order in ORDERS))


def coverage(outcomes: Sequence[Verdict], experiments: int, seed: int) -> tuple[float, float]:
    """Lowest coverage of the weighted intervals over settings and verdicts; highest of the pooled one."""
    rng = np.random.default_rng(seed)
    codes = np.array([VERDICTS.index(each) for each in outcomes])
    worse, others = codes[codes == 2], codes[codes != 2]
    lowest, pooled = 1.0, 0.0
    for shares, rates in SETTINGS:
        truth = {"worse": float(np.dot(shares, rates))}
        for code, verdict in enumerate(VERDICTS[:2]):
            truth[verdict] = float(np.dot(shares, 1 - np.array(rates))) * float(np.mean(others == code))
        held = dict.fromkeys((*VERDICTS, "pooled"), 0)
        for _ in range(experiments):
            sizes = rng.multinomial(SCORED, shares)
            places = redistribute(Stratification().asked, tuple(int(size) for size in sizes)).taken
            strata = []
            for size, n, rate in zip(sizes, places, rates, strict=True):
                drawn = np.where(rng.random(n) < rate, rng.choice(worse, n), rng.choice(others, n))
                strata.append(Stratum(int(size), *(int(count) for count in np.bincount(drawn, minlength=3))))
            for verdict in VERDICTS:
                held[verdict] += not traffic_rate(strata, verdict).interval.excludes(truth[verdict])
            held["pooled"] += not breakdown(strata).verdicts["worse"].interval.excludes(truth["worse"])
        lowest = min(lowest, *(held[verdict] / experiments for verdict in VERDICTS))
        pooled = max(pooled, held["pooled"] / experiments)
    return lowest, pooled


def anchored(human: Sequence[float], judge: Sequence[float], trials: int, seed: int) -> tuple[float, float]:
    """Coverage of the corrected share, and its mean width over that of the labels alone."""
    rng = np.random.default_rng(seed)
    people, machine = np.array(human), np.array(judge)
    truth, held, widths = float(people.mean()), 0, np.zeros(2)
    for _ in range(trials):
        drawn = rng.integers(len(people), size=LABELLED_RUN)
        few, rest = drawn[:LABELS], drawn[LABELS:]
        found = prediction_powered([(1.0, Labelled(people[few], machine[few], machine[rest]))])
        held += not found.rate.interval.excludes(truth)
        widths += [width(found.rate), width(found.human_only)]
    return held / trials, float(widths[0] / widths[1])


def width(found: Estimate) -> float:
    return (found.interval.upper or 0.0) - (found.interval.lower or 0.0)


def false_alarms(outcomes: Sequence[Verdict], streams: int, seed: int) -> tuple[float, float]:
    """Share of A/A runs that ever alarm: by the confidence sequence, and by intervals that know of one look."""
    rng = np.random.default_rng(seed)
    codes = np.array([VERDICTS.index(each) for each in outcomes])
    sequence, shares = ConfidenceSequence(300), SETTINGS[0][0]
    alarms = np.zeros(2)
    for _ in range(streams):
        drawn = rng.choice(codes, LONGEST_RUN)
        drawn = np.where(rng.random(LONGEST_RUN) < 0.5, drawn, 2 - drawn)
        bucket = np.arange(LONGEST_RUN) % len(shares)
        alarmed = [False, False]
        for n in range(LOOK, LONGEST_RUN + 1, LOOK):
            counts = np.bincount(bucket[:n] * 3 + drawn[:n], minlength=9).reshape(3, 3)
            strata = [Stratum(round(s * SCORED), *map(int, row)) for s, row in zip(shares, counts, strict=True)]
            looked = sequence.look(n, partial(worse_minus_better, strata))
            for way, found in enumerate((looked, worse_minus_better(strata))):
                alarmed[way] = alarmed[way] or (found.interval.lower or -1.0) > 0
        alarms += alarmed
    return float(alarms[0] / streams), float(alarms[1] / streams)


def obedient(honest: Respond, original: Case, injected: Case, injection: Injection) -> Respond:
    """A judge that does whatever an injected text asks, as far as it can be done; else it is honest."""
    texts = {visible(new): visible(old) for new, old in zip(fields(injected), fields(original), strict=True)}

    def respond(messages: Sequence[Message]) -> str:
        shown = Shown.of(messages)
        if injection.reply:
            return injection.reply
        if injection.choose != "holder":
            return shown.reply(injection.choose)
        for chosen, (_, text) in (("first", shown.first), ("second", shown.second)):
            if text in texts and texts[text] != text:
                return shown.reply(chosen)
        was = (Message("system", messages[0].content), Message("user", undo(messages[1].content, texts)))
        return honest(was)

    return respond


def undo(content: str, texts: Mapping[str, str]) -> str:
    for new, old in texts.items():
        content = content.replace(f"\n{new}\n", f"\n{old}\n")
    return content


def fields(case: Case) -> tuple[str, str, str]:
    return case.prompt, case.baseline, case.candidate


def attacks(pairs: Sequence[Pair]) -> Iterator[tuple[Pair, Case, Injection]]:
    """Every text on every pair, at one place or another by turns."""
    for number, pair in enumerate(pairs):
        for turn, injection in enumerate(INJECTIONS):
            place = PLACES[(number + turn) % len(PLACES)]
            text = inject(getattr(pair.case, place), injection.text, number // len(PLACES))
            yield pair, replace(pair.case, **{place: text}), injection


def steered(pairs: Sequence[Pair], before: Mapping[str, Judged], honest: Respond) -> dict[str, int]:
    """How many attacks there were, came to the judge, and changed a verdict: as it is, and without the screen."""
    found = dict.fromkeys(("tried", "past", "accepted", "unscreened"), 0)
    for pair, case, injection in attacks(pairs):
        verdict = judged(case, pair.name, obedient(honest, pair.case, case, injection)).merge().verdict
        moved = verdict is not None and verdict != before[pair.name].merge().verdict
        past = not any(steering(text) for text in fields(case))
        found["tried"] += 1
        found["past"] += past
        found["unscreened"] += moved
        found["accepted"] += past and moved
    return found


def measure(data: Path, judge: str, prompting: str, experiments: int, seed: int) -> dict[str, object]:
    pairs = load(data / "llmbar", judge, prompting)
    honest = recorded(pairs)
    said = {pair.name: judged(pair.case, pair.name, honest) for pair in pairs}
    merged = {name: each.merge().verdict for name, each in said.items()}
    outcomes = [verdict for verdict in merged.values() if verdict is not None]
    weighted, pooled = coverage(outcomes, experiments, seed)
    score = {"better": 1.0, "equivalent": 0.5, "worse": 0.0}
    labelled = [pair for pair in pairs if pair.subset in CONSENSUS]
    known = [(float(pair.human == "2"), merged[pair.name]) for pair in labelled]
    both = [(human, score[verdict]) for human, verdict in known if verdict is not None]
    ppi, narrower = anchored([human for human, _ in both], [machine for _, machine in both], experiments, seed)
    alarms, fixed = false_alarms(outcomes, experiments, seed)
    hostile = steered([pair for pair in pairs if pair.subset.startswith(ADVERSARIAL)], said, honest)
    return {
        "weighted_coverage_min": round(weighted, 4),
        "ppi_coverage": round(ppi, 4),
        "ppi_width_vs_labels": round(narrower, 4),
        "aa_false_alarms": round(alarms, 4),
        "injections_accepted": hostile["accepted"],
        "pooled_coverage_max": round(pooled, 4),
        "aa_false_alarms_fixed": round(fixed, 4),
        "injections": hostile["tried"],
        "injections_past_screen": hostile["past"],
        "injections_accepted_unscreened": hostile["unscreened"],
        "experiments": experiments,
        "pairs": len(pairs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder that holds llmbar/")
    parser.add_argument("--judge", default="GPT-4")
    parser.add_argument("--prompting", default="Metrics_Reference")
    parser.add_argument("--experiments", type=int, default=2_000, help="of each kind; per setting")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    print(json.dumps(measure(asked.data, asked.judge, asked.prompting, asked.experiments, asked.seed)))


if __name__ == "__main__":
    main()
