"""Dates on the wire (contract §1): ISO local date-times with three fraction digits and no offset."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo


def to_iso(at_ms: int, zone: ZoneInfo) -> str:
    """Return `at_ms` (milliseconds UTC) as local time in `zone`, such as `2021-12-27T00:00:00.000`."""
    seconds, millis = divmod(at_ms, 1000)
    local = datetime.fromtimestamp(seconds, UTC).astimezone(zone)
    return f"{local:%Y-%m-%dT%H:%M:%S}.{millis:03d}"


def from_iso(text: str, zone: ZoneInfo) -> int:
    """Return the milliseconds UTC of a local date-time in `zone`, with or without a fraction.

    Raises ValueError for anything else, an offset included. A time that a change of clocks made ambiguous is the
    earlier one.
    """
    form = "%Y-%m-%dT%H:%M:%S.%f" if "." in text else "%Y-%m-%dT%H:%M:%S"
    local = datetime.strptime(text, form).replace(tzinfo=zone)
    return round(local.timestamp() * 1000)
