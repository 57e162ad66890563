"""When the next attempt is due. Pure: the clock and the jitter are arguments."""

from collections.abc import Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER_MS = 24 * 3_600_000
_HONOURED = (429, 503)


def next_attempt_at(
    schedule_ms: Sequence[int], attempt: int, now: int, *, jitter: float, retry_after_ms: int | None = None
) -> int | None:
    """Return when to try again after the `attempt`-th attempt (from 1) failed at `now`, or None to give up.

    `jitter` is the fraction, from -1 to 1, by which this delay is stretched. A receiver's Retry-After can only make
    the wait longer, and never longer than a day.
    """
    if attempt > len(schedule_ms):
        return None
    delay = round(schedule_ms[attempt - 1] * (1 + jitter))
    return now + max(delay, min(retry_after_ms or 0, MAX_RETRY_AFTER_MS))


def retry_after_ms(status: int | None, value: str | None, now: int) -> int | None:
    """Return the wait that a `Retry-After` header asks for (RFC 9110 §10.2.3: seconds or a date), in milliseconds.

    None where the status is not 429 or 503, or the header is absent or can't be read.
    """
    if value is None or status not in _HONOURED:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(int(text.lstrip("0")[:9] or "0") * 1000, MAX_RETRY_AFTER_MS)
    try:
        date = parsedate_to_datetime(text)
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)  # the asctime form (RFC 9110 §5.6.7) names no zone, and means UTC
        return max(int(date.timestamp() * 1000) - now, 0)
    except (ValueError, OverflowError):
        return None
