"""Checks that any parameter may need: each returns the value, or raises BadRequest with a code of contract §1."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from app.errors import BadRequest
from app.messages import shown

MISSING = 250103
EMPTY = 250104
INVALID = 250105

_HEADER_TEXT = re.compile(r"[\t -~]*")


def pick(fields: Mapping[str, Any], names: Sequence[str]) -> tuple[str, Any]:
    """Return the parameter that may go by several `names`: the name it was given by, and its value.

    Null is as good as absent: then the first name, and None. Two different values are refused.
    """
    given = [(name, fields[name]) for name in names if fields.get(name) is not None]
    if not given:
        return names[0], None
    field, value = given[0]
    for other, second in given[1:]:
        if second != value:
            raise BadRequest(INVALID, "given_twice", field=field, other=other)
    return field, value


def required(field: str, value: Any) -> Any:
    """Return `value`, which must be there."""
    if value is None:
        raise BadRequest(MISSING, "missing", field=field)
    return value


def text(field: str, value: Any, limit: int) -> str:
    """Return `value`, which must be a string of at most `limit` characters without NUL, which no database keeps."""
    if not isinstance(value, str):
        raise BadRequest(INVALID, "not_string", field=field)
    if len(value) > limit:
        raise BadRequest(INVALID, "too_long", field=field, limit=limit)
    if "\0" in value:
        raise BadRequest(INVALID, "control_characters", field=field)
    return value


def filled(field: str, value: Any, limit: int) -> str:
    """Return `value`, which must be a string of 1 to `limit` characters."""
    if value == "":
        raise BadRequest(EMPTY, "empty", field=field)
    return text(field, value, limit)


def one_of(field: str, value: Any, known: Collection[str]) -> str:
    """Return `value`, which must be one of `known`."""
    if filled(field, value, limit=64) not in known:
        raise BadRequest(INVALID, "not_one_of", field=field, value=shown(value), known=", ".join(known))
    return str(value)


def sendable(field: str, value: Any, limit: int) -> str:
    """Return `value`, which must be able to stand in a header field: visible ASCII, spaces and tabs, not only those.

    RFC 9110 §5.5 allows no more where the receiver is to understand it.
    """
    if not text(field, value, limit).strip(" \t"):
        raise BadRequest(EMPTY, "empty", field=field)
    if not _HEADER_TEXT.fullmatch(value):
        raise BadRequest(INVALID, "header_characters", field=field)
    return str(value)
