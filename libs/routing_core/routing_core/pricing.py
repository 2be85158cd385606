"""What a call costs: integer nano-USD from a usage vector and a dated price row."""

from __future__ import annotations

from dataclasses import dataclass, field

from routing_core.types import Usage, UsageExtras

EXPECTED_OUTPUT_TOKENS = 512
"""Length of an answer assumed where the caller sets no limit. Estimates only rank and compare; caps use `bound`."""

_CEILING = "ceiling/"
_Text = tuple[int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Price:
    """Prices of one model at one provider, in nano-USD per million tokens; fees in nano-USD per thousand.

    A price of None is that of the wider kind: cached and cache-writing tokens as plain input, an hour's cache as any
    cache, sound and pictures as text, cached sound as sound where that has a price, else as what is cached.
    `above` lists long-context tiers, ascending: where the input exceeds the threshold, that tier's prices hold for the
    whole call (cached and cache-writing tokens count towards the threshold, as with OpenAI, Anthropic and Google).
    """

    input: int
    output: int
    cache_read: int | None = None
    cache_write: int | None = None
    above: tuple[tuple[int, Price], ...] = ()
    version: str = ""
    """Names the row this came from; stored with every cost."""
    cache_write_1h: int | None = None
    input_audio: int | None = None
    cache_audio_read: int | None = None
    input_image: int | None = None
    output_audio: int | None = None
    output_image: int | None = None
    web_search: int = 0
    """Fee for a thousand searches that the provider makes."""
    request: int = 0
    """Fee for a thousand calls."""
    text: _Text = field(init=False, repr=False, compare=False)
    """Of a plain, a cached, a cache-writing input token and an output token, and the fee, ready for `cost`."""

    known: bool = field(init=False, repr=False, compare=False)
    """False for the ceiling that stands for a price that nobody knows: never rank by it, never tell it as a cost."""

    def __post_init__(self) -> None:
        read, write = _or(self.cache_read, self.input), _or(self.cache_write, self.input)
        object.__setattr__(self, "text", (self.input, read, write, self.output, self.request * 1000))
        object.__setattr__(self, "known", not self.version.startswith(_CEILING))

    def at(self, input_tokens: int) -> Price:
        """The row that holds for a call of this length."""
        row = self
        for threshold, tier in self.above:
            if input_tokens > threshold:
                row = tier
        return row


def ceiling(nano_per_million: int) -> Price:
    """What is charged where no price is known: one amount for every million tokens and every thousand searches."""
    amount = nano_per_million
    return Price(amount, amount, version=f"{_CEILING}{amount}", web_search=amount)


def cost(price: Price, usage: Usage) -> int:
    """Cost of a call in nano-USD, rounded up once over the sum of its parts.

    A usage that claims more cached tokens than input is charged for all that it claims.
    """
    row = price.at(usage.input) if price.above else price
    plain, read, write, out, fee = row.text
    cached, written = usage.cache_read, usage.cache_write
    rest = usage.input - cached - written
    if rest < 0:
        rest = 0
    total = rest * plain + cached * read + written * write + usage.output * out + fee
    if usage.extras is not None:
        total += _input_extras(row, usage.extras, rest) + _output_extras(row, usage.extras)
    return -(-total // 1_000_000)


def output_cost(price: Price, usage: Usage) -> int:
    """The part of `cost` that the output made, in nano-USD, rounded down: never more than the whole."""
    row = price.at(usage.input) if price.above else price
    total = usage.output * row.output
    if usage.extras is not None:
        total += _output_extras(row, usage.extras)
    return total // 1_000_000


def estimate(price: Price, input_tokens: int, max_tokens: int | None) -> int:
    """What a call is likely to cost, in nano-USD: uncached input and the whole of `max_tokens`, or the usual length."""
    output = EXPECTED_OUTPUT_TOKENS if max_tokens is None else max_tokens
    return cost(price, Usage(input=input_tokens, output=output))


def bound(
    price: Price,
    input_tokens: int,
    output_tokens: int,
    *,
    web_searches: int = 0,
    audio: bool = True,
    images: bool = True,
) -> int:
    """The most that a call within these counts can cost, in nano-USD: every part at the dearest row it may come to.

    Say False to `audio` where the call neither holds sound nor may answer with it, to `images` where it holds no
    picture: their dearer prices are left out then.
    """
    rows = [price, *(tier for threshold, tier in price.above if input_tokens > threshold)]
    dearest = max(_dearest_input(row, audio, images) for row in rows)
    output = max(max(row.output, row.output_image or 0, (row.output_audio or 0) if audio else 0) for row in rows)
    fee = max(row.request + web_searches * row.web_search for row in rows) * 1000
    return -(-(input_tokens * dearest + output_tokens * output + fee) // 1_000_000)


def _dearest_input(row: Price, audio: bool, images: bool) -> int:
    plain, read, write, _, _ = row.text
    sound = max(row.input_audio or 0, row.cache_audio_read or 0) if audio else 0
    return max(plain, read, write, row.cache_write_1h or 0, sound, (row.input_image or 0) if images else 0)


def _input_extras(row: Price, extras: UsageExtras, rest: int) -> int:
    """What sound, pictures, an hour's cache and searches cost beyond text; `rest` is the input that no cache saw."""
    plain, read, write, _, _ = row.text
    audio = _or(row.input_audio, plain)
    cached = _or(row.cache_audio_read, read if row.input_audio is None else audio)
    heard = extras.cache_audio_read
    spoken = min(max(extras.input_audio - heard, 0), rest)
    seen = min(extras.input_image, rest - spoken)
    return (
        extras.cache_write_1h * (_or(row.cache_write_1h, write) - write)
        + heard * (cached - read)
        + spoken * (audio - plain)
        + seen * (_or(row.input_image, plain) - plain)
        + extras.web_searches * row.web_search * 1000
    )


def _output_extras(row: Price, extras: UsageExtras) -> int:
    """What answers in sound and pictures cost beyond text."""
    out = row.output
    sound = extras.output_audio * (_or(row.output_audio, out) - out)
    return sound + extras.output_image * (_or(row.output_image, out) - out)


def _or(price: int | None, wider: int) -> int:
    return wider if price is None else price
