"""What a webhook's fields may hold (contract §3, issue "Bad input"). Pure: raw fields in, clean ones out."""

import re
from collections.abc import Collection, Mapping
from typing import Any, cast

from app.delivery_fields import DeliveryFields, clean_delivery
from app.errors import BadRequest
from app.fields import EMPTY, INVALID, filled, one_of, pick, required, sendable, text
from app.filters import check_filter
from app.messages import shown
from app.patterns import compile_pattern
from app.payload_fields import PayloadFields, clean_payload
from app.permissions import PROJECT, REPO, SYSTEM, Association
from app.urls import MAX_URL, url_fault

MAX_PATTERN = 512
MAX_HEADERS = 50
MAX_HEADER_NAME = 256
MAX_HEADER_VALUE = 4_096
MAX_TOKEN = 4_096
MAX_ID_PART = 128

TYPE_NAMES = ("association_type", "associationType")
ID_NAMES = ("association_id", "associationId")
ASSOCIATION_TYPES = (SYSTEM, PROJECT, REPO)

RELEASE = "release"
DROP = "drop"

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token, RFC 9110 §5.6.2
_RESERVED = re.compile(
    r"host|content-length|transfer-encoding|connection|keep-alive|upgrade|te|trailer|expect|(proxy|webhook)-.*",
    re.IGNORECASE,
)


class Fields(DeliveryFields, PayloadFields, total=False):
    """The clean fields that a request gave; those it left out are not there. "" stands for "none".

    `pending` is no field of a webhook: it says what enabling does with the deliveries that were held.
    """

    url: str
    token: str
    headers: dict[str, str]
    triggers: list[str]
    association_type: str
    association_id: str
    resource_key_pattern: str
    filter: str
    enabled: bool
    pending: str


def clean(raw: Mapping[str, Any], known_types: Collection[str]) -> Fields:
    """Return the fields of `raw` that are given, checked one by one; unknown ones are ignored.

    `known_types` are the event types that may be triggers. Raises BadRequest naming the field. How association type
    and id go together is for `association_of`.
    """
    fields = cast(Fields, {**clean_delivery(raw), **clean_payload(raw)})
    if (url := raw.get("url")) is not None:
        fields["url"] = _url(url)
    if (token := raw.get("token")) is not None:
        fields["token"] = _token(token)
    if (headers := raw.get("headers")) is not None:
        fields["headers"] = _headers(headers)
    if (triggers := raw.get("triggers")) is not None:
        fields["triggers"] = _triggers(triggers, known_types)
    if (pattern := raw.get("resourceKeyPattern")) is not None:
        fields["resource_key_pattern"] = _pattern(pattern)
    if (conditions := raw.get("filter")) is not None:
        fields["filter"] = check_filter("filter", conditions)
    if (enabled := raw.get("enabled")) is not None:
        fields["enabled"] = _boolean("enabled", enabled)
    if (pending := raw.get("pending")) is not None:
        fields["pending"] = _pending(pending, fields)
    type_field, association_type = pick(raw, TYPE_NAMES)
    if association_type is not None:
        fields["association_type"] = one_of(type_field, association_type, ASSOCIATION_TYPES)
    id_field, association_id = pick(raw, ID_NAMES)
    if association_id is not None:
        fields["association_id"] = text(id_field, association_id, limit=2 * MAX_ID_PART + 1)
    return fields


def clean_new(raw: Mapping[str, Any], known_types: Collection[str]) -> Fields:
    """Return the clean fields of a webhook to be made; url, triggers and association type must be given."""
    for field in ("url", "triggers"):
        required(field, raw.get(field))
    required(*pick(raw, TYPE_NAMES))
    return clean(raw, known_types)


def association_of(association_type: str, association_id: str | None, field: str = ID_NAMES[0]) -> Association:
    """Return the association of a known type with an id, None for not given. Raises BadRequest naming `field`."""
    if association_type == SYSTEM:
        if association_id:
            raise BadRequest(INVALID, "association_system", field=field)
        return Association(SYSTEM, "")
    value = filled(field, required(field, association_id), limit=2 * MAX_ID_PART + 1)
    parts = value.split(":")
    fits = len(parts) == (1 if association_type == PROJECT else 2) and all(parts)
    if not fits or not value.isprintable():
        raise BadRequest(INVALID, f"association_{association_type.lower()}", field=field)
    if max(map(len, parts)) > MAX_ID_PART:
        raise BadRequest(INVALID, "too_long", field=field, limit=MAX_ID_PART)
    return Association(association_type, value)


def _url(value: Any) -> str:
    url = filled("url", value, limit=MAX_URL)
    fault = url_fault(url)
    if fault is not None:
        raise BadRequest(INVALID, fault, field="url")
    return url


def _token(value: Any) -> str:
    return "" if value == "" else sendable("token", value, limit=MAX_TOKEN)


def _headers(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise BadRequest(INVALID, "not_object", field="headers")
    if len(value) > MAX_HEADERS:
        raise BadRequest(INVALID, "too_many", field="headers", limit=MAX_HEADERS)
    seen: set[str] = set()
    for name, content in value.items():
        _check_header_name(name)
        if name.lower() in seen:
            raise BadRequest(INVALID, "header_repeated", field="headers", value=shown(name))
        seen.add(name.lower())
        sendable(f"headers.{name}", content, limit=MAX_HEADER_VALUE)
    return value


def _check_header_name(name: str) -> None:
    if not name:
        raise BadRequest(EMPTY, "empty", field="headers name")
    if len(name) > MAX_HEADER_NAME:
        raise BadRequest(INVALID, "too_long", field=f"headers name {shown(name)}", limit=MAX_HEADER_NAME)
    if not _HEADER_NAME.fullmatch(name):
        raise BadRequest(INVALID, "header_name", field="headers", value=shown(name))
    if _RESERVED.fullmatch(name):
        raise BadRequest(INVALID, "header_reserved", field="headers", value=name)


def _triggers(value: Any, known_types: Collection[str]) -> list[str]:
    if not isinstance(value, list):
        raise BadRequest(INVALID, "not_list", field="triggers")
    if not value:
        raise BadRequest(EMPTY, "empty", field="triggers")
    for position, trigger in enumerate(value):
        field = f"triggers[{position}]"
        if not isinstance(trigger, str):
            raise BadRequest(INVALID, "not_string", field=field)
        if trigger not in known_types:
            raise BadRequest(INVALID, "trigger_unknown", field=field, value=shown(trigger))
    return list(dict.fromkeys(value))


def _pattern(value: Any) -> str:
    pattern = text("resourceKeyPattern", value, limit=MAX_PATTERN)
    try:
        compile_pattern(pattern)
    except ValueError as error:
        raise BadRequest(INVALID, "pattern_refused", field="resourceKeyPattern", detail=error) from error
    return pattern


def _pending(value: Any, fields: Fields) -> str:
    pending = one_of("pending", value, (RELEASE, DROP))
    if not fields.get("enabled"):
        raise BadRequest(INVALID, "pending_alone", field="pending")
    return pending


def _boolean(field: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise BadRequest(INVALID, "not_boolean", field=field)
    return value
