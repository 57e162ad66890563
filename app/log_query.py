"""The query parameters of the log list (contract §3). Pure: text in, a filter and a place in its pages out."""

from calendar import monthrange
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from app.fields import filled, one_of
from app.logs import LogFilter
from app.models import ERROR, FAIL, SUCCESS
from app.query_fields import event_type_of, page_size_of, range_of, whole_of

PARAMETERS = ("pageNumber", "pageSize", "startDate", "endDate", "status", "triggeredEvent", "eventId", "q")

MAX_PAGE_NUMBER = 2**63 - 1  # JSON readers keep no more than 64 bits
WINDOW_MONTHS = 3
MAX_TEXT = 256
MAX_EVENT_ID = 128


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
        number=whole_of(given, "pageNumber", default=1, high=MAX_PAGE_NUMBER),
        size=page_size_of(given),
    )


def filter_of(webhook_id: str, given: Mapping[str, str], frame: Frame) -> LogFilter:
    """Return the logs asked for, by default those of the three months before the end, which is now by default.

    Raises BadRequest naming the parameter.
    """
    start, end = range_of(given, frame.zone, frame.now)
    end = frame.now if end is None else end
    return LogFilter(
        webhook_id=webhook_id,
        start=months_before(end, WINDOW_MONTHS, frame.zone) if start is None else start,
        end=end,
        status=one_of("status", given["status"], (SUCCESS, FAIL, ERROR)) if "status" in given else None,
        triggered_event=event_type_of(given, "triggeredEvent", frame.event_types),
        event_id=filled("eventId", given["eventId"], MAX_EVENT_ID) if "eventId" in given else None,
        text=filled("q", given["q"], MAX_TEXT) if "q" in given else None,
    )


def months_before(at_ms: int, months: int, zone: ZoneInfo) -> int:
    """Return the time `months` earlier on the calendar of `zone`, on the month's last day where it is shorter."""
    local = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone)
    year, month = divmod(max(local.year * 12 + local.month - 1 - months, 12), 12)
    day = min(local.day, monthrange(year, month + 1)[1])
    return round(local.replace(year=year, month=month + 1, day=day).timestamp() * 1000)
