"""Lists of deliveries in trouble, over several webhooks."""

import random

import pytest

from app import recovery_list
from app.delivery_query import position_of
from app.models import DEAD, HELD, PENDING
from app.recovery_list import (
    NEWEST,
    RETRYING,
    STATES,
    Failure,
    Part,
    RecoveryFilter,
    last_failures,
    page_of_trouble,
    parts_of,
)
from app.services import Services
from app.statistics import EVERYTHING
from app.trouble import trouble
from tests.rows import AT, deliveries, delivery, event, log, webhook


def pages(parts: list[Part], size: int, **filters: object) -> list[list[str]]:
    """Return the ids on all pages."""
    found: list[list[str]] = []
    before = NEWEST
    while True:
        page = page_of_trouble(parts, RecoveryFilter(**filters), size, before)  # type: ignore[arg-type]
        found.append([row.id for row in page.rows])
        if page.following is None:
            return found
        before = position_of({"cursor": page.following})


def flat(found: list[list[str]]) -> list[str]:
    return [delivery_id for page in found for delivery_id in page]


@pytest.mark.parametrize("size", [1, 7, 50])
def test_pages_give_each_once_newest_first(services: Services, size: int) -> None:
    chance = random.Random(3)
    hooks = [webhook(services) for _ in range(3)]
    event("e")
    kinds = [{"state": DEAD}, {"state": HELD}, {"attempt": 1}]
    made = [delivery(chance.choice(hooks), "e", AT + chance.randrange(9), **chance.choice(kinds)) for _ in range(30)]
    for hook in hooks:
        delivery(hook, "e")
        delivery(hook, "e", state="WAITING", attempt=1)
    parts = parts_of(trouble(EVERYTHING).webhooks, STATES)
    assert flat(pages(parts, size)) == sorted(made, reverse=True)


def test_by_state_time_and_trigger(services: Services) -> None:
    hook, other = webhook(services), webhook(services)
    event("made")
    event("moved", type="NODE_MOVED")
    dead = [delivery(hook, name, AT + at, state=DEAD) for at, name in enumerate(("made", "moved", "made"))]
    held = delivery(other, "moved", AT + 1, state=HELD)
    retrying = delivery(other, "made", AT + 1, attempt=1)
    found = trouble(EVERYTHING).webhooks

    def ids(*states: str, **filters: object) -> list[str]:
        return flat(pages(parts_of(found, states or STATES), 2, **filters))

    assert ids(DEAD) == dead[::-1]
    assert ids(HELD) == [held]
    assert ids(RETRYING) == [retrying]
    assert set(ids(start=AT + 1, end=AT + 1)) == {dead[1], held, retrying}
    assert set(ids(triggered_event="NODE_MOVED")) == {dead[1], held}
    assert page_of_trouble([], RecoveryFilter(), 5) == ([], None)


def test_a_page_looks_at_so_many_and_the_next_one_goes_on(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery_list, "SCAN", 8)
    hook, other = webhook(services), webhook(services)
    ids = deliveries(hook, 20, state=PENDING, attempt=1, earlier_attempts=1)
    tried = delivery(hook, "e0", AT - 1, attempt=1)
    event("e0", AT - 1)
    dead = delivery(other, "e0", AT + 5, state=DEAD)
    found = pages([Part(hook, RETRYING), Part(other, DEAD)], 3)
    assert flat(found) == [dead, tried]
    assert len(found) > 2
    assert len(ids) == 20


def test_what_went_wrong_last(services: Services) -> None:
    hook, other = webhook(services), webhook(services)
    event("e")
    tried, new = delivery(hook, "e", state=DEAD, attempt=2), delivery(hook, "e", state=HELD)
    log(hook, "e", tried, AT + 10, status="FAIL", error="the receiver answered 500", response_status=500)
    last = log(hook, "e", tried, AT + 20, status="FAIL", error="timed out", response_status=None)
    log(other, "e", "0" * 32, AT + 30)
    log(hook, "e", new, AT + 40)
    rows = page_of_trouble([Part(hook, DEAD), Part(hook, HELD)], RecoveryFilter(), 5).rows
    assert last_failures(rows) == {tried: Failure(last, "FAIL", None, "timed out")}
    assert last_failures([]) == {}
