"""The catalogue offers what credentials reach, at the prices that genai-prices would charge, or the operator set."""

from __future__ import annotations

import ast
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import genai_prices
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelux_providers import price_seed
from modelux_providers.catalog import ENVIRONMENT_KEYS, VENDORS, Catalog, CredentialFacts, PriceOverride
from modelux_providers.model_facts import UNKNOWN, answers, facts_of, retired
from modelux_providers.price_table import load
from routing_core.pricing import cost
from routing_core.types import Usage
from routing_core.world import World


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


NOW = ms("2026-11-20T12:00")
CATALOG = Catalog.load()
OPENAI, ANTHROPIC = CredentialFacts("pc_1", "openai"), CredentialFacts("pc_2", "anthropic")


def test_the_seed_table_is_that_of_the_installed_release() -> None:
    assert price_seed.PATH.read_text() == price_seed.render(), "run `python -m modelux_providers.price_seed`"
    assert load().version == f"genai-prices {genai_prices.__version__}"


PROVIDERS = {name: vendor.prices[0] for name, vendor in VENDORS.items() if vendor.prices and not vendor.own_models}
PRICED = [(provider, model) for provider in PROVIDERS for model in CATALOG.models(provider)]


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(PRICED),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(ms("2024-01-01"), ms("2027-06-01")),
)
def test_costs_are_those_of_genai_prices_rounded_up_to_a_nano(
    which: tuple[str, str], plain: int, read: int, write: int, output: int, at_ms: int
) -> None:
    provider, model = which
    price = CATALOG.price(provider, model, at_ms)
    if price is None:
        return
    if price.cache_read is None:
        read = 0
    if price.cache_write is None:
        write = 0
    usage = Usage(plain + read + write, output, read, write)
    theirs = genai_prices.calc_price(
        genai_prices.Usage(
            input_tokens=usage.input, output_tokens=output, cache_read_tokens=read, cache_write_tokens=write
        ),
        model,
        provider_id=PROVIDERS[provider],
        genai_request_timestamp=datetime.fromtimestamp(at_ms / 1000, UTC),
    )
    exact = theirs.total_price * 10**9
    # amounts below a nano-USD per million tokens are rounded up in the table, so a few nano may be added
    assert Decimal(0) <= cost(price, usage) - exact < 8


def test_nearly_every_offered_model_has_a_price() -> None:
    unpriced = [(p, m) for p, m in PRICED if CATALOG.price(p, m, NOW) is None]
    assert len(PRICED) > 800
    assert len(unpriced) < 40
    assert {p for p, _ in unpriced} <= {"openrouter", "google", "mistral", "together"}


@pytest.mark.parametrize(
    ("provider", "model", "at", "expected"),
    [
        ("openai", "gpt-4o-mini", "2026-01-01", (150_000_000, 600_000_000)),
        ("anthropic", "claude-haiku-4-5", "2026-01-01", (1_000_000_000, 5_000_000_000)),
        ("anthropic", "claude-haiku-4-5-20251001", "2026-01-01", (1_000_000_000, 5_000_000_000)),
        ("openai", "gpt-4o-2024-05-13", "2026-01-01", (5_000_000_000, 15_000_000_000)),
        ("openai", "text-embedding-3-small", "2026-01-01", (20_000_000, 0)),
        ("azure", "gpt-4o", "2026-01-01", (2_500_000_000, 10_000_000_000)),
        ("simulator", "gemini-2.5-flash", "2026-01-01", (300_000_000, 2_500_000_000)),
        ("openrouter", "openai/gpt-oss-20b:free", "2026-01-01", (0, 0)),
        ("google", "gemma-3", "2026-01-01", None),
        ("ollama", "llama3:8b", "2026-01-01", None),
        ("openai", "gpt-unheard-of", "2026-01-01", None),
        ("nobody", "gpt-4o", "2026-01-01", None),
    ],
)
def test_prices(provider: str, model: str, at: str, expected: tuple[int, int] | None) -> None:
    price = CATALOG.price(provider, model, ms(at))
    assert (price and (price.input, price.output)) == expected


def test_prices_are_dated() -> None:
    before, after = (
        CATALOG.price("anthropic", "claude-sonnet-4-6", ms(at)) for at in ("2026-03-12T23:59", "2026-03-13")
    )
    assert before is not None
    assert after is not None
    assert [threshold for threshold, _ in before.above] == [200_000]
    assert before.above[0][1].input == 6_000_000_000
    assert after.above == ()
    assert (before.version, after.version) == ("genai-prices 0.2.3/base", "genai-prices 0.2.3/2026-03-13")


def test_prices_by_the_time_of_day_and_when_they_change() -> None:
    day = ms("2026-11-20")
    hours = [CATALOG.price("deepseek", "deepseek-v4-flash", day + hour * 3_600_000) for hour in range(24)]
    amounts = [price.input for price in hours if price is not None]
    assert len(amounts) == 24
    assert len(set(amounts)) > 1
    now = day
    for _ in range(3):
        change = CATALOG.next_change_ms(now)
        assert change is not None
        assert now < change <= now + 86_400_000
        now = change
    override = PriceOverride("po_1", "openai", "gpt-4o", 1, 1, effective_from_ms=day + 5)
    assert CATALOG.next_change_ms(day, [override]) == day + 5


def test_an_operators_price_holds_from_its_date_and_only_for_its_model() -> None:
    first = PriceOverride("po_1", "openai", "gpt-4o", 1_000, 2_000, effective_from_ms=100)
    second = PriceOverride("po_2", "openai", "gpt-4o", 3_000, 4_000, 5, 6, effective_from_ms=200)
    found = [CATALOG.price("openai", "gpt-4o", at, [second, first]) for at in (99, 100, 199, 200)]
    assert [p and (p.input, p.version) for p in found] == [
        (2_500_000_000, "genai-prices 0.2.3/base"),
        (1_000, "override/po_1"),
        (1_000, "override/po_1"),
        (3_000, "override/po_2"),
    ]
    assert (found[3] and (found[3].cache_read, found[3].cache_write)) == (5, 6)
    other = CATALOG.price("openai", "gpt-4o-mini", 200, [first, second])
    assert (other and other.input) == 150_000_000
    local = CATALOG.price("ollama", "llama3:8b", 0, [PriceOverride("po_3", "ollama", "llama3:8b", 7, 8)])
    assert (local and local.output) == 8


def test_a_credential_without_models_offers_all_of_its_provider() -> None:
    offers = CATALOG.offers([OPENAI, ANTHROPIC], at_ms=NOW)
    assert {"gpt-4o", "gpt-4o-mini", "claude-haiku-4-5", "text-embedding-3-small"} <= set(offers)
    assert "claude-v1" not in set(offers)
    assert len(offers) == len(list(offers))
    (mini,) = offers["gpt-4o-mini"]
    assert mini.target.name == "gpt-4o-mini:openai"
    assert mini.target.credential_id == "pc_1"
    assert mini.context_tokens == 128_000
    assert mini.max_output_tokens == 16_384
    assert mini.tier == 2
    assert mini.capabilities >= {"tools", "vision", "json_schema", "logprobs"}
    assert offers["text-embedding-3-small"][0].capabilities == {"embeddings"}


def test_a_credential_offers_exactly_the_models_it_lists() -> None:
    listed = CredentialFacts("pc_9", "openai", ("gpt-4o", "ft:gpt-4o-2024-08-06:acme::1", "brand-new"))
    offers = CATALOG.offers([listed], at_ms=NOW)
    assert set(offers) == {"gpt-4o", "ft:gpt-4o-2024-08-06:acme::1", "brand-new"}
    assert offers.get("gpt-4o-mini") is None
    assert offers.get("gpt-4o-2024-08-06") is None
    assert offers["brand-new"][0].price is None
    tuned = offers["ft:gpt-4o-2024-08-06:acme::1"][0].price
    assert (tuned and tuned.input) == 3_750_000_000
    with pytest.raises(KeyError):
        offers["gpt-4o-mini"]


def test_several_keys_of_a_provider_are_offered_in_their_order() -> None:
    offers = CATALOG.offers(
        [CredentialFacts("pc_b", "openai"), CredentialFacts("pc_a", "openai", ("gpt-4o",))], at_ms=NOW
    )
    assert [offer.target.credential_id for offer in offers["gpt-4o"]] == ["pc_b", "pc_a"]


def test_deployments_and_local_models_come_from_the_credential_alone() -> None:
    azure = CredentialFacts("pc_az", "azure", ("gpt-4o=prod-4o", "gpt-4o-mini"))
    ollama = CredentialFacts("pc_ol", "ollama", ("llama3:8b",))
    offers = CATALOG.offers(
        [azure, ollama, CredentialFacts("pc_v", "vllm"), CredentialFacts("pc_x", "nobody")], at_ms=NOW
    )
    assert set(offers) == {"gpt-4o", "gpt-4o-mini", "llama3:8b"}
    (deployed,) = offers["gpt-4o"]
    assert deployed.target.model == "prod-4o"
    assert (deployed.price and deployed.price.input) == 2_500_000_000
    assert offers["llama3:8b"][0].price is None
    assert World(offers).resolve("llama3:8b") == offers["llama3:8b"]
    assert World(offers).resolve("gpt-4o:azure") == offers["gpt-4o"]


def test_fireworks_models_have_a_short_and_a_full_name() -> None:
    offers = CATALOG.offers([CredentialFacts("pc_f", "fireworks")], at_ms=NOW)
    full = "accounts/fireworks/models/gpt-oss-120b"
    assert offers["gpt-oss-120b"] == offers[full]
    assert offers[full][0].target.model == full


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("gpt-4o-2024-08-06", "openai"),
        ("gpt-4o-mini-2024-07-18", "openai"),
        ("claude-haiku-4-5-20251001", "anthropic"),
        ("claude-3-opus-20240229", "anthropic"),
        ("gemini-2.5-flash-preview-09-2025", "google"),
        ("mistral-large-latest", "mistral"),
        ("grok-4", "xai"),
        ("claude-haiku-4-5-evil", None),
        ("gpt-4o-mini-tts", None),
        ("whisper-1", None),
        ("gpt-5-nano-nonsense", None),
        ("claude-opus-4@google", None),
        ("", None),
        ("gpt-oss-20b", None),
    ],
)
def test_dated_names_are_found_and_invented_ones_are_not(model: str, provider: str | None) -> None:
    credentials = [CredentialFacts(f"pc_{name}", name) for name in ("openai", "anthropic", "google", "mistral", "xai")]
    offers = CATALOG.offers(credentials, at_ms=NOW)
    found = offers.get(model)
    assert [offer.target.provider for offer in found or ()] == ([provider] if provider else [])
    if found:
        assert found[0].target.model == model
        assert offers[model] is found


def test_unknown_names_cost_bounded_memory() -> None:
    offers = CATALOG.offers([OPENAI], at_ms=NOW)
    for number in range(2500):
        assert offers.get(f"made-up-{number}") is None
    assert len(offers._aliases) <= 1000
    assert offers.get("made-up", ()) == ()


def test_the_price_version_tells_which_prices_were_in_force() -> None:
    override = PriceOverride("po_1", "openai", "gpt-4o", 1, 2, effective_from_ms=100)
    plain = CATALOG.offers([OPENAI], at_ms=100).price_version
    assert plain == "genai-prices 0.2.3"
    assert CATALOG.offers([OPENAI], [override], at_ms=99).price_version == plain
    versions = {CATALOG.offers([OPENAI], [override], at_ms=at).price_version for at in (100, 200)}
    assert len(versions) == 1
    assert plain not in versions


@pytest.mark.parametrize(
    ("model", "tier", "has", "lacks"),
    [
        ("gpt-6-luna", 2, {"tools"}, set()),
        ("gpt-5.6-terra", 3, {"tools"}, set()),
        ("gpt-6.1-sol", 4, {"tools"}, set()),
        ("gpt-4o", 3, {"vision", "logprobs"}, {"reasoning"}),
        ("openai/gpt-4o-mini", 2, {"vision", "tools"}, {"reasoning"}),
        ("gpt-5", 4, {"reasoning", "vision"}, {"logprobs"}),
        ("gpt-5-nano", 1, {"reasoning"}, set()),
        ("GPT-4.1-Mini", 2, {"vision"}, set()),
        ("o3", 4, {"reasoning"}, {"logprobs"}),
        ("claude-haiku-4-5", 2, {"reasoning", "vision"}, {"logprobs"}),
        ("claude-sonnet-4-5-20250929", 3, {"reasoning"}, set()),
        ("claude-opus-4-5", 4, {"vision"}, set()),
        ("claude-3-haiku-20240307", 1, {"vision"}, {"reasoning"}),
        ("gemini-2.5-flash", 2, {"vision", "json_schema"}, set()),
        ("gemini-2.5-flash-lite", 1, {"vision"}, set()),
        ("gemini-2.5-pro", 4, {"reasoning"}, set()),
        ("text-embedding-3-large", 2, {"embeddings"}, {"tools"}),
        ("deepseek-reasoner", 4, {"reasoning"}, {"vision"}),
        ("meta-llama/Llama-3.1-8B-Instruct", 1, {"tools"}, {"vision"}),
    ],
)
def test_what_models_can_do(model: str, tier: int, has: set[str], lacks: set[str]) -> None:
    facts = facts_of(model)
    assert facts.tier == tier
    assert has <= facts.capabilities
    assert not lacks & facts.capabilities


def test_a_model_nobody_described_is_taken_for_a_plain_chat_model() -> None:
    assert facts_of("acme-9000") is UNKNOWN
    assert answers("acme-9000")
    assert not retired("acme-9000")


def test_every_vendor_row_is_whole() -> None:
    assert {"openai", "anthropic", "google", "azure", "mistral", "groq", "together", "fireworks", "deepseek"} <= set(
        VENDORS
    )
    assert {"xai", "openrouter", "ollama", "vllm", "simulator"} <= set(VENDORS)
    lists = load().lists
    for name, vendor in VENDORS.items():
        assert vendor.name == name == vendor.facts.name
        assert vendor.base_url.startswith("http") == bool(vendor.base_url)
        assert not vendor.base_url.endswith("/")
        assert vendor.base_url.startswith("https://") or not vendor.base_url or vendor.local
        assert set(vendor.prices) <= set(lists)
        assert vendor.local or vendor.own_models or vendor.base_url
    assert ENVIRONMENT_KEYS["OPENAI_API_KEY"] == "openai"
    assert ENVIRONMENT_KEYS["GEMINI_API_KEY"] == ENVIRONMENT_KEYS["GOOGLE_API_KEY"] == "google"
    assert "azure" not in ENVIRONMENT_KEYS.values()


def test_the_catalogue_never_imports_the_package_it_is_made_from() -> None:
    folder = Path(price_seed.__file__).parent
    for name in ("catalog", "price_table", "model_facts", "vendors"):
        tree = ast.parse((folder / f"{name}.py").read_text())
        imported = {
            alias.name if isinstance(node, ast.Import) else node.module
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        assert not {module for module in imported if module and ("genai" in module or module.endswith("price_seed"))}


def test_offers_without_a_known_price_are_charged_the_ceiling() -> None:
    mine, shared = CredentialFacts("pc_1", "openai", ("gpt-4o", "fresh-one")), CredentialFacts("pc_2", "openai")
    dated, own = "gpt-4o-2024-08-06", PriceOverride("p1", "openai", "fresh-one", 7, 9, effective_from_ms=NOW)
    bounded = Catalog.load(5_000_000_000)
    offers = bounded.offers([mine, shared], (), NOW)
    (fresh,) = offers["fresh-one"]
    assert fresh.price is not None
    assert (fresh.price.known, fresh.price.version) == (False, "ceiling/5000000000")
    assert cost(fresh.price, Usage(1_000_000)) == cost(fresh.price, Usage(output=1_000_000)) == 5_000_000_000
    for model in ("gpt-4o", dated):
        assert [o.price for o in offers[model]] == [o.price for o in CATALOG.offers([mine, shared], (), NOW)[model]]
    (set_here,) = bounded.offers([mine], [own], NOW)["fresh-one"]
    assert set_here.price == own.price()
    assert bounded.price("openai", "fresh-one", NOW) is None, "a ceiling is no price"
    assert CATALOG.offers([mine], (), NOW)["fresh-one"][0].price is None


_DEEPSEEK = CredentialFacts("pc_3", "deepseek")
"""Whose prices change by the time of day."""
_SET = (PriceOverride("po_1", "deepseek", "deepseek-chat", 1, 2, effective_from_ms=NOW),)
_MOMENTS = st.integers(ms("2024-01-01"), ms("2027-06-01")) | st.integers(NOW - 86_400_000, NOW + 86_400_000)


@settings(max_examples=60, deadline=None)
@given(_MOMENTS, _MOMENTS)
def test_kept_offers_are_those_of_the_moment(one: int, other: int) -> None:
    for at_ms in (one, other):
        kept, made = (offers([_DEEPSEEK, ANTHROPIC], _SET, at_ms) for offers in (CATALOG.offers_kept, CATALOG.offers))
        assert dict(kept) == dict(made)
        assert kept.price_version == made.price_version


def test_offers_are_kept_for_as_long_as_their_prices_hold_and_not_for_ever() -> None:
    kept = CATALOG.offers_kept([_DEEPSEEK], _SET, NOW)
    until = CATALOG.next_change_ms(NOW, _SET)
    assert until is not None
    assert CATALOG.offers_kept([_DEEPSEEK], _SET, until - 1) is kept
    assert CATALOG.offers_kept([_DEEPSEEK], _SET, until) is not kept
    assert CATALOG.offers_kept([_DEEPSEEK], _SET, NOW + 86_400_000) is kept
    for number in range(40):
        CATALOG.offers_kept([CredentialFacts(f"pc_{number}", "deepseek")], _SET, NOW)
    assert len(CATALOG._kept) <= 16
    assert CATALOG.offers_kept([_DEEPSEEK], _SET, NOW) is not kept
