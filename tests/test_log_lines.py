"""The wide lines: an attempt's and an ingestion's."""

import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.attempts import Due, Policy, judge, unbuildable
from app.exchange import Outcome, Request
from app.log_lines import AttemptLine, IngestionLine, attempted
from config.logs import Lines

pytestmark = pytest.mark.sqlite_only

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
NOW = 1_700_000_000_000
DUE = Due("d", "w", "e", 2, "NODE_CREATED", "{}", None, accepted_at=NOW - 70, traceparent=TRACEPARENT)
REQUEST = Request("https://me:pw@receiver.example:8443/hook/T0KEN?token=t", {"X-TOKEN": "t"}, b"{}", 1_000)


def lines(caplog: pytest.LogCaptureFixture, kind: str) -> list[dict[str, Any]]:
    """Return the lines of a kind as JSON has them."""
    records = [each for each in caplog.records if isinstance(each, Lines) and each.msg == kind]
    return [msgspec.to_builtins(line) for each in records for line in each.lines]


def outcome(status: int | None, error: str | None = None) -> Outcome:
    return Outcome(status, {}, b"", error, NOW, 12)


def test_an_attempts_line_says_all_about_it_and_nothing_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    policy = Policy((1_000,) * 5, 1_000)
    attempted([judge(DUE, REQUEST, outcome(*each), policy, now=NOW) for each in ((204,), (500,), (None, "DNS: no"))])
    taken, failed, lost = lines(caplog, "attempt")
    common = {"traceId": TRACE, "webhook": "w", "event": "e", "delivery": "d", "attempt": 3, "type": "NODE_CREATED"}
    times = {"host": "receiver.example:8443", "durationMs": 12, "queueMs": 70}
    following = {"nextAttemptTime": "2023-11-14T22:13:21.012Z"}
    assert taken == common | times | {"status": "SUCCESS", "responseStatus": 204}
    assert failed == common | times | following | {
        **{"status": "FAIL", "responseStatus": 500, "reason": "answered_5xx", "error": "the receiver answered 500"}
    }
    assert lost == common | times | following | {"status": "FAIL", "reason": "dns", "error": "DNS: no"}


def test_the_line_of_a_payload_that_could_not_be_built_says_why(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    attempted([unbuildable(DUE._replace(error="no dstFullPath"), REQUEST.url, NOW, attempt=0)])
    [line] = lines(caplog, "attempt")
    assert (line["attempt"], line["status"], line["reason"]) == (0, "ERROR", "payload")
    assert line["error"] == "the payload could not be built: no dstFullPath"


def test_above_info_no_lines_are_made(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    attempted([unbuildable(DUE, REQUEST.url, NOW, attempt=0)])
    assert caplog.records == []


@pytest.mark.parametrize("line", [AttemptLine, IngestionLine])
def test_every_field_is_explained(line: type[msgspec.Struct]) -> None:
    text = (Path(__file__).parents[1] / "docs" / "tracing.md").read_text()
    assert [name for field in msgspec.structs.fields(line) if f"| `{(name := field.encode_name)}` |" not in text] == []
