"""The environment, parsed once."""

from dataclasses import FrozenInstanceError
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from config.settings import SettingsError, load_settings, parse_duration_ms
from tests.certificates import authority

BAD = {
    "DATABASE_URL": [
        "oracle://x",
        "sqlite:/relative",
        "sqlite:///",
        "var/hookline.db",
        "postgresql://",
        "postgresql+pool://a/b",
        "mysql://a:many/b",
        "postgresql://a:70000/b",
        "mariadb://[::1/b",
    ],
    "REDIS_NAMESPACE": ["a b", "a:b", "ü", "x" * 65],
    "WEB_CONCURRENCY": ["0", "-1", "257", "two", "1.5"],
    "WEB_THREADS": ["0", "257", "1e2"],
    "PORT": ["0", "65536", "-1", "8o8o", "80.5"],
    "TIMEZONE": ["Mars/Base", "../etc/passwd", "/etc/localtime", "UTC\0", "x" * 300],
    "ALLOW_NETWORKS": ["10.0.0.0/33", "10.0.0.1/8", "localhost", "10.0.0.0/8,x", "1.2.3.4.5"],
    "CA_BUNDLE": ["/nowhere/ca.pem", "/", __file__],
    "PUBLIC_URL": ["hooks.example.com", "ftp://a.example", "https://a.example/path", "https://a.example?x", "https://"],
    "OUTBOUND_PROXY": [
        "proxy:3128",
        "http://proxy",
        "http://proxy:0",
        "http://proxy:65536",
        "ftp://proxy:3128",
        "socks5://proxy:1080",
        "http://proxy:3128/path",
        "http://[::1:3128",
    ],
    "LOG_RETENTION_DAYS": ["0", "-1", "36501", "90d", "1e9"],
    "RETRY_SCHEDULE": ["5", "5s;5m", "soon", "-5s", "1w", ",".join(["1s"] * 51)],
    "RETRY_JITTER": ["-0.1", "1.1", "20%", "nan", "inf", "1e-3"],
    "REQUEST_TIMEOUT": ["10", "999ms", "31s", "0s", "-1s"],
    "MAX_IN_FLIGHT": ["0", "10001", "many"],
    "MAX_IN_FLIGHT_PER_WEBHOOK": ["0", "10001", "1.5"],
    "EXTRA_EVENT_TYPES": ["lower", "IMAGE-SIGNED", "1ST", "A" * 65],
    "LOG_LEVEL": ["LOUD", "10", "CRITICAL"],
    "METRICS": ["yes", "1", "false"],
    "METRICS_PORT": ["0", "65536", "http"],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name in BAD for value in BAD[name]],
)
def test_a_bad_value_names_its_variable(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings({name: value})
    text = str(refused.value)
    assert text.startswith(f"{name}=")
    assert repr(value) in text
    assert "\n" not in text


def test_nothing_given_is_all_defaults() -> None:
    settings = load_settings({})
    assert settings == load_settings(dict.fromkeys(BAD, " "))
    assert settings.data_dir == Path("var")
    assert settings.database_url == "sqlite:///var/hookline.db"
    assert (settings.host, settings.port, settings.timezone) == ("127.0.0.1", 8080, ZoneInfo("UTC"))
    assert (settings.allow_networks, settings.log_retention_days) == ((), 90)
    assert settings.retry_schedule_ms[:4] == (5_000, 300_000, 1_800_000, 7_200_000)
    assert (len(settings.retry_schedule_ms), settings.retry_jitter) == (9, 0.2)
    assert (settings.request_timeout_ms, settings.max_in_flight, settings.max_in_flight_per_webhook) == (
        10_000,
        512,
        32,
    )
    assert (settings.redis_url, settings.secret_key, settings.admin_password) == (None, None, None)
    assert (settings.metrics, settings.metrics_token, settings.metrics_port) == (True, None, None)
    assert (settings.redis_namespace, settings.web_concurrency, settings.web_threads) == ("dramatiq", 1, 16)


def test_every_variable_is_read() -> None:
    settings = load_settings(
        {
            "HOOKLINE_DATA": "/srv/hookline",
            "DATABASE_URL": "sqlite:////srv/other.db",
            "REDIS_URL": "rediss://:password@redis.example:6380/2",
            "REDIS_NAMESPACE": "Team-1.hook_line",
            "WEB_CONCURRENCY": "256",
            "WEB_THREADS": "64",
            "HOST": "0.0.0.0",
            "PORT": "65535",
            "TIMEZONE": "Asia/Shanghai",
            "ALLOW_NETWORKS": "10.0.0.0/8, ::1/128 192.168.1.1",
            "LOG_RETENTION_DAYS": "36500",
            "RETRY_SCHEDULE": "500ms, 1s 2m,3h,1d",
            "RETRY_JITTER": "0",
            "REQUEST_TIMEOUT": "1s",
            "MAX_IN_FLIGHT": "1",
            "MAX_IN_FLIGHT_PER_WEBHOOK": "10000",
            "EXTRA_EVENT_TYPES": "IMAGE_SIGNED,X",
            "SKIP_PROJECT_REPO": "p:tmp-*, *:cache",
            "LOG_LEVEL": "debug",
            "METRICS": "OFF",
            "METRICS_TOKEN": " t ",
            "METRICS_PORT": "9100",
            "PROMETHEUS_MULTIPROC_DIR": "/run/hookline",
            "HOOKLINE_SECRET_KEY": "k",
            "HOOKLINE_ADMIN_PASSWORD": " spaces stay ",
        }
    )
    assert settings.data_dir == Path("/srv/hookline")
    assert settings.database_url == "sqlite:////srv/other.db"
    assert (settings.redis_url, settings.redis_namespace) == (
        "rediss://:password@redis.example:6380/2",
        "Team-1.hook_line",
    )
    assert (settings.web_concurrency, settings.web_threads) == (256, 64)
    assert (settings.host, settings.port, settings.timezone) == ("0.0.0.0", 65_535, ZoneInfo("Asia/Shanghai"))
    assert settings.allow_networks == tuple(map(ip_network, ("10.0.0.0/8", "::1/128", "192.168.1.1/32")))
    assert settings.log_retention_days == 36_500
    assert settings.retry_schedule_ms == (500, 1_000, 120_000, 10_800_000, 86_400_000)
    assert (settings.retry_jitter, settings.request_timeout_ms) == (0.0, 1_000)
    assert (settings.max_in_flight, settings.max_in_flight_per_webhook) == (1, 10_000)
    assert settings.extra_event_types == {"IMAGE_SIGNED", "X"}
    assert (settings.metrics, settings.metrics_token, settings.metrics_port) == (False, "t", 9_100)
    assert settings.metrics_dir == Path("/run/hookline")
    assert settings.skip_project_repo == ("p:tmp-*", "*:cache")
    assert (settings.log_level, settings.secret_key) == ("DEBUG", "k")
    assert settings.admin_password == " spaces stay "


def test_the_database_is_in_the_data_directory_unless_said_otherwise() -> None:
    assert load_settings({"HOOKLINE_DATA": "/srv/h"}).database_url == "sqlite:////srv/h/hookline.db"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("postgres://u:p@h/n", "postgres://u:p@h/n"),
        ("postgresql://u:p%40%2F@h:5432/n?sslmode=require", "postgresql://u:p%40%2F@h:5432/n?sslmode=require"),
        ("mysql://u@[::1]:3306/n", "mysql://u@[::1]:3306/n"),
        ("mariadb://u:mariadb:@h/mariadb", "mysql://u:mariadb:@h/mariadb"),
        (" sqlite:///var/x.db ", "sqlite:///var/x.db"),
    ],
)
def test_a_database_is_named_as_platforms_name_it(given: str, meant: str) -> None:
    assert load_settings({"DATABASE_URL": given, "HOOKLINE_SECRET_KEY": "k"}).database_url == meant


@pytest.mark.parametrize("key", [{}, {"HOOKLINE_SECRET_KEY": ""}, {"HOOKLINE_SECRET_KEY": "  "}])
@pytest.mark.parametrize("url", ["postgresql://h/n", "mysql://h/n", "sqlite:////srv/other.db"])
def test_a_database_elsewhere_needs_a_key_that_is_no_file(url: str, key: dict[str, str]) -> None:
    with pytest.raises(
        SettingsError, match=r"HOOKLINE_SECRET_KEY is needed where DATABASE_URL is set: .*hookline secret"
    ):
        load_settings({"DATABASE_URL": url, **key})


@pytest.mark.parametrize("url", ["", "   "])
def test_an_empty_address_is_none(url: str) -> None:
    settings = load_settings({"DATABASE_URL": url, "REDIS_URL": url})
    assert (settings.database_url, settings.redis_url, settings.secret_key) == (
        "sqlite:///var/hookline.db",
        None,
        None,
    )


def test_settings_never_change() -> None:
    settings: Any = load_settings({})
    with pytest.raises(FrozenInstanceError):
        settings.port = 1


@pytest.mark.parametrize(
    ("text", "millis"), [("0s", 0), ("1ms", 1), (" 2m ", 120_000), ("999999999d", 999999999 * 86_400_000)]
)
def test_a_duration_is_a_number_and_a_unit(text: str, millis: int) -> None:
    assert parse_duration_ms(text) == millis


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "5S", "5.5s", "-5s", "1e3s", "5s5m", "9999999999s"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration_ms(text)


@pytest.mark.parametrize(("name", "value"), [("PORT", "１２"), ("RETRY_SCHEDULE", "٣s"), ("RETRY_JITTER", ".٣")])
def test_a_number_is_written_in_ascii_digits(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load_settings({name: value})


@pytest.mark.parametrize(
    "url", ["oracle://amy:s3cret@db/h", "postgresql://amy:s3cret/word@db/h", "postgresql://amy:s3cret@db:port/h"]
)
def test_a_refused_url_shows_no_password(url: str) -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL") as refused:
        load_settings({"DATABASE_URL": url, "HOOKLINE_SECRET_KEY": "k"})
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "proxy",
    ["amy:s3cret@proxy:3128", "http://amy:s3cret@proxy", "http://amy:s3/cret@proxy:1", "http://amy:x@s3cret@proxy:1"],
)
def test_a_refused_proxy_shows_no_password(proxy: str) -> None:
    with pytest.raises(SettingsError, match=r"^OUTBOUND_PROXY=.* is not usable: give http://") as refused:
        load_settings({"OUTBOUND_PROXY": proxy})
    assert "s3" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "url", "username", "password"),
    [
        ("http://proxy.example:3128", "http://proxy.example:3128", "", ""),
        ("HTTPS://Proxy.example:443/", "https://proxy.example:443", "", ""),
        ("socks5h://[::1]:1080", "socks5h://[::1]:1080", "", ""),
        ("http://amy:s3cret@10.0.0.1:3128", "http://10.0.0.1:3128", "amy", "s3cret"),
        ("http://amy:p%40ss%2Fw:rd@proxy:3128", "http://proxy:3128", "amy", "p@ss/w:rd"),
    ],
)
def test_a_proxy_is_told_from_its_credentials(given: str, url: str, username: str, password: str) -> None:
    proxy = load_settings({"OUTBOUND_PROXY": given}).outbound_proxy
    assert proxy is not None
    assert (proxy.url, proxy.username, proxy.password) == (url, username, password)
    assert repr(proxy) == f"Proxy(url={url!r})"


def test_a_bundle_is_read_at_once_and_what_is_not_a_certificate_in_it_is_left_out(tmp_path: Path) -> None:
    first, second = authority("First"), authority("Second")
    bundle = tmp_path / "ca.pem"
    bundle.write_text(f"# 第一\n{first.pem}\n# second\n{second.pem}{second.key_pem}", encoding="utf-8")
    assert load_settings({"CA_BUNDLE": str(bundle)}).ca_bundle == f"{first.pem}{second.pem}"


def test_a_broken_certificate_in_a_bundle_is_refused(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text(authority().pem + "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n")
    with pytest.raises(SettingsError, match=r"^CA_BUNDLE=.* is not usable: a certificate in that file is broken$"):
        load_settings({"CA_BUNDLE": str(bundle)})


def test_a_bundle_that_is_missing_or_empty_says_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"No such file or directory$"):
        load_settings({"CA_BUNDLE": str(tmp_path / "ca.pem")})
    (tmp_path / "ca.pem").touch()
    with pytest.raises(SettingsError, match="no certificate is in that file"):
        load_settings({"CA_BUNDLE": str(tmp_path / "ca.pem")})
