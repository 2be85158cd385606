"""Models without a known price: charged a ceiling where one is set, never said to cost it, and never a silent 0."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from modelux_calling.charge import Charge, Spending
from modelux_proxy.service import serve
from modelux_proxy.settings import ProxySettings
from modelux_runtime.settings import InvalidSetting, load
from routing_core.bounds import Size
from routing_core.budgets import Applied, BudgetRule, Draw
from routing_core.ledger.meters import Want
from routing_core.pricing import Price, ceiling, cost
from routing_core.types import Target, Usage

NAME = "MODELUX_PROXY_UNKNOWN_PRICE_USD_PER_MTOK"


def chat(model: str) -> bytes:
    return json.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}]}).encode()


def ceiling_nano(text: str) -> int | None:
    return load(ProxySettings, "MODELUX_PROXY", {NAME: text}).ceiling_nano()


@pytest.mark.parametrize(
    ("text", "nano"),
    [
        pytest.param("", None, id="none"),
        pytest.param(" ", None, id="blank"),
        pytest.param("100", 100_000_000_000, id="dollars"),
        pytest.param(" 0.075 ", 75_000_000, id="cents"),
        pytest.param("0.000000001", 1, id="a nano-dollar"),
        pytest.param("1000000", 10**15, id="the most"),
    ],
)
def test_the_ceiling_is_read_exactly(text: str, nano: int | None) -> None:
    assert ceiling_nano(text) == nano


@pytest.mark.parametrize("text", ["0", "0.0", "-1", "1e3", "10 USD", "NaN", "1_000", "0.0000000001", "1000000.01", "x"])
def test_a_ceiling_that_is_no_amount_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(InvalidSetting, match=f"^{NAME} (is|has) ") as refused:
        ceiling_nano(text)
    assert "such as 15" in refused.value.hint


async def test_a_call_is_charged_the_ceiling_and_not_said_to_cost_it(start):
    async with start() as rig:
        status, headers, body = await rig.request(body=chat("ceiled"))
        assert status == 200, body
        assert "x-modelux-cost-usd" not in headers
        (event,) = rig.events()
        (attempt,) = event.attempts
        price = ceiling(1_000_000_000)
        assert attempt.cost_nano == cost(price, Usage(event.usage.input, event.usage.output)) > 0
        assert (attempt.price_version, attempt.price_unknown) == ("ceiling/1000000000", True)


async def test_no_cost_is_told_where_one_of_several_calls_has_no_price(start):
    both = {"strategy": "ensemble", "aggregation": "voting", "members": [{"model": "a"}, {"model": "ceiled"}]}
    async with start(policies={"both": both}) as rig:
        status, headers, body = await rig.request(body=chat("@both"))
        assert status == 200, body
        assert "x-modelux-cost-usd" not in headers


async def test_the_service_does_not_start_with_a_ceiling_that_is_no_amount() -> None:
    with pytest.raises(InvalidSetting, match=NAME):
        async with serve(ProxySettings(unknown_price_usd_per_mtok="cheap"), None):
            pass


class Asked:
    """A spender that has nothing at hand, and keeps what was asked of it."""

    def __init__(self) -> None:
        self.wants: list[Sequence[Want]] = []

    def reserve(self, wants: Sequence[Want]) -> None:
        self.wants.append(wants)


@pytest.mark.parametrize(
    ("rule", "price", "reserved"),
    [
        pytest.param({"cap_nano": 1}, None, None, id="a cap: refused"),
        pytest.param({"cap_nano": 1}, ceiling(2_000_000), 1200, id="a cap, and a ceiling: reserved by it"),
        pytest.param({"cap_nano": 1, "action": "alert"}, None, 1, id="an alert: let out"),
        pytest.param({"max_calls": 9}, None, 1, id="calls alone are capped: let out"),
    ],
)
async def test_what_has_no_price_is_refused_under_a_hard_cap_on_money(
    rule: dict[str, object], price: Price | None, reserved: int | None
) -> None:
    asked, target = Asked(), Target("new", "one", "pc")
    draw = Draw([Applied(BudgetRule("bud", "organization", **rule), "")])
    charge = Charge(Spending(asked), draw, target, Size(500), price, 100)
    assert [want.amount for wants in asked.wants for want in wants] == ([] if reserved is None else [reserved])
    if reserved is None:
        refusal = await charge.secure()
        assert (refusal.status, refusal.code, refusal.param) == (402, "price_unknown", "model")
        assert "'new' at one" in refusal.message
