"""`hookline events`: shown, accepted after all, and discarded."""

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from app.ingest import WHOLE, keep_rejected, rejected_row
from app.models import Event, RejectedEvent
from app.services import Services

AT = 1_640_563_200_123  # 2021-12-27T00:00:00.123
SIGNED = {"type": "IMAGE_SIGNED", "projectId": "p", "data": {"图": "😀"}}
CLEARED = {name: None for name in os.environ if name.startswith(("HOOKLINE_", "DATABASE_", "REDIS_"))}

Run = Callable[..., Result]


@pytest.fixture
def run(services: Services, environ: dict[str, str]) -> Run:
    """Run `hookline events` in this process."""

    def run(*arguments: str, **more: str) -> Result:
        return CliRunner(env={**CLEARED, **environ, **more}).invoke(main, ["events", *arguments])

    return run


def keep(*values: object, reason: str = "type: unknown_type", place: int = 0, at: int = AT) -> list[str]:
    """Keep values, each from a message of its own, and return their ids."""
    rows = [
        rejected_row(f"m{at}-{number}", place, reason, value, now=at + number) for number, value in enumerate(values)
    ]
    keep_rejected(rows)
    return [row[0] for row in rows]


def left() -> set[str]:
    return {row.id for row in RejectedEvent.select()}


def lines(result: Result) -> list[Any]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_nothing_rejected_is_said(run: Run) -> None:
    assert run("rejected").output == "No event was rejected.\n"
    assert run("rejected", "--json").output == ""


def test_it_shows_what_was_rejected_and_why(run: Run) -> None:
    [first, second] = keep(SIGNED, {"no": "type"})
    result = run("rejected", COLUMNS="250")
    assert result.exit_code == 0
    header, newest, oldest = result.stdout.splitlines()
    assert header.split() == ["id", "received", "reason", "event"]
    assert newest.split()[:2] == [second, "2021-12-27T00:00:00.124"]
    assert [word in oldest for word in (first, "type: unknown_type", '"IMAGE_SIGNED"', "😀")] == [True] * 4
    assert result.stderr == "2 of 2 shown. Mend and accept: hookline event retry ID\n"


def test_a_table_shows_the_beginning_of_a_long_event_and_no_control_characters(run: Run) -> None:
    keep(b"\x1b[31mred\x07" + b"x" * 10_000, reason="not a Dramatiq \x1b message", place=WHOLE)
    keep("[bold]no markup[/bold]", at=AT + 10)
    result = run("rejected", COLUMNS="300")
    assert "\x1b" not in result.output
    assert "\x07" not in result.output
    assert "[bold]no markup[/bold]" in result.output
    assert "x" * 100 in result.output
    assert len(result.stdout) < 2_000


def test_an_id_is_shown_on_one_line_however_narrow_the_terminal(run: Run) -> None:
    [only] = keep(SIGNED)
    assert only in run("rejected", COLUMNS="60").stdout


def test_as_json_each_line_is_a_whole_event(run: Run) -> None:
    [first] = keep(SIGNED)
    [second] = keep(b"\xff\x00", reason="not a Dramatiq message", place=WHOLE, at=AT + 5)
    newest, oldest = lines(run("rejected", "--json", TIMEZONE="Asia/Shanghai"))
    assert newest == {
        "id": second,
        "receivedDate": "2021-12-27T08:00:00.128",
        "messageId": f"m{AT + 5}-0",
        "place": -1,
        "reason": "not a Dramatiq message",
        "event": "\\xff\ufffd",
    }
    assert (oldest["id"], json.loads(oldest["event"])) == (first, SIGNED)


def test_the_newest_are_shown_up_to_a_limit(run: Run) -> None:
    ids = keep(*[SIGNED] * 120)
    assert [row["id"] for row in lines(run("rejected", "--json"))] == ids[:19:-1]
    result = run("rejected", "--limit", "2", COLUMNS="200")
    assert result.stderr.startswith("2 of 120 shown.")
    assert len(lines(run("rejected", "--json", "--limit", "1000"))) == 120
    assert run("rejected", "--limit", "0").exit_code == 2


def test_retry_accepts_what_has_become_valid(run: Run) -> None:
    [first, second, third] = keep(SIGNED, {**SIGNED, "eventId": "mine"}, {})
    result = run("retry", first, second, third)
    assert (result.exit_code, result.stdout) == (0, "0 of 3 accepted.\n")
    result = run("retry", first, second, third, EXTRA_EVENT_TYPES="IMAGE_SIGNED")
    assert (result.exit_code, result.stdout) == (0, "2 of 3 accepted.\n")
    assert left() == {third}
    assert {event.id for event in Event.select()} == {first, "mine"}


def test_retry_takes_all_in_the_order_they_came(run: Run) -> None:
    keep(*[SIGNED] * 5)
    keep(b"[" * 5_000, reason="not a Dramatiq message", place=WHOLE, at=AT + 50)
    assert run("retry", "--all", EXTRA_EVENT_TYPES="IMAGE_SIGNED").stdout == "5 of 6 accepted.\n"
    assert (Event.select().count(), len(left())) == (5, 1)


def test_discard_deletes_for_good(run: Run) -> None:
    [first, second, third] = keep(SIGNED, SIGNED, SIGNED)
    assert run("discard", second).stdout == "1 deleted.\n"
    assert left() == {first, third}
    assert run("discard", "--all").stdout == "2 deleted.\n"
    assert run("discard", "--all").stdout == "0 deleted.\n"
    assert (left(), Event.select().count()) == (set(), 0)


@pytest.mark.parametrize("command", ["retry", "discard"])
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "give the ids of rejected events, or --all"),
        (["a", "--all"], "give the ids of rejected events, or --all"),
        (["b", "a", "known"], "there is no rejected event a, b"),
    ],
)
def test_what_is_not_clear_changes_nothing(run: Run, command: str, arguments: list[str], reason: str) -> None:
    [known] = keep(SIGNED)
    named = [known if word == "known" else word for word in arguments]
    result = run(command, *named, EXTRA_EVENT_TYPES="IMAGE_SIGNED")
    assert (result.exit_code, result.stderr) == (1, f"Error: {reason}\n")
    assert (left(), Event.select().count()) == ({known}, 0)
