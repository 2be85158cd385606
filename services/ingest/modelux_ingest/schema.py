"""Prepare ClickHouse before the first row: apply the migrations and set how long rows are kept."""

from __future__ import annotations

import asyncio
import logging

from modelux_store.analytics import Analytics, Unavailable
from modelux_store.migrate import migrate_clickhouse

log = logging.getLogger(__name__)

_BACKOFF_S = (0.1, 10.0)
_DEFINITION = """
SELECT create_table_query AS text FROM system.tables
WHERE database = currentDatabase() AND name = {name:String}"""
_TTLS = {
    "requests": "toDateTime(started_at)",
    "attempts": "toDateTime(request_started_at)",
    "experiment_rows": "toDateTime(written_at)",
    "judge_verdicts": "toDateTime(written_at)",
}


async def prepare(analytics: Analytics, retention_days: int) -> None:
    """Returns once the tables are there and keep rows for `retention_days` (0: for ever); waits for ClickHouse."""
    pause = _BACKOFF_S[0]
    while True:
        try:
            await migrate_clickhouse(analytics)
            for table in _TTLS:
                await _retain(analytics, table, retention_days)
            return
        except Unavailable as error:
            log.warning("ClickHouse is not there yet: %s", error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _BACKOFF_S[1])


async def _retain(analytics: Analytics, table: str, days: int) -> None:
    """Alters the table only where it says something else, since every change rewrites what is stored."""
    (row,) = await analytics.rows(_DEFINITION, {"name": table})
    wanted = f"TTL {_TTLS[table]} + toIntervalDay({days})" if days else ""
    has_ttl = " TTL " in str(row["text"])
    if wanted and wanted not in str(row["text"]):
        await analytics.command(f"ALTER TABLE {table} MODIFY {wanted}")
    elif not wanted and has_ttl:
        await analytics.command(f"ALTER TABLE {table} REMOVE TTL")
