"""Which addresses a delivery may connect to. Decided at connect time, on the address that is really dialled."""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# NAT64 (RFC 6052 §2.1): such an address carries an IPv4 address, which is what would be reached.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Not everywhere caught by is_global: "this network", carrier-grade NAT, protocol assignments, the former
# 6to4 relays, local-use NAT64 (RFC 8215), documentation (RFC 9637), site-local.
_NEVER_PUBLIC: tuple[Network, ...] = (
    ipaddress.IPv4Network("0.0.0.0/8"),
    ipaddress.IPv4Network("100.64.0.0/10"),
    ipaddress.IPv4Network("192.0.0.0/24"),
    ipaddress.IPv4Network("192.88.99.0/24"),
    ipaddress.IPv6Network("64:ff9b:1::/48"),
    ipaddress.IPv6Network("3fff::/20"),
    ipaddress.IPv6Network("fec0::/10"),
)


class AddressGuard:
    """Refuses every address that is not public, except those in the networks that the operator allows."""

    def __init__(self, allowed: Sequence[Network] = ()) -> None:
        self._allowed = tuple(allowed)
        self.allows = lru_cache(maxsize=4096)(self._allows)

    def _allows(self, text: str) -> bool:
        """Return whether the numeric address `text` may be dialled."""
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            return False
        return all(self._is_listed(form) or _is_public(form) for form in _forms(address))

    def _is_listed(self, address: Address) -> bool:
        return any(address in network for network in self._allowed)


def _forms(address: Address) -> tuple[Address, ...]:
    """Return the address and every IPv4 address it stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    inner: list[Address] = [address]
    if address.sixtofour is not None:
        inner.append(address.sixtofour)
    if address.teredo is not None:
        inner.extend(address.teredo)
    if address in _NAT64:
        inner.append(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    return tuple(inner)


def _is_public(address: Address) -> bool:
    if address in _NAT64:
        return True  # the IPv4 address inside decides
    if address.is_multicast or address.is_reserved or any(address in network for network in _NEVER_PUBLIC):
        return False
    return address.is_global
