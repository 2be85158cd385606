"""Bring a store's schema up to date: numbered SQL files, each applied once, in order, never edited afterwards."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import cast

from modelux_store.analytics import Analytics
from modelux_store.database import Database, Transaction
from modelux_store.errors import SchemaError, Unavailable

log = logging.getLogger(__name__)

_LOCK = 0x6D6F64656C757801
"""PostgreSQL advisory lock of all migrations of this program."""
_BOOKS = """
CREATE SCHEMA IF NOT EXISTS store;
CREATE TABLE IF NOT EXISTS store.migration (
    schema text NOT NULL,
    number integer NOT NULL,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (schema, number)
)"""
_CLICKHOUSE_BOOKS = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    number UInt32, name String, sha256 String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
) ENGINE = ReplacingMergeTree(applied_at) ORDER BY number"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file `NNNN_what_it_does.sql`."""

    number: int
    name: str
    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


async def migrate_postgres(database: Database, schema: str) -> int:
    """Applies what is missing of `migrations/postgres/<schema>` in one transaction; returns how many files that were.

    Safe to call from many processes at once.

    Raises:
        SchemaError: an applied file was edited, or the database was written by a newer program.
        Unavailable: the database is not there.
    """
    return await apply_postgres(database, schema, read("postgres", schema))


async def migrate_once_there(database: Database, schemas: Sequence[str]) -> None:
    """`migrate_postgres` for each schema, as soon as the database can be reached. Raises SchemaError."""
    delay_s = 0.1
    while True:
        try:
            for schema in schemas:
                await migrate_postgres(database, schema)
        except Unavailable as error:
            log.warning("the database is not there yet: %s", error)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, 5.0)
        else:
            return


async def apply_postgres(database: Database, schema: str, migrations: Sequence[Migration]) -> int:
    """`migrate_postgres` with the files given."""
    async with database.transaction() as tx:
        await tx.execute("SET LOCAL statement_timeout = 0")
        await tx.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        await tx.execute(_BOOKS)
        missing = pending(schema, migrations, await _applied(tx, schema))
        for each in missing:
            await tx.execute(each.text)
            await tx.execute(
                "INSERT INTO store.migration (schema, number, name, sha256) VALUES (%s, %s, %s, %s)",
                (schema, each.number, each.name, each.sha256),
            )
    return len(missing)


async def migrate_clickhouse(analytics: Analytics) -> int:
    """Applies what is missing of `migrations/clickhouse`; returns how many files that were.

    ClickHouse has neither locks nor transactions: each statement is written so that it can run twice, and concurrent
    callers do no harm.

    Raises:
        SchemaError: as above.
        Unavailable: ClickHouse is not there.
    """
    return await apply_clickhouse(analytics, read("clickhouse"))


async def apply_clickhouse(analytics: Analytics, migrations: Sequence[Migration]) -> int:
    """`migrate_clickhouse` with the files given."""
    await analytics.create_database()
    await analytics.command(_CLICKHOUSE_BOOKS)
    rows = await analytics.rows("SELECT number, sha256 FROM schema_migrations FINAL")
    missing = pending("clickhouse", migrations, {cast(int, r["number"]): cast(str, r["sha256"]) for r in rows})
    for each in missing:
        for statement in statements(each.text):
            await analytics.command(statement)
        columns: dict[str, list[object]] = {"number": [each.number], "name": [each.name], "sha256": [each.sha256]}
        await analytics.insert("schema_migrations", columns)
    return len(missing)


def read(*folder: str) -> list[Migration]:
    """The files of one folder in order. A folder with a gap or a double number is a programming error."""
    place = files("modelux_store").joinpath("migrations", *folder)
    found = sorted((each for each in place.iterdir() if each.name.endswith(".sql")), key=lambda each: each.name)
    migrations = [Migration(int(each.name[:4]), each.name, each.read_text()) for each in found]
    assert [each.number for each in migrations] == list(range(1, len(migrations) + 1)), f"numbers of {folder}"
    return migrations


def pending(schema: str, migrations: Sequence[Migration], applied: Mapping[int, str]) -> list[Migration]:
    """What is to be applied. Raises `SchemaError` where the store and the files contradict each other."""
    if applied and max(applied) > len(migrations):
        raise SchemaError(
            "schema_newer",
            f"schema {schema!r} is at version {max(applied)}, this program knows {len(migrations)}",
            hint="Start a newer version of the program.",
        )
    for each in migrations:
        if applied.get(each.number, each.sha256) != each.sha256:
            raise SchemaError("schema_edited", f"migration {each.name!r} of schema {schema!r} was edited after use")
    return [each for each in migrations if each.number not in applied]


def statements(text: str) -> Iterator[str]:
    """The statements of a file: each ends with a semicolon at the end of a line."""
    for part in text.split(";\n"):
        bare = "\n".join(line for line in part.splitlines() if not line.lstrip().startswith("--")).strip()
        if bare:
            yield bare.removesuffix(";")


async def _applied(tx: Transaction, schema: str) -> dict[int, str]:
    rows = await tx.fetch_all("SELECT number, sha256 FROM store.migration WHERE schema = %s", (schema,))
    return {cast(int, row["number"]): cast(str, row["sha256"]) for row in rows}
