"""What the processes of production write, with everything failing and the level at DEBUG: JSON, one trace to follow,
and no secret."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dramatiq
import pytest
import requests

from app.queue import EVENTS, EVENTS_ACTOR
from scripts import backends
from tests.conftest import SECRET_KEY
from tests.production import Production, database_server, production, query
from tests.receiver import Receiver
from tests.redis_server import client_of, redis_broker, redis_server
from tests.server import eventually, free_port

pytestmark = [pytest.mark.slow, pytest.mark.sqlite_only, pytest.mark.timeout(120)]

SECRETS = {
    name: f"leak-{name}-7x"
    for name in ("database", "redis", "admin", "wrong", "token", "header", "query", "path", "metrics", "otlp", "user")
}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
GOOD = {"type": "NODE_CREATED", "projectId": "p", "repoName": "r", "resourceKey": "/a", "userId": "u"}
HOSTILE = 'a\nb\x1b[31m\u2028"{}'
SAID = ("Hookline is listening on http://", "First administrator: ")  # on standard output, for people
STOP_S = 12.0


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Production]:
    """Production whose passwords can be recognised, with a collector of traces that is not there."""
    url = f"redis://:{SECRETS['redis']}@127.0.0.1:{{port}}/0"
    with (
        database_server("postgres", durable=False) as postgres,
        redis_server("--requirepass", SECRETS["redis"], url=url) as redis,
    ):
        query(postgres.url, f"CREATE ROLE leaky SUPERUSER LOGIN PASSWORD '{SECRETS['database']}'")
        database = postgres.url.replace(f"hookline:{backends.PASSWORD}@", f"leaky:{SECRETS['database']}@")
        environ = {
            "LOG_LEVEL": "DEBUG",
            "LOG_FORMAT": "auto",
            "HOOKLINE_ADMIN_PASSWORD": SECRETS["admin"],
            "METRICS_TOKEN": SECRETS["metrics"],
            "TRACING": "on",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}",
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{SECRETS['otlp']}",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        with production(tmp_path / "site", database, redis.url, **environ) as made:
            made.release()
            yield made


class Caller:
    """Calls the API as the administrator."""

    def __init__(self, site: Production) -> None:
        self._base = f"http://127.0.0.1:{site.port}"

    def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        """Call a path."""
        options = {"auth": ("admin", SECRETS["admin"])} | options
        return requests.request(method, self._base + path, json=body, timeout=30.0, **options)

    def register(self, url: str) -> None:
        """Make a webhook that has secrets wherever one can."""
        secret = {"token": SECRETS["token"], "headers": {"Authorization": f"Bearer {SECRETS['header']}"}}
        about = {"triggers": ["NODE_CREATED", "NODE_MOVED"], "associationType": "SYSTEM"}
        url = f"{url}/{SECRETS['path']}?access_token={SECRETS['query']}"
        assert self("POST", "/webhook/api/webhook/create", {"url": url, **about, **secret}).ok

    def publish(self, *events: dict[str, Any]) -> requests.Response:
        """Publish events in a known trace."""
        headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
        return self("POST", "/webhook/api/event/publish", list(events), headers=headers)


def objects(text: str) -> list[dict[str, Any]]:
    """Return the lines as JSON; what is for people is left out."""
    return [json.loads(line) for line in text.split("\n") if line and not line.startswith(SAID)]


def has(role: Any, wanted: Callable[[dict[str, Any]], bool]) -> Callable[[], bool]:
    return lambda: any(wanted(line) for line in objects(role.text().rpartition("\n")[0]))


def test_nothing_that_fails_shows_a_secret_and_a_trace_can_be_followed_over_processes(site: Production) -> None:
    web, worker, scheduler = (site.start(name) for name in ("web", "worker", "scheduler"))
    call, receiver = Caller(site), Receiver()
    receiver.answer(500, 200, 404)
    call.register(receiver.url)
    call.register(f"http://127.0.0.1:{free_port()}")
    secrets = [
        each["secret"] for each in (call("GET", f"/webhook/api/webhook/secret/{i}").json()["data"] for i in _ids(call))
    ]
    try:
        _refused(call)
        assert call.publish(GOOD, GOOD | {"type": "NODE_MOVED"}).status_code == 202
        receiver.wait_for(2)
        _strangers(site)
        eventually(has(worker, lambda line: line.get("reason") == "payload"))
        query(site.database_url, "ALTER TABLE webhook_log RENAME TO away")
        call("GET", f"/webhook/api/log/list/{_ids(call)[0]}")
        call.publish(GOOD)
        eventually(has(worker, lambda line: "could not be recorded" in line["message"]))
        query(site.database_url, "ALTER TABLE away RENAME TO webhook_log")
        _cut_off(site)
        eventually(lambda: call.publish(GOOD).status_code == 202)
        eventually(has(worker, lambda line: line["logger"].startswith("opentelemetry")))
        began = time.monotonic()
        site.stop()
        assert time.monotonic() - began < STOP_S
    finally:
        receiver.close()
    lines = {role.name: objects(role.text()) for role in (web, worker, scheduler)}
    _hold_no_secret(site.text(), secrets)
    for name, said in lines.items():
        assert {line["role"] for line in said} == {name}
        assert all({"time", "level", "logger", "message", "pid"} <= line.keys() for line in said)
        assert len([line for line in said if line["logger"].startswith("opentelemetry.exporter")]) <= 2
    followed = [line["message"] for name in ("web", "worker") for line in lines[name] if line.get("traceId") == TRACE]
    assert (followed[0], "attempt" in followed) == ("ingestion", True)
    assert {"dramatiq.MainProcess", "dramatiq.WorkerProcess(0)"} <= {line["logger"] for line in lines["worker"]}


def _ids(call: Caller) -> list[str]:
    return [each["id"] for each in call("GET", "/webhook/api/webhook/list?associationType=SYSTEM").json()["data"]]


def _refused(call: Caller) -> None:
    """Make calls that are refused."""
    for auth in ("admin", SECRETS["wrong"]), (SECRETS["user"], SECRETS["wrong"]):
        assert call("GET", f"/webhook/api/webhook/list?token={SECRETS['query']}", auth=auth).status_code == 401
    assert call.publish({"type": HOSTILE}).status_code == 400
    assert call("GET", f"/metrics?token={SECRETS['query']}").status_code in {401, 403}


def _strangers(site: Production) -> None:
    """Put on Redis what can't be accepted."""
    url = site.environ["REDIS_URL"]
    with redis_broker(url) as broker:
        broker.enqueue(dramatiq.Message(EVENTS, EVENTS_ACTOR, ([{"type": HOSTILE}],), {}, {"traceparent": HOSTILE}))
        broker.enqueue(dramatiq.Message(EVENTS, EVENTS_ACTOR, (GOOD,), {}, {}))


def _cut_off(site: Production) -> None:
    """Cut all connections to the database and to Redis."""
    query(site.database_url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    with client_of(site.environ["REDIS_URL"]) as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def _hold_no_secret(text: str, more: list[str]) -> None:
    pairs = [base64.b64encode(f"admin:{SECRETS['admin']}".encode()).decode()]
    for secret in (*SECRETS.values(), *more, *pairs, SECRET_KEY):
        assert secret not in text, next(line for line in text.splitlines() if secret in line)
