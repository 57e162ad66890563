"""What the fields may hold that say how a webhook is delivered to. Pure: raw fields in, clean ones out."""

from collections.abc import Mapping
from typing import Any, TypedDict

from app.certificate_pem import clean_pem
from app.errors import BadRequest
from app.fields import INVALID, one_of
from app.messages import shown
from app.signing import SCHEMES
from config.settings import parse_duration_ms

MAX_DELAYS = 50
MIN_DELAY_MS = 1_000
MAX_DELAY_MS = 7 * 86_400_000
MIN_TIMEOUT_S = 1
MAX_TIMEOUT_S = 30
MAX_RATE = 10_000
MAX_BURST = 10_000
ORDERINGS = ("none", "resource", "webhook")

_UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms"))


class DeliveryFields(TypedDict, total=False):
    """The clean fields that a request gave. 0, [] and "" stand for what the settings say."""

    timeout_ms: int
    retry_schedule: list[int]  # milliseconds
    rate_limit: int
    rate_burst: int
    signing: str
    ordering: str
    client_certificate: str


def clean_delivery(raw: Mapping[str, Any]) -> DeliveryFields:
    """Return those fields of `raw` that are given, checked one by one. Raises BadRequest naming the field."""
    fields: DeliveryFields = {}
    if (timeout := raw.get("timeout")) is not None:
        fields["timeout_ms"] = _timeout(timeout)
    if (delays := raw.get("retrySchedule")) is not None:
        fields["retry_schedule"] = _schedule(delays)
    if (rate := raw.get("rateLimit")) is not None:
        fields["rate_limit"] = whole("rateLimit", rate, 0, MAX_RATE)
    if (burst := raw.get("rateBurst")) is not None:
        fields["rate_burst"] = whole("rateBurst", burst, 0, MAX_BURST)
    if (signing := raw.get("signing")) is not None:
        fields["signing"] = one_of("signing", signing, SCHEMES)
    if (ordering := raw.get("ordering")) is not None:
        fields["ordering"] = one_of("ordering", ordering, ORDERINGS)
    if (pem := raw.get("clientCertificate")) is not None:
        fields["client_certificate"] = "" if pem == "" else clean_pem("clientCertificate", pem)
    return fields


def whole(field: str, value: object, low: int, high: int) -> int:
    """Return `value`, which must be a whole number from `low` to `high`."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise BadRequest(INVALID, "not_in_range", field=field, low=low, high=high)
    return value


def duration_text(duration_ms: int) -> str:
    """Return a duration in the largest unit that it is a multiple of: `90s`, `2h`."""
    size, unit = next((size, unit) for size, unit in _UNITS if duration_ms % size == 0)
    return f"{duration_ms // size}{unit}"


def seconds(duration_ms: int) -> float:
    """Return a duration in seconds, as a whole number where it is one."""
    return duration_ms / 1000 if duration_ms % 1000 else duration_ms // 1000


def _timeout(value: Any) -> int:
    """Return seconds in milliseconds; 0 stays 0."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and (value == 0 or MIN_TIMEOUT_S <= value <= MAX_TIMEOUT_S):  # NaN is neither
        return round(float(value) * 1000)
    raise BadRequest(INVALID, "not_seconds", field="timeout", low=MIN_TIMEOUT_S, high=MAX_TIMEOUT_S)


def _schedule(value: object) -> list[int]:
    if not isinstance(value, list):
        raise BadRequest(INVALID, "not_list", field="retrySchedule")
    if len(value) > MAX_DELAYS:
        raise BadRequest(INVALID, "too_many", field="retrySchedule", limit=MAX_DELAYS)
    return [_delay(f"retrySchedule[{position}]", delay) for position, delay in enumerate(value)]


def _delay(field: str, value: object) -> int:
    if not isinstance(value, str):
        raise BadRequest(INVALID, "not_string", field=field)
    try:
        delay = parse_duration_ms(value)
    except ValueError as error:
        raise BadRequest(INVALID, "duration_form", field=field, value=shown(value)) from error
    if not MIN_DELAY_MS <= delay <= MAX_DELAY_MS:
        low, high = duration_text(MIN_DELAY_MS), duration_text(MAX_DELAY_MS)
        raise BadRequest(INVALID, "duration_range", field=field, low=low, high=high)
    return delay
