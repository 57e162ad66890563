"""The query parameters of the log list (contract §3). Pure: text in, a filter and a place in its pages out."""

import re
from calendar import monthrange
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from app.dates import from_iso
from app.errors import BadRequest
from app.fields import EMPTY, INVALID, filled, one_of
from app.logs import LogFilter
from app.messages import shown
from app.models import ERROR, FAIL, SUCCESS

PARAMETERS = ("pageNumber", "pageSize", "startDate", "endDate", "status", "triggeredEvent", "eventId", "q")

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 1_000
MAX_PAGE_NUMBER = 2**63 - 1  # JSON readers keep no more than 64 bits
WINDOW_MONTHS = 3
MAX_TEXT = 256
MAX_EVENT_ID = 128

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3})?")
_NUMBER = re.compile(r"[0-9]{1,19}")


class Place(NamedTuple):
    """Which page, from 1, and how many logs are on one."""

    number: int
    size: int


class Frame(NamedTuple):
    """What the parameters are read against: the zone of dates, the present time, the known event types."""

    zone: ZoneInfo
    now: int
    event_types: Collection[str]


def place_of(given: Mapping[str, str]) -> Place:
    """Return the page asked for. Raises BadRequest naming the parameter."""
    return Place(
        number=_whole(given, "pageNumber", default=1, high=MAX_PAGE_NUMBER),
        size=_whole(given, "pageSize", default=DEFAULT_PAGE_SIZE, high=MAX_PAGE_SIZE),
    )


def filter_of(webhook_id: str, given: Mapping[str, str], frame: Frame) -> LogFilter:
    """Return the logs asked for, by default those of the three months before the end, which is now by default.

    Raises BadRequest naming the parameter.
    """
    end = _date(given, "endDate", frame.zone)
    start = _date(given, "startDate", frame.zone)
    if start is not None and end is not None and start > end:
        raise BadRequest(INVALID, "dates_reversed", field="startDate", other="endDate")
    end = frame.now if end is None else end
    return LogFilter(
        webhook_id=webhook_id,
        start=months_before(end, WINDOW_MONTHS, frame.zone) if start is None else start,
        end=end,
        status=one_of("status", given["status"], (SUCCESS, FAIL, ERROR)) if "status" in given else None,
        triggered_event=_event_type(given, frame.event_types),
        event_id=filled("eventId", given["eventId"], MAX_EVENT_ID) if "eventId" in given else None,
        text=filled("q", given["q"], MAX_TEXT) if "q" in given else None,
    )


def months_before(at_ms: int, months: int, zone: ZoneInfo) -> int:
    """Return the time `months` earlier on the calendar of `zone`, on the month's last day where it is shorter."""
    local = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone)
    year, month = divmod(max(local.year * 12 + local.month - 1 - months, 12), 12)
    day = min(local.day, monthrange(year, month + 1)[1])
    return round(local.replace(year=year, month=month + 1, day=day).timestamp() * 1000)


def _date(given: Mapping[str, str], field: str, zone: ZoneInfo) -> int | None:
    if field not in given:
        return None
    text = given[field]
    if not text:
        raise BadRequest(EMPTY, "empty", field=field)
    try:
        if _DATE.fullmatch(text):
            return from_iso(text, zone)
    except (ValueError, OverflowError):
        pass
    raise BadRequest(INVALID, "date_form", field=field)


def _whole(given: Mapping[str, str], field: str, *, default: int, high: int) -> int:
    text = given.get(field, str(default))
    if not text:
        raise BadRequest(EMPTY, "empty", field=field)
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= high:
        raise BadRequest(INVALID, "not_in_range", field=field, low=1, high=high)
    return int(text)


def _event_type(given: Mapping[str, str], known: Collection[str]) -> str | None:
    if "triggeredEvent" not in given:
        return None
    event_type = filled("triggeredEvent", given["triggeredEvent"], limit=64)
    if event_type not in known:
        raise BadRequest(INVALID, "trigger_unknown", field="triggeredEvent", value=shown(event_type))
    return event_type
