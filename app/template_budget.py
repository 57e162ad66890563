"""What rendering a template may cost: steps, and the length of every text, however it is made.

A step is about 0.3 µs, so that the worst template ends within some 20 ms. Steps are counted, not time, so that what a
template gives does not depend on how busy the machine is.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from jinja2.runtime import Context, Undefined

from app.errors import HooklineError

MAX_STEPS: Final = 50_000
MAX_TEXT: Final = 256 * 1024  # characters
MAX_NUMBER: Final = 1 << 64
VARIABLE: Final = " budget"  # the variable that holds it; no template can name it

_NAMES = {bool: "a truth value", int: "a number", float: "a number", str: "a text", dict: "an object", list: "a list"}


class TemplateFault(HooklineError):
    """The template can't be rendered; the text says why."""


class Budget:
    """What is left for one rendering."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_STEPS

    def spend(self, steps: int) -> None:
        """Take so many steps. Raises TemplateFault where there are no more."""
        self.left -= steps
        if self.left < 0:
            raise TemplateFault(f"it takes more than {MAX_STEPS:,} steps")

    def text(self, value: Any) -> str:
        """Return `value` as it stands in the output: nothing for null, lists and objects as JSON."""
        kind = type(value)
        if kind is str:
            self.spend(1 + (len(value) >> 8))
            return str(value)
        if value is None or isinstance(value, Undefined):
            return ""
        if kind is bool:
            return "true" if value else "false"
        if kind is int:
            return str(number(value))
        return str(value) if kind is float else self.json(value)

    def made(self, text: str) -> str:
        """Return a text that was just made. Raises TemplateFault where it is too long."""
        self.fit(len(text))
        return text

    def fit(self, length: int) -> None:
        """Raise TemplateFault where a text of `length` would be too long; else take the steps that making it costs."""
        if length > MAX_TEXT:
            raise TemplateFault(f"a text is longer than {MAX_TEXT // 1024} KiB")
        self.spend(1 + (length >> 8))

    def json(self, value: Any) -> str:
        """Return `value` as JSON. Raises TemplateFault where that is too long or impossible."""
        self._measure(value)
        try:
            return self.made(msgspec.json.encode(value, enc_hook=_encodable).decode())
        except RecursionError as error:
            raise TemplateFault("a value is nested too deeply") from error
        except (TypeError, ValueError, OverflowError) as error:
            raise TemplateFault(f"{described(value)} is not JSON: {error}") from error

    def _measure(self, value: Any) -> None:
        """Count before anything is built: values that share their parts are small, and their JSON is not."""
        length, waiting = 0, [value]
        while waiting:
            one = waiting.pop()
            self.spend(1)
            if isinstance(one, str):
                length += len(one)
            elif isinstance(one, dict):
                self.spend(len(one))
                length += sum(len(key) for key in one if isinstance(key, str))
                waiting.extend(one.values())
            elif isinstance(one, list | tuple):
                self.spend(len(one))
                waiting.extend(one)
            if length > MAX_TEXT:
                self.fit(length)


class Counted:
    """What a loop goes over; each round takes `steps`."""

    def __init__(self, items: Sequence[Any], budget: Budget, steps: int) -> None:
        self._items = items
        self._budget = budget
        self._steps = steps

    def __len__(self) -> int:
        """Return the number of rounds."""
        return len(self._items)

    def __iter__(self) -> Iterator[Any]:
        """Yield the items, as long as there are steps."""
        for item in self._items:
            self._budget.spend(self._steps)
            yield item


def budget_of(context: Context) -> Budget:
    """Return the budget of the rendering that `context` belongs to."""
    budget: Budget = context.parent[VARIABLE]
    return budget


def number(value: Any) -> int | float:
    """Return `value`, which must be a number that is cheap to work with. Raises TemplateFault."""
    if type(value) is float or (type(value) is int and abs(value) <= MAX_NUMBER):
        return value
    raise TemplateFault("a number is too large" if type(value) is int else f"{described(value)} is not a number")


def described(value: Any) -> str:
    """Return what kind of thing `value` is, for messages."""
    if value is None or isinstance(value, Undefined):
        return "what is missing"
    return _NAMES.get(type(value), "that")


def _encodable(value: Any) -> Any:
    if isinstance(value, Undefined):
        return None
    raise TypeError("it is no value")
