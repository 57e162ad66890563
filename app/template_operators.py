"""What expressions of payload templates do, each bounded: see app.template_budget. The sandbox puts these in place of
Jinja's own operators, under names of filters that no template can write."""

import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from app.template_budget import Budget, Counted, TemplateFault, described, number
from app.template_filters import Filter, missing

CONCAT: Final = " concat"
COMPARE: Final = " compare"
SLICE: Final = " slice"
EACH: Final = " each"

_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gteq": operator.ge,
    "lt": operator.lt,
    "lteq": operator.le,
}
_SUMS: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}


def arithmetic(budget: Budget, sign: str, left: Any, right: Any) -> Any:
    """Return the sum and so on of two numbers, or of two texts for `+`. Raises TemplateFault."""
    budget.spend(1)
    if sign == "+" and isinstance(left, str) and isinstance(right, str):
        return _concat(budget, left, right)
    return _SUMS[sign](number(left), number(right))


def _concat(budget: Budget, value: Any, *others: Any) -> str:
    parts = [budget.text(one) for one in (value, *others)]
    budget.fit(sum(map(len, parts)))
    return "".join(parts)


def _compare(budget: Budget, value: Any, *rest: Any) -> bool:
    """Return whether each comparison of a chain holds; `rest` is operator, operand, operator, operand and so on."""
    for sign, other in zip(rest[::2], rest[1::2], strict=True):
        if not _holds(budget, sign, value, other):
            return False
        value = other
    return True


def _holds(budget: Budget, sign: str, left: Any, right: Any) -> bool:
    if sign in ("in", "notin"):
        return _contains(budget, right, left) == (sign == "in")
    left, right = (None if missing(one) else one for one in (left, right))
    if sign in ("eq", "ne"):
        return _equal(budget, left, right) == (sign == "eq")
    if left is None or right is None:
        return False
    if type(left) is str and type(right) is str:
        budget.spend(1 + (len(left) >> 8))
        return _ORDERS[sign](left, right)
    return _ORDERS[sign](number(left), number(right))


def _equal(budget: Budget, left: Any, right: Any) -> bool:
    if _is_container(left) and _is_container(right):
        # Values that share their parts are small, and comparing them is not.
        if left and right:
            raise TemplateFault(f"{described(left)} can't be compared with {described(right)}")
        return not left and not right and isinstance(left, dict) == isinstance(right, dict)
    if type(left) is str:
        budget.spend(len(left) >> 8)
    return bool(left == right)


def _contains(budget: Budget, whole: Any, part: Any) -> bool:
    if missing(whole):
        return False
    if _is_container(part) or not (_is_container(whole) or isinstance(whole, str)):
        raise TemplateFault(f"there is no looking for {described(part)} in {described(whole)}")
    budget.spend(len(whole) >> 5)
    if isinstance(whole, str):
        return isinstance(part, str) and part in whole
    return part in whole


def _slice(budget: Budget, value: Any, *bounds: Any) -> Any:
    if missing(value):
        return ""
    if not isinstance(value, str | list | tuple):
        raise TemplateFault(f"{described(value)} has no parts in an order")
    budget.spend(1 + (len(value) >> 6))
    return value[slice(*(None if missing(bound) else int(number(bound)) for bound in bounds))]


def _each(budget: Budget, value: Any, steps: int) -> Counted:
    """Return what a loop over `value` goes over; of an object, its keys."""
    if missing(value):
        value = ()
    if not _is_container(value):
        raise TemplateFault(f"there is no going over {described(value)}")
    budget.spend(1 + (len(value) >> 4))
    return Counted(list(value), budget, steps)


def _is_container(value: Any) -> bool:
    return isinstance(value, dict | list | tuple)


OPERATORS: Final[Mapping[str, Filter]] = MappingProxyType(
    {CONCAT: _concat, COMPARE: _compare, SLICE: _slice, EACH: _each}
)
