"""One trace over publish, queue, attempts and receiver, as an exporter in memory sees it."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import dramatiq
import pytest
from flask import Flask
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from app import tracing
from app.by_hand import retry_log
from app.clock import now_ms
from app.events import Publisher
from app.models import Event, User
from app.queue import EVENTS, EVENTS_ACTOR
from app.redis_broker import RedisBroker
from app.services import Services
from app.sweep import sweep
from app.traceparent import parsed
from app.tracing_spans import Spans
from config.settings import Settings
from tests.api.conftest import basic, password_hash
from tests.receiver import Receiver
from tests.server import eventually
from tests.workers.conftest import Desk
from workers.actors import consume_in_batches, declare_actors
from workers.serve import worker

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
GOOD = {"type": "NODE_CREATED", "projectId": "p", "repoName": "r", "resourceKey": "/a", "userId": "u"}
BROKEN = GOOD | {"type": "NODE_MOVED"}  # without what its payload needs


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return dataclasses.replace(settings, retry_schedule_ms=(50,) * 3, retry_jitter=0.0)


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    made = InMemorySpanExporter()
    tracing.record_with(Spans(SimpleSpanProcessor(made), "serve"))
    yield made
    tracing.close_tracing()


def publish(app: Flask, *events: dict[str, Any], flags: str = "01", traceparent: bool = True) -> Any:
    """Publish events as a caller who has a trace, unless told otherwise."""
    headers = {"traceparent": f"00-{TRACE}-{CALLER}-{flags}"} if traceparent else {}
    answer = app.test_client().post("/webhook/api/event/publish", json=events, headers=basic("root") | headers)
    assert answer.status_code == 202, answer.json
    return answer.json


@pytest.fixture
def root(services: Services) -> None:
    User.insert(id="root", password_hash=password_hash("correct horse"), admin=True, created_at=0).execute()


def of(exporter: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.name == name]


def ids(span: ReadableSpan) -> tuple[str, str, str | None]:
    """Return the ids of a span's trace, of itself and of its parent, as a `traceparent` writes them."""
    own = span.context
    return f"{own.trace_id:032x}", f"{own.span_id:016x}", f"{span.parent.span_id:016x}" if span.parent else None


@pytest.mark.usefixtures("root")
def test_one_trace_leads_from_the_caller_over_publish_and_attempts_to_the_receiver(
    app: Flask, desk: Desk, receiver: Receiver, exporter: InMemorySpanExporter
) -> None:
    webhook = desk.register(f"{receiver.url}/T0KEN?access_token=t")
    receiver.answer(503)
    began = now_ms()
    with worker(desk.services):
        answer = publish(app, GOOD)
        receiver.wait_for(1)
        eventually(lambda: sweep(desk.services.broker, now_ms()))  # the retry is due
        eventually(lambda: len(of(exporter, "POST")) == 2)
    [served], [published] = of(exporter, "POST /webhook/api/event/publish"), of(exporter, "publish")
    failed, taken = of(exporter, "POST")
    assert answer["traceId"] == TRACE
    assert [ids(span)[::2] for span in (served, published, failed, taken)] == [
        (TRACE, CALLER),
        (TRACE, ids(served)[1]),
        (TRACE, ids(published)[1]),
        (TRACE, ids(published)[1]),
    ]
    assert [span.kind for span in (served, published, failed)] == [SpanKind.SERVER, SpanKind.PRODUCER, SpanKind.CLIENT]
    assert Event.get().traceparent == f"00-{TRACE}-{ids(published)[1]}-01"
    assert [request.headers["traceparent"] for request in receiver.received] == [
        f"00-{TRACE}-{ids(span)[1]}-01" for span in (failed, taken)
    ]
    about = dict(failed.attributes or {})
    assert 0 <= about.pop("hookline.queue_ms") <= now_ms() - began
    log = desk.logs()[0]
    assert about == {
        "hookline.webhook.id": webhook,
        "hookline.delivery.id": log.delivery_id,
        "hookline.event.id": answer["data"]["eventIds"][0],
        "hookline.event.type": "NODE_CREATED",
        "hookline.attempt": 1,
        "error.type": "503",
        "http.request.method": "POST",
        "url.full": f"http://127.0.0.1:{receiver.port}/",
        "server.address": "127.0.0.1",
        "server.port": receiver.port,
        "http.response.status_code": 503,
    }
    assert failed.start_time == log.requested_at * 1_000_000
    assert failed.end_time == (log.requested_at + log.duration_ms) * 1_000_000
    assert (failed.status.status_code, taken.status.status_code) == (StatusCode.ERROR, StatusCode.UNSET)
    assert dict(published.attributes or {}) == {
        **{"hookline.source": "http", "hookline.events": 1},
        **{"hookline.accepted": 1, "hookline.duplicates": 0, "hookline.matched": 1},
    }


@pytest.mark.usefixtures("root")
def test_a_call_without_a_trace_begins_one(
    app: Flask, desk: Desk, receiver: Receiver, exporter: InMemorySpanExporter
) -> None:
    desk.register(receiver.url)
    with worker(desk.services):
        answer = publish(app, GOOD, traceparent=False)
        receiver.wait_for(1)
        eventually(lambda: of(exporter, "POST"))
    assert {ids(span)[0] for span in exporter.get_finished_spans()} == {answer["traceId"]}


@pytest.mark.usefixtures("root")
def test_what_the_caller_does_not_record_nobody_records_and_the_receiver_is_told(
    app: Flask, desk: Desk, receiver: Receiver, exporter: InMemorySpanExporter
) -> None:
    desk.register(receiver.url)
    with worker(desk.services):
        publish(app, GOOD, flags="00")
        [request] = receiver.wait_for(1)
        eventually(lambda: not desk.owed())
    told = request.headers["traceparent"]
    assert (parsed(told), told[3:35], told[-2:]) == (told, TRACE, "00")
    assert told[36:52] != CALLER
    assert exporter.get_finished_spans() == ()


@pytest.mark.usefixtures("root")
def test_a_header_of_the_webhooks_own_is_sent_instead(
    app: Flask, desk: Desk, receiver: Receiver, exporter: InMemorySpanExporter
) -> None:
    webhook = desk.register(receiver.url)
    desk.update(webhook, headers={"Traceparent": "mine"})
    with worker(desk.services):
        publish(app, GOOD)
        [request] = receiver.wait_for(1)
        eventually(lambda: of(exporter, "POST"))
    assert request.headers["traceparent"] == "mine"


@pytest.mark.usefixtures("root")
def test_a_payload_that_cannot_be_built_and_what_is_sent_by_hand_are_in_the_trace_too(
    app: Flask, desk: Desk, receiver: Receiver, exporter: InMemorySpanExporter
) -> None:
    desk.register(receiver.url)
    with worker(desk.services):
        publish(app, BROKEN)
        eventually(lambda: of(exporter, "payload"))
        publish(app, GOOD)
        eventually(lambda: of(exporter, "POST"))
        retry_log(desk.services, desk.logs()[-1], now_ms())
    [broken] = of(exporter, "payload")
    first, again = of(exporter, "POST")
    assert (ids(broken)[0], (broken.attributes or {})["error.type"]) == (TRACE, "payload")
    assert ids(again)[::2] == ids(first)[::2]
    assert (again.attributes or {})["hookline.attempt"] == 0


def test_events_by_way_of_redis_go_on_with_the_trace_of_their_message_or_their_own(
    services: Services, receiver: Receiver, redis_queue: RedisBroker, exporter: InMemorySpanExporter
) -> None:
    publisher = Publisher(services.registry, redis_queue, services.settings)
    services = dataclasses.replace(services, broker=redis_queue, publisher=publisher)
    Desk(services).register(receiver.url)
    others = "a" * 32, "b" * 32
    own = GOOD | {"traceparent": f"00-{others[0]}-{CALLER}-01"}
    options = {"traceparent": f"00-{others[1]}-{CALLER}-01"}
    redis_queue.enqueue(dramatiq.Message(EVENTS, EVENTS_ACTOR, ([GOOD, own],), {}, options))
    declare_actors(services)
    consume_in_batches(services)
    running = dramatiq.Worker(redis_queue, worker_threads=1)
    running.start()
    try:
        eventually(lambda: len(of(exporter, "POST")) == 2)
    finally:
        running.stop()
    parents = {ids(span)[0]: ids(span) for span in of(exporter, "publish")}
    assert {trace: parent for trace, _, parent in parents.values()} == dict.fromkeys(others, CALLER)
    assert {ids(span)[::2] for span in of(exporter, "POST")} == {each[:2] for each in parents.values()}


@pytest.mark.usefixtures("root")
def test_without_tracing_the_receiver_is_told_nothing_and_the_event_keeps_its_trace(
    app: Flask, desk: Desk, receiver: Receiver
) -> None:
    desk.register(receiver.url)
    with worker(desk.services):
        publish(app, GOOD)
        [request] = receiver.wait_for(1)
    assert "traceparent" not in request.headers
    assert Event.get().traceparent == f"00-{TRACE}-{CALLER}-01"
