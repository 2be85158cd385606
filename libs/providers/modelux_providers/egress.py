"""Decide which addresses outbound traffic may reach: resolve once, check every answer, connect to the checked address.

Only globally routable addresses pass, after IPv4 addresses hidden in IPv6 (mapped, compatible, 6to4, Teredo, NAT64)
are taken out and checked
as well. Metadata services never pass, not even where an operator allows private addresses.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_METADATA_NAMES = frozenset(
    {"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"}
)
_METADATA = frozenset(
    ipaddress.ip_address(a)
    for a in ("169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254")
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NAT64_LOCAL = ipaddress.ip_network("64:ff9b:1::/48")
_COMPATIBLE = ipaddress.ip_network("::/96")
_NEVER = tuple(
    ipaddress.ip_network(n)
    for n in ("0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32", "169.254.0.0/16", "::/128", "ff00::/8")
)
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(n)
    for n in ("100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "fec0::/10", "5f00::/16", "fe80::/10")
)
PUBLIC_PORTS = frozenset({443})


class BlockedAddress(Exception):
    """The host leads (or may lead) to an address that outbound traffic must not reach. Nothing was sent."""


class ResolutionFailed(Exception):
    """The name has no address."""


@dataclass(frozen=True, slots=True)
class Guard:
    """What may be reached.

    `allow_private` is the operator's setting and admits loopback and private networks on any port.
    """

    allow_private: bool = False

    async def resolve_checked(self, host: str, port: int, *, allow_private: bool = False) -> tuple[str, ...]:
        """The addresses of `host` to connect to, all of them checked.

        Raises `BlockedAddress` when any of its addresses is not allowed (a name that answers with both is an attack),
        `ResolutionFailed`
        when it has none.
        """
        private = self.allow_private or allow_private
        self.check_name(host, port, allow_private=private)
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise ResolutionFailed(f"{host!r} does not resolve") from error
        addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not addresses:
            raise ResolutionFailed(f"{host!r} does not resolve")
        for address in addresses:
            if not allowed(address, allow_private=private):
                raise BlockedAddress(f"{host!r} leads to an address that is not allowed")
        return addresses

    def check_name(self, host: str, port: int, *, allow_private: bool = False) -> None:
        """What can be refused before any look-up:
        metadata names, ports and literal addresses. Raises `BlockedAddress`.
        """
        private = self.allow_private or allow_private
        if host.rstrip(".").lower() in _METADATA_NAMES:
            raise BlockedAddress(f"{host!r} is a metadata service")
        if not private and port not in PUBLIC_PORTS:
            raise BlockedAddress(f"port {port} is not allowed; provider addresses use 443")
        try:
            ipaddress.ip_address(host.strip("[]"))
        except ValueError:
            return
        if not allowed(host.strip("[]"), allow_private=private):
            raise BlockedAddress(f"{host!r} is not an allowed address")


def allowed(address: str, *, allow_private: bool) -> bool:
    """Whether a connection to this address may be made. Anything that is not an address is not allowed."""
    try:
        outer = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return all(_one(inner, allow_private) for inner in _unwrap(outer))


def _one(address: Address, allow_private: bool) -> bool:
    if address in _METADATA or any(address in network for network in _NEVER if network.version == address.version):
        return False
    if allow_private:
        return True
    if any(address in network for network in _NOT_PUBLIC if network.version == address.version):
        return False
    return address.is_global and not address.is_reserved and not address.is_multicast


def _unwrap(address: Address) -> tuple[Address, ...]:
    """The address itself, or every IPv4 address it carries."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return (address, address.sixtofour)
    if address.teredo is not None:
        return (address, *address.teredo)
    if address in _NAT64 or address in _NAT64_LOCAL:
        return (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF),)
    if address in _COMPATIBLE and int(address) > 1:
        return (ipaddress.IPv4Address(int(address)),)
    return (address,)
