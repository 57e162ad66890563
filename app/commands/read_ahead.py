"""Reading a stream while what it gave is being worked on."""

import threading
from collections.abc import Iterator
from queue import SimpleQueue

from hookline_client.sse import ServerEvent, Stream

MOST = 100  # events
MOST_BYTES = 8 * 1024 * 1024


class ReadAhead:
    """The events of a stream, read in a thread of its own.

    Where it is 100 events or 8 MiB ahead it closes the stream, for a server must not be kept waiting: whoever wants
    more opens another one.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._events: SimpleQueue[ServerEvent | BaseException | None] = SimpleQueue()
        self._read = self._taken = 0  # bytes; each is written by one thread
        self.is_full = False
        self._is_left = False
        threading.Thread(target=self._run, name="stream", daemon=True).start()

    def __iter__(self) -> Iterator[ServerEvent]:
        """Yield the events up to the end of the stream. Raises ClientError where the connection breaks."""
        while (event := self._events.get()) is not None:
            if isinstance(event, BaseException):
                raise event
            self._taken += len(event.data)
            yield event

    def leave(self) -> None:
        """Have the stream closed once its next event comes."""
        self._is_left = True

    def _run(self) -> None:
        try:
            with self._stream:
                for event in self._stream:
                    self._read += len(event.data)
                    self._events.put(event)
                    self.is_full = self._events.qsize() >= MOST or self._read - self._taken >= MOST_BYTES
                    if self.is_full or self._is_left:
                        break
        except BaseException as error:
            self._events.put(error)
        else:
            self._events.put(None)
