"""Read events from a file: a JSON object, an array of them, or NDJSON."""

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, NoReturn, TextIO

from app.errors import OperatorError

Event = dict[str, Any]


def read_events(file: TextIO, name: str) -> Iterator[Event]:
    """Yield the events of `file`, called `name` in messages; of NDJSON a line at a time, however long it is.

    Raises OperatorError, naming the line, for what is not JSON or not an object.
    """
    lines = _lines(file, name)
    first = next(((number, line) for number, line in lines if line.strip()), None)
    if first is None:
        return
    number, line = first
    if line.lstrip().startswith("{") and _is_json(line):
        yield from _read_lines(chain([first], lines), name)
    else:
        text = "\n" * (number - 1) + line + "".join(line for _, line in lines)
        yield from _read_whole(text, name)


def _lines(file: TextIO, name: str) -> Iterator[tuple[int, str]]:
    try:
        yield from enumerate(file, 1)
    except UnicodeDecodeError as error:
        raise OperatorError(f"{name}: not UTF-8 text") from error


def _read_lines(lines: Iterable[tuple[int, str]], name: str) -> Iterator[Event]:
    for number, line in lines:
        if line.strip():
            yield _event(_parse(line.rstrip(), name, number), name, f"line {number}")


def _read_whole(text: str, name: str) -> Iterator[Event]:
    found = _parse(text, name, 1)
    for index, value in enumerate(found if isinstance(found, list) else [found]):
        yield _event(value, name, f"event {index}")


def _event(value: Any, name: str, place: str) -> Event:
    if not isinstance(value, dict):
        raise OperatorError(f"{name}: {place} is not a JSON object")
    return value


def _parse(text: str, name: str, first_line: int) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise OperatorError(f"{name}: line {first_line + error.lineno - 1}: not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise OperatorError(f"{name}: not JSON: {error}") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON value")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
