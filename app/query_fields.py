"""Parameters that several lists share: dates, sizes, cursors. Pure; each raises BadRequest naming the parameter."""

import base64
import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from app.dates import from_iso
from app.errors import BadRequest
from app.fields import EMPTY, INVALID, filled
from app.messages import shown
from config.settings import parse_duration_ms

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 1_000

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3})?")
_NUMBER = re.compile(r"[0-9]{1,19}")
_MAX_DATE = 64
MAX_CURSOR = 1_024


class Range(NamedTuple):
    """A range of time in milliseconds UTC, both ends belong to it; None where an end is not given."""

    start: int | None
    end: int | None


def range_of(given: Mapping[str, Any], zone: ZoneInfo, now: int | None = None) -> Range:
    """Return what `startDate` and `endDate` say."""
    found = Range(date_of(given, "startDate", zone, now), date_of(given, "endDate", zone, now))
    if found.start is not None and found.end is not None and found.start > found.end:
        raise BadRequest(INVALID, "dates_reversed", field="startDate", other="endDate")
    return found


def date_of(given: Mapping[str, Any], field: str, zone: ZoneInfo, now: int | None = None) -> int | None:
    """Return a local date-time in `zone` as milliseconds UTC, None where it is not given.

    With `now` it may also be how long before that, such as `10m`.
    """
    value = given.get(field)
    if value is None:
        return None
    text = filled(field, value, _MAX_DATE)
    try:
        if _DATE.fullmatch(text):
            return from_iso(text, zone)
        if now is not None:
            return max(now - parse_duration_ms(text), 0)
    except (ValueError, OverflowError):
        pass
    if now is not None:
        raise BadRequest(INVALID, "date_or_age", field=field)
    raise BadRequest(INVALID, "date_form", field=field)


def whole_of(given: Mapping[str, str], field: str, *, default: int, high: int) -> int:
    """Return a whole number from 1 to `high`."""
    text = given.get(field, str(default))
    if not text:
        raise BadRequest(EMPTY, "empty", field=field)
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= high:
        raise BadRequest(INVALID, "not_in_range", field=field, low=1, high=high)
    return int(text)


def page_size_of(given: Mapping[str, str]) -> int:
    """Return what `pageSize` says."""
    return whole_of(given, "pageSize", default=DEFAULT_PAGE_SIZE, high=MAX_PAGE_SIZE)


def event_type_of(given: Mapping[str, Any], field: str, known: Collection[str]) -> str | None:
    """Return an event type, None where it is not given."""
    value = given.get(field)
    if value is None:
        return None
    event_type = filled(field, value, limit=64)
    if event_type not in known:
        raise BadRequest(INVALID, "trigger_unknown", field=field, value=shown(event_type))
    return event_type


def cursor_text(*parts: str) -> str:
    """Return a cursor for callers to hand back: where the next page begins."""
    return base64.urlsafe_b64encode("\n".join(parts).encode()).decode().rstrip("=")


def cursor_of(given: Mapping[str, str], *forms: str, field: str = "cursor") -> list[str] | None:
    """Return the parts of a cursor, each in the form of its regular expression, None where it is not given."""
    text = given.get(field)
    if text is None:
        return None
    parts = _decoded(filled(field, text, MAX_CURSOR)).split("\n")
    if len(parts) != len(forms) or not all(re.fullmatch(*pair) for pair in zip(forms, parts, strict=True)):
        raise BadRequest(INVALID, "invalid", field=field)
    return parts


def _decoded(text: str) -> str:
    """Return what was made into `text`, "" for what is no cursor."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except ValueError:
        return ""
