"""Why attempts fail, in a few words: every text that a log can have has one."""

import re
from pathlib import Path

import pytest

from app.failure_reasons import OTHER, REASONS, reason_of
from app.models import ERROR, FAIL, SUCCESS

ROOT = Path(__file__).parents[1]
# The table of docs/networks.md, which lists every errorMsg.
DOCUMENTED = re.findall(
    r"^\| `([a-zA-Z][^`]*)` \|", (ROOT / "docs" / "networks.md").read_text().split("| errorMsg |")[1], re.M
)


@pytest.mark.parametrize("text", DOCUMENTED)
def test_every_documented_error_has_a_reason_of_its_own(text: str) -> None:
    answer = int(found[1]) if (found := re.match(r"the receiver answered (\d+)", text)) else None
    reason = reason_of(FAIL, answer, text)
    assert reason in REASONS[FAIL]
    assert (reason == OTHER) == text.startswith("failed: ")


@pytest.mark.parametrize(
    ("status", "answer", "error", "reason"),
    [
        (SUCCESS, 204, None, "answered_2xx"),
        (FAIL, 302, "the receiver answered 302", "answered_3xx"),
        (FAIL, 404, None, "answered_4xx"),
        (FAIL, 599, "the receiver answered 599", "answered_5xx"),
        (FAIL, 777, "the receiver answered 777", OTHER),
        (FAIL, 200, "time-out: no complete answer within 10000 ms", "time_out"),
        (ERROR, None, "data.node is missing", "payload"),
    ],
)
def test_an_attempt_counts_by_its_answer_or_by_what_cut_it(
    status: str, answer: int | None, error: str | None, reason: str
) -> None:
    assert reason_of(status, answer, error) == reason
    assert reason in REASONS[status]
