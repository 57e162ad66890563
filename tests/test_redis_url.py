"""REDIS_URL: what is understood, and what is refused with which words."""

import pytest

from app.redis_url import parse_redis_url


@pytest.mark.parametrize(
    ("raw", "options"),
    [
        ("redis://localhost", {"host": "localhost", "port": 6379, "db": 0}),
        ("redis://localhost:7000/3", {"host": "localhost", "port": 7000, "db": 3}),
        ("redis://localhost?db=4", {"host": "localhost", "port": 6379, "db": 4}),
        ("redis://[::1]:7000/", {"host": "::1", "port": 7000, "db": 0}),
        ("redis://:p%40ss%2F@h", {"host": "h", "port": 6379, "db": 0, "password": "p@ss/"}),
        ("redis://u:p@h", {"host": "h", "port": 6379, "db": 0, "username": "u", "password": "p"}),
        ("rediss://h", {"host": "h", "port": 6379, "db": 0, "ssl": True}),
        (
            "rediss://h?ssl_cert_reqs=none&ssl_check_hostname=no",
            {"host": "h", "port": 6379, "db": 0, "ssl": True, "ssl_cert_reqs": "none", "ssl_check_hostname": False},
        ),
        ("unix:///run/redis.sock?db=2", {"unix_socket_path": "/run/redis.sock", "db": 2}),
        ("unix://:p@/run/redis.sock", {"unix_socket_path": "/run/redis.sock", "password": "p"}),
    ],
)
def test_it_reads_the_address_of_one_server(raw: str, options: dict[str, object]) -> None:
    parsed = parse_redis_url(raw)
    assert parsed.options == options
    assert (parsed.service, parsed.sentinels) == ("", ())


def test_it_reads_a_service_that_sentinels_know() -> None:
    parsed = parse_redis_url("redis+sentinel://u:p@h1:1,h2,[::1]:3/mymaster/5?sentinel_password=s&client_name=c")
    assert parsed.service == "mymaster"
    assert parsed.sentinels == (("h1", 1), ("h2", 26379), ("::1", 3))
    assert parsed.options == {"username": "u", "password": "p", "db": 5, "client_name": "c"}
    assert parsed.sentinel_options == {"password": "s"}
    assert parsed.shown == "redis+sentinel://h1:1,h2,[::1]:3/mymaster/5"


def test_tls_is_for_the_sentinels_too() -> None:
    parsed = parse_redis_url("rediss+sentinel://h/m?ssl_ca_certs=/ca.pem&sentinel_username=su")
    assert parsed.options == {"ssl": True, "ssl_ca_certs": "/ca.pem", "db": 0}
    assert parsed.sentinel_options == {"ssl": True, "ssl_ca_certs": "/ca.pem", "username": "su"}


@pytest.mark.parametrize(
    "raw",
    [
        "redis://user:hidden@h:7000/1",
        "unix://:hidden@/run/redis.sock",
        "rediss://h?password=hidden",
        "redis+sentinel://:hidden@h/m?sentinel_password=hidden",
    ],
)
def test_what_it_shows_has_no_password(raw: str) -> None:
    parsed = parse_redis_url(raw)
    assert "hidden" not in parsed.shown
    assert "hidden" not in repr(parsed)
    assert "hidden" in str(parsed.options)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("localhost:6379", "redis://"),
        ("http://h", "redis://"),
        ("redis:h", "redis://"),
        ("redis://", "hosts"),
        ("redis://h:x", "hosts"),
        ("redis://h:0", "hosts"),
        ("redis://h:70000", "hosts"),
        ("redis://h1,h2", "sentinel"),
        ("redis://[::1", "host"),
        ("redis://h/one", "database"),
        ("redis://h?db=x", "db"),
        ("redis://h?socket_timeout=1", "options can be db, "),
        ("redis://h?password=a&hid", "options can be db, "),
        ("redis://h?ssl_cert_reqs=none", "rediss://"),
        ("rediss://h?ssl_cert_reqs=maybe", "none, optional or required"),
        ("rediss://h?ssl_check_hostname=maybe", "true or false"),
        ("rediss://h?ssl_ca_certs=", "ssl_ca_certs"),
        ("unix://h", "socket"),
        ("unix://h/run/redis.sock", "socket"),
        ("redis+sentinel://h", "service"),
        ("redis+sentinel://h,/m", "hosts"),
        ("redis+sentinel://h/m/x", "database"),
        ("redis://:hid#den@h", "percent-encode"),
        ("redis://:hid/den@h", "percent-encode"),
        ("redis://:hid?den@h", "percent-encode"),
        ("redis://:hid@den@h", "percent-encode"),
    ],
)
def test_it_says_what_is_wrong_without_the_password(raw: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as raised:
        parse_redis_url(raw)
    assert "hid" not in str(raised.value)
    assert "den" not in str(raised.value)
