"""Accepted events as filters see them."""

import pytest

from app.models import Event
from app.services import Services
from app.stored_events import Sieve, passing
from tests.rows import event, write_events

LARGE = '{"payload.size":{"$gt":10}}'


def row(**columns: str | None) -> Event:
    fields = {"type": "T", "user_id": "u", "payload": '{"size":11}', "error": None}
    return Event(**fields | columns)


@pytest.mark.sqlite_only
def test_a_payload_is_read_where_a_filter_looks_into_it_alone() -> None:
    sieve = Sieve(row(payload="no JSON"))
    assert sieve.passes(None)
    assert sieve.passes("")
    assert sieve.passes('{"userId":"u"}')
    assert not sieve.passes('{"userId":"v"}')


@pytest.mark.sqlite_only
def test_what_has_no_payload_passes_what_asks_about_that_alone() -> None:
    assert Sieve(row()).passes(LARGE)
    assert not Sieve(row(payload='{"size":10}')).passes(LARGE)
    broken = Sieve(row(payload='{"size":10}', error="data.node is missing"))
    assert broken.passes(LARGE)
    assert not broken.passes('{"payload.size":1,"userId":"v"}')


def test_many_are_asked_about_portion_by_portion(services: Services) -> None:
    write_events([(f"large{number}", number) for number in range(110)], payload='{"size":11}')
    write_events([(f"small{number}", number) for number in range(10)], payload='{"size":10}')
    event("by another", user_id="v")
    large, small = [f"large{number}" for number in range(110)], [f"small{number}" for number in range(10)]
    assert passing(LARGE, [*small, *large]) == set(large)
    assert passing('{"userId":"u"}', ["by another", *small, "gone"]) == set(small)
    assert passing(None, ["gone"]) == {"gone"}
    assert passing(LARGE, []) == set()
