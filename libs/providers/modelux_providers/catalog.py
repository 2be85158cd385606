"""Which models a set of credentials can reach, what they can do, and what they cost at a moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b

from modelux_providers import price_table
from modelux_providers.model_facts import answers, facts_of, retired
from modelux_providers.price_table import ModelRow, PriceTable
from modelux_providers.vendors import ENVIRONMENT_KEYS, VENDORS, Vendor
from routing_core.pricing import Price, ceiling
from routing_core.types import Target
from routing_core.world import Offer

__all__ = ["ENVIRONMENT_KEYS", "VENDORS", "Catalog", "CredentialFacts", "Offers", "PriceOverride", "override_version"]

_ALIASES_KEPT = 1000
_OFFERS_KEPT = 16
"""About half a megabyte each, where a credential is for all models."""


@dataclass(frozen=True, slots=True)
class CredentialFacts:
    """What matters of a credential here. `models`: those it is for, or none for all that the catalogue knows.

    An entry `name=other` offers as `name` what the provider calls `other`, such as a deployment at Azure.
    """

    id: str
    provider: str
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PriceOverride:
    """A price that an operator sets over the seed table, from a moment on: units and meaning of None as in `Price`."""

    id: str
    provider: str
    model: str
    input: int
    output: int
    cache_read: int | None = None
    cache_write: int | None = None
    effective_from_ms: int = 0
    cache_write_1h: int | None = None
    input_audio: int | None = None
    cache_audio_read: int | None = None
    input_image: int | None = None
    output_audio: int | None = None
    output_image: int | None = None
    web_search: int | None = None
    request: int | None = None

    def price(self) -> Price:
        """The row that it stands for."""
        return Price(
            self.input,
            self.output,
            self.cache_read,
            self.cache_write,
            (),
            override_version(self.id),
            self.cache_write_1h,
            self.input_audio,
            self.cache_audio_read,
            self.input_image,
            self.output_audio,
            self.output_image,
            self.web_search or 0,
            self.request or 0,
        )


def override_version(override_id: str) -> str:
    """Names an operator's price, as it is stored with costs."""
    return f"override/{override_id}"


class Catalog:
    """The seed table of prices with what is known of models and vendors. Immutable; a process has one by `load`."""

    def __init__(self, table: PriceTable, ceiling_nano: int | None = None) -> None:
        """`ceiling_nano`: what offers without a known price are charged, per million tokens; None: they have none."""
        self._table = table
        self._ceiling = None if ceiling_nano is None else ceiling(ceiling_nano)
        self._kept: dict[object, Offers] = {}
        self.version = table.version
        """Names the seed table, with the release it was made from."""

    @staticmethod
    def load(ceiling_nano: int | None = None) -> Catalog:
        """The catalogue of this release: about 10 ms, once per process."""
        return _loaded(ceiling_nano)

    def models(self, provider: str) -> tuple[str, ...]:
        """Names, as the provider takes them, of its models for chat or embeddings; empty where it has no list."""
        vendor = VENDORS.get(provider)
        return tuple(name for name, _, _ in self._listed(vendor)) if vendor else ()

    def price(self, provider: str, model: str, at_ms: int, overrides: Sequence[PriceOverride] = ()) -> Price | None:
        """The price of a model in force at `at_ms`: the operator's latest, else the seed table's; None if unknown."""
        set_here = _override(overrides, provider, model, at_ms)
        if set_here is not None:
            return set_here
        row = self._find(VENDORS.get(provider), model)
        return None if row is None else row.price(at_ms, self.version)

    def next_change_ms(self, at_ms: int, overrides: Sequence[PriceOverride] = ()) -> int | None:
        """Until when prices taken at `at_ms` hold, and offers are to be made anew; None: nothing is known to change."""
        later = [o.effective_from_ms for o in overrides if o.effective_from_ms > at_ms]
        seeded = self._table.next_change_ms(at_ms)
        return min([*later, *([] if seeded is None else [seeded])], default=None)

    def offers(
        self, credentials: Sequence[CredentialFacts], overrides: Sequence[PriceOverride] = (), at_ms: int = 0
    ) -> Offers:
        """What the credentials can reach, in their order, at the prices of `at_ms`.

        Unknown providers offer nothing. A credential without models offers all that is listed for its provider.
        """
        offers = Offers(self, credentials, overrides, at_ms)
        for credential in credentials:
            vendor = VENDORS.get(credential.provider)
            if vendor is None:
                continue
            if credential.models:
                for entry in credential.models:
                    name, _, upstream = entry.partition("=")
                    offers.add((name,), self.offer(credential, upstream or name, name, overrides, at_ms))
                continue
            for upstream, name, row in self._listed(vendor):
                offers.add((name, upstream), self._offer(credential, upstream, upstream, row, overrides, at_ms))
        return offers

    def offers_kept(
        self, credentials: Sequence[CredentialFacts], overrides: Sequence[PriceOverride], at_ms: int
    ) -> Offers:
        """As `offers`; the same object for all moments at which the same prices are in force, unless it was made long
        ago. For those who ask about many moments of the past.
        """
        in_force = tuple(each for each in overrides if each.effective_from_ms <= at_ms)
        asked = tuple(credentials), in_force, self._table.period(at_ms)
        found = self._kept.get(asked)
        if found is None:
            found = self.offers(credentials, in_force, at_ms)
            if len(self._kept) >= _OFFERS_KEPT:
                self._kept.pop(next(iter(self._kept)), None)
            self._kept[asked] = found
        return found

    def snapshot_offer(
        self, credential: CredentialFacts, model: str, overrides: Sequence[PriceOverride], at_ms: int
    ) -> Offer | None:
        """The offer for a dated name of a listed model (`gpt-4o-2024-08-06`) by a credential that is for all models."""
        vendor = VENDORS.get(credential.provider)
        if vendor is None or vendor.own_models or credential.models or not answers(model):
            return None
        for name in vendor.prices:
            row = self._table.lists[name].find_snapshot(model)
            if row is not None and _served(vendor, model):
                return self._offer(credential, model, model, row, overrides, at_ms)
        return None

    def offer(
        self, credential: CredentialFacts, upstream: str, model: str, overrides: Sequence[PriceOverride], at_ms: int
    ) -> Offer:
        """The offer for a model that a credential names. `upstream` is its name at the provider, `model` what it is."""
        row = self._find(VENDORS.get(credential.provider), model)
        return self._offer(credential, upstream, model, row, overrides, at_ms)

    def _offer(
        self,
        credential: CredentialFacts,
        upstream: str,
        model: str,
        row: ModelRow | None,
        overrides: Sequence[PriceOverride],
        at_ms: int,
    ) -> Offer:
        facts = facts_of(model)
        price = _override(overrides, credential.provider, model, at_ms)
        if price is None and row is not None:
            price = row.price(at_ms, self.version)
        return Offer(
            Target(upstream, credential.provider, credential.id),
            self._ceiling if price is None else price,
            facts.tier,
            None if row is None else row.context_tokens,
            facts.max_output_tokens,
            facts.capabilities,
        )

    def _find(self, vendor: Vendor | None, model: str) -> ModelRow | None:
        """The row of a model in the vendor's price lists; of rows without a price only where no list has one."""
        found = [self._table.lists[name].find(model) for name in vendor.prices] if vendor else []
        rows = [row for row in found if row is not None]
        return next((row for row in rows if row.prices), rows[0] if rows else None)

    def _listed(self, vendor: Vendor) -> Iterator[tuple[str, str, ModelRow]]:
        """The vendor's own models: the name to call it by, the short name, the row."""
        if vendor.own_models:
            return
        for name in vendor.prices:
            models = self._table.lists[name]
            for row in models.rows:
                if answers(row.id) and not retired(row.id) and _served(vendor, row.id):
                    yield models.name(row), row.id, row


@cache
def _loaded(ceiling_nano: int | None) -> Catalog:
    return Catalog(price_table.load(), ceiling_nano)


class Offers(Mapping[str, tuple[Offer, ...]]):
    """Offers by model name, for `World.offers`. Dated names of listed models are found too, though not listed."""

    def __init__(
        self,
        catalog: Catalog,
        credentials: Sequence[CredentialFacts],
        overrides: Sequence[PriceOverride],
        at_ms: int,
    ) -> None:
        self._catalog = catalog
        self._open = tuple(credential for credential in credentials if not credential.models)
        self._overrides = tuple(overrides)
        self._at_ms = at_ms
        self._offers: dict[str, tuple[Offer, ...]] = {}
        self._aliases: dict[str, tuple[Offer, ...]] = {}
        self.price_version = _price_version(catalog.version, overrides, at_ms)
        """Names the seed table and the operator's prices that these offers were made from."""

    def add(self, names: Sequence[str], offer: Offer) -> None:
        """Append an offer under each of its names. Only while the offers are being made."""
        for name in dict.fromkeys(names):
            self._offers[name] = (*self._offers.get(name, ()), offer)

    def __getitem__(self, model: str) -> tuple[Offer, ...]:
        found = self._offers.get(model) or self._alias(model)
        if not found:
            raise KeyError(model)
        return found

    def get(self, model: str, default: object = None) -> tuple[Offer, ...] | None:  # type: ignore[override]  # no TypeVar
        found = self._offers.get(model) or self._alias(model)
        return found or (default if isinstance(default, tuple) else None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._offers)

    def __len__(self) -> int:
        return len(self._offers)

    def _alias(self, model: str) -> tuple[Offer, ...]:
        found = self._aliases.get(model)
        if found is None:
            made = (self._catalog.snapshot_offer(c, model, self._overrides, self._at_ms) for c in self._open)
            found = tuple(offer for offer in made if offer is not None)
            if len(self._aliases) >= _ALIASES_KEPT:
                self._aliases.clear()
            self._aliases[model] = found
        return found


def _override(overrides: Sequence[PriceOverride], provider: str, model: str, at_ms: int) -> Price | None:
    latest: PriceOverride | None = None
    for each in overrides:
        fits = each.provider == provider and each.model == model and each.effective_from_ms <= at_ms
        if fits and (latest is None or each.effective_from_ms >= latest.effective_from_ms):
            latest = each
    return None if latest is None else latest.price()


def _price_version(table: str, overrides: Sequence[PriceOverride], at_ms: int) -> str:
    active = sorted(repr(each) for each in overrides if each.effective_from_ms <= at_ms)
    if not active:
        return table
    return f"{table}+{blake2b('|'.join(active).encode(), digest_size=4).hexdigest()}"


def _served(vendor: Vendor, model: str) -> bool:
    """Whether a name of the seed table is one that the provider takes. OpenRouter's hold a path, others no colon."""
    if vendor.name == "openrouter":
        return "/" in model
    return ":" not in model and not model.startswith(vendor.not_served)
