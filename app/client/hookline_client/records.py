"""What the server answers, as frozen objects.

Attributes are the interface's names in Python's spelling (`webHookId` is `webhook_id`). What a newer server adds is in
`raw`, the object as it came; `record["newField"]` is short for that. What an older server leaves out has its default.
Dates are local times in the server's time zone, without one (`TIMEZONE`); a filter takes them as they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hookline_client.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook(Record):
    """A webhook. Secrets in `token` and `headers` are masked; a setting that is None is as the server's are."""

    id: str = ""
    url: str = ""
    token: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    triggers: tuple[str, ...] = ()
    association_type: str = ""
    association_id: str | None = None
    resource_key_pattern: str | None = None
    enabled: bool = True
    disabled_reason: str | None = None
    timeout: float | None = None
    retry_schedule: tuple[str, ...] | None = None
    rate_limit: int | None = None
    rate_burst: int | None = None
    ordering: str = "none"
    signing: str = "v1"
    filter: Mapping[str, Any] | None = None
    payload_format: str = "default"
    payload_template: str | None = None
    client_certificate_subject: str | None = None
    client_certificate_expires: datetime | None = None
    failures: int = 0
    failing_since: datetime | None = None
    circuit: str = "closed"
    circuit_probe_time: datetime | None = None
    backlog: bool = False
    created_by: str | None = None
    created_date: datetime | None = None
    last_modified_by: str | None = None
    last_modified_date: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets(Record):
    """What verifies deliveries: `secret` where `signing` is v1, `public_key` where it is v1a.

    `previous` is what verifies them too, up to its `valid_until`.
    """

    signing: str = "v1"
    secret: str | None = None
    public_key: str | None = None
    valid_until: datetime | None = None
    previous: "Secrets | None" = None

    @property
    def keys(self) -> tuple[str, ...]:
        """What `verify` takes: the present key first, then the one before while it is valid."""
        own = self.secret or self.public_key
        return (*((own,) if own else ()), *(self.previous.keys if self.previous else ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing(Record):
    """Microseconds from the start of a request to the end of each phase; None where it was not reached."""

    dns: int | None = None
    connect: int | None = None
    tls: int | None = None
    first_byte: int | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Log(Record):
    """An attempt. `request_duration` is in milliseconds; `attempt` is 0 for tests and retries by hand."""

    id: str = ""
    webhook_id: str = ""
    webhook_url: str = field(default="", metadata={"name": "webHookUrl"})
    triggered_event: str = ""
    request_headers: Mapping[str, str] = field(default_factory=dict)
    request_payload: str | None = None
    status: str = ""
    response_status: int | None = None
    response_headers: Mapping[str, str] | None = None
    response_body: str | None = None
    request_duration: int = 0
    request_time: datetime | None = None
    error_msg: str | None = None
    event_id: str = ""
    delivery_id: str = ""
    attempt: int = 0
    next_attempt_time: datetime | None = None
    timing: Timing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRow(Record):
    """An attempt as the plain list of logs shows it: headers are JSON text."""

    id: str = ""
    webhook_url: str = ""
    triggered_event: str = ""
    request_headers: str = "{}"
    request_payload: str | None = None
    status: str = ""
    response_headers: str | None = None
    response_body: str | None = None
    request_duration: str = "0"
    request_time: datetime | None = None
    error_msg: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery(Record):
    """An event on its way to a webhook; its id is the receiver's `webhook-id`."""

    delivery_id: str = ""
    webhook_id: str = ""
    webhook_url: str = ""
    event_id: str | None = None
    triggered_event: str | None = None
    state: str = ""
    held_reason: str | None = None
    in_flight: bool = False
    attempts: int = 0
    next_attempt_time: datetime | None = None
    last_status: str | None = None
    last_error_msg: str | None = None
    last_response_status: int | None = None
    last_attempt_time: datetime | None = None
    created_date: datetime | None = None
    logs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord(Record):
    """An accepted event. `payload` and `deliveries` are there where it was asked for alone."""

    id: str = ""
    type: str = ""
    project_id: str | None = None
    repo_name: str | None = None
    resource_key: str | None = None
    user_id: str | None = None
    source: str | None = None
    accepted_date: datetime | None = None
    error: str | None = None
    payload: str | None = None
    deliveries: tuple[Delivery, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(Record):
    """Work in the background: deliveries that are sent again, or events that are replayed."""

    id: str = ""
    kind: str = ""
    webhook_id: str = ""
    state: str = ""
    done: int = 0
    skipped: int = 0
    total: int | None = None
    filters: Mapping[str, Any] = field(default_factory=dict)
    error_msg: str | None = None
    created_by: str | None = None
    created_date: datetime | None = None
    last_modified_date: datetime | None = None
    finished_date: datetime | None = None

    @property
    def is_finished(self) -> bool:
        """Whether it has ended, well or not."""
        return self.state in {"SUCCEEDED", "CANCELLED", "FAILED"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType(Record):
    """A type of events: what it means, the JSON Schema of its payload, and an example of that.

    `event` is what the example is made of, None where producers don't publish it; `requires` are the fields that they
    must give.
    """

    type: str = ""
    description: str = ""
    publishable: bool = True
    operational: bool = False
    requires: tuple[str, ...] = ()
    schema: Mapping[str, Any] = field(default_factory=dict)
    example: Mapping[str, Any] = field(default_factory=dict)
    event: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Template(Record):
    """A ready payload template; `name` is the payload format that uses it."""

    name: str = ""
    title: str = ""
    template: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview(Record):
    """What a webhook would send. `matches` is None where no filter was given."""

    content_type: str = ""
    body: str = ""
    matches: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Health(Record):
    """What `/healthz` or `/readyz` says. `checks` are the parts by name."""

    status: str = ""
    checks: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_ok(self) -> bool:
        """Whether all is well."""
        return self.status == "ok"
