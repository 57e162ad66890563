"""Reading server-sent events, as the WHATWG specification has them."""

import threading

import pytest
from hookline_client import Client, ConnectError, ServerEvent
from hookline_client.sse import read_events

from tests.client.scripted import Server

pytestmark = pytest.mark.sqlite_only


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ("data: a\n\n", [("message", "a", "", None)]),
        ("data:a\ndata:\ndata: b\n\n", [("message", "a\n\nb", "", None)]),
        ("event: beat\ndata:\nid: 7\n\n", [("beat", "", "7", None)]),
        (": a comment\n\nevent: nothing\n\n", []),
        ("id: 1\ndata: a\n\ndata: b\n\n", [("message", "a", "1", None), ("message", "b", "1", None)]),
        ("id: 1\ndata: a\n\nid: x\0\ndata: b\n\nid\ndata: c\n\n", [
            ("message", "a", "1", None), ("message", "b", "1", None), ("message", "c", "", None)
        ]),
        ("retry: 1000\n\nretry: soon\ndata: a\n\n", [("message", "a", "", 1000)]),
        ("data:  two spaces\nother: x\ndata\n\n", [("message", " two spaces\n", "", None)]),
        ("\ufeffdata: after a mark\n\n", [("message", "after a mark", "", None)]),
        ("data: cut short\n", []),
        ("data: 小明\n\n", [("message", "小明", "", None)]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [1, 3, 1_000])
def test_events_are_read_however_they_come(
    text: str, events: list[tuple[str, str, str, int | None]], ending: str, size: int
) -> None:
    raw = text.replace("\n", ending).encode()
    chunks = [raw[start : start + size] for start in range(0, len(raw), size)]
    assert list(read_events(chunks)) == [ServerEvent(*event) for event in events]


def test_a_stream_is_read_until_its_end(server: Server, client: Client) -> None:
    server.answer = (200, {"Content-Type": "text/event-stream"}, b"id: 1\ndata: a\n\n: beat\n\nid: 2\ndata: b\n\n")
    with client.open_stream(triggers=["NODE_CREATED", "NODE_DELETED"]) as stream:
        assert [(event.data, event.id) for event in stream] == [("a", "1"), ("b", "2")]
    assert server.seen[0].path == "/webhook/api/event/stream?triggers=NODE_CREATED&triggers=NODE_DELETED"


def test_a_stream_that_breaks_off_raises(server: Server, client: Client) -> None:
    server.answer = (200, {"Content-Type": "text/event-stream", "X-Cut": "yes"}, b"data: a\n\n" + b" " * 20_000)
    server.cut = True
    with client.open_stream() as stream:
        assert next(iter(stream)).data == "a"
        with pytest.raises(ConnectError):
            list(stream)


def test_a_stream_that_falls_silent_raises(server: Server) -> None:
    server.answer = (200, {"Content-Type": "text/event-stream"}, b"data: a\n\n")
    server.gate = threading.Event()
    with Client(server.url, timeout_s=0.05, use_proxy=False) as client, pytest.raises(ConnectError):
        client.open_stream()
    server.gate.set()
