"""The client against the service itself: every field that it shows has an attribute of the right type."""

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from datetime import datetime
from types import UnionType
from typing import Any

import pytest
import standardwebhooks
from hookline_client import Client, Publisher, Unauthenticated, verify
from hookline_client.record import Record, wire_name

from tests.receiver import Receiver
from tests.server import Server, eventually

pytestmark = [pytest.mark.sqlite_only, pytest.mark.slow]


def check(record: Record) -> None:
    """See that each key of what was answered has an attribute, and each attribute the type that it says."""
    hints = typing.get_type_hints(type(record))
    names = {found.metadata.get("name") or wire_name(found.name): found.name for found in dataclasses.fields(record)}
    assert set(record.raw) <= set(names), type(record)
    for attribute, hint in hints.items():
        value = getattr(record, attribute)
        assert fits(value, hint), (type(record), attribute, value)
        for inner in value if isinstance(value, tuple) else (value,):
            if isinstance(inner, Record):
                check(inner)


def fits(value: Any, hint: Any) -> bool:
    """Return whether a value is of a type, as far as that can be seen."""
    if hint is Any or isinstance(hint, typing.TypeVar):
        return True
    if isinstance(hint, UnionType) or typing.get_origin(hint) is typing.Union:
        return any(fits(value, choice) for choice in typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(fits(each, typing.get_args(hint)[0]) for each in value)
    kind = typing.get_origin(hint) or hint
    if kind is float:
        return isinstance(value, int | float)
    return isinstance(value, kind)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def test_everything_that_the_service_shows_has_an_attribute(caller: Client, receiver: Receiver) -> None:
    webhook_id = caller.create(
        url=receiver.url,
        triggers=["NODE_CREATED", "NODE_DELETED"],
        association_type="REPO",
        association_id="typed:all",
        resource_key_pattern="/.*",
        headers={"X-Mine": "1"},
        token="a token",
        timeout=2.5,
        retry_schedule=["1h"],
        rate_limit=100,
        rate_burst=10,
        ordering="resource",
        filter={"type": {"$in": ["NODE_CREATED", "NODE_DELETED"]}},
        payload_format="default",
    )
    caller.update(webhook_id, enabled=True, pending="release", timeout=3)
    webhook = caller.get(webhook_id)
    assert (webhook.timeout, webhook.retry_schedule, webhook.triggers) == (3, ("1h",), ("NODE_CREATED", "NODE_DELETED"))
    assert (webhook.headers, webhook.resource_key_pattern) == ({"X-Mine": "1"}, "/.*")
    assert isinstance(webhook.created_date, datetime)
    assert webhook.raw == caller.list("REPO", "typed:all")[0].raw
    assert webhook_id in {found.id for found in caller.iter_webhooks()}

    event = {"type": "NODE_CREATED", "projectId": "typed", "repoName": "all", "resourceKey": "/a", "userId": "ann"}
    receiver.answer(200, 500)
    published = caller.publish(event)
    eventually(lambda: caller.log_page(webhook_id).total_records)
    failed = caller.publish({**event, "resourceKey": "/b"})
    eventually(lambda: caller.log_page(webhook_id).total_records == 2)
    [delivery] = caller.iter_deliveries(webhook_id)
    assert (delivery.event_id, delivery.state, delivery.attempts) == (failed.event_ids[0], "PENDING", 1)
    rotated = caller.rotate_secret(webhook_id, overlap_hours=1)
    assert len(rotated.keys) == 2
    job = caller.resend_failed(webhook_id)
    eventually(lambda: caller.job(job.id).is_finished)
    shown = [
        *(webhook, published, caller.test(webhook_id), caller.logs(webhook_id)[0], caller.log_page(webhook_id)),
        *(caller.event(failed.event_ids[0]), caller.events(project_id="typed"), delivery, rotated),
        *(caller.delivery(delivery.delivery_id), caller.secrets(webhook_id), caller.jobs(webhook_id), job),
        *(caller.alive(), caller.ready()),
    ]
    for record in shown:
        check(record)
    caller.delete(webhook_id)


def test_what_the_newer_endpoints_show_has_attributes_too(caller: Client) -> None:
    preview = caller.preview(event_type="NODE_CREATED", payload_format="default", filter={"type": "NODE_CREATED"})
    assert preview.matches is True
    assert isinstance(caller.openapi()["paths"], Mapping)
    for record in (preview, *caller.templates(), *caller.event_types()):
        check(record)
    assert {found.type for found in caller.event_types()} >= {"NODE_CREATED", "WEBHOOK_TEST"}


def test_what_the_service_signs_is_verified(caller: Client, receiver: Receiver) -> None:
    for signing in ("v1", "v1a"):
        webhook_id = caller.create(
            url=receiver.url, triggers=["NODE_CREATED"], association_type="REPO", association_id="typed:signed",
            signing=signing,
        )  # fmt: skip
        before = caller.secrets(webhook_id)
        caller.rotate_secret(webhook_id)
        log = caller.test(webhook_id)
        request = receiver.received[-1]
        for keys in (before.keys, caller.secrets(webhook_id).keys, caller.secret(webhook_id)):
            message = verify(request.headers, request.body, keys)
            assert (message.id, message.event_type) == (log.delivery_id, "WEBHOOK_TEST")
            assert message.payload["webHook"]["id"] == webhook_id
        if signing == "v1":
            standardwebhooks.Webhook(before.keys[0]).verify(request.body.decode(), dict(request.headers))
        caller.delete(webhook_id)


def test_a_publisher_publishes_each_event_once(caller: Client) -> None:
    with Publisher(caller, batch_events=20) as publisher:
        for number in range(50):
            publisher.add(
                {"type": "NODE_CREATED", "projectId": "typed", "repoName": "bulk", "resourceKey": f"/{number}"}
            )
    found = list(caller.iter_events(project_id="typed", repo_name="bulk", page_size=7))
    assert sorted(int(str(event.resource_key)[1:]) for event in found) == list(range(50))


def test_a_stream_begins(service: Server, caller: Client) -> None:
    with caller.open_stream(association_type="SYSTEM") as stream:
        assert next(iter(stream)).event == "ready"
    assert caller.stream_secret().startswith("whsec_")


def test_a_wrong_password_is_said_in_one_line(service: Server) -> None:
    with Client(f"http://127.0.0.1:{service.port}", user="admin", password="wrong") as stranger:
        with pytest.raises(Unauthenticated) as refused:
            stranger.list("SYSTEM")
        assert str(refused.value) == "HTTP 401: the user, password or key is wrong: the credentials are wrong (250114)"
