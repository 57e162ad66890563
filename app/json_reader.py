"""Reading JSON from strangers, strictly (RFC 8259, and RFC 7493 where that is silent). Pure."""

import json
from typing import Any

import msgspec

from app.errors import BadRequest
from app.messages import shown

MALFORMED = 250106
MAX_DEPTH = 100

_BOM = b"\xef\xbb\xbf"


def read_value(raw: bytes, field: str = "body") -> Any:
    """Return the one JSON value in `raw`, which messages call `field`.

    Raises BadRequest for an empty or malformed body, NaN and infinities, numbers out of range, lone surrogates, a byte
    order mark, a key that is given twice in one object, and nesting beyond 100 levels.
    """
    if not raw.strip():
        raise BadRequest(MALFORMED, "body_empty", field=field)
    if raw.startswith(_BOM):
        raise BadRequest(MALFORMED, "body_bom", field=field)
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(MALFORMED, "body_malformed", field=field, detail=error) from error
    except RecursionError as error:
        raise BadRequest(MALFORMED, "body_deep", field=field, limit=MAX_DEPTH) from error
    _refuse_depth(raw, value, field)
    _refuse_repeated_keys(raw, value, field)
    return value


def read_lines(raw: bytes) -> list[Any]:
    """Return the values in `raw`, one a line, blank lines left out. Raises BadRequest naming the index."""
    return [read_value(line, f"[{index}]") for index, line in enumerate(lines_of(raw))]


def lines_of(raw: bytes) -> list[bytes]:
    """Return the lines of NDJSON that hold something."""
    return [line for line in raw.split(b"\n") if line.strip()]


def _refuse_depth(raw: bytes, value: Any, field: str) -> None:
    # Whatever reads the value later, here or at a receiver, must not run out of stack.
    if raw.count(b"{") + raw.count(b"[") <= MAX_DEPTH:
        return
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return
    raise BadRequest(MALFORMED, "body_deep", field=field, limit=MAX_DEPTH)


def _refuse_repeated_keys(raw: bytes, value: Any, field: str) -> None:
    # The decoder keeps the last of two equal keys, so a body with such keys has more strings than what was kept of it,
    # and strings can be counted by their quotes, since a quote inside one is always escaped. Only `\u0022` would hide
    # one, so where it occurs, or the counts differ, the slow decoder that shows each key has the say.
    if b"\\u0022" not in raw and raw.count(b'"') == msgspec.json.encode(value).count(b'"'):
        return

    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for key, inner in pairs:
            if key in seen:
                raise BadRequest(MALFORMED, "body_repeated_key", field=field, key=shown(key))
            seen[key] = inner
        return seen

    json.loads(raw, object_pairs_hook=distinct)
