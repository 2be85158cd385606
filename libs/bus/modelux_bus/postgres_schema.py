"""Bring schema `bus` up to date: numbered files, each applied once and whole."""

from __future__ import annotations

import hashlib
from importlib.resources import files

import psycopg
from psycopg.rows import TupleRow

# Any number nobody else uses; equal in every process.
_LOCK = 0x6D6C785F627573


async def migrate(connection: psycopg.AsyncConnection[TupleRow]) -> None:
    """Applies what is missing; safe to call from many processes at once. Raises `RuntimeError` for an edited file."""
    folder = files("modelux_bus").joinpath("migrations")
    scripts = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        rows = await connection.execute("SELECT to_regclass('bus.migration') IS NOT NULL")
        known = await rows.fetchone()
        if not (known and known[0]):
            await connection.execute("CREATE SCHEMA IF NOT EXISTS bus")
            await connection.execute("CREATE TABLE bus.migration (name text PRIMARY KEY, sha256 text NOT NULL)")
        rows = await connection.execute("SELECT name, sha256 FROM bus.migration")
        done: dict[str, str] = dict(await rows.fetchall())
        for script in scripts:
            text = script.read_text()
            digest = hashlib.sha256(text.encode()).hexdigest()
            if script.name not in done:
                await connection.execute(text.encode(), prepare=False)
                await connection.execute("INSERT INTO bus.migration VALUES (%s, %s)", (script.name, digest))
            elif done[script.name] != digest:
                raise RuntimeError(f"migration {script.name!r} of schema bus was changed after it was applied")
