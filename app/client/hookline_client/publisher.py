"""Publishes events in the background, in batches."""

import atexit
import json
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Self

from hookline_client.batches import Event, encode
from hookline_client.errors import BufferFull, PublisherClosed, Refused, TimedOut
from hookline_client.event_calls import EventCalls
from hookline_client.retrying import Retry

log = logging.getLogger(__name__)

OnError = Callable[[Exception, list[dict[str, Any]]], None]

MEBIBYTE = 1024 * 1024
TEN_MINUTES = Retry(tries=1_000, total_s=600.0)
FAULTS_OF_EVENTS = (400, 413)  # one of a batch may be at fault, and the others be good


class Publisher:
    """Takes events at once and publishes them from a thread of its own; threads may share it.

        with Publisher(client) as publisher:
            publisher.add({"type": "NODE_CREATED", …})

    A batch leaves as soon as it has `batch_events` or `batch_bytes`, or its first event is `interval_s` old. What a
    program still holds when it ends is published then, within `close_s` seconds; so it is at `close`. A program that is
    killed loses what it holds: an event that must not be lost is published by `Client.publish`.

    It holds `most_bytes` of JSON at most; see `add`. `on_error` gets an exception and the events that could not be
    published, each with its `eventId`, in the publisher's thread; without it they are logged as errors. Where the
    server refuses a batch for one event, the others are published. `retry` says how long a batch is tried.

    After a fork the parent publishes what was added before, and the child begins empty.
    """

    def __init__(
        self,
        client: EventCalls,
        *,
        batch_events: int = 500,
        batch_bytes: int = MEBIBYTE,
        interval_s: float = 1.0,
        most_bytes: int = 64 * MEBIBYTE,
        close_s: float = 10.0,
        retry: Retry = TEN_MINUTES,
        on_error: OnError | None = None,
    ) -> None:
        self._client = client
        self._batch_events, self._batch_bytes = batch_events, batch_bytes
        self._interval_s, self._most_bytes, self._close_s = interval_s, most_bytes, close_s
        self._retry = retry
        self._on_error = on_error or _log_lost
        self._closing_at: float | None = None  # when the time to close runs out; None while it is open
        self._begin()
        begin = weakref.WeakMethod(self._begin)
        os.register_at_fork(after_in_child=lambda: _call(begin()))

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._pending: deque[bytes] = deque()
        self._sending: list[bytes] = []
        self._pending_bytes = self._sending_bytes = 0
        self._added = self._done = self._flush_to = 0
        self._due_at = 0.0  # when the first of the pending ones has waited long enough
        self._thread: threading.Thread | None = None
        self._is_over = False  # `close` has reported what was left

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        """Return how many events it holds."""
        with self._changed:
            return len(self._pending) + len(self._sending)

    def add(self, event: Event, *, wait_s: float = 5.0) -> None:
        """Take an event; a copy, so it may change afterwards. It is given an `eventId` where it has none.

        Where the buffer is full it waits, for `wait_s` at most. Raises BufferFull after that, PublisherClosed, and
        TypeError or ValueError for what JSON can't say.
        """
        encoded = encode(event)
        with self._changed:
            if not self._changed.wait_for(lambda: self._closing_at is not None or self._has_room(encoded), wait_s):
                raise BufferFull(f"{len(self._pending) + len(self._sending)} events wait to be published")
            if self._closing_at is not None:
                raise PublisherClosed("the publisher is closed")
            if not self._pending:
                self._due_at = time.monotonic() + self._interval_s
            self._start()
            self._pending.append(encoded)
            self._pending_bytes += len(encoded)
            self._added += 1
            if len(self._pending) == 1 or self._has_batch():
                self._changed.notify_all()

    def flush(self, timeout_s: float | None = None) -> bool:
        """Publish what was added so far, and return whether that was done, or reported, within `timeout_s`."""
        with self._changed:
            wanted = self._flush_to = self._added
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._done >= wanted, timeout_s)

    def close(self, timeout_s: float | None = None) -> None:
        """Publish what it holds, and take no more. What is not done within `timeout_s` (`close_s`) is reported.

        An event that was on its way then may have been accepted all the same.
        """
        limit_s = self._close_s if timeout_s is None else timeout_s
        with self._changed:
            thread = self._thread
            if self._closing_at is None:
                self._closing_at = time.monotonic() + limit_s
            self._changed.notify_all()
        if thread is None:
            return
        atexit.unregister(self.close)
        thread.join(limit_s)
        with self._changed:
            left = [*self._sending, *self._pending]
            self._is_over = True
            self._pending.clear()
            self._finished(len(left))
        if left:
            self._tell(TimedOut(f"the publisher was closed, and {limit_s:g} s were not enough"), left)

    def _start(self) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="hookline-publisher", daemon=True)
            thread.start()
            self._thread = thread
            atexit.register(self.close)

    def _run(self) -> None:
        while self._take():
            self._send(self._sending)
            with self._changed:
                self._finished(len(self._sending))

    def _finished(self, count: int) -> None:
        self._done += count
        self._sending, self._sending_bytes = [], 0
        self._changed.notify_all()

    def _take(self) -> bool:
        """Wait for a batch, and take it into `_sending`; return whether there is one, False at the end."""
        with self._changed:
            while not self._is_due():
                if self._closing_at is not None:
                    return False
                self._changed.wait(max(0.0, self._due_at - time.monotonic()) if self._pending else None)
            while self._pending and len(self._sending) < self._batch_events:
                if self._sending and self._sending_bytes + len(self._pending[0]) > self._batch_bytes:
                    break
                event = self._pending.popleft()
                self._sending.append(event)
                self._sending_bytes += len(event)
            self._pending_bytes -= self._sending_bytes
            self._due_at = time.monotonic() + self._interval_s
            return True

    def _is_due(self) -> bool:
        hurries = self._closing_at is not None or self._done < self._flush_to or self._has_batch()
        return bool(self._pending) and (hurries or time.monotonic() >= self._due_at)

    def _has_batch(self) -> bool:
        return len(self._pending) >= self._batch_events or self._pending_bytes >= self._batch_bytes

    def _has_room(self, encoded: bytes) -> bool:
        held = self._pending_bytes + self._sending_bytes
        return not held or held + len(encoded) <= self._most_bytes

    def _send(self, batch: Sequence[bytes]) -> None:
        try:
            self._client.publish_encoded(batch, retry=self._retry, wait=self._wait)
        except Exception as error:
            if self._is_over:
                return
            if isinstance(error, Refused) and error.status in FAULTS_OF_EVENTS and len(batch) > 1:
                half = len(batch) // 2
                self._send(batch[:half])
                self._send(batch[half:])
            else:
                self._tell(error, batch)

    def _wait(self, seconds: float) -> bool:
        """Wait between two tries; return False as soon as closing does not leave the time."""
        end = time.monotonic() + seconds
        with self._changed:
            while (now := time.monotonic()) < end:
                if self._closing_at is not None and self._closing_at < end:
                    return False
                self._changed.wait(end - now)
        return True

    def _tell(self, error: Exception, lost: Sequence[bytes]) -> None:
        events = [json.loads(event) for event in lost]
        try:
            self._on_error(error, events)
        except Exception:
            log.exception("on_error failed")
            _log_lost(error, events)


def _call(found: Callable[[], None] | None) -> None:
    if found is not None:
        found()


def _log_lost(error: Exception, events: Sequence[dict[str, Any]]) -> None:
    ids = ", ".join(str(event["eventId"]) for event in events)
    log.error("%d events were not published: %s: %s", len(events), error, ids)
