"""The webhooks as a process knows them. A second registry on the same database stands for a second process."""

import contextlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from peewee import IntegrityError

from app.authentication import Caller
from app.clock import now_ms
from app.database import write_transaction
from app.errors import OperatorError
from app.event_types import Event
from app.models import Counter, database
from app.models import Webhook as Row
from app.registry import Registry, current_version, raise_version
from app.services import Services
from app.signing import signing_key
from app.vault import Vault
from app.webhooks import create_webhook, delete_webhook, update_webhook
from tests.test_certificate_pem import client_pem

ADMIN = Caller("root", admin=True, scopes=frozenset(), platform=False)
NEW = {"url": "http://a", "triggers": ["NODE_CREATED"], "associationType": "PROJECT", "associationId": "p"}
EVENT = Event(type="NODE_CREATED", project_id="p", repo_name="r", resource_key="/a")


@pytest.fixture
def other(services: Services) -> Registry:
    """The registry of another process, which has read the database once."""
    registry = Registry(services.vault)
    registry.refresh()
    return registry


def create(services: Services, **fields: Any) -> str:
    return create_webhook(services, ADMIN, NEW | fields, now_ms())


def urls(registry: Registry) -> list[str]:
    return [webhook.url for webhook in registry.refresh().match(EVENT, None)]


def test_an_empty_database_matches_nothing(other: Registry) -> None:
    assert urls(other) == []


def test_a_registry_that_starts_late_knows_what_was_made_before(services: Services) -> None:
    create(services)
    assert urls(Registry(services.vault)) == ["http://a"]


def test_a_change_in_one_process_is_seen_by_the_other(services: Services, other: Registry) -> None:
    webhook_id = create(services)
    assert urls(other) == ["http://a"]
    update_webhook(services, ADMIN, {"id": webhook_id, "url": "http://b"}, now_ms())
    assert urls(other) == ["http://b"]
    update_webhook(services, ADMIN, {"id": webhook_id, "enabled": False}, now_ms())
    assert urls(other) == []
    update_webhook(services, ADMIN, {"id": webhook_id, "enabled": True}, now_ms())
    assert urls(other) == ["http://b"]
    update_webhook(services, ADMIN, {"id": webhook_id, "associationId": "q"}, now_ms())
    assert urls(other) == []


def test_a_deletion_in_one_process_is_seen_by_the_other(services: Services, other: Registry) -> None:
    webhook_id, kept = create(services), create(services, url="http://kept")
    assert sorted(urls(other)) == ["http://a", "http://kept"]
    delete_webhook(ADMIN, webhook_id, now_ms())
    assert urls(other) == ["http://kept"]
    assert other.refresh().get(webhook_id) is None
    assert other.refresh().get(kept) is not None


def test_a_webhook_made_and_deleted_between_two_looks_is_never_there(services: Services, other: Registry) -> None:
    webhook_id = create(services)
    delete_webhook(ADMIN, webhook_id, now_ms())
    assert other.refresh().get(webhook_id) is None
    assert urls(Registry(services.vault)) == []


def test_a_change_that_is_rolled_back_is_never_seen(services: Services, other: Registry) -> None:
    create(services)
    before = current_version()
    with contextlib.suppress(IntegrityError), write_transaction():
        Row.update(url="http://never", version=raise_version()).execute()
        Counter.insert(name="webhooks").execute()
    assert current_version() == before
    assert urls(other) == ["http://a"]


def test_raising_the_version_counts_by_one(services: Services) -> None:
    with write_transaction():
        assert raise_version() == 1
        assert raise_version() == 2
    assert current_version() == Counter.get_by_id("webhooks").value == 2


@pytest.mark.sqlite_only
def test_a_look_where_nothing_changed_is_one_cheap_read(services: Services, other: Registry) -> None:
    create(services)
    other.refresh()
    statements: list[str] = []
    database.connection().set_trace_callback(statements.append)
    other.refresh()
    database.connection().set_trace_callback(None)
    assert len(statements) == 1
    assert "counter" in statements[0]


def test_credentials_are_the_decrypted_secrets(services: Services, other: Registry) -> None:
    headers = {"X-Api-Key": "b-long-key", "A": "b"}
    webhook_id = create(services, token="a-long-token", headers=headers)
    stored = Row.get_by_id(webhook_id)
    assert "a-long-token" not in stored.token + stored.headers
    found = other.refresh().get(webhook_id)
    assert found is not None
    credentials = other.credentials(found)
    assert credentials.key == signing_key(services.vault.decrypt(stored.secret))
    assert (credentials.token, credentials.headers) == ("a-long-token", headers)


def test_a_webhook_without_secrets_of_its_own_has_a_key_only(services: Services, other: Registry) -> None:
    webhook_id = create(services)
    found = other.refresh().get(webhook_id)
    assert found is not None
    credentials = other.credentials(found)
    assert (len(credentials.key), credentials.token, credentials.headers) == (32, None, {})


def test_credentials_hold_the_secret_before_and_the_certificate(services: Services, other: Registry) -> None:
    webhook_id = create(services, clientCertificate=client_pem())
    first = services.vault.decrypt(Row.get().secret)
    update_webhook(services, ADMIN, {"id": webhook_id, "signing": "v1a"}, now_ms())
    found = other.refresh().get(webhook_id)
    assert found is not None
    credentials = other.credentials(found)
    assert isinstance(credentials.key, Ed25519PrivateKey)
    assert credentials.previous_key == signing_key(first)
    assert credentials.client_certificate == client_pem()


def test_settings_come_with_the_webhook(services: Services, other: Registry) -> None:
    fields = {"timeout": 2.5, "retrySchedule": ["5s", "1h"], "rateLimit": 50, "rateBurst": 5, "ordering": "resource"}
    webhook_id = create(services, **fields)
    found = other.refresh().get(webhook_id)
    assert found is not None
    assert (found.timeout_ms, found.retry_schedule_ms) == (2_500, (5_000, 3_600_000))
    assert (found.rate_limit, found.rate_burst, found.ordering, found.signing) == (50, 5, "resource", "v1")


def test_changed_credentials_are_seen(services: Services, other: Registry) -> None:
    webhook_id = create(services, token="the-first-token")
    tokens = []
    for change in ({}, {"token": "the-second-token"}, {"token": ""}):
        update_webhook(services, ADMIN, {"id": webhook_id, **change}, now_ms())
        found = other.refresh().get(webhook_id)
        assert found is not None
        tokens.append(other.credentials(found).token)
    assert tokens == ["the-first-token", "the-second-token", None]


def test_secrets_under_another_key_are_a_matter_for_the_operator(services: Services) -> None:
    webhook_id = create(services)
    registry = Registry(Vault(["A" * 43 + "="]))
    found = registry.refresh().get(webhook_id)
    assert found is not None
    with pytest.raises(OperatorError):
        registry.credentials(found)


def test_triggers_pattern_and_filter_come_with_the_webhook(services: Services, other: Registry) -> None:
    meant = {"resourceKeyPattern": "/x/.*", "filter": {"userId": "u"}}
    webhook_id = create(services, triggers=["NODE_CREATED", "NODE_MOVED"], **meant)
    found = other.refresh().get(webhook_id)
    assert found is not None
    assert found.triggers == set(json.loads(Row.get().triggers)) == {"NODE_CREATED", "NODE_MOVED"}
    assert (found.resource_key_pattern, found.scope) == ("/x/.*", "PROJECT/p")
    assert found.filter == '{"userId":"u"}'
    assert urls(other) == []
