"""Reading the bodies of requests: their type, their size, their JSON."""

import re
from functools import lru_cache
from typing import Any

import msgspec
from flask import request
from werkzeug.exceptions import ClientDisconnected, LengthRequired, RequestEntityTooLarge
from werkzeug.http import parse_options_header

from app.errors import BadRequest
from app.fields import EMPTY
from app.json_reader import MALFORMED, lines_of, read_lines, read_value
from app.messages import shown

MEBIBYTE = 1024 * 1024
MAX_OBJECT = MEBIBYTE
MAX_EVENT = MEBIBYTE
MAX_BATCH = 16 * MEBIBYTE
MAX_EVENTS = 10_000

UNSUPPORTED = 250119

_LINES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})


class UnsupportedBody(BadRequest):
    """The body is not of a type that is read here."""

    status = 415


class TooLarge(BadRequest):
    """The body, or a part of it, is over the limit."""

    status = 413


def read_object() -> dict[str, Any]:
    """Return the JSON object in the request's body, of 1 MiB at most. Raises BadRequest."""
    if _is_in_lines():
        raise UnsupportedBody(UNSUPPORTED, "body_type")
    value = read_value(_read(MAX_OBJECT))
    if not isinstance(value, dict):
        raise BadRequest(MALFORMED, "body_not_object", field="body")
    return value


def read_batch() -> tuple[list[Any], bool]:
    """Return the events in the request's body, still unchecked, and whether it was a list of them.

    The body is an object (one event), an array or NDJSON. Raises BadRequest, naming the index.
    """
    in_lines = _is_in_lines()
    if in_lines and request.content_length is None:
        raise LengthRequired  # lines that break off between two look whole, and servers don't tell
    raw = _read(MAX_BATCH)
    value = read_lines(raw) if in_lines else read_value(raw)
    if len(raw) > MAX_EVENT:
        _refuse_large(_parts(raw, value, in_lines))
    if isinstance(value, dict):
        return [value], False
    if not isinstance(value, list):
        raise BadRequest(MALFORMED, "body_not_events", field="body")
    if not value:
        raise BadRequest(EMPTY, "empty", field="body")
    if len(value) > MAX_EVENTS:
        raise TooLarge(MALFORMED, "too_many", field="body", limit=MAX_EVENTS)
    return value, True


def _read(limit: int) -> bytes:
    # Werkzeug cuts a body of unknown length at its limit, and takes one that breaks off for whole, without a word.
    request.max_content_length = limit + 1
    raw = request.get_data(cache=False)
    if len(raw) > limit:
        raise RequestEntityTooLarge
    if request.content_length not in {None, len(raw)}:
        raise ClientDisconnected
    return raw


def _is_in_lines() -> bool:
    """Return whether the body is NDJSON; if not, it is JSON. Raises UnsupportedBody for other types and encodings."""
    encoding = request.environ.get("HTTP_CONTENT_ENCODING", "identity")
    if encoding.lower() not in {"", "identity"}:
        raise UnsupportedBody(UNSUPPORTED, "body_encoding", value=shown(encoding))
    media_type = _media_type(request.environ.get("CONTENT_TYPE", ""))
    if media_type is None:
        raise UnsupportedBody(UNSUPPORTED, "body_type")
    return media_type in _LINES


@lru_cache(maxsize=256)
def _media_type(content_type: str) -> str | None:
    """Return the media type in lower case, None where it is neither JSON nor NDJSON, or not in UTF-8."""
    media_type, options = parse_options_header(content_type)
    media_type = media_type.lower()
    is_json = media_type == "application/json" or re.fullmatch(r"application/[^/ ]+\+json", media_type)
    is_utf8 = options.get("charset", "utf-8").lower() in {"utf-8", "utf8", "us-ascii"}
    return media_type if (is_json or media_type in _LINES) and is_utf8 else None


def _parts(raw: bytes, value: Any, in_lines: bool) -> list[tuple[str, int]]:
    """Return the events of a large body by name and size in bytes."""
    if in_lines:
        sizes = [len(line) for line in lines_of(raw)]
    elif isinstance(value, list):
        sizes = [len(memoryview(part)) for part in msgspec.json.decode(raw, type=list[msgspec.Raw])]
    else:
        return [("body", len(raw))]
    return [(f"[{index}]", size) for index, size in enumerate(sizes)]


def _refuse_large(parts: list[tuple[str, int]]) -> None:
    for field, size in parts:
        if size > MAX_EVENT:
            raise TooLarge(MALFORMED, "event_too_large", field=field, limit=MAX_EVENT)
