"""The whole story over real HTTP: register, publish, signed webhooks go out, every attempt is on record."""

import itertools
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hookline_client import Client, ClientError, Published
from standardwebhooks import Webhook

from tests.receiver import Answer, Received, Receiver
from tests.server import Server, eventually, serving

pytestmark = pytest.mark.slow

RETRY_S = 0.2  # the first two of the schedule; the sweeper looks once a second
numbers = itertools.count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("story") / "data") as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with server.client() as calling:
        yield calling


@pytest.fixture
def repo() -> str:
    """A repository that no other test uses: they share a server."""
    return f"r{next(numbers)}"


def register(client: Client, receiver: Receiver, repo: str, **fields: Any) -> str:
    """Register a webhook for everything the tests publish about `repo`."""
    meant = {
        "url": receiver.url,
        "triggers": ["NODE_CREATED", "NODE_MOVED"],
        "associationType": "REPO",
        "associationId": f"p:{repo}",
    }
    return client.create(**{**meant, **fields})


def event(repo: str, **fields: Any) -> dict[str, Any]:
    made = {"type": "NODE_CREATED", "projectId": "p", "repoName": repo, "resourceKey": "/lib/a.jar", "userId": "ann"}
    return {**made, **fields}


def records(client: Client, webhook_id: str) -> list[Mapping[str, Any]]:
    """Return the logs of a webhook, oldest first."""
    return list(reversed(client.log_page(webhook_id, pageSize=100)["records"]))


def logs(client: Client, webhook_id: str, count: int) -> list[Mapping[str, Any]]:
    """Wait for `count` logs of a webhook, and return all there are, oldest first."""
    eventually(lambda: len(records(client, webhook_id)) >= count)
    return records(client, webhook_id)


def states(server: Server, webhook_id: str) -> list[str]:
    """Return the states of what is still owed to a webhook."""
    return [state for (state,) in server.query("SELECT state FROM delivery WHERE webhook_id = ?", webhook_id)]


def verified(secret: str, request: Received) -> Any:
    """Return the payload of a request whose signature another implementation than ours accepts."""
    return Webhook(secret).verify(request.body.decode(), dict(request.headers))


def test_an_event_is_sent_until_it_is_taken_and_every_attempt_is_on_record(
    server: Server, client: Client, receiver: Receiver, repo: str
) -> None:
    webhook_id = register(client, receiver, repo)
    receiver.answer(500, 500, 200)
    published = client.publish([event(repo)])
    assert (published.accepted, published.duplicates, published.matched) == (1, 0, 1)
    arrived = list(receiver.wait_for(3))
    history = logs(client, webhook_id, 3)

    assert [(log["status"], log["responseStatus"], log["attempt"]) for log in history] == [
        ("FAIL", 500, 1),
        ("FAIL", 500, 2),
        ("SUCCESS", 200, 3),
    ]
    assert {request.headers["webhook-id"] for request in arrived} == {history[0]["deliveryId"]}
    secret = client.secret(webhook_id)
    assert secret.startswith("whsec_")
    for request, log in zip(arrived, history, strict=True):
        payload = verified(secret, request)
        assert (payload["eventType"], payload["node"]["fullPath"]) == ("NODE_CREATED", "/lib/a.jar")
        assert request.headers["x-bkrepo-event"] == "NODE_CREATED"
        assert log["requestPayload"] == request.body.decode()
        assert (log["deliveryId"], log["eventId"]) == (history[0]["deliveryId"], published.event_ids[0])
    for log, following in itertools.pairwise(history):
        due = datetime.fromisoformat(log["nextAttemptTime"])
        wait = due - datetime.fromisoformat(log["requestTime"])
        assert wait.total_seconds() * 1000 == pytest.approx(RETRY_S * 1000 + log["requestDuration"], abs=2)
        assert datetime.fromisoformat(following["requestTime"]) >= due
    assert history[-1]["nextAttemptTime"] is None
    assert states(server, webhook_id) == []


def test_retry_after_is_waited_for(client: Client, receiver: Receiver, repo: str) -> None:
    webhook_id = register(client, receiver, repo)
    receiver.script.append(Answer(503, {"Retry-After": "2"}))
    client.publish([event(repo)])
    first, second = receiver.wait_for(2)
    refused, taken = logs(client, webhook_id, 2)
    assert second.at - first.at >= 1.99
    assert (refused["responseStatus"], taken["status"]) == (503, "SUCCESS")
    due = datetime.fromisoformat(refused["nextAttemptTime"]) - datetime.fromisoformat(refused["requestTime"])
    assert due.total_seconds() >= 2


def test_a_delivery_is_given_up_after_the_last_attempt(
    server: Server, client: Client, receiver: Receiver, repo: str
) -> None:
    webhook_id = register(client, receiver, repo)
    receiver.answer(500, 404, 302, 503)
    client.publish([event(repo)])
    history = logs(client, webhook_id, 4)
    assert [(log["attempt"], log["responseStatus"]) for log in history] == [(1, 500), (2, 404), (3, 302), (4, 503)]
    assert {log["status"] for log in history} == {"FAIL"}
    assert history[-1]["nextAttemptTime"] is None
    assert states(server, webhook_id) == ["DEAD"]
    assert len({request.headers["webhook-id"] for request in receiver.received}) == 1

    by_hand = client.retry(history[-1]["id"])
    assert (by_hand["status"], by_hand["attempt"]) == ("SUCCESS", 0)
    assert states(server, webhook_id) == []


def test_a_receiver_that_is_gone_is_not_asked_again(
    server: Server, client: Client, receiver: Receiver, repo: str
) -> None:
    webhook_id = register(client, receiver, repo)
    receiver.answer(410)
    client.publish([event(repo)])
    eventually(lambda: not client.get(webhook_id)["enabled"])
    assert "410" in client.get(webhook_id)["disabledReason"]
    assert client.publish([event(repo)]).matched == 0
    # A second webhook's delivery, failed and tried again, shows that a sweep has passed over the first one's.
    other = register(client, receiver, repo)
    receiver.answer(500)
    client.publish([event(repo)])
    logs(client, other, 2)
    assert [log["responseStatus"] for log in records(client, webhook_id)] == [410]
    assert len(receiver.received) == 3


def test_an_event_whose_payload_cannot_be_built_leaves_an_error_with_the_raw_event(
    server: Server, client: Client, receiver: Receiver, repo: str
) -> None:
    webhook_id = register(client, receiver, repo)
    lacking = event(repo, type="NODE_MOVED", data={"dstProjectId": "p", "dstRepoName": "other"})
    published = client.publish([lacking])
    assert (published.accepted, published.matched) == (1, 1)
    [log] = logs(client, webhook_id, 1)
    assert (log["status"], log["attempt"], log["nextAttemptTime"]) == ("ERROR", 1, None)
    assert "dstFullPath" in log["errorMsg"]
    raw = json.loads(log["requestPayload"])
    assert {name: raw[name] for name in lacking} == lacking
    assert receiver.received == []
    assert "PENDING" not in states(server, webhook_id)


def test_a_test_and_a_retry_by_hand_are_logged_as_attempt_0(client: Client, receiver: Receiver, repo: str) -> None:
    webhook_id = register(client, receiver, repo)
    receiver.answer(500, 200)
    tested = client.test(webhook_id)
    again = client.retry(tested["id"])
    assert [(log["status"], log["attempt"], log["nextAttemptTime"]) for log in (tested, again)] == [
        ("FAIL", 0, None),
        ("SUCCESS", 0, None),
    ]
    assert [log["id"] for log in records(client, webhook_id)] == [tested["id"], again["id"]]
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == tested["deliveryId"]
    secret = client.secret(webhook_id)
    assert verified(secret, first) == verified(secret, second)
    assert verified(secret, first)["eventType"] == first.headers["x-bkrepo-event"] == "WEBHOOK_TEST"
    assert verified(secret, first)["webHook"]["id"] == webhook_id


def test_a_retry_by_hand_leaves_the_scheduled_attempts_alone(client: Client, receiver: Receiver, repo: str) -> None:
    webhook_id = register(client, receiver, repo)
    receiver.script.extend([Answer(503, {"Retry-After": "2"}), Answer(500), Answer(200)])
    client.publish([event(repo)])
    [failed] = logs(client, webhook_id, 1)
    assert client.retry(failed["id"])["status"] == "FAIL"
    assert [(log["attempt"], log["status"]) for log in logs(client, webhook_id, 3)] == [
        (1, "FAIL"),
        (0, "FAIL"),
        (2, "SUCCESS"),
    ]


def test_a_deleted_webhook_gets_nothing_any_more(server: Server, client: Client, receiver: Receiver, repo: str) -> None:
    webhook_id = register(client, receiver, repo)
    kept = register(client, receiver, repo)
    receiver.script.extend([Answer(503, {"Retry-After": "1"})] * 2)  # time enough to delete it before it is tried again
    assert client.publish([event(repo)]).matched == 2
    for one in (webhook_id, kept):
        logs(client, one, 1)
    client.delete(webhook_id)
    assert states(server, webhook_id) == []
    assert client.publish([event(repo)]).matched == 1
    logs(client, kept, 3)
    assert len(receiver.received) == 4
    assert [log["status"] for log in records(client, webhook_id)] == ["FAIL"]
    with pytest.raises(ClientError) as refused:
        client.get(webhook_id)
    assert (refused.value.status, refused.value.code) == (404, 251401)


def test_an_event_published_again_is_not_delivered_again(client: Client, receiver: Receiver, repo: str) -> None:
    webhook_id = register(client, receiver, repo)
    once = event(repo, eventId=f"once-{repo}")
    assert client.publish([once, once]) == Published(
        accepted=1, duplicates=1, matched=1, event_ids=(once["eventId"],) * 2
    )
    assert client.publish([once]) == Published(duplicates=1, event_ids=(once["eventId"],))
    client.publish([event(repo, eventId=f"last-{repo}")])
    assert [log["eventId"] for log in logs(client, webhook_id, 2)] == [f"once-{repo}", f"last-{repo}"]
    assert len(receiver.received) == 2


def test_each_webhook_that_matches_gets_the_event_once(client: Client, receiver: Receiver, repo: str) -> None:
    first = register(client, receiver, repo)
    second = register(client, receiver, repo, associationType="PROJECT", associationId="p")
    elsewhere = register(client, receiver, f"{repo}-other")
    other_pattern = register(client, receiver, repo, resourceKeyPattern="/docs/.*")
    try:
        assert client.publish([event(repo)]).matched == 2
        [one], [other] = logs(client, first, 1), logs(client, second, 1)
        assert one["deliveryId"] != other["deliveryId"]
        arrived = receiver.wait_for(2)
        assert {request.headers["webhook-id"] for request in arrived} == {one["deliveryId"], other["deliveryId"]}
        for request in arrived:
            secret = client.secret(first if request.headers["webhook-id"] == one["deliveryId"] else second)
            assert verified(secret, request)["eventType"] == "NODE_CREATED"
        assert [records(client, webhook_id) for webhook_id in (elsewhere, other_pattern)] == [[], []]
    finally:
        client.delete(second)


def test_what_was_answered_survives_a_restart_of_the_server(tmp_path: Path, receiver: Receiver, repo: str) -> None:
    with serving(tmp_path / "data") as running:
        receiver.answer(500)
        with running.client() as client:
            webhook_id = register(client, receiver, repo)
            secret = client.secret(webhook_id)
            client.publish([event(repo)])
            logs(client, webhook_id, 1)
        running.kill()
        running.start()
        with running.client() as client:
            assert [log["status"] for log in logs(client, webhook_id, 2)] == ["FAIL", "SUCCESS"]
            assert client.secret(webhook_id) == secret
        assert len({verified(secret, request) and request.headers["webhook-id"] for request in receiver.received}) == 1
