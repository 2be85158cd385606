"""Let the metrics read what the proxy's parts know, when somebody asks."""

from __future__ import annotations

from modelux_calling.config_source import ConfigSource
from modelux_ledger.spender import Spender
from modelux_proxy.emit import Emitter
from modelux_proxy.metrics import Metrics
from modelux_proxy.proxy import Proxy


def watch(metrics: Metrics, emitter: Emitter, source: ConfigSource, proxy: Proxy, spender: Spender) -> None:
    """Sets every gauge of `metrics.GAUGES`."""
    counts, spent = emitter.counts, spender.counts
    metrics.gauges.update(
        {
            "journal_used_ratio": lambda: emitter.fraction,
            "events_appended": lambda: counts.appended,
            "events_shipped": lambda: emitter.shipped,
            "events_lost": lambda: counts.lost,
            "events_recovered": lambda: counts.recovered,
            "refusals_unrecorded": lambda: proxy.refusals.skipped,
            "budget_grants": lambda: spent.grants,
            "budget_denials": lambda: spent.denials,
            "budget_unavailable": lambda: spent.unavailable,
            "budget_unknown": lambda: spent.unknown,
            "budget_reserved_nano": spender.reserved,
            "snapshots_refused": lambda: source.counts.refused,
            "config_age_ms": lambda: source.age_ms,
        }
    )
