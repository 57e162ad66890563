"""Replaying one event to one webhook."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.authentication import Caller
from app.delivery_status import deliveries_of
from app.errors import BadRequest, NotFound
from app.event_types import WEBHOOK_DISABLED
from app.ids import id_at
from app.models import HELD, PENDING, WAITING, Delivery, Event, database
from app.replay_one import replay_one
from app.retention import DAY_MS
from app.services import Services
from app.webhooks import delete_webhook
from tests.rows import ADMIN, AT, change, delivery, event, log, outbox, webhook

NOW = AT + 3_600_000
STRANGER = Caller("stranger", admin=False, scopes=frozenset(), platform=False)


def test_a_webhook_made_later_gets_the_event_once(services: Services) -> None:
    hook = webhook(services)
    event("e", AT - 5)
    assert replay_one(services, ADMIN, "e", hook, now=NOW)
    assert not replay_one(services, ADMIN, "e", hook, now=NOW + 1)
    assert outbox() == [(PENDING, 0, 0, NOW, None)]
    [found] = deliveries_of(Event.get_by_id("e"))
    assert (found.webhook_id, Delivery.get().created_at) == (hook, AT - 5)


@pytest.mark.parametrize("left", ["delivery", "log"])
def test_one_that_got_it_before_is_left_alone(services: Services, left: str) -> None:
    hook = webhook(services)
    event("e")
    if left == "delivery":
        delivery(hook, "e", state="DEAD", attempt=10)
    else:
        log(hook, "e", id_at(AT), status="FAIL")
    before = outbox()
    assert not replay_one(services, ADMIN, "e", hook, now=NOW)
    assert outbox() == before


def test_what_cannot_be_sent_now_is_held_and_what_has_an_order_waits(services: Services) -> None:
    held, ordered = webhook(services, backlog=True), webhook(services, ordering="webhook")
    event("e")
    event("later", AT + 1)
    for hook in (held, ordered):
        assert replay_one(services, ADMIN, "e", hook, now=NOW)
    assert replay_one(services, ADMIN, "later", ordered, now=NOW)
    rows = {(row.webhook_id, row.event_id): row.state for row in Delivery.select()}
    assert rows == {(held, "e"): HELD, (ordered, "e"): PENDING, (ordered, "later"): WAITING}


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"resource_key_pattern": "x"}, "replay_unmatched"),
        ({"triggers": '["NODE_DELETED"]'}, "replay_unmatched"),
        ({"association_id": "p:s"}, "replay_unmatched"),
        ({"filter": '{"payload.eventType":"NODE_MOVED"}'}, "replay_unmatched"),
        ({"enabled": False}, "webhook_disabled"),
    ],
)
def test_it_is_refused_where_the_webhook_does_not_take_it(
    services: Services, columns: dict[str, Any], reason: str
) -> None:
    hook = webhook(services, **columns)
    event("e")
    with pytest.raises(BadRequest, match=reason):
        replay_one(services, ADMIN, "e", hook, now=NOW)
    assert outbox() == []
    meant = {"filter": '{"payload.eventType":"NODE_CREATED"}', "resource_key_pattern": None, "enabled": True}
    change(hook, **meant, triggers='["NODE_CREATED"]', association_id="p:r")
    assert replay_one(services, ADMIN, "e", hook, now=NOW)


def test_it_is_refused_where_the_webhook_is_deleted_or_unknown(services: Services) -> None:
    hook = webhook(services)
    event("e")
    delete_webhook(ADMIN, hook, NOW)
    with pytest.raises(NotFound, match="webhook_deleted"):
        replay_one(services, ADMIN, "e", hook, now=NOW)
    for unknown in ("0" * 32, "\0", "x"):
        with pytest.raises(NotFound, match="webhook_not_found"):
            replay_one(services, ADMIN, "e", unknown, now=NOW)


def test_events_of_the_service_itself_are_refused(services: Services) -> None:
    hook = webhook(services, "", triggers=f'["{WEBHOOK_DISABLED}","WEBHOOK_TEST"]')
    for name in (WEBHOOK_DISABLED, "WEBHOOK_TEST"):
        event(name, type=name)
        with pytest.raises(BadRequest, match="replay_own_event"):
            replay_one(services, ADMIN, name, hook, now=NOW)


def test_events_about_to_be_pruned_are_refused(services: Services) -> None:
    hook = webhook(services)
    event("e")
    now = AT + services.settings.log_retention_days * DAY_MS
    with pytest.raises(BadRequest, match="replay_too_old"):
        replay_one(services, ADMIN, "e", hook, now=now - 3_599_999)
    assert replay_one(services, ADMIN, "e", hook, now=now - 3_600_000)


def test_whoever_may_not_see_the_one_or_the_other_learns_nothing(services: Services) -> None:
    hook = webhook(services)
    event("e")
    with pytest.raises(NotFound, match="event_not_found"):
        replay_one(services, STRANGER, "e", hook, now=NOW)
    publisher = Caller("stranger", admin=False, scopes=frozenset({"event:publish"}), platform=True)
    with pytest.raises(NotFound, match="webhook_not_found"):
        replay_one(services, publisher, "e", hook, now=NOW)


def test_of_many_at_once_one_does_it(services: Services) -> None:
    hook = webhook(services)
    event("e")

    def run(_: int) -> bool:
        try:
            return replay_one(services, ADMIN, "e", hook, now=NOW)
        finally:
            database.close()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(run, range(8))) == [False] * 7 + [True]
    assert len(outbox()) == 1
