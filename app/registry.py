"""The webhooks as this process knows them, kept equal to the database by a version number.

Every change of a webhook raises the counter `webhooks` in its own transaction and stores the value in the row. One
cheap read tells whether anything changed; then only rows with a higher version are read.
"""

import json
import threading
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from app import models
from app.database import execute_many, unavailable
from app.matching import Webhook, WebhookIndex
from app.models import Counter
from app.signing import SigningKey, key_to_sign
from app.vault import Vault

_VERSION = "webhooks"
_LOCK = "UPDATE webhook SET last_position = last_position WHERE id = ?"
VERSION_SQL = f"SELECT value FROM counter WHERE name = '{_VERSION}'"


class Credentials(NamedTuple):
    """The decrypted secrets of a webhook."""

    key: SigningKey
    token: str | None
    headers: dict[str, str]
    previous_key: SigningKey | None = None
    client_certificate: str | None = None  # PEM, with its key


class Registry:
    """Answers `match` and `get` from memory; `refresh` first, once a batch, to see every change answered before."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._lock = threading.Lock()
        self._version = -1
        self._index = WebhookIndex()
        # Keyed by the webhook itself: a changed one is another key. Decrypting costs 60 µs, ten times a signature.
        self.credentials = lru_cache(maxsize=4096)(self._credentials)

    def refresh(self, version: int | None = None) -> WebhookIndex:
        """Return the index, brought up to what the database holds now; `version` is what it was just read to be."""
        version = current_version() if version is None else version
        if version != self._version:
            with self._lock:
                self._load_changes()
        return self._index

    def known(self) -> tuple[WebhookIndex, int]:
        """Return the index as it is, and its version, which may be past: for who finds that out."""
        version = self._version
        return self._index, version

    def refreshed(self) -> tuple[WebhookIndex, int]:
        """Return the index brought up to date, and its version. Raises DatabaseUnavailable."""
        with unavailable():
            self.refresh()
        return self.known()

    def _load_changes(self) -> None:
        # The counter is read before the rows: a change that commits in between is loaded again next time, never missed.
        version = current_version()
        changed = models.Webhook.select(*_COLUMNS).where(models.Webhook.version > self._version)
        for row in changed.namedtuples().iterator():
            if row.deleted_at is None:
                self._index.put(_webhook(row))
            else:
                self._index.remove(row.id)
        self._version = version

    def _credentials(self, webhook: Webhook) -> Credentials:
        previous = self._opened(webhook.previous_secret)
        return Credentials(
            key=key_to_sign(self._vault.decrypt(webhook.secret)),
            token=self._opened(webhook.token),
            headers=json.loads(self._opened(webhook.headers) or "{}"),
            previous_key=key_to_sign(previous) if previous else None,
            client_certificate=self._opened(webhook.client_certificate),
        )

    def _opened(self, sealed: str | None) -> str | None:
        return self._vault.decrypt(sealed) if sealed else None


def current_version() -> int:
    """Return the version of the webhooks, and of the users whom payloads show."""
    # Raw SQL: this runs once for each batch of events, and building the query costs more than running it.
    row = models.database.execute_sql(VERSION_SQL).fetchone()
    return int(row[0])


def raise_version() -> int:
    """Raise the version and return it; call it in the transaction that changes a webhook or a user.

    The updated row stays locked until that transaction ends, so versions become visible in their order.
    """
    Counter.update(value=Counter.value + 1).where(Counter.name == _VERSION).execute()
    return current_version()


def lock_webhooks(webhook_ids: Iterable[str]) -> None:
    """Have the rows of webhooks to oneself up to the commit; call it first in a transaction that changes some.

    In the order of their ids, and before the version is raised: then nobody waits for another in a circle.
    """
    execute_many(_LOCK, [(webhook_id,) for webhook_id in sorted(webhook_ids)])


_MODEL = models.Webhook
_COLUMNS = (
    *(_MODEL.id, _MODEL.deleted_at, _MODEL.triggers, _MODEL.enabled, _MODEL.url, _MODEL.token, _MODEL.headers),
    *(_MODEL.secret, _MODEL.association_type, _MODEL.association_id, _MODEL.resource_key_pattern),
    *(_MODEL.timeout_ms, _MODEL.retry_schedule, _MODEL.rate_limit, _MODEL.rate_burst, _MODEL.signing),
    *(_MODEL.previous_secret, _MODEL.previous_until, _MODEL.ordering, _MODEL.client_certificate),
    *(_MODEL.payload_format, _MODEL.payload_template, _MODEL.filter),
    *(_MODEL.backlog, _MODEL.circuit_until, _MODEL.probe),
)


@lru_cache(maxsize=4096)
def _triggers(text: str) -> frozenset[str]:
    return frozenset(json.loads(text))


def _webhook(row: Any) -> Webhook:
    return Webhook(
        id=row.id,
        url=row.url,
        token=row.token,
        headers=row.headers,
        secret=row.secret,
        triggers=_triggers(row.triggers),
        association_type=row.association_type,
        association_id=row.association_id,
        resource_key_pattern=row.resource_key_pattern,
        enabled=bool(row.enabled),
        filter=row.filter,
        timeout_ms=row.timeout_ms,
        retry_schedule_ms=tuple(json.loads(row.retry_schedule)) if row.retry_schedule else None,
        rate_limit=row.rate_limit,
        rate_burst=row.rate_burst,
        signing=row.signing,
        previous_secret=row.previous_secret,
        previous_until=row.previous_until,
        ordering=row.ordering,
        client_certificate=row.client_certificate,
        payload_format=row.payload_format,
        payload_template=row.payload_template,
        backlog=bool(row.backlog),
        is_open=row.circuit_until is not None,
        probe=row.probe,
    )
