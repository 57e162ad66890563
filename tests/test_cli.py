"""The command line: what it does in the database, over HTTP and on the terminal, and how it fails."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import click
import pytest
import requests
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet
from hookline_client import Retry

from app import models
from app.accounts import password_fits
from app.cli import main
from app.commands.event_file import read_events
from app.errors import OperatorError
from app.models import AccessKey, Grant, User
from app.signing import new_secret, sign, signing_key

EVENT = {"type": "NODE_CREATED", "projectId": "p", "repoName": "r", "resourceKey": "/a", "userId": "u"}
CLEARED = {name: None for name in os.environ if name.startswith("HOOKLINE_")}

Run = Callable[..., Result]
KEY = Fernet.generate_key().decode()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Run `hookline` in this process with a data directory of its own."""

    def run(*arguments: str, stdin: str = "", **environ: str) -> Result:
        env = {**CLEARED, "HOOKLINE_DATA": str(tmp_path / "data"), **environ}
        return CliRunner(env=env).invoke(main, arguments, input=stdin)

    yield run
    if models.database.obj is not None:
        models.database.close()


def one_line(result: Result) -> str:
    """Return what a failed command printed: one line, no traceback."""
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("Error: ").strip()


# --- the whole


def test_it_shows_its_version(run: Run) -> None:
    assert run("--version").output == "hookline 0.1.0\n"


def test_its_help_names_every_command_and_those_registered_elsewhere(run: Run) -> None:
    text = run("--help").output
    for name in ("demo", "key", "listen", "migrate", "publish", "serve", "user"):
        assert f"\n  {name} " in text


def test_a_registered_command_takes_the_data_directory(run: Run) -> None:
    result = run("serve", "--help")
    assert result.exit_code == 0
    assert "--data DIR" in result.output
    assert "--port" in result.output


def test_an_unknown_command_is_a_usage_error(run: Run) -> None:
    result = run("nonsense")
    assert result.exit_code == 2
    assert "No such command 'nonsense'" in result.stderr


def test_a_bad_setting_is_one_line_that_names_it(run: Run) -> None:
    assert one_line(run("migrate", PORT="banana")).startswith("PORT='banana' is not usable")


def test_data_given_as_an_option_wins_over_the_environment(run: Run, tmp_path: Path) -> None:
    assert run("migrate", "--data", str(tmp_path / "other")).exit_code == 0
    assert (tmp_path / "other" / "hookline.db").exists()
    assert not (tmp_path / "data").exists()


def test_a_data_directory_that_is_a_file_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert str(tmp_path / "file") in one_line(run("migrate", HOOKLINE_DATA=str(tmp_path / "file")))


def test_a_database_that_is_something_else_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("this is no database at all, but it is long enough to look at" * 20)
    assert "x.db" in one_line(run("migrate", DATABASE_URL=f"sqlite:///{tmp_path / 'x.db'}", HOOKLINE_SECRET_KEY=KEY))


# --- migrate, user, key


def test_migrate_says_what_it_applied_and_then_nothing(run: Run) -> None:
    assert run("migrate").output.startswith("Applied 0001")
    assert run("migrate").output == "The database is up to date.\n"


@pytest.mark.parametrize(("options", "admin"), [((), False), (("--admin",), True)])
def test_user_create_makes_a_user_with_the_password(run: Run, options: tuple[str, ...], admin: bool) -> None:
    result = run("user", "create", "amy", "--password-stdin", *options, stdin="pass word\n")
    assert result.exit_code == 0, result.output
    user = User.get_by_id("amy")
    assert user.admin is admin
    assert password_fits("pass word", user.password_hash)


def test_user_create_refuses_a_name_that_exists(run: Run) -> None:
    run("user", "create", "amy", "--password-stdin", stdin="x\n")
    assert "amy" in one_line(run("user", "create", "amy", "--password-stdin", stdin="x\n"))


def test_user_create_refuses_an_empty_password(run: Run) -> None:
    assert one_line(run("user", "create", "amy", "--password-stdin", stdin="\n")) == "the password is empty"


def test_user_create_without_a_terminal_says_how_to_give_the_password(run: Run) -> None:
    assert "--password-stdin" in one_line(run("user", "create", "amy"))


@pytest.mark.parametrize(("place", "row"), [("p", ("amy", "p", "")), ("p:r", ("amy", "p", "r"))])
def test_user_grant_gives_a_project_or_a_repository(run: Run, place: str, row: tuple[str, str, str]) -> None:
    run("user", "create", "amy", "--password-stdin", stdin="x\n")
    assert run("user", "grant", "amy", place).exit_code == 0
    assert list(Grant.select(Grant.user_id, Grant.project_id, Grant.repo_name).tuples()) == [row]


def test_user_grant_refuses_an_unknown_user(run: Run) -> None:
    assert "nobody" in one_line(run("user", "grant", "nobody", "p"))


def test_key_create_prints_the_pair_once(run: Run) -> None:
    result = run("key", "create", "build", "--scope", "event:publish")
    assert result.exit_code == 0
    lines = dict(line.split(": ") for line in result.stdout.splitlines())
    key = AccessKey.get()
    assert lines["Access key"] == key.access_key
    assert json.loads(key.scopes) == ["event:publish"]
    assert lines["Secret key"] not in {key.secret_hash, key.access_key}


def test_key_create_refuses_an_unknown_scope(run: Run) -> None:
    assert "everything" in one_line(run("key", "create", "build", "--scope", "everything"))


# --- publish


class Intake(HTTPServer):
    """Takes events: answers `statuses` in turn, then 202; a known eventId counts as a duplicate."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), IntakeHandler)
        self.statuses: list[int] = []
        self.batches: list[list[dict[str, Any]]] = []
        self.authorizations: list[tuple[str | None, str | None]] = []
        self.known: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class IntakeHandler(BaseHTTPRequestHandler):
    server: Intake

    def do_POST(self) -> None:
        events = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.batches.append(events)
        self.server.authorizations.append((self.headers["Authorization"], self.headers["X-BKREPO-UID"]))
        status = self.server.statuses.pop(0) if self.server.statuses else 202
        new = [event["eventId"] for event in events if event["eventId"] not in self.server.known]
        self.server.known.update(new)
        data = {"accepted": len(new), "duplicates": len(events) - len(new), "matched": 2 * len(new), "eventIds": []}
        answer = {"code": 0 if status == 202 else 250102, "message": "no", "data": data, "traceId": "t"}
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def intake() -> Iterator[Intake]:
    with Intake() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def publish(run: Run, intake: Intake) -> Run:
    def publish(*arguments: str, stdin: str = "", **environ: str) -> Result:
        given = {"HOOKLINE_SERVER": intake.url, "HOOKLINE_USER": "u", "HOOKLINE_PASSWORD": "p", **environ}
        return run("publish", *arguments, stdin=stdin, **given)

    return publish


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(EVENT),
        json.dumps(EVENT, indent=2),
        json.dumps([EVENT, EVENT]),
        f"\n{json.dumps(EVENT)}\n\n{json.dumps(EVENT)}\n",
        f"\n[\n{json.dumps(EVENT)},\n{json.dumps(EVENT)}]",
    ],
)
def test_publish_takes_an_object_an_array_and_ndjson(publish: Run, intake: Intake, text: str) -> None:
    result = publish("-", stdin=text)
    count = text.count("NODE_CREATED")
    assert result.stdout == f"accepted {count}, duplicates 0, matched {2 * count}\n"
    assert [{**event, "eventId": 0} for event in intake.batches[0]] == [{**EVENT, "eventId": 0}] * count


def test_publish_reads_a_file_and_sends_batches_of_500(publish: Run, intake: Intake, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text("".join(json.dumps(EVENT) + "\n" for _ in range(1_001)))
    assert publish(str(file)).stdout == "accepted 1001, duplicates 0, matched 2002\n"
    assert [len(batch) for batch in intake.batches] == [500, 500, 1]


def test_publish_of_nothing_calls_nobody(publish: Run, intake: Intake) -> None:
    assert publish("-", stdin="\n").stdout == "accepted 0, duplicates 0, matched 0\n"
    assert intake.batches == []


def test_publish_keeps_event_ids_and_counts_duplicates(publish: Run) -> None:
    events = json.dumps([{**EVENT, "eventId": "e1"}])
    publish("-", stdin=events)
    assert publish("-", stdin=events).stdout == "accepted 0, duplicates 1, matched 0\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1}\n{"a": \n', "standard input: line 2: not JSON"),
        ('[\n{"a": 1},\n{"a" 1}\n]', "standard input: line 3: not JSON"),
        ("\nhello", "standard input: line 2: not JSON"),
        ("[1]", "standard input: event 0 is not a JSON object"),
        ('{"a": 1}\n[]', "standard input: line 2 is not a JSON object"),
        ('{"a": NaN}', "standard input: not JSON: NaN is not a JSON value"),
        ("[" * 100_000, "standard input: not JSON"),
    ],
)
def test_publish_says_where_a_file_is_wrong(publish: Run, text: str, reason: str) -> None:
    assert reason in one_line(publish("-", stdin=text))


def test_publish_says_that_a_file_is_not_text(publish: Run, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xff\xfe")
    assert one_line(publish(str(tmp_path / "x"))).endswith("not UTF-8 text")


def test_publish_says_that_a_file_is_missing(publish: Run) -> None:
    assert one_line(publish("no/such.json")) == "no/such.json: No such file or directory"


def test_publish_without_credentials_says_what_to_set(run: Run) -> None:
    assert "HOOKLINE_ACCESS_KEY" in one_line(run("publish", "-", stdin=json.dumps(EVENT)))


def test_publish_takes_the_password_from_standard_input(publish: Run, intake: Intake, tmp_path: Path) -> None:
    (tmp_path / "x").write_text(json.dumps(EVENT))
    publish(str(tmp_path / "x"), "--user", "amy", "--password-stdin", stdin="secret\n")
    assert intake.authorizations == [("Basic YW15OnNlY3JldA==", None)]


def test_publish_takes_an_access_key_and_names_the_user(publish: Run, intake: Intake) -> None:
    publish("-", stdin=json.dumps(EVENT), HOOKLINE_ACCESS_KEY="ak", HOOKLINE_ACCESS_SECRET="sk")
    assert intake.authorizations == [("Platform YWs6c2s=", "u")]


def test_publish_refuses_two_uses_of_standard_input(publish: Run) -> None:
    assert "standard input" in one_line(publish("-", "--password-stdin"))


def test_publish_says_what_the_server_refused(publish: Run, intake: Intake) -> None:
    intake.statuses = [403]
    assert one_line(publish("-", stdin=json.dumps(EVENT))) == "0 events were taken, then: HTTP 403: no (250102)"
    assert len(intake.batches) == 1


def test_a_server_that_is_away_is_tried_again_and_then_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.commands.publish.RETRY", Retry(tries=1))
    result = run(
        "publish", "-", stdin=json.dumps(EVENT),
        HOOKLINE_SERVER="http://127.0.0.1:1", HOOKLINE_USER="u", HOOKLINE_PASSWORD="p",
    )  # fmt: skip
    assert one_line(result).endswith("http://127.0.0.1:1 can't be reached: nothing listens there")


def test_a_batch_is_repeated_while_the_server_is_busy(
    publish: Run, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.commands.publish.RETRY", Retry(first_pause_s=0.001))
    intake.statuses = [503, 429]
    assert publish("-", stdin=json.dumps(EVENT)).exit_code == 0
    assert len(intake.batches) == 3
    assert len({event["eventId"] for sent in intake.batches for event in sent}) == 1


def test_ndjson_is_read_a_line_at_a_time(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_text('{"a": 1}\n{"a": 2}\nnot json\n')
    with file.open() as lines:
        events = read_events(lines, "x")
        assert [next(events), next(events)] == [{"a": 1}, {"a": 2}]
        with pytest.raises(OperatorError, match="x: line 3"):
            next(events)


# --- listen, and what a terminal sees


def hookline(*arguments: str, **options: Any) -> "subprocess.Popen[str]":
    """Start `hookline` as a process."""
    command = [sys.executable, "-m", "app.cli", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, **{"stdout": pipe, "stderr": pipe, "text": True, **options})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_listen_verifies_and_prints_what_arrives_until_it_is_interrupted() -> None:
    port, secret = free_port(), new_secret()
    environ = {**os.environ, "HOOKLINE_SIGNING_SECRET": f"{new_secret()} {secret}"}
    with hookline("listen", "--port", str(port), "--verbose", env=environ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == f"Listening on http://127.0.0.1:{port}\n"
        now, body = int(time.time()), b'{"a": "\\u001b"}'
        headers = {"webhook-id": "m", "webhook-timestamp": str(now), "X-BKREPO-EVENT": "NODE\x1b[2J"}
        headers["webhook-signature"] = sign(signing_key(secret), "m", now, body)
        assert requests.post(f"http://127.0.0.1:{port}", body, headers=headers, timeout=5).status_code == 200
        assert requests.post(f"http://127.0.0.1:{port}", b"\x1b", timeout=5).status_code == 401
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=10)
    assert process.returncode == 130
    assert errors == ""
    verified, *payload, refused, text = output.splitlines()
    assert verified.endswith(f"verified NODE?[2J m {len(body)} bytes")
    assert json.loads("".join(payload)) == {"a": "\x1b"}
    assert refused.endswith("REFUSED the header webhook-id is missing - - 1 bytes")
    assert text == "?"


@pytest.mark.parametrize("secret", ["whsec_?", "not base64!"])
def test_listen_refuses_a_secret_that_is_none(run: Run, secret: str) -> None:
    assert "whsec_" in one_line(run("listen", "--port", "9000", "--secret", secret))


def test_listen_on_a_taken_port_is_one_line(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        reason = one_line(run("listen", "--port", str(port), "--secret", new_secret()))
    assert reason == f"can't listen on 127.0.0.1:{port}: Address already in use"


def test_a_reader_that_goes_away_gets_no_traceback() -> None:
    with hookline("--help") as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        errors = process.stderr.read()
    assert "Traceback" not in errors


def test_user_create_asks_twice_on_a_terminal(tmp_path: Path) -> None:
    terminal, side = pty.openpty()
    environ = {**os.environ, "HOOKLINE_DATA": str(tmp_path)}
    with hookline("user", "create", "amy", stdin=side, stdout=side, stderr=side, env=environ) as process:
        os.close(side)
        seen = read_until(terminal, b"Password: ")
        os.write(terminal, b"first\n")
        seen += read_until(terminal, b"confirmation: ")
        os.write(terminal, b"first\n")
        seen += read_until(terminal, b"Made user amy.")
    os.close(terminal)
    assert process.returncode == 0
    assert b"first" not in seen


def read_until(terminal: int, text: bytes) -> bytes:
    seen = b""
    while text not in seen:
        seen += os.read(terminal, 1024)
    return seen


def test_an_interrupt_at_the_prompt_ends_with_130(tmp_path: Path) -> None:
    terminal, side = pty.openpty()
    environ = {**os.environ, "HOOKLINE_DATA": str(tmp_path)}
    with hookline("user", "create", "amy", stdin=side, stdout=side, stderr=side, env=environ) as process:
        os.close(side)
        read_until(terminal, b"Password: ")
        process.send_signal(signal.SIGINT)
        process.wait(10)
    os.close(terminal)
    assert process.returncode == 130
    assert not (tmp_path / "hookline.db").exists()


def test_every_command_explains_itself(run: Run) -> None:
    def names(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for name in group.list_commands(click.Context(group)):
            command = group.get_command(click.Context(group), name)
            yield (*path, name)
            if isinstance(command, click.Group):
                yield from names(command, (*path, name))

    for path in names(main, ()):
        result = run(*path, "--help")
        assert result.exit_code == 0, result.output
        assert result.output.splitlines()[2].strip()
