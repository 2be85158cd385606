"""Which addresses outbound traffic may reach."""

from __future__ import annotations

import pytest

from modelux_providers.egress import BlockedAddress, Guard, ResolutionFailed, allowed

PUBLIC = ["1.1.1.1", "8.8.8.8", "104.18.7.192", "2606:4700::6812:7c0", "2a00:1450:4001:81b::200e", "::ffff:8.8.8.8"]
PRIVATE = [
    "127.0.0.1",
    "127.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "100.64.0.1",
    "100.127.255.255",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "192.0.2.1",
    "192.0.0.8",
    "192.88.99.1",
    "::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:7f00:1",
    "::127.0.0.1",
    "::10.0.0.1",
    "2002:7f00:1::",
    "2002:a00:1::",
    "2002:c0a8:101::1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a00:1",
    "64:ff9b:1::10.0.0.1",
    "2001:0:7f00:1::",
    "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    "5f00::1",
    "100::1",
]
NEVER = [
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "169.254.0.1",
    "169.254.170.2",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "fd00:ec2::254",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "ff02::1",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
    "::169.254.169.254",
    "not an address",
    "",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_pass(address):
    assert allowed(address, allow_private=False)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_pass_only_where_an_operator_said_so(address):
    assert not allowed(address, allow_private=False)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "192.168.0.1", "::1", "fd12:3456::1"])
def test_an_operator_may_allow_private_networks(address):
    assert allowed(address, allow_private=True)


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_never_pass(address):
    assert not allowed(address, allow_private=False)
    assert not allowed(address, allow_private=True)


@pytest.mark.parametrize("host", ["metadata", "metadata.google.internal", "METADATA.google.internal.", "instance-data"])
async def test_metadata_names_are_refused_before_any_look_up(host):
    with pytest.raises(BlockedAddress, match="metadata"):
        await Guard(allow_private=True).resolve_checked(host, 443)


@pytest.mark.parametrize("host", ["127.1", "0x7f.1", "2130706433", "0177.0.0.1", "localhost", "[::1]"])
async def test_odd_spellings_of_loopback_are_refused(host):
    with pytest.raises((BlockedAddress, ResolutionFailed)):
        await Guard().resolve_checked(host, 443)


@pytest.mark.parametrize("port", [22, 80, 8080, 6379])
async def test_public_hosts_are_reached_on_443_only(port):
    with pytest.raises(BlockedAddress, match="port"):
        await Guard().resolve_checked("1.1.1.1", port)


async def test_a_checked_address_is_what_is_connected_to():
    assert await Guard().resolve_checked("1.1.1.1", 443) == ("1.1.1.1",)
    assert await Guard().resolve_checked("localhost", 9, allow_private=True)
