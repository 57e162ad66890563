"""`hookline log`."""

import json

import pytest
from hookline_client import Client

from tests.commands.conftest import Run, ok, one_line, parsed
from tests.receiver import Answer, Receiver

pytestmark = pytest.mark.sqlite_only


@pytest.fixture
def two(client: Client, hook: Receiver, webhook: str) -> list[str]:
    """The ids of a failed and a good log of the webhook, the newest first."""
    hook.script.append(Answer(500, body=b"broken \x1b[2J"))
    return [log.id for log in (client.test(webhook), client.test(webhook))][::-1]


def test_list_shows_the_newest_first_and_filters(run: Run, webhook: str, two: list[str]) -> None:
    assert [row["id"] for row in parsed(run("log", "list", webhook, "--json"))] == two
    assert [row["id"] for row in parsed(run("logs", webhook, "--status", "fail", "--json"))] == two[1:]
    assert [row["id"] for row in parsed(run("logs", webhook, "--limit", "1", "--json"))] == two[:1]
    assert [row["id"] for row in parsed(run("logs", webhook, "--text", "broken", "--json"))] == two[1:]
    assert parsed(run("logs", webhook, "--since", "10m", "--until", "9m", "--json")) == []
    assert [line.split()[0] for line in ok(run("logs", webhook, "--since", "1h")).splitlines()[1:]] == two


def test_list_of_all_takes_the_newest_of_all_webhooks(run: Run, client: Client, two: list[str], hook: Receiver) -> None:
    other = client.create(url=hook.url, triggers=["NODE_CREATED"], association_type="SYSTEM")
    newest = client.test(other).id
    assert [row["id"] for row in parsed(run("logs", "--all", "--limit", "3", "--json"))] == [newest, *two]
    client.delete(other)


def test_a_table_is_whole_in_a_pipe(run: Run, client: Client, webhook: str, two: list[str]) -> None:
    header, *lines = ok(run("logs", webhook, COLUMNS="40")).splitlines()
    assert header.startswith("id ")
    assert "\x1b" not in "".join(lines)
    assert all(text in lines[1] for text in (two[1], "FAIL", "500", "by hand", "the receiver answered 500"))


def test_show_shows_both_sides_with_control_characters_made_visible(run: Run, two: list[str]) -> None:
    shown = ok(run("log", "show", two[1]))
    assert "webhook-signature: v1," in shown
    assert "broken ‹U+001B›[2J" in shown
    assert json.loads(ok(run("log", "show", two[1], "--json")))["responseBody"] == "broken \x1b[2J"


def test_retry_sends_again(run: Run, two: list[str]) -> None:
    assert parsed(run("log", "retry", two[1], "--json"))["status"] == "SUCCESS"


def test_a_log_that_is_not_there_is_one_line(run: Run) -> None:
    assert "251402" in one_line(run("log", "show", "0" * 32)) or "HTTP 404" in one_line(run("log", "show", "0" * 32))


@pytest.mark.parametrize("arguments", [(), ("--all", "x"), ("--all", "--follow", "--since", "1h")])
def test_wrong_uses(run: Run, arguments: tuple[str, ...]) -> None:
    assert run("logs", *arguments).exit_code == 2


def test_a_bad_date_is_what_the_server_says(run: Run, webhook: str) -> None:
    assert "startDate must be a date" in one_line(run("logs", webhook, "--since", "yesterday"))


def test_follow_ends_with_130(run: Run, webhook: str, two: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("app.commands.log_follow.follow.__defaults__", (interrupt,))
    result = run("logs", webhook, "--follow", "--json")
    assert result.exit_code == 130
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == two[::-1]
