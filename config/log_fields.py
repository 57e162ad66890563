"""What a log record says, as fields: those that its text names, without secrets."""

import logging
import re
import traceback
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from config.settings import Settings

MASK = "****"
_SHORTEST = 4
_WORD = re.compile("[A-Za-z]{1,15}")  # one that is a plain word, such as "hookline", would be masked in ordinary text
_SECRET_OPTION = re.compile("pass|secret|token|key", re.I)
# What stands before @ in a URL's authority, and its query.
_USER = re.compile(r"([a-z][a-z0-9+.-]*://)[^\s/?#\"'<>]*@", re.I)
_QUERY = re.compile(r"([a-z][a-z0-9+.-]*://[^\s?#\"'<>]*)\?[^\s\"'<>]+", re.I)

_CONVERSION = re.compile(r"%(?:%|[-#0 +]*[0-9]*(?:\.[0-9]+)?[a-zA-Z])")
_NAMED = re.compile(r"([A-Za-z][A-Za-z_]*)=$")
_PLAIN = (str, int, float, bool, type(None))


class Secrets:
    """The secrets that a process has from its settings, to be masked wherever a text would show them."""

    def __init__(self, settings: Settings | None = None) -> None:
        known = sorted(_secrets_of(settings), key=len, reverse=True) if settings else []
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def masked(self, text: str) -> str:
        """Return `text` without secrets, and URLs in it without user, password and query."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        if "://" in text:
            text = _QUERY.sub(rf"\1?{MASK}", _USER.sub(rf"\1{MASK}@", text))
        return text


def _secrets_of(settings: Settings) -> set[str]:
    proxy = settings.outbound_proxy
    found = {settings.admin_password, settings.metrics_token, proxy.password if proxy else None}
    found.update((settings.secret_key or "").split(","))
    for url in settings.database_url, settings.redis_url:
        parts = urlsplit(url or "")
        found.add(parts.password)
        found.update(value for name, value in parse_qsl(parts.query) if _SECRET_OPTION.search(name))
        found.update(re.findall(r"^[^:/]+://[^:/?#@]*:(.*)@", url or ""))  # where it is not encoded
    plain = {each.strip() for each in found if each and len(each.strip()) >= _SHORTEST and not _WORD.fullmatch(each)}
    return plain | {unquote(each) for each in plain} | {quote(each, safe="") for each in plain}


def fields_of(record: logging.LogRecord, secrets: Secrets) -> dict[str, Any]:
    """Return what `record` says: time, level, logger, message, traceId, what its text names, exception, stack."""
    # The text alone: that of the service's own records would end with the trace id.
    fields: dict[str, Any] = {
        "time": utc(record.created),
        "level": record.levelname,
        "logger": record.name,
        "message": secrets.masked(logging.LogRecord.getMessage(record)),
    }
    if trace_id := record.__dict__.get("trace_id"):
        fields["traceId"] = trace_id
    for name, value in _named(record).items():
        fields.setdefault(name, secrets.masked(value) if isinstance(value, str) else value)
    if record.exc_info and record.exc_info[1] is not None:
        fields["exception"] = secrets.masked("".join(traceback.format_exception(record.exc_info[1])).rstrip())
    if record.stack_info:
        fields["stack"] = secrets.masked(record.stack_info)
    return fields


def _named(record: logging.LogRecord) -> dict[str, Any]:
    """Return the arguments by the names that stand before them: `webhook=%s` is a field."""
    given = record.args
    if not given or not isinstance(given, tuple) or not isinstance(record.msg, str):
        return {}
    places = _places(record.msg)
    return {
        name: value if isinstance(value := given[place], _PLAIN) else str(value)
        for name, place in places
        if place < len(given)
    }


@lru_cache(1_000)
def _places(text: str) -> tuple[tuple[str, int], ...]:
    """Return the names of a text's arguments, and the place of each among all."""
    found, place = [], 0
    for conversion in _CONVERSION.finditer(text):
        if conversion[0] == "%%":
            continue
        if name := _NAMED.search(text, 0, conversion.start()):
            found.append((name[1], place))
        place += 1
    return tuple(found)


def utc(seconds: float) -> str:
    """Return a time in ISO form, in UTC, with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def cleaned(value: Any) -> Any:
    """Return `value`, of JSON's types, with its texts as UTF-8 can have them."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    return {name: cleaned(each) for name, each in value.items()} if isinstance(value, dict) else value


def shown(text: str, keep: str = "") -> str:
    """Return `text` with what no terminal should get written as escapes, `keep` excepted."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in keep else each.encode("unicode_escape").decode() for each in text
    )
