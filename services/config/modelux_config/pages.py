"""A page of a list: one row more than asked for tells whether there is a next page."""

from __future__ import annotations

from modelux.config.v1.admin_pb2 import Page
from modelux_config.scope import Scope
from modelux_contracts.pages import limit_of


async def page(
    scope: Scope, asked: Page, noun: str, *, name: str = "list", key: str = "id", start: str = "", **parameters: object
) -> tuple[list[dict[str, object]], str]:
    """Rows after the cursor and the next cursor ("" at the end).

    The statement takes `after` (text; `start` on the first page) and `limit`, and is ordered by the column `key`.
    """
    limit = limit_of(asked.limit)
    signed = (noun, name, scope.organization_id)
    after = scope.ports.cursors.read(asked.cursor, *signed) or start
    rows = await scope.rows(noun, name, after=after, limit=limit + 1, **parameters)
    if len(rows) <= limit:
        return rows, ""
    return rows[:limit], scope.ports.cursors.write(str(rows[limit - 1][key]), *signed)
