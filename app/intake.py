"""Events from callers: who may publish, and the check of what they give, with errors as answers have them."""

from collections.abc import Collection, Mapping
from types import MappingProxyType

from app.accounts import PUBLISH_SCOPE
from app.authentication import Caller
from app.errors import BadRequest, Forbidden
from app.event_types import Event, InvalidEvent, event_from
from app.fields import EMPTY, INVALID, MISSING
from app.messages import shown
from app.permissions import FORBIDDEN

_REASONS = {
    "missing": (MISSING, "missing"),
    "empty": (EMPTY, "empty"),
    "invalid": (INVALID, "invalid"),
    "too_long": (INVALID, "too_long"),
}


def may_publish(caller: Caller) -> bool:
    """Return whether `caller` may publish events: administrators, and platforms with the scope for it."""
    return caller.admin or PUBLISH_SCOPE in caller.scopes


def require_publisher(caller: Caller) -> None:
    """Raise Forbidden where `caller` may not publish events."""
    if not may_publish(caller):
        raise Forbidden(FORBIDDEN, "publish_forbidden")


def read_event(
    value: object, known: Collection[str], where: str = "", *, names: Mapping[str, str] = MappingProxyType({})
) -> Event:
    """Return a decoded JSON value as an event of one of the types `known`.

    Raises BadRequest naming the field, after `where` the event stands in a batch. `names` are those by which the caller
    knows the fields, where they are others.
    """
    try:
        return event_from(value, known)
    except InvalidEvent as error:
        raise _refusal(error, value, f"{where}.{names.get(error.field, error.field)}".strip(".") or "body") from error


def _refusal(error: InvalidEvent, value: object, field: str) -> BadRequest:
    if isinstance(value, dict) and error.reason == "unknown_type":
        return BadRequest(INVALID, "trigger_unknown", field=field, value=shown(value["type"]))
    code, reason = _REASONS[error.reason]
    return BadRequest(code, reason, field=field, limit=error.limit)
