"""What callers ask of bulk actions. Pure: a body in, a request out; errors are BadRequest naming the parameter."""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from app.errors import BadRequest
from app.fields import EMPTY, INVALID, MISSING, filled, one_of, required
from app.log_query import Frame
from app.query_fields import event_type_of, range_of

RESEND = "RESEND"
REPLAY = "REPLAY"

DEAD = "DEAD"
FAILED = "FAILED"  # owed, and an attempt of the present round has failed
RESENDABLE = (DEAD, FAILED)

KEY_HEADER = "Idempotency-Key"
MAX_KEY = 128

_KEY = re.compile(f"[!-~]{{1,{MAX_KEY}}}")


class JobFilters(NamedTuple):
    """What a job works on, as it was asked for. Times are milliseconds UTC, both ends belong to the range; None for
    any, and for the time when the job was made as the end."""

    start: int | None
    end: int | None
    event_type: str | None
    states: tuple[str, ...] = ()

    def text(self) -> str:
        """Return the filters as the job's row keeps them; equal ones are equal texts."""
        return json.dumps(self._asdict())


class JobRequest(NamedTuple):
    """A bulk action. `key` is the caller's, so that asking twice makes one job."""

    kind: str
    webhook_id: str
    filters: JobFilters
    key: str | None


def filters_from(text: str) -> JobFilters:
    """Return the filters that a job's row keeps."""
    kept = json.loads(text)
    return JobFilters(**kept | {"states": tuple(kept["states"])})


def resend_request(body: Mapping[str, Any], key: str | None, frame: Frame) -> JobRequest:
    """Return what `POST /delivery/resend` asks for."""
    start, end = range_of(body, frame.zone, frame.now)
    trigger = event_type_of(body, "triggeredEvent", frame.event_types)
    return JobRequest(RESEND, _webhook_id(body), JobFilters(start, end, trigger, _states(body)), _key_of(key))


def replay_request(body: Mapping[str, Any], key: str | None, frame: Frame) -> JobRequest:
    """Return what `POST /event/replay` asks for."""
    required("startDate", body.get("startDate"))
    start, end = range_of(body, frame.zone, frame.now)
    event_type = event_type_of(body, "type", frame.event_types)
    return JobRequest(REPLAY, _webhook_id(body), JobFilters(start, end, event_type), _key_of(key))


def _webhook_id(body: Mapping[str, Any]) -> str:
    return filled("webHookId", required("webHookId", body.get("webHookId")), limit=64)


def _states(body: Mapping[str, Any]) -> tuple[str, ...]:
    given = body.get("state")
    if given is None:
        return RESENDABLE
    if not isinstance(given, list):
        raise BadRequest(INVALID, "not_list", field="state")
    if not given:
        raise BadRequest(EMPTY, "empty", field="state")
    if any(value is None for value in given):
        raise BadRequest(MISSING, "missing", field="state")
    asked = {one_of("state", value, RESENDABLE) for value in given}
    return tuple(state for state in RESENDABLE if state in asked)


def _key_of(key: str | None) -> str | None:
    if key == "":
        raise BadRequest(EMPTY, "empty", field=KEY_HEADER)
    if key is not None and not _KEY.fullmatch(key):
        raise BadRequest(INVALID, "key_form", field=KEY_HEADER, limit=MAX_KEY)
    return key
