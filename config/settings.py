"""The environment, parsed once into a frozen `Settings`; a bad value names its variable."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from config.networks import Proxy, parse_proxy, read_certificates

T = TypeVar("T")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Standard Webhooks' example schedule: the delay before each further attempt, ~75 hours in all.
DEFAULT_RETRY_SCHEDULE = "5s,5m,30m,2h,5h,10h,14h,20h,24h"
_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class SettingsError(ValueError):
    """A setting can't be used; the text names the variable, the value and what would do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings. Durations are milliseconds unless the name says otherwise; see config/example.env."""

    data_dir: Path
    database_url: str
    redis_url: str | None
    redis_namespace: str
    secret_key: str | None
    admin_password: str | None
    host: str
    port: int
    web_concurrency: int
    web_threads: int
    public_url: str | None  # where people reach the dashboard
    timezone: ZoneInfo
    allow_networks: tuple[Network, ...]
    ca_bundle: str | None  # certificates in PEM form
    outbound_proxy: Proxy | None
    log_retention_days: int
    retry_schedule_ms: tuple[int, ...]
    retry_jitter: float
    request_timeout_ms: int
    disable_after_ms: int
    max_in_flight: int
    max_in_flight_per_webhook: int
    job_rate: int  # deliveries a second
    extra_event_types: frozenset[str]
    skip_project_repo: tuple[str, ...]
    log_level: str
    log_format: str  # auto, json or text
    tracing: bool
    metrics: bool
    metrics_token: str | None
    metrics_port: int | None  # where workers and schedulers answer /metrics
    metrics_dir: Path | None  # where the processes of a machine share their figures


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings that `environ` gives, defaults where it is silent or empty.

    Raises SettingsError, naming the variable, for a value that can't be used.
    """

    def read(name: str, default: str, parse: Callable[[str], T]) -> T:
        raw = environ.get(name, "").strip() or default
        try:
            return parse(raw)
        except (ValueError, KeyError, OSError) as error:
            shown = re.sub(r"^([^:/]*://)?.*@", r"\1…@", raw, flags=re.DOTALL)  # a URL's password is nobody's business
            raise SettingsError(f"{name}={shown!r} is not usable: {error}") from error

    data_dir = read("HOOKLINE_DATA", "var", Path)
    return Settings(
        data_dir=data_dir,
        database_url=read("DATABASE_URL", f"sqlite:///{data_dir / 'hookline.db'}", _database_url),
        redis_url=read("REDIS_URL", "", str) or None,
        redis_namespace=read("REDIS_NAMESPACE", "dramatiq", _namespace),
        secret_key=_secret_key(environ),
        admin_password=environ.get("HOOKLINE_ADMIN_PASSWORD") or None,
        host=read("HOST", "127.0.0.1", str),
        port=read("PORT", "8080", _whole(1, 65_535)),
        web_concurrency=read("WEB_CONCURRENCY", "1", _whole(1, 256)),
        web_threads=read("WEB_THREADS", "16", _whole(1, 256)),
        public_url=read("PUBLIC_URL", "", _public_url) or None,
        timezone=read("TIMEZONE", "UTC", _timezone),
        allow_networks=read("ALLOW_NETWORKS", "", _networks),
        ca_bundle=read("CA_BUNDLE", "", read_certificates),
        outbound_proxy=read("OUTBOUND_PROXY", "", parse_proxy),
        log_retention_days=read("LOG_RETENTION_DAYS", "90", _whole(1, 36_500)),
        retry_schedule_ms=read("RETRY_SCHEDULE", DEFAULT_RETRY_SCHEDULE, _schedule),
        retry_jitter=read("RETRY_JITTER", "0.2", _fraction),
        request_timeout_ms=read("REQUEST_TIMEOUT", "10s", _timeout),
        disable_after_ms=read("DISABLE_AFTER", "5d", _patience),
        max_in_flight=read("MAX_IN_FLIGHT", "512", _whole(1, 10_000)),
        max_in_flight_per_webhook=read("MAX_IN_FLIGHT_PER_WEBHOOK", "32", _whole(1, 10_000)),
        job_rate=read("JOB_RATE", "500", _whole(1, 10_000)),
        extra_event_types=read("EXTRA_EVENT_TYPES", "", _event_types),
        skip_project_repo=read("SKIP_PROJECT_REPO", "", _words),
        log_level=read("LOG_LEVEL", "INFO", _log_level),
        log_format=read("LOG_FORMAT", "auto", _log_format),
        tracing=read("TRACING", "off", _switch),
        metrics=read("METRICS", "on", _switch),
        metrics_token=environ.get("METRICS_TOKEN", "").strip() or None,
        metrics_port=read("METRICS_PORT", "", _optional(_whole(1, 65_535))),
        metrics_dir=read("PROMETHEUS_MULTIPROC_DIR", "", _optional(Path)),
    )


def parse_duration_ms(text: str) -> int:
    """Return a duration such as `500ms`, `5s`, `5m`, `2h` or `1d` in milliseconds. Raises ValueError."""
    found = re.fullmatch(r"([0-9]{1,9})(ms|s|m|h|d)", text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a duration such as 5s, 5m or 2h")
    return int(found[1]) * _UNITS_MS[found[2]]


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(raw: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", raw) or not low <= int(raw) <= high:
            raise ValueError(f"give a whole number from {low} to {high}")
        return int(raw)

    return parse


def _optional(parse: Callable[[str], T]) -> Callable[[str], T | None]:
    return lambda raw: parse(raw) if raw else None


def _switch(raw: str) -> bool:
    if raw.lower() not in {"on", "off"}:
        raise ValueError("give on or off")
    return raw.lower() == "on"


def _fraction(raw: str) -> float:
    if not re.fullmatch(r"0|0?\.[0-9]{1,6}|1|1\.0+", raw):
        raise ValueError("give a number from 0 to 1")
    return float(raw)


def _database_url(raw: str) -> str:
    if not re.match(r"sqlite:///.|(postgres|postgresql|mysql|mariadb)://.", raw):
        raise ValueError(
            "give a URL such as sqlite:///var/hookline.db, postgresql://user:password@host/name or mysql://…"
        )
    try:
        _ = urlsplit(raw).port
    except ValueError as error:
        raise ValueError("the port is no number; where a password has / ? # @ or : in it, percent-encode it") from error
    return re.sub(r"^mariadb:", "mysql:", raw)


def _namespace(raw: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", raw):
        raise ValueError("give up to 64 letters, digits, dots, dashes or underscores")
    return raw


def _secret_key(environ: Mapping[str, str]) -> str | None:
    """Return the key, which must not be left to a file where the database is a server: such disks may not last."""
    given = environ.get("HOOKLINE_SECRET_KEY", "").strip() or None
    if given is None and environ.get("DATABASE_URL", "").strip():
        raise SettingsError("HOOKLINE_SECRET_KEY is needed where DATABASE_URL is set: make one with `hookline secret`")
    return given


def _timezone(raw: str) -> ZoneInfo:
    try:
        return ZoneInfo(raw)
    except (KeyError, OSError, ValueError) as error:
        raise ValueError("give a zone name such as UTC or Asia/Shanghai") from error


def _public_url(raw: str) -> str:
    if raw and not re.fullmatch(r"https?://[^\s/?#@]+/?", raw):
        raise ValueError("give the address of the dashboard, such as https://hooks.example.com, without a path")
    return raw.rstrip("/")


def _words(raw: str) -> tuple[str, ...]:
    return tuple(word for word in re.split(r"[,\s]+", raw) if word)


def _networks(raw: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(word) for word in _words(raw))


def _schedule(raw: str) -> tuple[int, ...]:
    delays = tuple(parse_duration_ms(word) for word in _words(raw))
    if not 1 <= len(delays) <= 50:
        raise ValueError("give 1 to 50 delays such as 5s,5m,2h")
    return delays


def _timeout(raw: str) -> int:
    timeout = parse_duration_ms(raw)
    if not 1_000 <= timeout <= 30_000:
        raise ValueError("give 1s to 30s")
    return timeout


def _patience(raw: str) -> int:
    patience = parse_duration_ms(raw)
    if patience < 1_000:
        raise ValueError("give 1s or more")
    return patience


def _event_types(raw: str) -> frozenset[str]:
    names = frozenset(_words(raw))
    for name in names:
        if not re.fullmatch(r"[A-Z][A-Z0-9_]{0,63}", name):
            raise ValueError(f"{name!r} is not a type name such as IMAGE_SIGNED")
    return names


def _log_format(raw: str) -> str:
    if raw.lower() not in {"auto", "json", "text"}:
        raise ValueError("give auto, json or text")
    return raw.lower()


def _log_level(raw: str) -> str:
    if raw.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        raise ValueError("give DEBUG, INFO, WARNING or ERROR")
    return raw.upper()
