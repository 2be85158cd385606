"""The proxy's settings."""

from __future__ import annotations

from dataclasses import dataclass

from modelux_runtime.settings import InvalidSetting, setting
from routing_core.money import nano_usd


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """`MODELUX_PROXY_<FIELD>`."""

    host: str = setting("127.0.0.1", "Address to listen on")
    port: int = setting(8080, "Port to listen on; 0 lets the system choose")
    data_dir: str = setting(".modelux/proxy", "Folder of the journal and the last configuration")
    journal_mb: int = setting(4096, "Most that the journal may take on disk, MiB")
    on_journal_full: str = setting(
        "reject", "`reject` new requests or `count_only` lost events when the journal is full"
    )
    connect_timeout_s: float = setting(5.0, "To connect to a provider")
    first_byte_timeout_s: float = setting(120.0, "From a sent request to the head of its answer")
    idle_timeout_s: float = setting(120.0, "Between two reads of an answer")
    total_timeout_s: float = setting(900.0, "Over one attempt")
    keepalive_s: float = setting(15.0, "Between comments to a caller whose stream is silent")
    drain_s: float = setting(300.0, "How long requests under way may take at shutdown")
    charge_on_cancel: str = setting(
        "standard",
        "What budgets are charged for a call given up half-way: `standard` what was seen and a fifth more, `strict` "
        "all that was reserved",
    )
    allow_private: bool = setting(False, "Let every credential reach private addresses, over http too")
    max_stale_h: float = setting(24.0, "How old the last configuration may be before keys are refused")
    unknown_price_usd_per_mtok: str = setting(
        "", "Dollars charged per million tokens where no price is known; empty: nothing, and hard caps refuse the call"
    )

    def ceiling_nano(self) -> int | None:
        """What a million tokens without a known price are charged, nano-USD; None: nothing is set.

        Raises `InvalidSetting` for what is no positive amount of dollars.
        """
        text = self.unknown_price_usd_per_mtok.strip()
        if not text:
            return None
        try:
            nano = nano_usd(text)
            if not 0 < nano <= _MAX_CEILING_NANO:
                raise ValueError("is not above 0 and at most a million dollars")
        except ValueError as error:
            hint = "Set it to dollars per million tokens, such as 15 or 0.075, or leave it out."
            raise InvalidSetting("setting_invalid", f"{_CEILING_NAME} {error}", hint=hint) from error
        return nano


_CEILING_NAME = "MODELUX_PROXY_UNKNOWN_PRICE_USD_PER_MTOK"
_MAX_CEILING_NANO = 10**15
