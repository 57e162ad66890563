"""URLs of webhooks: see tests/api for those that are refused."""

import pytest

from app.urls import ascii_url, url_fault


@pytest.mark.parametrize(
    ("url", "wire"),
    [
        ("http://a", "http://a"),
        ("HTTPS://A.example:443/x?y=%20#z", "HTTPS://A.example:443/x?y=%20#z"),
        ("http://10.0.0.1:65535/", "http://10.0.0.1:65535/"),
        ("http://[2001:db8::1]:80/", "http://[2001:db8::1]:80/"),
        ("http://under_score.example.", "http://under_score.example."),
        ("http://a:/", "http://a:/"),
        ("http://a?u@b", "http://a?u@b"),
        ("https://例え.jp:8443/x", "https://xn--r8jz45g.jp:8443/x"),
        ("http://h/路?q=é&r=%41", "http://h/%E8%B7%AF?q=%C3%A9&r=%41"),
        ("http://bücher.example?é", "http://xn--bcher-kva.example?%C3%A9"),
    ],
)
def test_a_good_url_has_a_form_for_the_wire(url: str, wire: str) -> None:
    assert url_fault(url) is None
    assert ascii_url(url) == wire


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://a%41.example", "url_host"),
        ("http://-a.example", "url_host"),
        ("http://" + "a" * 64, "url_host"),
        ("http://" + "é" * 64, "url_host"),
        ("http://" + ".".join(["a" * 60] * 5), "url_host"),
        ("http://[fe80::1%25eth0]/", "url_host"),
        ("http://a:\uff18\uff10", "url_port"),
        ("http://a:80:80", "url_port"),
        ("http://\u3000a", "url_characters"),
        ("javascript:alert(1)", "url_scheme"),
        ("http://a\uff0fb", "url_host"),
    ],
)
def test_odd_hosts_and_ports_are_refused(url: str, fault: str) -> None:
    assert url_fault(url) == fault
