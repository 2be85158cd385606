"""Ids sort by time, carry a UUIDv7 and do not collide."""

from uuid import UUID

from modelux_contracts.ids import new_id, new_key


def uuid_of(identifier: str) -> UUID:
    """The UUID inside an id, whose upper 48 bits are its millisecond."""
    value = 0
    for character in identifier[-26:]:
        value = value << 5 | "0123456789abcdefghjkmnpqrstvwxyz".index(character)
    return UUID(int=value)


def test_an_id_holds_its_prefix_time_and_a_version_7_uuid() -> None:
    made = new_id("req_", now_ms=1_700_000_000_123)
    assert made.startswith("req_")
    assert len(made) == len("req_") + 26
    assert uuid_of(made).int >> 80 == 1_700_000_000_123
    assert uuid_of(made).version == 7


def test_ids_of_later_milliseconds_sort_later() -> None:
    made = [new_id("sim_", now_ms=ms) for ms in range(1_000, 1_400)]
    assert made == sorted(made)


def test_ten_thousand_ids_of_one_millisecond_differ() -> None:
    assert len({new_id("req_", now_ms=5) for _ in range(10_000)}) == 10_000


def test_keys_carry_256_random_bits() -> None:
    assert len(new_key("mlx_sk_")) == len("mlx_sk_") + 43
    assert new_key("mlx_sk_") != new_key("mlx_sk_")
