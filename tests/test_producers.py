"""The programs of docs/producers.md, run as they stand there, and what the page says about them."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from app.models import Event, RejectedEvent
from app.queue import EVENTS
from app.redis_broker import RedisBroker
from app.services import Services
from scripts import backends
from tests.redis_server import redis_broker
from workers.events import EventPipeline, keep_undecodable

PAGE = (Path(__file__).parents[1] / "docs" / "producers.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
ACTOR, MESSAGE, PLAIN = PROGRAMS
FIELDS = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
NAMESPACE = "shop-events"

pytestmark = pytest.mark.sqlite_only


@pytest.fixture
def broker(redis_here: backends.Running, redis_client: redis.Redis) -> Iterator[RedisBroker]:
    with redis_broker(redis_here.url, namespace=NAMESPACE) as made:
        yield made


def run(program: str, url: str) -> None:
    """Run a producer as it stands, with nothing of Hookline's in reach."""
    environ = {"REDIS_URL": url, "REDIS_NAMESPACE": NAMESPACE}
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], cwd="/", env=environ, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def consume(services: Services, broker: RedisBroker) -> int:
    """Take all that waits as a worker does, and return how many messages that was."""
    consumer = broker.batch_consumer(EVENTS, 50, keep_undecodable)
    taken = 0
    while messages := consumer.fetch(10):
        EventPipeline(services, consumer).accept(messages)
        taken += len(messages)
    consumer.close()
    return taken


@pytest.mark.parametrize(
    ("program", "kind", "key"),
    [
        (ACTOR, "NODE_CREATED", "/1.0/shop.apk"),
        (MESSAGE, "REPO_CREATED", ""),
        (PLAIN, "NODE_DELETED", "/0.9"),
    ],
    ids=["actor", "message", "plain"],
)
def test_a_program_publishes_its_event(
    services: Services,
    redis_here: backends.Running,
    redis_client: redis.Redis,
    broker: RedisBroker,
    program: str,
    kind: str,
    key: str,
) -> None:
    run(program, redis_here.url)
    assert redis_client.llen(f"{NAMESPACE}:events") == 1
    assert consume(services, broker) == 1
    [event] = Event.select()
    assert (event.type, event.project_id, event.resource_key, event.user_id) == (kind, "shop", key, "ci-bot")
    assert RejectedEvent.select().count() == 0
    assert redis_client.hlen(f"{NAMESPACE}:events.msgs") == 0


def test_the_payload_has_what_the_producer_gave(
    services: Services, redis_here: backends.Running, broker: RedisBroker
) -> None:
    run(ACTOR, redis_here.url)
    consume(services, broker)
    node = json.loads(Event.get().payload)["node"]
    assert (node["fullPath"], node["size"], node["sha256"]) == ("/1.0/shop.apk", 1024, "9f86d081…")


def test_a_message_with_an_id_of_ones_own_counts_once(
    services: Services, redis_here: backends.Running, broker: RedisBroker
) -> None:
    run(MESSAGE, redis_here.url)
    run(MESSAGE, redis_here.url)
    assert consume(services, broker) == 2
    assert Event.select().count() == 1


def test_the_plain_program_writes_every_field_of_the_table(
    redis_here: backends.Running, redis_client: redis.Redis
) -> None:
    run(PLAIN, redis_here.url)
    [message_id] = redis_client.lrange(f"{NAMESPACE}:events", 0, -1)
    message = json.loads(redis_client.hget(f"{NAMESPACE}:events.msgs", message_id) or b"")
    assert set(message) == set(FIELDS)
    assert message["options"] == {"redis_message_id": message_id.decode()}
    assert message["message_id"] == message_id.decode()


@pytest.mark.parametrize("field", FIELDS[:5])
def test_a_message_without_one_of_its_first_five_fields_is_kept(
    services: Services, redis_here: backends.Running, redis_client: redis.Redis, broker: RedisBroker, field: str
) -> None:
    run(PLAIN, redis_here.url)
    [message_id] = redis_client.lrange(f"{NAMESPACE}:events", 0, -1)
    message = json.loads(redis_client.hget(f"{NAMESPACE}:events.msgs", message_id) or b"")
    del message[field]
    redis_client.hset(f"{NAMESPACE}:events.msgs", message_id, json.dumps(message))
    assert consume(services, broker) == 0
    [row] = RejectedEvent.select()
    assert (row.message_id, json.loads(row.raw)) == (message_id.decode(), message)
    assert Event.select().count() == 0
