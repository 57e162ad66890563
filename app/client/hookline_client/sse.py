"""Reads a stream of server-sent events (WHATWG HTML, §9.2.6 "Interpreting an event stream"). It does not reconnect."""

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import NamedTuple

import requests

from hookline_client.failures import failure_of


class ServerEvent(NamedTuple):
    """One event of a stream. `id` is the last one that the stream gave, to be handed back as `Last-Event-ID`."""

    event: str
    data: str
    id: str
    retry_ms: int | None


class Stream:
    """An open stream: iterate over it, and close it. A comment keeps it alive and is passed over.

    Raises ConnectError where it breaks or is silent for longer than the client's `timeout_s`.
    """

    def __init__(self, answer: requests.Response, timeout_s: float) -> None:
        self._answer = answer
        self._timeout_s = timeout_s

    def __iter__(self) -> Iterator[ServerEvent]:
        try:
            # Without chunks of the server's own, a larger size would hold back what does not fill it.
            size = None if getattr(self._answer.raw, "chunked", False) else 1
            yield from read_events(self._answer.iter_content(chunk_size=size))
        except requests.RequestException as error:
            raise failure_of(error, str(self._answer.url), self._timeout_s) from error

    def __enter__(self) -> "Stream":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._answer.close()


def read_events(chunks: Iterable[bytes]) -> Iterator[ServerEvent]:
    """Yield the events of a stream that comes in `chunks`. Pure; what the end cuts short is dropped."""
    kind, last_id, retry_ms = "", "", None
    data: list[str] = []
    for line in _lines(chunks):
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield ServerEvent(kind or "message", "\n".join(data), last_id, retry_ms)
            kind, data = "", []
        elif name == "event":
            kind = value
        elif name == "data":
            data.append(value)
        elif name == "id" and "\0" not in value:
            last_id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            retry_ms = int(value)


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield whole lines; they end in CR, LF or both, which may come in two chunks."""
    left = b""
    is_first = True
    after_cr = False
    for chunk in chunks:
        if after_cr and chunk:
            chunk = chunk.removeprefix(b"\n")
            after_cr = False
        left += chunk
        after_cr = left.endswith(b"\r")
        *whole, left = left.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for line in whole:
            text = line.decode(errors="replace")
            yield text.removeprefix("\ufeff") if is_first else text
            is_first = False
