"""The publisher: what leaves when, what is held, and that nothing is lost without a word."""

import gc
import logging
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from hookline_client import BufferFull, Client, Publisher, PublisherClosed, Refused, Retry, TimedOut

from tests.client.scripted import OK, Server
from tests.server import eventually

pytestmark = pytest.mark.sqlite_only

LONG = 60.0  # an interval that no test waits for
EVENT = {"type": "NODE_CREATED", "projectId": "p", "repoName": "r", "resourceKey": "/a"}
TAKEN = {"accepted": 1, "duplicates": 0, "matched": 0, "eventIds": []}


class Lost:
    """Collects what could not be published."""

    def __init__(self) -> None:
        self.errors: list[Exception] = []
        self.events: list[dict[str, Any]] = []

    def __call__(self, error: Exception, events: list[dict[str, Any]]) -> None:
        self.errors.append(error)
        self.events += events

    @property
    def ids(self) -> list[str]:
        return [event["eventId"] for event in self.events]


@pytest.fixture
def lost() -> Lost:
    return Lost()


@pytest.fixture
def opened(server: Server, client: Client, lost: Lost) -> Iterator[Any]:
    """Make a publisher with options; it is closed after the test."""
    server.gives(TAKEN)
    made: list[Publisher] = []

    def opened(**options: Any) -> Publisher:
        quick = {"retry": Retry(tries=3, first_pause_s=0.001), "interval_s": LONG, "on_error": lost}
        made.append(Publisher(client, **{**quick, **options}))
        return made[-1]

    yield opened
    if server.gate is not None:
        server.gate.set()
    for publisher in made:
        publisher.close()


def add(publisher: Publisher, *ids: str, **fields: Any) -> None:
    for event_id in ids:
        publisher.add({**EVENT, "eventId": event_id, **fields})


def sent(server: Server) -> list[list[str]]:
    return [[event["eventId"] for event in seen.body] for seen in server.seen]


def test_a_batch_leaves_as_soon_as_it_has_enough_events(server: Server, opened: Any) -> None:
    publisher = opened(batch_events=2)
    add(publisher, "a", "b", "c")
    eventually(lambda: sent(server) == [["a", "b"]] and len(publisher) == 1)
    assert publisher.flush(5)
    assert sent(server) == [["a", "b"], ["c"]]
    assert len(publisher) == 0


def test_a_batch_leaves_as_soon_as_it_has_enough_bytes(server: Server, opened: Any) -> None:
    publisher = opened(batch_bytes=2_000)
    add(publisher, "a", data={"x": "y" * 1_500})
    assert len(publisher) == 1
    add(publisher, "b", "c", data={"x": "y" * 1_500})
    assert publisher.flush(5)
    assert sent(server) == [["a"], ["b"], ["c"]]


def test_a_batch_leaves_when_its_first_event_is_old_enough(server: Server, opened: Any) -> None:
    publisher = opened(interval_s=0.05)
    add(publisher, "a")
    eventually(lambda: sent(server) == [["a"]])


def test_an_event_is_copied_and_given_an_id(server: Server, opened: Any) -> None:
    publisher, event = opened(), dict(EVENT)
    publisher.add(event)
    event["type"] = "changed"
    assert publisher.flush(5)
    assert server.seen[0].body[0]["type"] == "NODE_CREATED"
    assert len(server.seen[0].body[0]["eventId"]) == 32


def test_what_json_cannot_say_is_refused_where_it_is_added(opened: Any) -> None:
    publisher = opened()
    with pytest.raises(TypeError):
        publisher.add({"type": object()})
    assert len(publisher) == 0


def test_closing_publishes_what_is_held_and_takes_no_more(server: Server, opened: Any, lost: Lost) -> None:
    publisher = opened()
    with publisher:
        add(publisher, "a", "b")
    assert sent(server) == [["a", "b"]]
    assert lost.events == []
    with pytest.raises(PublisherClosed):
        add(publisher, "c")
    publisher.close()


def test_closing_one_that_was_never_used_does_nothing(server: Server, opened: Any) -> None:
    opened().close()
    assert server.seen == []


def test_a_full_buffer_refuses_after_the_wait_and_takes_again_when_there_is_room(server: Server, opened: Any) -> None:
    server.gate = threading.Event()
    publisher = opened(most_bytes=600, batch_events=1)
    large = {"data": {"x": "y" * 250}}
    add(publisher, "a", **large)
    with pytest.raises(BufferFull, match="1 events wait to be published"):
        publisher.add({**EVENT, "eventId": "b", "data": {"x": "y" * 400}}, wait_s=0)
    waiting = threading.Thread(target=add, args=(publisher, "c", "d"), kwargs=large)
    waiting.start()
    server.gate.set()
    waiting.join(5)
    assert publisher.flush(5)
    assert sent(server) == [["a"], ["c"], ["d"]]


def test_an_event_larger_than_the_buffer_is_taken_alone(server: Server, opened: Any) -> None:
    publisher = opened(most_bytes=100)
    add(publisher, "a", data={"x": "y" * 500})
    assert publisher.flush(5)
    assert sent(server) == [["a"]]


def test_a_batch_is_tried_again_with_the_same_ids(server: Server, opened: Any, lost: Lost) -> None:
    server.refuses(503, 429)
    publisher = opened()
    publisher.add(EVENT)
    assert publisher.flush(5)
    assert len(server.seen) == 3
    assert len({str(ids) for ids in sent(server)}) == 1
    assert lost.events == []


def test_what_the_server_does_not_take_in_the_end_is_reported_whole(server: Server, opened: Any, lost: Lost) -> None:
    server.refuses(*[503] * 3)
    publisher = opened()
    add(publisher, "a", "b")
    assert publisher.flush(5)
    assert [event["resourceKey"] for event in lost.events] == ["/a", "/a"]
    assert (lost.ids, [type(error).__name__ for error in lost.errors]) == (["a", "b"], ["ServerError"])
    add(publisher, "c")
    assert publisher.flush(5)
    assert sent(server)[-1] == ["c"]


@pytest.mark.parametrize("status", [400, 413])
def test_one_bad_event_does_not_take_the_others_along(server: Server, opened: Any, lost: Lost, status: int) -> None:
    def judge(events: Any) -> Any:
        is_bad = any(event["eventId"] == "bad" for event in events)
        return (status, {}, {**OK, "code": 250105, "message": "no"}) if is_bad else (202, {}, {**OK, "data": TAKEN})

    publisher = opened()
    server.judge = judge
    add(publisher, *"abc", "bad", *"de")
    assert publisher.flush(5)
    taken = [ids for ids in sent(server) if "bad" not in ids]
    assert sorted(event_id for ids in taken for event_id in ids) == list("abcde")
    assert (lost.ids, type(lost.errors[0])) == (["bad"], Refused)


def test_what_closing_has_no_time_for_is_reported_once(server: Server, opened: Any, lost: Lost) -> None:
    server.gate = threading.Event()
    publisher = opened(batch_events=1)
    add(publisher, "a", "b")
    eventually(lambda: sent(server) == [["a"]])
    publisher.close(timeout_s=0.05)
    assert (lost.ids, type(lost.errors[0])) == (["a", "b"], TimedOut)
    server.refuses(400)
    server.gate.set()
    eventually(lambda: "hookline-publisher" not in {thread.name for thread in threading.enumerate()})
    assert lost.ids == ["a", "b"]


def test_closing_does_not_wait_for_a_retry_that_comes_too_late(server: Server, opened: Any, lost: Lost) -> None:
    server.refuses(503, **{"Retry-After": "30"})
    publisher = opened(retry=Retry())
    add(publisher, "a")
    publisher.flush(0)
    eventually(lambda: server.seen)
    publisher.close(timeout_s=5)
    assert lost.ids == ["a"]
    assert len(server.seen) == 1


def test_without_a_callback_the_ids_of_what_is_lost_are_logged(
    server: Server, opened: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server.refuses(401)
    publisher = opened(on_error=None)
    add(publisher, "a")
    assert publisher.flush(5)
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == (
        "1 events were not published: HTTP 401: the user, password or key is wrong: no (250102): a"
    )


def test_a_callback_that_fails_does_not_end_the_publisher(
    server: Server, opened: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(error: Exception, events: Any) -> None:
        raise RuntimeError("a fault of the program's own")

    server.refuses(401)
    publisher = opened(on_error=fail)
    add(publisher, "a")
    assert publisher.flush(5)
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "on_error failed",
        "1 events were not published",
    ]
    add(publisher, "b")
    assert publisher.flush(5)
    assert sent(server)[-1] == ["b"]


def test_threads_share_a_publisher(server: Server, opened: Any) -> None:
    publisher = opened(batch_events=50)
    names = [[f"{thread}-{number}" for number in range(200)] for thread in range(4)]
    threads = [threading.Thread(target=add, args=(publisher, *some)) for some in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert publisher.flush(10)
    ids = [event_id for batch in sent(server) for event_id in batch]
    assert sorted(ids) == sorted(name for some in names for name in some)
    for some in names:
        assert [event_id for event_id in ids if event_id in set(some)] == some  # in order


def test_flushing_says_whether_there_was_time_enough(server: Server, opened: Any) -> None:
    server.gate = threading.Event()
    publisher = opened()
    assert publisher.flush(0)
    add(publisher, "a")
    assert not publisher.flush(0.01)
    server.gate.set()
    assert publisher.flush(5)


def test_one_that_is_forgotten_before_its_use_is_collected(client: Client) -> None:
    publisher = Publisher(client)
    found = weakref.ref(publisher)
    del publisher
    gc.collect()
    assert found() is None


PROGRAM = """
    import os, sys
    from hookline_client import Client, Publisher

    publisher = Publisher(Client(sys.argv[1], user="u", password="p"), interval_s=60)
    publisher.add({"type": "NODE_CREATED", "eventId": "of the parent"})
    child = os.fork()
    if child == 0:
        publisher.add({"type": "NODE_CREATED", "eventId": "of the child"})
    else:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


def test_a_program_that_ends_publishes_what_it_holds_and_so_does_one_that_it_forked(server: Server) -> None:
    server.gives(TAKEN)
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), server.url]
    subprocess.run(command, check=True, timeout=30, env={**os.environ, "PYTHONPATH": "app/client"})
    assert sent(server) == [["of the child"], ["of the parent"]]
