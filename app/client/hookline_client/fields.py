"""What calls take, by name, for type checkers: the interface's names in Python's spelling.

At run time a call passes on whatever it is given, so what a newer server understands can be used as well.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict

from hookline_client.record import wire_name

Date = str | datetime


class WebhookFields(TypedDict, total=False):
    """The fields of a webhook; docs/api.md has them all."""

    url: str
    triggers: Sequence[str]
    association_type: str
    association_id: str | None
    resource_key_pattern: str | None
    headers: Mapping[str, str] | None
    token: str | None
    enabled: bool | None
    timeout: float | None
    retry_schedule: Sequence[str] | None
    rate_limit: int | None
    rate_burst: int | None
    ordering: str | None
    signing: str | None
    client_certificate: str | None
    filter: Mapping[str, Any] | None
    payload_format: str | None
    payload_template: str | None


class WebhookChanges(WebhookFields, total=False):
    """What an update may change. `pending` says what becomes of held deliveries at `enabled=True`."""

    pending: str | None


class PreviewFields(TypedDict, total=False):
    """What a preview is made of: an event, or a type whose example is taken, and a webhook's settings."""

    event_type: str
    event: Mapping[str, Any]
    payload_format: str | None
    payload_template: str | None
    filter: Mapping[str, Any] | None


class LogFilters(TypedDict, total=False):
    """Which logs, and how many a page."""

    start_date: Date
    end_date: Date
    status: str
    triggered_event: str
    event_id: str
    q: str
    page_size: int


class EventFilters(TypedDict, total=False):
    """Which events."""

    type: str
    project_id: str
    repo_name: str
    resource_key: str
    user_id: str
    start_date: Date
    end_date: Date
    page_size: int


class DeliveryFilters(TypedDict, total=False):
    """Which of the deliveries that are owed or were given up."""

    state: str
    triggered_event: str
    start_date: Date
    end_date: Date
    page_size: int


class ResendFilters(TypedDict, total=False):
    """Which deliveries are sent again."""

    start_date: Date
    end_date: Date
    state: Sequence[str]
    triggered_event: str


class ReplayFilters(TypedDict, total=False):
    """Which events are replayed."""

    end_date: Date
    type: str


def on_wire(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return names and dates as the interface has them. Raises ValueError for a date with a time zone."""
    return {wire_name(name): _value(value) for name, value in given.items()}


def _value(value: Any) -> Any:
    if not isinstance(value, datetime):
        return value
    if value.tzinfo is not None:
        raise ValueError(f"dates are local times of the server, without a time zone: {value.isoformat()}")
    return value.isoformat(timespec="milliseconds")
