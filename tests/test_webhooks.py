"""Webhooks below the API: concurrent changes, and what the pure parts decide."""

import threading

import pytest

from app.authentication import Caller
from app.errors import BadRequest, Conflict, NotFound
from app.models import Counter, Webhook, database
from app.permissions import Association, may_manage
from app.rotation import rotate_secret
from app.services import Services
from app.webhook_edition import changed_fields, edition_of
from app.webhook_fields import association_of, clean
from app.webhook_secrets import unmask
from app.webhook_view import show
from app.webhooks import create_webhook, delete_webhook, find_webhook, list_webhooks, update_webhook
from tests.certificates import authority, issued
from tests.rows import change

ADMIN = Caller("root", admin=True, scopes=frozenset(), platform=False)
NOBODY = Caller(None, admin=False, scopes=frozenset({"event:publish"}), platform=True)
NEW = {"url": "http://a", "triggers": ["NODE_CREATED"], "associationType": "PROJECT", "associationId": "p"}
SECRETS = {"token": "a-long-token", "headers": {"A": "b", "X-Key": "a-long-secret"}, "rateLimit": 5}


def test_each_change_raises_the_version_once(services: Services) -> None:
    webhook_id = create_webhook(services, ADMIN, NEW, 1)
    update_webhook(services, ADMIN, {"id": webhook_id, "url": "http://b"}, 2)
    assert (Webhook.get().version, Counter.get_by_id("webhooks").value) == (2, 2)
    delete_webhook(ADMIN, webhook_id, 3)
    assert (Webhook.get().version, Counter.get_by_id("webhooks").value, Webhook.get().deleted_at) == (3, 3, 3)


def test_concurrent_changes_of_different_fields_are_all_kept(services: Services) -> None:
    webhook_id = create_webhook(services, ADMIN, NEW, 1)
    changes = [{"url": "http://b"}, {"token": "a-long-token"}, {"headers": {"A": "b"}}, {"resourceKeyPattern": "x"}]

    def change(fields: dict[str, object]) -> None:
        update_webhook(services, ADMIN, {"id": webhook_id, **fields}, 2)
        database.close()

    threads = [threading.Thread(target=change, args=(fields,)) for fields in changes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shown = show(services, find_webhook(ADMIN, webhook_id))
    assert (shown["url"], shown["token"], shown["resourceKeyPattern"]) == ("http://b", "****oken", "x")
    assert shown["headers"] == {"A": "b"}


def test_a_deleted_webhook_is_found_only_where_asked_for(services: Services) -> None:
    webhook_id = create_webhook(services, ADMIN, NEW, 1)
    delete_webhook(ADMIN, webhook_id, 2)
    assert find_webhook(ADMIN, webhook_id, with_deleted=True).deleted_at == 2
    assert list_webhooks(ADMIN, "PROJECT", None) == []
    for again in (find_webhook, lambda caller, found: delete_webhook(caller, found, 3)):
        with pytest.raises(NotFound):
            again(ADMIN, webhook_id)


def test_a_platform_for_nobody_manages_nothing(services: Services) -> None:
    webhook_id = create_webhook(services, ADMIN, NEW, 1)
    assert not may_manage(NOBODY, Association("SYSTEM", ""))
    assert not may_manage(NOBODY, Association("PROJECT", "p"))
    assert list_webhooks(NOBODY, "PROJECT", None) == []
    with pytest.raises(NotFound):
        find_webhook(NOBODY, webhook_id)


@pytest.mark.parametrize(
    ("association_type", "association_id", "expected"),
    [("SYSTEM", None, ""), ("SYSTEM", "", ""), ("PROJECT", "p", "p"), ("REPO", "项目:r", "项目:r")],
)
def test_type_and_id_make_an_association(association_type: str, association_id: str | None, expected: str) -> None:
    assert association_of(association_type, association_id) == Association(association_type, expected)


def test_only_what_is_given_is_cleaned() -> None:
    raw = {"url": None, "enabled": False, "association_type": "REPO", "associationType": "REPO", "else": 1}
    assert clean(raw, {"A"}) == {"enabled": False, "association_type": "REPO"}


def test_a_mask_stands_for_what_is_stored() -> None:
    fields = {
        "token": "****cdef",
        "headers": {"X-Key": "****", "x-token": "****6789", "X-Plain": "****6789", "X-B": "n"},
    }
    stored = {"x-key": "short", "X-Token": "123456789"}
    assert unmask(fields, "abcdef-abcdef", stored) == {
        "token": "abcdef-abcdef",
        "headers": {"X-Key": "short", "x-token": "123456789", "X-Plain": "****6789", "X-B": "n"},
    }
    with pytest.raises(BadRequest):
        unmask({"token": "****cdef"}, None, {})


def test_who_edits_an_old_edition_changes_nothing(services: Services) -> None:
    webhook_id = create_webhook(services, ADMIN, NEW, 1)
    seen = edition_of(find_webhook(ADMIN, webhook_id), services.vault)
    update_webhook(services, ADMIN, {"id": webhook_id, "url": "http://b"}, 2, edition=seen)
    with pytest.raises(Conflict, match="webhook_changed"):
        update_webhook(services, ADMIN, {"id": webhook_id, "url": "http://c", "token": "x"}, 3, edition=seen)
    row = find_webhook(ADMIN, webhook_id)
    assert (row.url, row.token, changed_fields(seen, row, services.vault)) == ("http://b", None, ["url"])


@pytest.mark.sqlite_only
def test_an_edition_tells_each_field_that_was_changed_by_its_name(services: Services) -> None:
    certificate = issued(authority(), ("client",))
    webhook_id = create_webhook(services, ADMIN, NEW | SECRETS, 1)
    changes: dict[str, object] = {
        "url": "http://b",
        "token": "another-token",
        "headers": {"A": "b", "X-Key": "another-secret"},
        "triggers": ["NODE_DELETED"],
        "associationId": "q",
        "resourceKeyPattern": "x",
        "enabled": False,
        "timeout": 2,
        "retrySchedule": ["5s"],
        "rateLimit": 6,
        "rateBurst": 2,
        "ordering": "webhook",
        "signing": "v1a",
        "clientCertificate": certificate.pem + certificate.key_pem,
    }
    for field, value in changes.items():
        seen = edition_of(find_webhook(ADMIN, webhook_id), services.vault)
        update_webhook(services, ADMIN, {"id": webhook_id, field: value}, 2)
        assert changed_fields(seen, find_webhook(ADMIN, webhook_id), services.vault) == [field]


@pytest.mark.sqlite_only
def test_an_edition_outlasts_what_nobody_edits(services: Services) -> None:
    webhook_id = create_webhook(services, ADMIN, NEW | SECRETS | {"triggers": ["NODE_CREATED", "NODE_MOVED"]}, 1)
    seen = edition_of(find_webhook(ADMIN, webhook_id), services.vault)
    change(webhook_id, backlog=True, failures=7, circuit_until=5)
    rotate_secret(services, ADMIN, webhook_id, {}, 2)
    shown = show(services, find_webhook(ADMIN, webhook_id))
    same = {name: shown[name] for name in ("token", "headers")} | {
        "triggers": ["NODE_MOVED", "NODE_CREATED"]
    }  # the masks mean unchanged
    update_webhook(services, ADMIN, {"id": webhook_id, **same}, 3)
    row = find_webhook(ADMIN, webhook_id)
    assert changed_fields(seen, row, services.vault) == []
    assert len(changed_fields("nonsense", row, services.vault)) == 18
