"""A record: a frozen object that shows a JSON object of the interface."""

import re
import typing
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import cache
from typing import Any, Self, cast

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An object that the server answered with."""

    raw: Json = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, raw: Json) -> Self:
        """Return the record that `raw` shows. Raises KeyError or ValueError where it is something else."""
        values: Json = {"raw": raw}
        for attribute, name, read in _reading(cast(Any, cls)):
            if raw.get(name) is not None:
                values[attribute] = read(raw[name])
        return cls(**values)

    def __getitem__(self, name: str) -> Any:
        """Return what the answer has under `name`, as the interface calls it. Raises KeyError."""
        return self.raw[name]

    def __contains__(self, name: object) -> bool:
        return name in self.raw


@cache
def _reading(cls: type[Record]) -> tuple[tuple[str, str, Callable[[Any], Any]], ...]:
    """Return the attributes of `cls`, each with its name in the interface and what makes its value."""
    hints = typing.get_type_hints(cls)
    known = ((each.name, each.metadata.get("name") or wire_name(each.name)) for each in fields(cls))
    return tuple((attribute, name, _reader(hints[attribute])) for attribute, name in known if attribute != "raw")


def wire_name(name: str) -> str:
    """Return a name in Python's spelling as the interface spells it; one without underscores stays as it is."""
    found = re.sub(r"_(.)", lambda match: match[1].upper(), name)
    return "webHookId" if found == "webhookId" else found


def _reader(hint: Any) -> Callable[[Any], Any]:
    """Return what makes a value of the type `hint` out of JSON."""
    choices = [choice for choice in typing.get_args(hint) if choice is not type(None)]
    if typing.get_origin(hint) is tuple:
        one = _reader(choices[0])
        return lambda value: tuple(one(each) for each in value)
    if type(None) in typing.get_args(hint):
        return _reader(choices[0])
    if hint is datetime:
        return datetime.fromisoformat
    if isinstance(hint, type) and issubclass(hint, Record):
        return cast(Callable[[Any], Any], hint.of)
    return lambda value: value
