"""What filters are made of: small functions that judge one value of a document. Pure, total, and linear in the value.

A value is JSON as Python has it, or MISSING. A list passes where one of its elements does, a list in it likewise.
"""

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from app.patterns import compile_pattern

Test = Callable[[Any], bool]

MISSING: Final = object()  # is of no type that anything is compared with

ORDERS: Final[Mapping[str, Callable[[Any, Any], bool]]] = MappingProxyType(
    {"$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le}
)
_NUMBERS = (int, float)  # bool is a type of its own here, as it is in JSON


def one_of(values: Iterable[Any]) -> Test:
    """Hold where the value is one of `values`, which are strings, numbers, booleans and None."""
    by_type: dict[type, set[Any]] = {}
    for value in values:
        for kind in _NUMBERS if type(value) in _NUMBERS else (type(value),):
            by_type.setdefault(kind, set()).add(value)
    # Not an empty set: that would hash an object, which can't be.
    return any_of(lambda value: value in by_type.get(type(value), ()))


def compares(order: str, limit: float | str) -> Test:
    """Hold where the value is a number, or a string, as `limit` is, and stands in that order to it."""
    kinds, ordered = (str,) if isinstance(limit, str) else _NUMBERS, ORDERS[order]
    return any_of(lambda value: type(value) in kinds and ordered(value, limit))


def matches(pattern: str) -> Test:
    """Hold where the value is a string that `pattern` matches somewhere. Raises ValueError for what is no pattern."""
    search = compile_pattern(pattern).search
    return any_of(lambda value: type(value) is str and search(value.encode("utf-8", "surrogatepass")) is not None)


def exists(wanted: bool) -> Test:
    """Hold where there is a value, null included; or where there is none."""
    return lambda value: (value is not MISSING) is wanted


def negated(test: Test) -> Test:
    """Hold where `test` does not: of a list, where no element passes it."""
    return lambda value: not test(value)


def certain(verdict: bool) -> Test:
    """Hold always, or never."""
    return lambda value: verdict


def all_of(tests: Sequence[Test]) -> Test:
    """Hold where all `tests` do."""
    if len(tests) == 1:
        return tests[0]

    def judged(value: Any) -> bool:
        for test in tests:  # noqa: SIM110  # a loop costs half of what all() over a generator does
            if not test(value):
                return False
        return True

    return judged


def either_of(tests: Sequence[Test]) -> Test:
    """Hold where one of `tests` does."""
    return lambda value: any(test(value) for test in tests)


def any_of(test: Test) -> Test:
    """Hold where `test` does, of a list where it does of one of the elements."""

    def judged(value: Any) -> bool:
        return any(map(judged, value)) if type(value) is list else test(value)

    return judged


def at(path: Sequence[str], test: Test) -> Test:
    """Hold where `test` does of what is at `path` in the value: of a list of all that is there, where lists are passed
    on the way."""

    def judged(value: Any) -> bool:
        here = value
        for name in path:
            if type(here) is not dict:
                return test(_spread(value, path))
            here = here.get(name, MISSING)
        return test(here)

    return judged


def _spread(value: Any, path: Sequence[str]) -> Any:
    found = [value]
    for name in path:
        found = [each[name] for each in _opened(found) if type(each) is dict and name in each]
    return found or MISSING


def _opened(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if type(value) is list:
            yield from _opened(value)
        else:
            yield value
