"""The registry of topics: who produces each, what it carries and how it is keyed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf.message import Message as Proto

from modelux.events.v1.budget_pb2 import BudgetAlert, BudgetExceeded, PriceUnknown, RunAborted, RunLooping
from modelux.events.v1.config_pb2 import ConfigChanged
from modelux.events.v1.experiment_pb2 import (
    ExperimentCommand,
    ExperimentCompleted,
    ExperimentPair,
    ExperimentRegressionDetected,
    ExperimentResults,
    ExperimentSamples,
    ExperimentScore,
    RolloutChanged,
)
from modelux.events.v1.health_pb2 import ProviderHealthChanged
from modelux.events.v1.judge_pb2 import JudgeCommand, JudgeCompleted, JudgeVerdict
from modelux.events.v1.request_pb2 import RequestCompleted


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `producer` is the only service that publishes to it; `schema` travels in each message's headers."""

    name: str
    message: type[Proto]
    producer: str
    consumers: tuple[str, ...]
    key: str
    partitions: int = 4

    @property
    def schema(self) -> str:
        return self.message.DESCRIPTOR.full_name


REQUEST_COMPLETED = Topic("request.completed", RequestCompleted, "proxy", ("ingest",), key="project_id", partitions=8)
LOG_IMPORTED = Topic("log.imported", RequestCompleted, "management", ("ingest",), key="project_id")
PROVIDER_HEALTH_CHANGED = Topic(
    "provider.health_changed", ProviderHealthChanged, "ingest", ("proxy",), key="model:provider"
)
CONFIG_CHANGED = Topic("config.changed", ConfigChanged, "config", (), key="organization_id")
BUDGET_ALERT = Topic("budget.alert", BudgetAlert, "config", (), key="organization_id")
BUDGET_EXCEEDED = Topic("budget.exceeded", BudgetExceeded, "config", (), key="organization_id")
RUN_ABORTED = Topic("run.aborted", RunAborted, "config", (), key="organization_id")
RUN_LOOPING = Topic("run.looping", RunLooping, "ingest", (), key="project_id")
PRICE_UNKNOWN = Topic("price.unknown", PriceUnknown, "ingest", (), key="project_id")
EXPERIMENT_COMMANDS = Topic("experiment.commands", ExperimentCommand, "replay", ("replay",), key="experiment_id")
EXPERIMENT_RESULTS = Topic("experiment.results", ExperimentResults, "replay", ("ingest",), key="experiment_id")
EXPERIMENT_SAMPLES = Topic(
    "experiment.samples", ExperimentSamples, "replay", ("response_sampler",), key="experiment_id.unit", partitions=8
)
EXPERIMENT_CALLS = Topic("experiment.calls", RequestCompleted, "response_sampler", ("ingest",), key="project_id")
EXPERIMENT_PAIRS = Topic("experiment.pairs", ExperimentPair, "response_sampler", ("embedding",), key="experiment_id")
EXPERIMENT_SCORES = Topic("experiment.scores", ExperimentScore, "embedding", ("replay",), key="experiment_id")
EXPERIMENT_COMPLETED = Topic("experiment.completed", ExperimentCompleted, "replay", (), key="organization_id")
EXPERIMENT_REGRESSION_DETECTED = Topic(
    "experiment.regression_detected", ExperimentRegressionDetected, "replay", (), key="organization_id"
)
ROLLOUT_CHANGED = Topic("rollout.changed", RolloutChanged, "replay", (), key="organization_id")
JUDGE_COMMANDS = Topic("judge.commands", JudgeCommand, "judge", ("judge",), key="judge_run_id")
JUDGE_CALLS = Topic("judge.calls", RequestCompleted, "judge", ("ingest",), key="project_id")
JUDGE_VERDICTS = Topic("judge.verdicts", JudgeVerdict, "judge", ("ingest",), key="judge_run_id")
JUDGE_COMPLETED = Topic("judge.completed", JudgeCompleted, "judge", (), key="organization_id")

TOPICS: Mapping[str, Topic] = {
    t.name: t
    for t in (
        REQUEST_COMPLETED,
        LOG_IMPORTED,
        PROVIDER_HEALTH_CHANGED,
        CONFIG_CHANGED,
        BUDGET_ALERT,
        BUDGET_EXCEEDED,
        RUN_ABORTED,
        RUN_LOOPING,
        PRICE_UNKNOWN,
        EXPERIMENT_COMMANDS,
        EXPERIMENT_RESULTS,
        EXPERIMENT_SAMPLES,
        EXPERIMENT_CALLS,
        EXPERIMENT_PAIRS,
        EXPERIMENT_SCORES,
        EXPERIMENT_COMPLETED,
        EXPERIMENT_REGRESSION_DETECTED,
        ROLLOUT_CHANGED,
        JUDGE_COMMANDS,
        JUDGE_CALLS,
        JUDGE_VERDICTS,
        JUDGE_COMPLETED,
    )
}

DEAD_LETTER_SUFFIX = ".dlq"


def partitions() -> Mapping[str, int]:
    """Every topic and its dead letters with their partition counts: what a bus must have before services start."""
    counts = {t.name: t.partitions for t in TOPICS.values()}
    return counts | {name + DEAD_LETTER_SUFFIX: 1 for name in counts}
