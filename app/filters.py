"""Filters: conditions on an event beyond type, place and pattern, in JSON (docs/filters.md). Pure.

A condition is a literal, which the value must equal, or an object of which every entry must hold: an operator on the
value itself, or a condition on what is at a path in it. The value of the whole is what `document_of` gives.
"""

import json
import logging
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from app.errors import BadRequest
from app.event_types import Event
from app.fields import INVALID, text
from app.filter_tests import (
    ORDERS,
    Test,
    all_of,
    any_of,
    at,
    certain,
    compares,
    either_of,
    exists,
    matches,
    negated,
    one_of,
)

log = logging.getLogger(__name__)

MAX_BYTES: Final = 16_384
MAX_DEPTH: Final = 10
MAX_CONDITIONS: Final = 100
MAX_VALUES: Final = 1_000  # of $in and $nin
MAX_PATTERN: Final = 512
MAX_NUMBER: Final = 1e300

PAYLOAD: Final = "payload"
FIELDS: Final = ("type", "projectId", "repoName", "resourceKey", "userId", "source", PAYLOAD)
LOGICAL: Final = ("$and", "$or", "$not")
OPERATORS: Final = ("$eq", "$ne", "$in", "$nin", *ORDERS, "$regex", "$exists", *LOGICAL)

Payload = Mapping[str, Any] | str | None  # as an object or as its JSON; None where it could not be built

_NAME = re.compile(r"(?:[^.\\]|\\.)+", re.DOTALL)
_PATH = re.compile(rf"{_NAME.pattern}(?:\.{_NAME.pattern})*", re.DOTALL)
_SHOWN = 64  # characters of a key in a place


class Filter(NamedTuple):
    """A compiled filter. `needs_payload` is whether it looks into the payload."""

    whole: Test
    without_payload: Test
    needs_payload: bool

    def matches(self, document: Mapping[str, Any]) -> bool:
        """Return whether `document` passes, which takes time linear in its size and raises nothing.

        Where its payload could not be built, conditions on that are taken to hold: the webhook then gets the log that
        says why, and not nothing.
        """
        return self.whole(document) if PAYLOAD in document else self.without_payload(document)


def check_filter(field: str, value: Any) -> str:
    """Return the filter `value` as JSON text, "" for one without conditions.

    Raises BadRequest, which names the place in it, such as `filter.$and[1].payload.node.size.$gt`.
    """
    if not isinstance(value, dict):
        raise BadRequest(INVALID, "not_object", field=field)
    if not value:
        return ""
    _Compiler().condition(value, _Place(field))
    stored = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if len(stored.encode()) > MAX_BYTES:
        raise BadRequest(INVALID, "filter_long", field=field, limit=MAX_BYTES)
    return stored


@lru_cache(maxsize=8192)
def compile_filter(stored: str) -> Filter:
    """Return what `check_filter` gave, compiled.

    One that another version took and this one does not is logged, and lets everything pass: nothing is lost.
    """
    try:
        value = json.loads(stored)
        whole = _Compiler()
        return Filter(
            whole.condition(value, _Place("filter")),
            _Compiler().condition(value, _Place("filter", unknown=True)),
            whole.needs_payload,
        )
    except (BadRequest, ValueError) as error:
        log.error("a stored filter can't be used, and lets every event pass: %s: %s", error, stored)
        return Filter(certain(True), certain(True), needs_payload=False)


def document_of(event: Event, payload: Payload) -> dict[str, Any]:
    """Return what a filter sees of `event`: its fields, without those that are null, and the payload that receivers of
    the default format get."""
    fields = (
        *(event.type, event.project_id, event.repo_name, event.resource_key, event.user_id, event.source),
        msgspec.json.decode(payload) if isinstance(payload, str) else payload,
    )
    return {name: value for name, value in zip(FIELDS, fields, strict=True) if value is not None}


class _Place(NamedTuple):
    """Where in a filter a condition stands. `unknown` is what conditions on the payload are taken for; None where there
    is a payload."""

    text: str
    depth: int = 0
    is_top: bool = True  # no name above it
    unknown: bool | None = None

    def below(self, key: str) -> "_Place":
        """Return the place of what an object has under `key`."""
        shown = key if len(key) <= _SHOWN else f"{key[:_SHOWN]}…"
        return self._replace(text=f"{self.text}.{shown}", depth=self.depth + 1)

    def element(self, number: int) -> "_Place":
        """Return the place of an element of a list."""
        return self._replace(text=f"{self.text}[{number}]")

    def fault(self, reason: str, **params: Any) -> BadRequest:
        """Return the error to raise for what stands here."""
        return BadRequest(INVALID, reason, field=self.text, **params)


class _Compiler:
    """Makes tests of conditions, and refuses what is none."""

    def __init__(self) -> None:
        self.needs_payload = False
        self._conditions = 0

    def condition(self, meant: Any, place: _Place) -> Test:
        """Return the test of the condition `meant`. Raises BadRequest."""
        if not isinstance(meant, dict):
            if place.is_top:
                raise place.fault("not_object")
            if not _is_literal(meant):
                raise place.fault("filter_condition")
            self._count(place)
            return one_of([meant])
        if not meant:
            raise place.fault("filter_empty")
        if place.depth > MAX_DEPTH:
            raise place.fault("filter_deep", limit=MAX_DEPTH)
        has_names = not all(key.startswith("$") for key in meant)
        tests = [self._entry(key, inner, place, has_names=has_names) for key, inner in meant.items()]
        return any_of(all_of(tests)) if has_names and not place.is_top else all_of(tests)

    def _entry(self, key: str, inner: Any, place: _Place, *, has_names: bool) -> Test:
        here = place.below(key)
        if not key.startswith("$"):
            return self._part(key, inner, here)
        if key in LOGICAL:
            return self._logical(key, inner, here)
        if key not in OPERATORS:
            raise here.fault("filter_operator", known=", ".join(OPERATORS))
        if place.is_top:
            raise here.fault("filter_unnamed")
        if has_names:
            raise here.fault("filter_mixed")
        self._count(here)
        return _comparison(key, inner, here)

    def _part(self, key: str, inner: Any, here: _Place) -> Test:
        if not _PATH.fullmatch(key):
            raise here.fault("filter_path")
        path = [re.sub(r"\\(.)", r"\1", name, flags=re.DOTALL) for name in _NAME.findall(key)]
        if here.is_top and path[0] not in FIELDS:
            raise here.fault("filter_name", known=", ".join(FIELDS))
        test = at(path, self.condition(inner, here._replace(is_top=False)))
        if here.is_top and path[0] == PAYLOAD:
            self.needs_payload = True
            return test if here.unknown is None else certain(here.unknown)
        return test

    def _logical(self, key: str, inner: Any, here: _Place) -> Test:
        if key == "$not":
            opposite = None if here.unknown is None else not here.unknown
            return negated(self.condition(inner, here._replace(unknown=opposite)))
        tests = [self.condition(each, here.element(number)) for number, each in enumerate(_list(inner, here))]
        return all_of(tests) if key == "$and" else either_of(tests)

    def _count(self, here: _Place) -> None:
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise here.fault("filter_many", limit=MAX_CONDITIONS)


def _comparison(key: str, operand: Any, here: _Place) -> Test:
    if key in ("$in", "$nin"):
        values = [_literal(each, here.element(number)) for number, each in enumerate(_list(operand, here))]
        return one_of(values) if key == "$in" else negated(one_of(values))
    if key == "$exists":
        if not isinstance(operand, bool):
            raise here.fault("not_boolean")
        return exists(operand)
    if key == "$regex":
        try:
            return matches(text(here.text, operand, MAX_PATTERN))
        except ValueError as error:
            raise here.fault("pattern_refused", detail=error) from error
    value = _literal(operand, here)
    if key in ("$eq", "$ne"):
        return one_of([value]) if key == "$eq" else negated(one_of([value]))
    if value is None or isinstance(value, bool):
        raise here.fault("filter_ordered")
    return compares(key, value)


def _literal(value: Any, here: _Place) -> Any:
    if not _is_literal(value):
        raise here.fault("filter_value")
    return value


def _is_literal(value: Any) -> bool:
    return value is None or isinstance(value, str) or (isinstance(value, int | float) and abs(value) < MAX_NUMBER)


def _list(value: Any, here: _Place) -> list[Any]:
    if not isinstance(value, list):
        raise here.fault("not_list")
    if not value:
        raise here.fault("filter_empty")
    if len(value) > MAX_VALUES:
        raise here.fault("too_many", limit=MAX_VALUES)
    return value
