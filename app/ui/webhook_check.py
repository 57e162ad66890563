"""All that is wrong with the form of a webhook, each fault at its field. The API checks alike and tells the first."""

import re
from collections.abc import Collection
from typing import Any, NamedTuple

from app.authentication import Caller
from app.errors import BadRequest, Forbidden
from app.fields import INVALID, one_of
from app.messages import shown
from app.models import Webhook
from app.payload_fields import clean_payload, payload_columns
from app.permissions import require_manage
from app.services import Services
from app.ui.filter_text import stored_of
from app.ui.texts import error_text
from app.ui.webhook_form import Form, payload_of, raw_of
from app.webhook_fields import ASSOCIATION_TYPES, association_of, clean
from app.webhook_secrets import stored_headers, stored_token, unmask
from app.webhooks import check_triggers, trigger_types

_ORDER = (
    *("url", "associationType", "associationId", "enabled", "triggers", "resourceKeyPattern"),
    *("filter", "payloadFormat", "payloadTemplate", "token", "headers"),
    *("signing", "clientCertificate", "timeout", "retrySchedule", "rateLimit", "rateBurst", "ordering"),
)  # of the fields in the form
_APART = ("associationType", "associationId", "headers", "pending", "filter", "payloadFormat", "payloadTemplate")


class _Against(NamedTuple):
    """What the fields are checked against: the known event types, and the secrets that masks stand for."""

    event_types: Collection[str]
    token: str | None
    headers: dict[str, str]


def faults_of(
    services: Services, caller: Caller, form: Form, row: Webhook | None, *, is_typing: bool = False
) -> dict[str, str]:
    """Return the texts of what is wrong with `form`, for a new webhook or to change `row`, by field; a header has the
    name of its row, such as `header-0`. While someone is typing, half a header is no fault yet.

    Raises DatabaseUnavailable.
    """
    token = stored_token(row, services.vault) if row is not None else None
    headers = stored_headers(row, services.vault) if row is not None else {}
    against = _Against(trigger_types(services.settings), token, headers)
    raw = raw_of(form, row)
    parts = {field: {field: value} for field, value in raw.items() if field not in _APART}
    if "pending" in raw:
        parts["enabled"]["pending"] = raw["pending"]
    found = {field: _fault(part, against) for field, part in parts.items()}
    found |= _filter_faults(form) | _payload_faults(form)
    found |= _header_faults(form.headers, against, is_typing=is_typing)
    found |= _association_faults(caller, form, is_known=found["triggers"] is None)
    told = {field: error_text(error) for field, error in found.items() if error is not None}
    return dict(sorted(told.items(), key=lambda each: _ORDER.index(re.sub("-.*", "s", each[0]))))


def place_of(error: BadRequest) -> str:
    """Return the field of the form that `error` is about, "" where it names none."""
    if isinstance(error, Forbidden):
        return "associationId"
    return re.split(r"[\[. ]", str(error.params.get("field", "")))[0].replace("association_id", "associationId")


def _fault(part: dict[str, Any], against: _Against) -> BadRequest | None:
    try:
        unmask(clean(part, against.event_types), against.token, against.headers)
    except BadRequest as error:
        return error
    return None


def _filter_faults(form: Form) -> dict[str, BadRequest]:
    try:
        stored_of(form["filter"])
    except BadRequest as error:
        return {"filter": error}
    return {}


def _payload_faults(form: Form) -> dict[str, BadRequest]:
    try:
        payload_columns(clean_payload(payload_of(form)))
    except BadRequest as error:
        return {place_of(error): error}
    return {}


def _header_faults(rows: list[tuple[str, str]], against: _Against, *, is_typing: bool) -> dict[str, BadRequest | None]:
    found: dict[str, BadRequest | None] = {}
    seen: set[str] = set()
    for place, (name, value) in enumerate(rows):
        if not name and (is_typing or not value):
            continue
        fault = _fault({"headers": {name: value or ("to come" if is_typing else "")}}, against)
        if name.lower() in seen:
            fault = BadRequest(INVALID, "header_repeated", field="headers", value=shown(name))
        seen.add(name.lower())
        found[f"header-{place}"] = fault
    if not any(found.values()):
        found["headers"] = _fault(
            {"headers": {name: "x" for name, _ in rows if name}}, against
        )  # whether they are too many
    return found


def _association_faults(caller: Caller, form: Form, *, is_known: bool) -> dict[str, BadRequest | None]:
    """Return what is wrong with the association, and with triggers that are known for webhooks of it."""
    try:
        kind = one_of("associationType", form["associationType"], ASSOCIATION_TYPES)
        association = association_of(kind, form["associationId"], "associationId")
        require_manage(caller, association)
        if is_known:
            check_triggers(association, form.triggers)
    except BadRequest as error:
        return {place_of(error): error}
    return {}
