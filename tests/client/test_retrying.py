"""When the client calls again, and when it does not."""

from typing import Any

import pytest
from hookline_client import (
    NO_RETRY,
    Busy,
    CertificateError,
    Client,
    ClientError,
    ConnectError,
    NotFound,
    Refused,
    Retry,
    ServerError,
)
from hookline_client.retrying import repeating

from tests.client.scripted import OK, Server

pytestmark = pytest.mark.sqlite_only

STEADY = Retry(tries=4, first_pause_s=1.0, longest_pause_s=3.0, total_s=20.0, jitter=0.5)
BUSY = ServerError("no", 503)


@pytest.mark.parametrize(
    ("tried", "chance", "pause"), [(1, 0.0, 1.0), (2, 0.0, 2.0), (3, 0.0, 3.0), (3, 1.0, 1.5), (4, 0.0, None)]
)
def test_pauses_double_up_to_the_longest_less_a_random_part(tried: int, chance: float, pause: float | None) -> None:
    assert STEADY.pause_s(BUSY, tried, 0.0, chance) == pause


def test_retry_after_is_a_lower_bound() -> None:
    assert STEADY.pause_s(Busy("no", 429, retry_after_s=7), 1, 0.0, 1.0) == 7
    assert STEADY.pause_s(Busy("no", 429, retry_after_s=0), 1, 0.0, 0.0) == 1


def test_a_pause_that_would_take_too_long_is_not_begun() -> None:
    assert STEADY.pause_s(Busy("no", 429, retry_after_s=21), 1, 0.0, 0.0) is None
    assert STEADY.pause_s(BUSY, 1, 19.5, 0.0) is None


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (ConnectError("away"), True),
        (ServerError("no", 502), True),
        (ServerError("no", 504), True),
        (ServerError("a fault", 500), False),
        (Refused("wrong", 400), False),
        (CertificateError("not trusted"), False),
    ],
)
def test_only_what_may_pass_is_tried_again(error: ClientError, again: bool) -> None:
    assert (STEADY.pause_s(error, 1, 0.0, 0.0) is not None) is again


def test_it_sleeps_for_the_pauses_and_gives_up_when_told_to() -> None:
    pauses: list[float] = []

    def fail() -> None:
        raise BUSY

    with pytest.raises(ServerError):
        repeating(fail, Retry(tries=3, jitter=0), lambda pause: not pauses.append(pause))
    assert pauses == [0.5, 1.0]
    with pytest.raises(ServerError) as caught:
        repeating(fail, Retry(tries=3), lambda _: False)
    assert caught.value.tried == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.get("w"),
        lambda client: client.update("w", enabled=True),
        lambda client: client.delete("w"),
        lambda client: client.publish({"type": "NODE_CREATED"}),
        lambda client: client.replay("w", "2021-12-27T00:00:00"),
        lambda client: client.resend_failed("w"),
        lambda client: client.preview(event_type="NODE_CREATED"),
    ],
)
def test_what_may_be_done_twice_is_repeated_while_the_server_is_busy_or_away(
    server: Server, client: Client, call: Any
) -> None:
    server.refuses(503, 429)
    server.script.append((0, {}, None))
    server.gives({"id": "x"})
    call(client)
    assert len(server.seen) == 4
    assert {seen.headers.get("Idempotency-Key") for seen in server.seen} == {
        server.seen[0].headers.get("Idempotency-Key")
    }
    assert all(seen.body == server.seen[0].body for seen in server.seen)  # the same ids


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.create(url="http://h/"),
        lambda client: client.rotate_secret("w"),
        lambda client: client.test("w"),
        lambda client: client.retry("l"),
        lambda client: client.resend("d"),
        lambda client: client.cancel_job("j"),
    ],
)
def test_what_would_be_done_twice_is_not_repeated(server: Server, client: Client, call: Any) -> None:
    server.refuses(503)
    with pytest.raises(ServerError):
        call(client)
    assert len(server.seen) == 1


def test_a_client_may_be_told_not_to_repeat(server: Server) -> None:
    server.refuses(503)
    with Client(server.url, user="u", password="p", retry=NO_RETRY) as client, pytest.raises(ServerError):
        client.get("w")
    assert len(server.seen) == 1


def test_tries_are_bounded(server: Server, client: Client) -> None:
    server.refuses(*[503] * 10)
    with pytest.raises(ServerError) as caught:
        client.get("w")
    assert len(server.seen) == caught.value.tried == 5


def test_a_webhook_that_an_unanswered_call_has_deleted_is_deleted(server: Server, client: Client) -> None:
    gone = (404, {}, {**OK, "code": 251401, "message": "gone"})
    server.script += [(0, {}, None), gone, gone]
    client.delete("w")
    with pytest.raises(NotFound):
        client.delete("w")
