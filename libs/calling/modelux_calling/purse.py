"""What one request may spend: its budgets as they stand, its size, and a charge for each of its attempts."""

from __future__ import annotations

from collections.abc import Mapping

from modelux_calling.charge import Charge, Spending
from modelux_calling.loops import Loops, Repeats
from modelux_calling.openai_shapes import ChatBody, EmbeddingsBody
from modelux_calling.request_size import Measured, measure
from modelux_calling.room import Room
from modelux_providers.dialects.base import VendorFacts
from modelux_providers.dialects.claude import claude
from routing_core.bounds import output_limit
from routing_core.budgets import Applied, Draw, Matcher
from routing_core.ledger.meters import Meter
from routing_core.types import Request, Target
from routing_core.world import Budget, Offer


class Purse:
    """Made for a request that budgets may hold for."""

    __slots__ = ("_draw", "_matcher", "_measured", "_request", "_spending", "budgets", "repeats", "room")

    def __init__(
        self,
        spending: Spending,
        loops: Loops | None,
        matcher: Matcher,
        request: Request,
        body: ChatBody | EmbeddingsBody,
        raw: bytes,
        *,
        text: bool = False,
        ids: Mapping[str, str] | None = None,
    ) -> None:
        """`raw` is the request's body as received; `text` as for `measure`, `ids` as for `Matcher.for_request`. Without
        `loops` nothing looks for repeated calls.
        """
        self._spending = spending
        self._matcher = matcher
        self._request = request
        self._draw = matcher.for_request(request, ids)
        self._measured: Measured = measure(body, raw, text=text)
        self.room: Room | None = None
        """Where charges let each other know of what they reserve."""
        self.budgets = self._seen()
        """As enforcement sees them at the start: what policies read and downgrades go by."""
        self.repeats: Repeats | None = loops.count(self._draw, raw) if loops is not None and self._draw.loops else None

    @property
    def remaining_nano(self) -> int | None:
        """What is left of the budget with the least left when the request began; None where no money is capped."""
        left = [each.cap_nano - each.spent_nano for each in self.budgets[: len(self._draw.capped)]]
        return max(min(left), 0) if left else None

    def charge(self, target: Target, offer: Offer | None, vendor: VendorFacts, default: int) -> Charge | None:
        """The charge of an attempt, reserved where a slice is at hand; None where no budget holds for it.

        `default` is the project's limit on output tokens, 0 where it has none.
        """
        draw = self._matcher.for_target(self._draw, target)
        if not (draw.usd or draw.calls):
            return None
        size = self._measured.at(target.provider, offer)
        limit = 0
        if self._request.endpoint == "chat":
            most = offer.max_output_tokens if offer is not None else None
            if vendor.dialect == "anthropic":  # more than this takes a stream
                usual = claude(target.model).default_max_tokens
                most = min(most or usual, usual)
            window = offer.context_tokens if offer is not None else None
            limit = output_limit(self._request.max_tokens, default, most, window, self._request.input_tokens)
        charge = Charge(self._spending, draw, target, size, offer.price if offer is not None else None, limit)
        if self.room is not None:
            charge.enter(self.room)
        return charge

    def _seen(self) -> tuple[Budget, ...]:
        draw: Draw = self._draw
        found = [self._budget(applied, meter) for applied, meter in zip(draw.capped, draw.usd, strict=True)]
        for applied in self._matcher.anywhere():
            if applied.rule.cap_nano is not None:
                found.append(self._budget(applied, Meter(applied.rule.id, "", "usd"), only_when_denied=True))
        return tuple(found)

    def _budget(self, applied: Applied, meter: Meter, *, only_when_denied: bool = False) -> Budget:
        rule = applied.rule
        view = self._spending.spender.view(meter)
        cap, spent = (rule.cap_nano or 0, 0) if view is None else (view.cap, view.settled + view.leased)
        if rule.action != "downgrade":
            return Budget(rule.id, cap, spent, rule.name)
        return Budget(
            rule.id, cap, spent, rule.name, rule.downgrade_to, 0 if only_when_denied else rule.downgrade_at_ppm
        )
