"""W3C Trace Context as it comes in and is kept."""

import pytest

from app.traceparent import made, parsed, trace_id_of

pytestmark = pytest.mark.sqlite_only

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


@pytest.mark.parametrize("flags", ["00", "01", "03"])
def test_a_valid_one_is_kept_as_it_is(flags: str) -> None:
    assert parsed(f"00-{TRACE}-{SPAN}-{flags}") == f"00-{TRACE}-{SPAN}-{flags}"


def test_of_a_later_version_what_this_one_knows_is_kept() -> None:
    assert parsed(f"cc-{TRACE}-{SPAN}-ff-what-the-future-brings") == f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    "given",
    [
        *(None, "", 7, {}, b"00", f"00-{TRACE}-{SPAN}", f"00-{TRACE}-{SPAN}-01-x", f"ff-{TRACE}-{SPAN}-01"),
        *(f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE.upper()}-{SPAN}-01", f"{TRACE}\n"),
    ],
)
def test_what_is_none_is_ignored(given: object) -> None:
    assert parsed(given) is None


def test_one_that_begins_here_is_valid_and_not_recorded() -> None:
    first, second = made(), made()
    assert (parsed(first), first[-2:]) == (first, "00")
    assert trace_id_of(first) != trace_id_of(second)
