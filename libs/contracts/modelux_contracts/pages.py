"""What a caller may ask of a list that is given page by page."""

from __future__ import annotations

from modelux_contracts.refusals import FieldError, invalid

_DEFAULT_LIMIT, _MOST = 50, 200
_ID_CHARS = 26
FOREIGN_CURSOR = FieldError(
    "cursor",
    "this cursor does not belong to this list",
    "Start again without a cursor, or pass next_cursor of the page before unchanged.",
)


def limit_of(asked: int) -> int:
    """Rows of a page; 0 asks for the default. Raises a 422 problem outside 1 to 200."""
    limit = asked or _DEFAULT_LIMIT
    if not 1 <= limit <= _MOST:
        raise invalid(FieldError("limit", f"{limit} is not between 1 and {_MOST}", "Follow next_cursor for more."))
    return limit


def check_cursor(cursor: str, prefix: str) -> None:
    """Of a list whose cursor is the id of the last row, or empty. Raises a 422 problem for what is no such id."""
    if cursor and not (cursor.startswith(prefix) and len(cursor) == len(prefix) + _ID_CHARS):
        raise invalid(FOREIGN_CURSOR, code="invalid_cursor")
