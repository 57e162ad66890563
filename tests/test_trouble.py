"""Webhooks in trouble, with how much of it, and those first to which most was given up."""

import pytest

from app import trouble as module
from app.delivery_query import Number
from app.models import DEAD, HELD, WAITING
from app.services import Services
from app.statistics import EVERYTHING, Scope
from app.trouble import Troubled, trouble
from tests.rows import AT, delivery, event, webhook


def shown(found: list[Troubled]) -> list[tuple[str, int, int, int]]:
    return [(each.webhook.id, each.dead.value, each.held.value, each.retrying.value) for each in found]


def test_what_was_given_up_is_held_or_waits_for_a_retry_is_counted_by_webhook(services: Services) -> None:
    worst, held, retrying, healthy, deleted = (webhook(services) for _ in range(5))
    event("e")
    for _ in range(3):
        delivery(worst, "e", state=DEAD)
    delivery(worst, "e", state=HELD)
    delivery(held, "e", state=HELD)
    delivery(retrying, "e", attempt=2, earlier_attempts=1)
    delivery(retrying, "e", attempt=2, earlier_attempts=2)
    delivery(retrying, "e", attempt=2, queued_at=AT)
    delivery(healthy, "e")
    delivery(healthy, "e", state=WAITING)
    delivery(deleted, "e", state=DEAD)
    module.Webhook.update(deleted_at=AT).where(module.Webhook.id == deleted).execute()
    found = trouble(EVERYTHING)
    assert shown(found.webhooks) == [(worst, 3, 1, 0), (held, 0, 1, 0), (retrying, 0, 0, 1)]
    assert not found.is_cut
    assert shown(trouble(Scope((held, healthy))).webhooks) == [(held, 0, 1, 0)]
    assert trouble(Scope((), is_cut=True)) == ([], True)


def test_counting_ends_somewhere_and_so_does_the_list(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MOST", "MOST_COUNTED"):
        monkeypatch.setattr(module, name, 2)
    hooks = [webhook(services) for _ in range(3)]
    event("e")
    for hook in hooks:
        delivery(hook, "e", state=DEAD)
    for _ in range(2):
        delivery(hooks[2], "e", state=DEAD)
    found = trouble(EVERYTHING)
    assert [(each.webhook.id, each.dead) for each in found.webhooks] == [
        (hooks[2], Number(2, is_cut=True)),
        (hooks[1], Number(1)),
    ]
    assert found.is_cut
    monkeypatch.setattr(module, "SCAN", 1)
    assert [each.webhook.id for each in trouble(EVERYTHING).webhooks] == [hooks[2]]
