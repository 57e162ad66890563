"""What a process writes to its log: whole lines, valid whatever they are about, and without secrets."""

import io
import json
import logging
from typing import Any

import msgspec
import pytest

from config.log_fields import Secrets, shown
from config.logs import LineHandler, Lines, _chunks
from config.settings import load_settings

pytestmark = pytest.mark.sqlite_only

HOSTILE = 'a\nb\r\0\x1b[31m\u2028\ud800 "{}" 路\x7f'


class Stream(io.TextIOWrapper):
    """A standard error that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="ascii", errors="strict")

    def taken(self) -> bytes:
        """Return what came."""
        kept = self.buffer
        assert isinstance(kept, io.BytesIO)
        return kept.getvalue()


class Line(msgspec.Struct):
    name: str
    number: int = 1


def record(text: str, *arguments: Any, name: str = "app.x", **more: Any) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"name": name, "msg": text, "args": arguments, "levelno": 20, "levelname": "INFO", "created": 1.5} | more
    )


def written(*records: logging.LogRecord, as_json: bool = True) -> bytes:
    stream = Stream()
    handler = LineHandler(stream, as_json, "worker")
    for each in records:
        handler.handle(each)
    return stream.taken()


def objects(*records: logging.LogRecord) -> list[dict[str, Any]]:
    data = written(*records)
    assert data.endswith(b"\n")
    return [json.loads(line) for line in data.decode("utf-8").split("\n")[:-1]]


def test_a_record_is_an_object_with_what_its_text_names_as_fields() -> None:
    traced = record("webhook=%s has failed=%d of %s, 100%%, left=%r", "w", 3, "all", None, trace_id="t")
    [line] = objects(traced)
    pid = line.pop("pid")
    assert isinstance(pid, int)
    assert line == {
        "time": "1970-01-01T00:00:01.500Z",
        "level": "INFO",
        "logger": "app.x",
        "message": "webhook=w has failed=3 of all, 100%, left=None",
        "role": "worker",
        "traceId": "t",
        "webhook": "w",
        "failed": 3,
        "left": None,
    }


def test_names_in_a_text_do_not_take_the_place_of_what_every_line_has() -> None:
    [line] = objects(record("time=%s pid=%s level=%s", "x", "y", "z"))
    assert (line["time"], line["level"]) == ("1970-01-01T00:00:01.500Z", "INFO")
    assert line["pid"] != "y"


@pytest.mark.parametrize("value", [HOSTILE, ValueError(HOSTILE), {"a": HOSTILE}])
def test_hostile_text_is_one_line_of_valid_json(value: object) -> None:
    [line] = objects(record("event=%s", value))
    assert line["event"] == str(value).encode("utf-8", "replace").decode()


def test_an_exception_is_one_field() -> None:
    try:
        raise ValueError(HOSTILE)
    except ValueError as error:
        raised = error
    [line] = objects(record("failed", exc_info=(ValueError, raised, raised.__traceback__), stack_info="Stack:\n1"))
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert line["stack"] == "Stack:\n1"


def test_a_record_that_can_not_be_shown_is_named() -> None:
    class Silent:
        def __str__(self) -> str:
            raise RuntimeError

    missing, silent = objects(record("%s %s", "one"), record("%s", Silent()))
    assert missing["message"] == "a record of app.x can't be shown: TypeError"
    assert silent["message"] == "a record of app.x can't be shown: RuntimeError"


def test_a_stream_that_is_gone_stops_nobody() -> None:
    stream = Stream()
    handler = LineHandler(stream, True, "worker")
    stream.close()
    handler.handle(record("x"))


def test_a_record_of_many_lines_is_an_object_a_line_each_with_what_every_line_has() -> None:
    many = Lines("app.x", logging.INFO, "attempt", [Line('b\n{"'), Line(HOSTILE), Line("c")])
    lines = objects(many)
    assert [line["name"] for line in lines] == ['b\n{"', HOSTILE.encode("utf-8", "replace").decode(), "c"]
    assert {(line["message"], line["role"], line["level"]) for line in lines} == {("attempt", "worker", "INFO")}
    assert many.getMessage().count("\n") == 2


def test_text_for_people_has_no_control_characters() -> None:
    many = Lines("app.x", logging.INFO, "attempt", [Line(HOSTILE), Line("c d", 2)])
    text = written(record("event=%s", HOSTILE, trace_id="t"), many, as_json=False).decode()
    first, second, third = text.splitlines()
    assert first.startswith(r"1970-01-01T00:00:01.500Z INFO app.x event=a\nb\r\x00\x1b[31m")
    assert first.endswith(" traceId=t")
    assert " INFO app.x attempt name=" in second
    assert third.endswith(" INFO app.x attempt name='c d' number=2")
    assert shown(first) == first


def test_an_exception_for_people_keeps_its_lines() -> None:
    raised = ValueError("a\x1bb")
    text = written(record("failed", exc_info=(ValueError, raised, None)), as_json=False).decode()
    assert text == "1970-01-01T00:00:01.500Z INFO app.x failed\nValueError: a\\x1bb\n"


def test_secrets_of_the_settings_and_of_urls_are_masked_wherever_they_stand() -> None:
    secrets = Secrets(
        load_settings(
            {
                "DATABASE_URL": "postgresql://u:p%40ss-one@h/n?sslpassword=pass-two",
                "REDIS_URL": "redis://:pass/three@h:1/0",
                "HOOKLINE_SECRET_KEY": "key-four,key-five",
                "HOOKLINE_ADMIN_PASSWORD": "pass-six",
                "OUTBOUND_PROXY": "http://u:pass-seven@h:1",
                "METRICS_TOKEN": "token-eight",
            }
        )
    )
    known = ("p%40ss-one", "p@ss-one", "pass-two", "pass/three", "key-four", "key-five", "pass-six", "pass-seven")
    for secret in (*known, "token-eight"):
        assert secrets.masked(f"<{secret}>") == "<****>"
    assert secrets.masked("GET https://me:pw@h/p?token=t#x 'http://h/?a' ok?") == (
        "GET https://****@h/p?**** 'http://h/?****' ok?"
    )


def test_what_is_written_to_a_pipe_is_cut_where_lines_end() -> None:
    data = b"".join(b"x" * size + b"\n" for size in (1, 5, 30, 2, 3))
    pieces = list(_chunks(data, 10))
    assert b"".join(pieces) == data
    assert [len(piece) for piece in pieces] == [8, 31, 7]


def test_the_exporter_of_traces_complains_once_a_minute() -> None:
    handler = LineHandler(Stream(), True, "worker")
    said = [record("x", name="opentelemetry.exporter", created=second) for second in (0.0, 1.0, 59.0, 61.0)]
    assert [bool(handler.filter(each)) for each in said] == [True, False, False, True]
    assert handler.filter(record("x", created=0.0))
    assert handler.filter(record("x", created=0.0))
