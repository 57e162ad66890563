"""The trace of a call: in its answer, in its log lines, and kept with what it publishes."""

import logging

import pytest

from app.models import Event
from tests.api.conftest import Api
from tests.test_log_lines import TRACE, TRACEPARENT, lines

GOOD = {"type": "NODE_CREATED", "projectId": "p", "repoName": "r", "resourceKey": "/a", "userId": "u"}


def test_an_ingestions_line_and_what_is_kept_name_the_trace_of_the_call(
    admin: Api, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    other = f"00-{'a' * 32}-{'b' * 16}-00"
    given = [GOOD, GOOD | {"eventId": "own", "traceparent": other}, GOOD | {"eventId": "bad", "traceparent": [7]}]
    answers = [admin("POST", "/event/publish", given, headers={"traceparent": TRACEPARENT}) for _ in range(2)]
    first, again = lines(caplog, "ingestion")
    assert {answer.json["traceId"] for answer in answers} == {TRACE}
    assert first.pop("durationMs") > 0
    counts = {"events": 3, "accepted": 3, "duplicates": 0, "matched": 0}
    assert first == {"traceId": TRACE, "source": "http", "user": "root"} | counts
    assert (again["accepted"], again["duplicates"]) == (1, 2)
    kept = {row.id: row.traceparent for row in Event.select()}
    assert kept.pop("own") == other
    assert set(kept.values()) == {TRACEPARENT}


def test_an_event_over_http_without_a_trace_is_given_that_of_its_answer(admin: Api) -> None:
    answer = admin("POST", "/event/publish", GOOD)
    assert Event.get().traceparent[3:35] == answer.json["traceId"]
    assert Event.get().traceparent.endswith("-00")
