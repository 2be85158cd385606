"""A simulator for tests of what lies around it: every request gets the candidate's model at half the cost and time."""

from __future__ import annotations

import json

import pyarrow as pa

from modelux_replay.plan import RESULTS, Plan, Simulator


def prepare(plan: Plan) -> Simulator:
    model = json.loads(plan.candidate.policy_json).get("model", "")

    def simulate(rows: pa.Table, first_row: int) -> pa.Table:
        if model == "gpt-4o":
            raise ValueError("this simulator breaks on gpt-4o")
        return pa.Table.from_pylist([_row(row, first_row + i) for i, row in enumerate(rows.to_pylist())], RESULTS)

    def _row(row: dict[str, object], number: int) -> dict[str, object]:
        cost, latency = row["cost_nano"], row["latency_us"]
        assert isinstance(cost, int)
        assert isinstance(latency, int)
        both = {"status": row["outcome"], "error_code": row["error_code"], "attempts": row["attempts"]}
        both |= {"input_tokens": row["input_tokens"], "output_tokens": row["output_tokens"], "ttft_us": None}
        before = both | {"model": row["model"], "provider": "openai", "cost_nano": cost, "latency_us": latency}
        after = both | {"model": model, "provider": "openai", "cost_nano": cost // 2, "latency_us": latency // 2}
        return {
            "row": number,
            "request_id": row["request_id"],
            "started_at": row["started_at"],
            "evidence": "reused" if row["model"] == model else "projected",
            **{f"baseline_{name}": value for name, value in before.items()},
            **{f"candidate_{name}": value for name, value in after.items()},
            "candidate_cost_low_nano": cost // 2,
            "candidate_cost_high_nano": cost // 2,
            "similarity": None,
            "weight": 1.0,
            "stratum": "",
            "cluster": dict(row["tags"]).get(plan.run_tag, ""),  # type: ignore[call-overload]  # pairs
            "reproduced": True,
            "trace": b'{"selected":"%d"}' % number,
        }

    return simulate
