"""CloudEvents 1.0 as they are sent: structured JSON (docs/formats.md). Pure.

Hookline is the producer of what it sends: `source` and `type` are its own, and `id`, which is the event's, is unique
there. What the event's own producer gave as source is in the extension `origin`.
"""

import re
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from urllib.parse import quote

import msgspec

CONTENT_TYPE: Final = "application/cloudevents+json; charset=UTF-8"
SPEC_VERSION: Final = "1.0"
TYPE_PREFIX: Final = "hookline."

# What the spec's type String may not hold; resource keys and users' names may.
_UNTOLD = re.compile("[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")


class Told(Protocol):
    """What there is to tell of an event; app.attempts.Due has it."""

    @property
    def event_id(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def payload(self) -> str: ...
    @property
    def accepted_at(self) -> int: ...
    @property
    def project_id(self) -> str | None: ...
    @property
    def repo_name(self) -> str | None: ...
    @property
    def resource_key(self) -> str | None: ...
    @property
    def user_id(self) -> str | None: ...
    @property
    def source(self) -> str | None: ...
    @property
    def traceparent(self) -> str | None: ...


def cloud_event(event: Told, base: str) -> bytes:
    """Return `event` with its payload as data. `base` is the address of this service, "" where it is not known."""
    attributes: dict[str, Any] = {
        "specversion": SPEC_VERSION,
        "id": event.event_id,
        "source": source_uri(base, event.project_id, event.repo_name),
        "type": TYPE_PREFIX + event.type,
        "subject": event.resource_key,
        "time": rfc3339(event.accepted_at),
        "datacontenttype": "application/json",
        "eventid": event.event_id,
        "projectid": event.project_id,
        "reponame": event.repo_name,
        "userid": event.user_id,
        "origin": event.source,
        "traceparent": event.traceparent,
    }
    given = {name: _told(value) for name, value in attributes.items() if value}
    return msgspec.json.encode({**given, "data": msgspec.Raw(event.payload.encode())})


def source_uri(base: str, project_id: str | None, repo_name: str | None) -> str:
    """Return the URI of where an event happened: all of the service, a project or a repository. Without an address of
    the service it is a relative one."""
    path = f"/projects/{quote(project_id, safe='')}" if project_id else "/"
    return f"{base}{path}/repos/{quote(repo_name, safe='')}" if project_id and repo_name else f"{base}{path}"


def rfc3339(at: int) -> str:
    """Return a time, ms UTC, in the form of RFC 3339."""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _told(text: str) -> str:
    return _UNTOLD.sub(lambda found: quote(found[0]), text)
