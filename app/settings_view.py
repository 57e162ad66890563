"""The settings in force, for people: by the names of their variables, in the form that the variables take.

Passwords and keys are masked, wherever they stand.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode
from zoneinfo import ZoneInfo

from cryptography import x509

from config.networks import Proxy
from config.settings import Settings, load_settings

MASK = "****"
_CERTIFICATES_SHOWN = 3
_UNITS_MS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1))
_SECRET_OPTION = re.compile("pass|secret|token|key", re.I)


class Shown(NamedTuple):
    """A setting. `value` is "" where it is not set and has no default."""

    variable: str
    value: str
    is_default: bool


def settings_in_force(settings: Settings) -> list[Shown]:
    """Return every setting, in the order of `Settings`."""
    # Two defaults depend on the data directory.
    defaults = load_settings({"HOOKLINE_DATA": str(settings.data_dir)})
    shown = [_shown(field, getattr(settings, field), getattr(defaults, field)) for field in FORMS if field != _DATA]
    return [_shown(_DATA, settings.data_dir, load_settings({}).data_dir), *shown]


def _shown(field: str, value: Any, default: Any) -> Shown:
    variable, form = FORMS[field]
    return Shown(variable, "" if value is None else form(value), value == default)


def duration(ms: int) -> str:
    """Return `ms` (milliseconds) as a variable gives it, in the largest unit that fits: `5m`, `90s`."""
    unit, length = next((unit, length) for unit, length in _UNITS_MS if ms % length == 0)
    return f"{ms // length}{unit}"


def masked_url(url: str) -> str:
    """Return a database's or a Redis server's URL without passwords: those of the user, and those among its options.

    Where a password was not encoded it may be the more that is masked, never less.
    """
    hidden = re.sub(r"^([a-z0-9+.-]+://[^:/?#@]*):.*@", rf"\1:{MASK}@", url, flags=re.I | re.S)
    place, mark, query = hidden.partition("?")
    options = [
        (name, MASK if _SECRET_OPTION.search(name) else value)
        for name, value in parse_qsl(query, keep_blank_values=True)
    ]
    return f"{place}{mark}{urlencode(options, safe='*/:,', quote_via=quote)}"


def _masked(_: str) -> str:
    return MASK


def _keys(given: str) -> str:
    """Return one mask a key, so that one sees whether there are several."""
    return ", ".join(MASK for key in given.split(",") if key.strip())


def _proxy(proxy: Proxy) -> str:
    if not proxy.username and not proxy.password:
        return proxy.url
    scheme, _, place = proxy.url.partition("://")
    return f"{scheme}://{quote(proxy.username)}:{MASK}@{place}"


def _certificates(pem: str) -> str:
    """Return whose certificates they are, the first few of many."""
    names = [each.subject.rfc4514_string() for each in x509.load_pem_x509_certificates(pem.encode())]
    more = len(names) - _CERTIFICATES_SHOWN
    return "; ".join([*names[:_CERTIFICATES_SHOWN], *([f"+{more}"] if more > 0 else [])])


def _listed(values: Sequence[Any] | frozenset[Any]) -> str:
    return ", ".join(sorted(values) if isinstance(values, frozenset) else map(str, values))


def _durations(delays_ms: Sequence[int]) -> str:
    return ", ".join(map(duration, delays_ms))


def _zone(zone: ZoneInfo) -> str:
    return zone.key


def _path(path: Path) -> str:
    return str(path.absolute())


def _switch(is_on: bool) -> str:
    return "on" if is_on else "off"


_DATA = "data_dir"

# field of Settings -> its variable, and what its value looks like
FORMS: dict[str, tuple[str, Callable[[Any], str]]] = {
    _DATA: ("HOOKLINE_DATA", _path),
    "database_url": ("DATABASE_URL", masked_url),
    "redis_url": ("REDIS_URL", masked_url),
    "redis_namespace": ("REDIS_NAMESPACE", str),
    "secret_key": ("HOOKLINE_SECRET_KEY", _keys),
    "admin_password": ("HOOKLINE_ADMIN_PASSWORD", _masked),
    "host": ("HOST", str),
    "port": ("PORT", str),
    "web_concurrency": ("WEB_CONCURRENCY", str),
    "web_threads": ("WEB_THREADS", str),
    "public_url": ("PUBLIC_URL", str),
    "timezone": ("TIMEZONE", _zone),
    "allow_networks": ("ALLOW_NETWORKS", _listed),
    "ca_bundle": ("CA_BUNDLE", _certificates),
    "outbound_proxy": ("OUTBOUND_PROXY", _proxy),
    "log_retention_days": ("LOG_RETENTION_DAYS", str),
    "retry_schedule_ms": ("RETRY_SCHEDULE", _durations),
    "retry_jitter": ("RETRY_JITTER", str),
    "request_timeout_ms": ("REQUEST_TIMEOUT", duration),
    "disable_after_ms": ("DISABLE_AFTER", duration),
    "max_in_flight": ("MAX_IN_FLIGHT", str),
    "max_in_flight_per_webhook": ("MAX_IN_FLIGHT_PER_WEBHOOK", str),
    "job_rate": ("JOB_RATE", str),
    "extra_event_types": ("EXTRA_EVENT_TYPES", _listed),
    "skip_project_repo": ("SKIP_PROJECT_REPO", _listed),
    "log_level": ("LOG_LEVEL", str),
    "log_format": ("LOG_FORMAT", str),
    "tracing": ("TRACING", _switch),
    "metrics": ("METRICS", _switch),
    "metrics_token": ("METRICS_TOKEN", _masked),
    "metrics_port": ("METRICS_PORT", str),
    "metrics_dir": ("PROMETHEUS_MULTIPROC_DIR", _path),
}
