"""Addresses that a delivery may not dial. The guard sees them as numbers: names and odd spellings end before it."""

from ipaddress import ip_network

import pytest

from app.address_guard import AddressGuard

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "172.15.255.255",
    "172.32.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "2606:4700:4700::1111",
    "2a00:1450:4001::200e",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
]
REFUSED = {
    "loopback": ["127.0.0.1", "127.1.2.3", "127.255.255.255", "::1"],
    "unspecified": ["0.0.0.0", "0.0.0.1", "0.255.255.255", "::"],
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "fc00::1", "fd12:3456::1"],
    "link-local": ["169.254.0.1", "fe80::1", "fe80::1%eth0", "fe80::1%2", "febf::1"],
    "metadata": ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "192.0.0.192"],
    "carrier-grade NAT": ["100.64.0.0", "100.127.255.255"],
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"],
    "broadcast and reserved": ["255.255.255.255", "240.0.0.1"],
    "documentation and tests": ["192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "2001:db8::1"],
    "site-local": ["fec0::1"],
    "IPv4-mapped": ["::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "::ffff:0.0.0.0", "::ffff:224.0.0.1"],
    "IPv4-compatible": ["::127.0.0.1", "::10.0.0.1"],
    "NAT64": ["64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::192.168.0.1"],
    "6to4": ["2002:7f00:1::", "2002:a00:1::1", "2002:a9fe:a9fe::"],
    "Teredo": ["2001:0:7f00:1::", "2001:0:4136:e378:8000:63bf:80ff:fffe"],
    "no address": [
        "",
        "localhost",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "example.com",
        "1.2.3.4:80",
        "[::1]",
    ],
}


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_dialled(address: str) -> None:
    assert AddressGuard().allows(address)


@pytest.mark.parametrize(("kind", "address"), [(kind, address) for kind in REFUSED for address in REFUSED[kind]])
def test_any_other_address_may_not(kind: str, address: str) -> None:
    assert not AddressGuard().allows(address), kind


def test_the_operator_may_allow_networks() -> None:
    guard = AddressGuard([ip_network("10.1.0.0/16"), ip_network("fd00:1::/32"), ip_network("127.0.0.1/32")])
    for address in ("10.1.2.3", "fd00:1::9", "127.0.0.1", "8.8.8.8"):
        assert guard.allows(address)
    for address in ("10.2.0.1", "fd00:2::9", "127.0.0.2", "::1", "169.254.169.254"):
        assert not guard.allows(address)


def test_an_allowed_network_is_allowed_in_the_forms_that_lead_to_it() -> None:
    guard = AddressGuard([ip_network("10.1.0.0/16")])
    assert guard.allows("::ffff:10.1.2.3")
    assert guard.allows("64:ff9b::10.1.2.3")
    assert not guard.allows("::ffff:10.2.0.1")
    assert not guard.allows("64:ff9b::10.2.0.1")


def test_allowing_all_of_ipv6_allows_no_private_ipv4_inside_it() -> None:
    guard = AddressGuard([ip_network("::/0")])
    assert guard.allows("fe80::1%eth0")
    for address in ("::ffff:127.0.0.1", "64:ff9b::127.0.0.1", "2002:7f00:1::", "127.0.0.1"):
        assert not guard.allows(address)


def test_allowing_all_of_ipv4_allows_nothing_more() -> None:
    guard = AddressGuard([ip_network("0.0.0.0/0")])
    assert guard.allows("127.0.0.1")
    assert guard.allows("::ffff:127.0.0.1")
    assert not guard.allows("::1")


@pytest.mark.parametrize(
    "address",
    [
        "64:ff9b:1:a9fe:a9:fe00:808:808",  # 169.254.169.254 in the layout of RFC 6052 for a /48
        "64:ff9b:1:7f00:0:1:808:808",
        "3fff::1",
        "192.88.99.1",
    ],
)
def test_it_refuses_what_is_set_apart_even_where_the_interpreter_calls_it_global(address: str) -> None:
    assert not AddressGuard().allows(address)
