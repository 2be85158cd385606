"""What may be asked of a page."""

from __future__ import annotations

import pytest

from modelux_contracts.errors import ProblemError
from modelux_contracts.ids import new_id
from modelux_contracts.pages import check_cursor, limit_of


@pytest.mark.parametrize(("asked", "rows"), [(0, 50), (1, 1), (200, 200)])
def test_rows_of_a_page(asked: int, rows: int) -> None:
    assert limit_of(asked) == rows


@pytest.mark.parametrize("asked", [-1, 201])
def test_more_rows_than_a_page_has_are_refused(asked: int) -> None:
    with pytest.raises(ProblemError, match="is not between 1 and 200"):
        limit_of(asked)


def test_a_cursor_is_an_id_of_the_list_or_nothing() -> None:
    check_cursor("", "sim_")
    check_cursor(new_id("sim_"), "sim_")


@pytest.mark.parametrize("cursor", ["ro_" + "0" * 26, "sim_" + "0" * 25, "sim_" + "0" * 27, "sim_"])
def test_any_other_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(ProblemError) as refused:
        check_cursor(cursor, "sim_")
    assert (refused.value.problem.status, refused.value.problem.code) == (422, "invalid_cursor")
