"""What the workers' tests share: small bounds, and one who registers, publishes and counts in this process."""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import dramatiq
import pytest

from app.authentication import Caller
from app.clock import now_ms
from app.event_types import Event
from app.models import Delivery, WebhookLog, database
from app.queue import DELIVERIES
from app.services import Services
from app.webhooks import create_webhook, delete_webhook, update_webhook
from config.settings import Settings, load_settings

ADMIN = Caller("root", admin=True, scopes=frozenset(), platform=False)
PER_WEBHOOK = 4
HASTY = {
    "workers.consumer.IDLE_MS": 50,
    "workers.consumer.PAUSE_S": 0.1,
    "workers.deliveries.DATABASE_PAUSE_MS": 100,
}


@pytest.fixture
def settings(environ: dict[str, str]) -> Settings:
    return load_settings(
        {
            **environ,
            "MAX_IN_FLIGHT": "8",
            "MAX_IN_FLIGHT_PER_WEBHOOK": str(PER_WEBHOOK),
            "RETRY_SCHEDULE": "1h",
        }
    )


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let idle threads look up often, so that a worker ends within a moment of being asked; promises stay the same."""
    monkeypatch.setattr("dramatiq.Worker", partial(dramatiq.Worker, worker_timeout=50))
    for name, seconds in HASTY.items():
        monkeypatch.setattr(name, seconds, raising=False)


@dataclass
class Desk:
    """Does what callers of the API do, and looks at the rows."""

    services: Services

    def register(self, url: str, repo: str = "r") -> str:
        """Register a webhook for a repository."""
        meant = {"url": url, "triggers": ["NODE_CREATED", "NODE_MOVED"]}
        association = {"associationType": "REPO", "associationId": f"p:{repo}"}
        return create_webhook(self.services, ADMIN, meant | association, now_ms())

    def update(self, webhook_id: str, **fields: Any) -> None:
        """Change a webhook."""
        update_webhook(self.services, ADMIN, {"id": webhook_id, **fields}, now_ms())

    def delete(self, webhook_id: str) -> None:
        """Delete a webhook."""
        delete_webhook(ADMIN, webhook_id, now_ms())

    def publish(self, count: int = 1, repo: str = "r", event_type: str = "NODE_CREATED") -> list[str]:
        """Publish events, and return the ids of the deliveries that are owed now."""
        events = [
            Event(type=event_type, project_id="p", repo_name=repo, resource_key=f"/{number}", user_id="u")
            for number in range(count)
        ]
        self.services.publisher.publish(events, now_ms())
        return self.owed()

    def owed(self, webhook_id: str | None = None) -> list[str]:
        """Return the ids of what the outbox holds."""
        query = Delivery.select(Delivery.id)
        return [row.id for row in (query.where(Delivery.webhook_id == webhook_id) if webhook_id else query)]

    def logs(self, webhook_id: str | None = None) -> list[WebhookLog]:
        """Return the logs, oldest first."""
        query = WebhookLog.select().order_by(WebhookLog.id)
        return list(query.where(WebhookLog.webhook_id == webhook_id) if webhook_id else query)

    def queued(self) -> int:
        """Return how many messages are not acknowledged yet."""
        broker: Any = self.services.broker
        return int(broker.queues[DELIVERIES].unfinished_tasks)

    @contextlib.contextmanager
    def database_locked(self) -> Iterator[None]:
        """Hold the database as another process may, so that writing to it fails."""
        with contextlib.closing(sqlite3.connect(self.services.settings.data_dir / "hookline.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.rollback()


@pytest.fixture
def desk(services: Services) -> Desk:
    return Desk(services)


@pytest.fixture
def impatient(services: Services) -> None:
    """Let writing fail soon where another process holds the database."""
    database.obj.timeout = 0.05
