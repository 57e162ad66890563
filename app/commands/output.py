"""What commands print: tables for people, JSON for programs. Results go to standard output, all else to standard error.

Texts from outside are shown with their control characters made visible: a terminal would obey them.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.shown_text import is_visible, visible

C = TypeVar("C", bound="Callable[..., Any] | click.Command")

GOOD, BAD, SO_SO = "green", "red", "yellow"
STYLES = {
    **dict.fromkeys(("SUCCESS", "SUCCEEDED", "enabled"), GOOD),
    **dict.fromkeys(("FAIL", "ERROR", "DEAD", "FAILED", "disabled", "failing", "circuit open"), BAD),
    **dict.fromkeys(("PENDING", "HELD", "WAITING", "RUNNING", "CANCELLED"), SO_SO),
}
WIDE = 100_000  # columns where no terminal bounds a line
_PERHAPS_HIDDEN = re.compile(r"[^\n -~]")


# A table's columns, by heading: what of a row is shown in each.
Columns = Mapping[str, Callable[[Any], Any]]


def json_option(command: C) -> C:
    """Give `command` the option --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, as the server gives it.")(command)


def say(text: str) -> None:
    """Tell the person at the terminal something that is not the result."""
    click.echo(visible(text), err=True)


def print_json(value: Any) -> None:
    """Print a JSON document."""
    click.echo(json_text(value, indent=2))


def print_json_line(value: Any) -> None:
    """Print JSON as one line, at once."""
    click.echo(json_text(value))
    sys.stdout.flush()


def json_text(value: Any, indent: int | None = None) -> str:
    """Return JSON whose strings hold what can be seen as it is, and the rest as escapes."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return _PERHAPS_HIDDEN.sub(lambda found: found[0] if is_visible(found[0]) else json.dumps(found[0])[1:-1], text)


def cell(value: Any) -> str:
    """Return a value as one line of text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="milliseconds")
    if isinstance(value, Mapping):
        return ", ".join(f"{cell(name)}: {cell(each)}" for name, each in value.items() if each is not None)
    if isinstance(value, list | tuple):
        return ", ".join(map(cell, value))
    return visible(" ".join(str(value).split()))


def styled_part(text: str) -> Text:
    """Return a part of a line, its blanks kept."""
    return Text(visible(text.replace("\n", " ").replace("\t", " ")), STYLES.get(text.strip(), ""))


def styled(value: Any) -> Text:
    """Return a value as text, with the colour of the state that it names, if it names one."""
    return Text(cell(value), STYLES.get(value, "") if isinstance(value, str) else "")


def styled_line(parts: Iterable[str]) -> str:
    """Return parts of a line, two blanks between, with the colours of the states that they name."""
    console = _console()
    with console.capture() as capture:
        console.print(Text("  ").join(styled_part(part) for part in parts), soft_wrap=True, end="")
    return capture.get()


def print_table(rows: Iterable[Any], columns: Columns) -> None:
    """Print a line for each row; on a terminal cut to its width, elsewhere whole."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(styled(value(row)) for value in columns.values()))
    terminal = _console()
    for line in _lines(table, _console(width=WIDE)):
        if terminal.is_terminal:
            text = Text.from_ansi(line, no_wrap=True)
            text.truncate(terminal.width, overflow="ellipsis")
            terminal.print(text)
        else:
            click.echo(line)


def print_fields(pairs: Iterable[tuple[str, Any]]) -> None:
    """Print names and values, a line each; what is None or empty is left out."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for name, value in pairs:
        if value is not None and value not in ("", (), [], {}):
            table.add_row(name, styled(value))
    terminal = _console()
    for line in _lines(table, terminal if terminal.is_terminal else _console(width=WIDE)):
        click.echo(line, color=terminal.is_terminal)


def _console(width: int | None = None) -> Console:
    return Console(markup=False, highlight=False, emoji=False, width=width)


def _lines(table: Table, console: Console) -> list[str]:
    """Return the lines of a table, without the blanks at their ends."""
    with console.capture() as capture:
        console.print(table, crop=False)
    return [line.rstrip() for line in capture.get().splitlines()]


def show_list(rows: Sequence[Any], columns: Columns, as_json: bool, nothing: str) -> None:
    """Print records as a table, or as a JSON array; `nothing` is said of an empty list."""
    if as_json:
        print_json([row.raw for row in rows])
    elif rows:
        print_table(rows, columns)
    else:
        say(nothing)
