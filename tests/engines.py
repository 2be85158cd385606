"""The engines that tests share: one PostgreSQL and one ClickHouse a worker, and for each test a database of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from itertools import count

import psycopg
import pytest
from psycopg import sql

from modelux_embedded.clickhouse import EmbeddedClickHouse, temporary_clickhouse
from modelux_embedded.postgres import EmbeddedPostgres, temporary_postgres
from modelux_store.analytics import Analytics
from modelux_store.database import Database
from modelux_store.migrate import migrate_clickhouse, migrate_postgres

_TEMPLATE = "template_of_tests"
_numbers = count(1)

NewUrl = Callable[..., Awaitable[str]]


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    with temporary_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def clickhouse() -> Iterator[EmbeddedClickHouse]:
    with temporary_clickhouse() as server:
        yield server


@pytest.fixture(scope="session")
def new_database(postgres: EmbeddedPostgres) -> NewUrl:
    """`await new_database("outbox", "judge")`: the URL of a database with these schemas, copied from one that was
    migrated once.
    """
    migrated: dict[tuple[str, ...], str] = {}

    async def new(*schemas: str) -> str:
        if schemas not in migrated:
            template = f"{_TEMPLATE}{len(migrated)}"
            opened = await Database.open(postgres.create_database(template))
            for schema in schemas:
                await migrate_postgres(opened, schema)
            await opened.close()
            migrated[schemas] = template
        name, copy = f"test{next(_numbers)}", sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
            connection.execute(copy.format(sql.Identifier(name), sql.Identifier(migrated[schemas])))
        return postgres.url_of(name)

    return new


@pytest.fixture(scope="session")
def new_analytics(clickhouse: EmbeddedClickHouse) -> NewUrl:
    """`await new_analytics()`: the URL of an analytics database, its tables as all migrations together leave them."""
    server = clickhouse.url.rpartition("/")[0]
    tables: list[str] = []

    async def new() -> str:
        if not tables:
            opened = await Analytics.open(f"{server}/{_TEMPLATE}")
            await migrate_clickhouse(opened)
            found = await opened.rows(
                "SELECT create_table_query AS text FROM system.tables WHERE database = currentDatabase()"
                " ORDER BY engine = 'View', name"
            )
            await opened.close()
            tables.extend(str(each["text"]) for each in found)
        name = f"test{next(_numbers)}"
        opened = await Analytics.open(f"{server}/{name}")
        await opened.create_database()
        for each in tables:
            await opened.command(each.replace(f"{_TEMPLATE}.", f"{name}."))
        await opened.command(f"INSERT INTO schema_migrations SELECT * FROM {_TEMPLATE}.schema_migrations")  # noqa: S608
        await opened.close()
        return f"{server}/{name}"

    return new
