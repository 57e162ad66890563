"""CloudEvents in requests, by their HTTP binding 1.0: structured, batched and binary."""

import re
from collections.abc import Collection
from typing import Any
from urllib.parse import unquote

from flask import request

from app.api.body import UNSUPPORTED, UnsupportedBody, read_batch, read_object
from app.cloudevents_in import event_of
from app.errors import BadRequest
from app.event_types import Event
from app.fields import INVALID
from app.json_reader import MALFORMED

_HEADER = "HTTP_CE_"
_STRUCTURED = "application/cloudevents"
_BATCH = "application/cloudevents-batch"
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


def is_cloud_event() -> bool:
    """Return whether the request says that its body is a CloudEvent, or several."""
    environ = request.environ
    return "HTTP_CE_SPECVERSION" in environ or environ.get("CONTENT_TYPE", "").lower().startswith(_STRUCTURED)


def read_cloud_events(known: Collection[str]) -> list[Event]:
    """Return the events of the request, all of types `known`. Raises BadRequest naming attribute and index."""
    media_type = request.environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if not media_type.startswith(_STRUCTURED):
        return [event_of(_binary(), known)]
    if media_type not in (f"{_STRUCTURED}+json", f"{_BATCH}+json"):
        raise UnsupportedBody(UNSUPPORTED, "body_type")
    values, is_list = read_batch()
    if is_list != media_type.startswith(_BATCH):
        if is_list:
            raise BadRequest(MALFORMED, "body_not_object", field="body")
        raise BadRequest(INVALID, "not_list", field="body")
    return [event_of(value, known, f"[{index}]" if is_list else "") for index, value in enumerate(values)]


def _binary() -> dict[str, Any]:
    """Return the event whose attributes are headers and whose data are the body, in the JSON format."""
    environ = request.environ
    cloud: dict[str, Any] = {
        name.removeprefix(_HEADER).lower(): _decoded(name, value)
        for name, value in environ.items()
        if name.startswith(_HEADER)
    }
    has_body = request.content_length or "HTTP_TRANSFER_ENCODING" in environ
    return cloud | {"data": read_object() if has_body else None, "datacontenttype": None, "data_base64": None}


def _decoded(name: str, value: str) -> str:
    """Return the value of an attribute (HTTP binding §3.1.3.2: quotes are taken off, then %XX is decoded)."""
    if _QUOTED.fullmatch(value):
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    try:
        # WSGI hands bytes on as Latin-1; whoever sends UTF-8 without escapes means UTF-8.
        return unquote(value.encode("latin-1"), errors="strict")
    except UnicodeError as error:
        raise BadRequest(INVALID, "invalid", field=name.replace("HTTP_", "").replace("_", "-").lower()) from error
