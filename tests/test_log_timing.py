"""The phases of a request, for people."""

import pytest

from app.exchange_timing import of_nothing
from app.log_timing import Phase, phases_of


def test_each_phase_lasts_from_the_end_of_the_one_before() -> None:
    assert phases_of('{"dns":100,"connect":300,"tls":1000,"firstByte":5000,"total":5200}') == [
        Phase("dns", 0, 100, has_ended=True),
        Phase("connect", 100, 200, has_ended=True),
        Phase("tls", 300, 700, has_ended=True),
        Phase("firstByte", 1000, 4000, has_ended=True),
        Phase("download", 5000, 200, has_ended=True),
    ]


def test_what_was_not_needed_is_left_out() -> None:
    found = phases_of('{"dns":12,"connect":0,"tls":0,"firstByte":500,"total":490}')
    assert [(phase.name, phase.start, phase.length) for phase in found] == [
        ("dns", 0, 12),
        ("firstByte", 12, 488),
        ("download", 500, 0),
    ]


@pytest.mark.parametrize(
    ("timing", "last"),
    [
        (of_nothing(None, 900), Phase("dns", 0, 900, has_ended=False)),
        (of_nothing(300, 900), Phase("connect", 300, 600, has_ended=False)),
        (
            '{"dns":10,"connect":20,"tls":0,"firstByte":null,"total":900}',
            Phase("firstByte", 20, 880, has_ended=False),
        ),
    ],
)
def test_the_phase_that_did_not_end_is_the_last(timing: str, last: Phase) -> None:
    assert phases_of(timing)[-1] == last


def test_without_a_timing_there_are_none() -> None:
    assert phases_of(None) == []
