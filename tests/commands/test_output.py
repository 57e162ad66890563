"""What is printed, for people and for programs."""

import json
import os
import pty
import subprocess
import sys

import pytest

from app.commands.output import cell, json_text

pytestmark = pytest.mark.sqlite_only

PROGRAM = """
from app.commands.output import print_fields, print_table
print_table([{"id": "a" * 32, "state": "DEAD", "url": "http://x/" + "y" * 200}], {
    "id": lambda row: row["id"], "state": lambda row: row["state"], "url": lambda row: row["url"]})
print_fields([("name", "value"), ("none", None)])
"""


def test_json_is_read_back_as_it_was_and_shows_what_can_be_seen() -> None:
    value = {"a": "图 😀", "b": "\x1b[2J\x9b\u202e\ud800\U000e0001", "c": [1, None]}
    text = json_text(value)
    assert json.loads(text) == value
    assert "图 😀" in text
    assert text.isprintable()
    assert json.loads(json_text(value, indent=2)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "yes"),
        (False, "no"),
        (5, "5"),
        ("a\n\tb\x1b", "a b‹U+001B›"),
        (("a", "b"), "a, b"),
        ({"X": "1"}, "X: 1"),
    ],
)
def test_a_value_is_one_line(value: object, text: str) -> None:
    assert cell(value) == text


def shown_on_terminal(**environ: str) -> str:
    terminal, side = pty.openpty()
    env = {"PATH": os.environ["PATH"], "COLUMNS": "60", "TERM": "xterm-256color", **environ}
    subprocess.run([sys.executable, "-c", PROGRAM], stdout=side, env=env, check=True, timeout=30)
    os.close(side)
    text = os.read(terminal, 10_000).decode()
    os.close(terminal)
    return text


def test_a_terminal_gets_colours_and_lines_cut_to_its_width() -> None:
    text = shown_on_terminal()
    assert "\x1b[31mDEAD" in text
    assert "…" in text
    assert "y" * 30 not in text
    assert "\x1b" not in shown_on_terminal(NO_COLOR="1").replace("\x1b[1m", "").replace("\x1b[0m", "")


def test_a_pipe_gets_plain_whole_lines() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=30)
    header, row, fields = done.stdout.splitlines()
    assert header.split() == ["id", "state", "url"]
    assert row.endswith("y" * 200)
    assert fields.split() == ["name", "value"]
    assert "\x1b" not in done.stdout
