"""The gRPC edge: which method serves which operation."""

from __future__ import annotations

import asyncio

from modelux.judge.v1 import judge_pb2 as pb
from modelux_judge.desk import Desk
from modelux_judge.label_desk import LabelDesk
from modelux_runtime.operations import Method, Operations


def operations(desk: Desk, labels: LabelDesk, started: asyncio.Event) -> Operations:
    """The JudgeService. Calls that come before `started` is set wait for it."""
    methods: dict[str, Method] = {
        "Preflight": desk.preflight,
        "Create": desk.create,
        "Get": desk.get,
        "List": desk.list,
        "Cancel": desk.cancel,
        "Compare": desk.compare,
        "NextLabels": labels.next_labels,
        "AddLabel": labels.add_label,
    }
    return Operations(pb.DESCRIPTOR.services_by_name["JudgeService"], methods, started)
