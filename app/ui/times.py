"""Times for people: in the viewer's zone, which a cookie names; and back from what people type."""

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from flask import g, request

from app.errors import BadRequest
from app.fields import INVALID

_FORMS = ("%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f")


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        return ZoneInfo("UTC")


def viewer_zone() -> ZoneInfo:
    """Return the viewer's time zone; UTC until the browser has told it."""
    if "zone" not in g:
        g.zone = _zone(request.cookies.get("zone", "UTC")[:64])
    zone: ZoneInfo = g.zone
    return zone


def local(at_ms: int, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """Return `at_ms` (milliseconds UTC) in the viewer's zone."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(viewer_zone()).strftime(form)


def utc(at_ms: int) -> str:
    """Return `at_ms` in UTC, with milliseconds and the word."""
    seconds, millis = divmod(at_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{millis:03d} UTC"


def iso(at_ms: int) -> str:
    """Return `at_ms` as machines read it: `2026-11-24T20:00:08.123Z`. Filters in URLs have this form, so that a
    link means the same to a viewer in another zone."""
    seconds, millis = divmod(at_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{millis:03d}Z"


def input_value(at_ms: int | None) -> str:
    """Return the value of an `<input type="datetime-local">`, "" for no time."""
    return "" if at_ms is None else local(at_ms, "%Y-%m-%dT%H:%M:%S")


def instant(field: str, text: str) -> int | None:
    """Return the milliseconds UTC of a filter: local to the viewer, or UTC where it ends with Z; None for "".

    Raises BadRequest naming `field`.
    """
    text = text.strip()
    if not text:
        return None
    zone = ZoneInfo("UTC") if text.endswith("Z") else viewer_zone()
    for form in _FORMS:
        try:
            return round(datetime.strptime(text.removesuffix("Z"), form).replace(tzinfo=zone).timestamp() * 1000)
        except (ValueError, OverflowError):
            continue
    raise BadRequest(INVALID, "date_form", field=field)
