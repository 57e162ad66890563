"""The cheapest receiver that still speaks HTTP/1.1 with keep-alive: one thread, one epoll loop, one constant answer.

A receiver that costs much is what a benchmark on two cores ends up measuring. This one takes about 10 µs of CPU time
a request; asyncio without a parsing library took as much with 64 connections and twice that with 16.

It runs as a process of its own and is told what to do by lines on its standard input; each answer is a JSON line:
`expect N` is answered with `{"reached": N}` as soon as N requests have arrived, `stats` at once with what was
counted. It ends when its standard input is closed, and so never outlives the program that started it.
"""

import argparse
import json
import os
import select
import socket
import sys
import time
from collections import deque

from .events import MARK_LENGTH, MARK_PREFIX

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
END_OF_HEADERS = b"\r\n\r\n"
READ = 65_536
PROGRESS_STEPS = 50


class Receiver:
    """Answers every request with 200, `delay_s` after it arrived, and counts.

    With `marks`, the time of arrival of the first request with each mark in its body is kept, in nanoseconds of
    the system's clock, which all processes share.
    """

    def __init__(self, *, delay_s: float, marks: bool) -> None:
        self._delay_s = delay_s
        self._keeps_marks = marks
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self._listener.setblocking(False)
        self._connections: dict[int, socket.socket] = {}
        self._unfinished: dict[int, bytes] = {}
        self._owed: deque[tuple[float, int]] = deque()
        self._epoll = select.epoll()
        self._commands = b""
        self._count = 0
        self._expected = 0
        self._next_report = 0
        self._most_owed = 0
        self._arrived: dict[str, int] = {}

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._listener.getsockname()[1])

    def serve(self) -> None:
        """Answer requests and commands until the standard input is closed."""
        listener, commands = self._listener.fileno(), sys.stdin.fileno()
        for descriptor in (listener, commands):
            self._epoll.register(descriptor, select.EPOLLIN)
        while True:
            for descriptor, _ in self._epoll.poll(self._patience()):
                if descriptor == listener:
                    self._accept()
                elif descriptor != commands:
                    self._read(descriptor)
                elif not self._obey():
                    return
            if self._owed:
                self._answer_those_due()
            if self._count >= self._next_report and self._expected:
                self._report_progress()

    def _patience(self) -> float:
        return max(0.0, self._owed[0][0] - time.monotonic()) if self._owed else -1

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections[connection.fileno()] = connection
        self._epoll.register(connection.fileno(), select.EPOLLIN)

    def _read(self, descriptor: int) -> None:
        connection = self._connections[descriptor]
        try:
            data = connection.recv(READ)
        except ConnectionError:
            data = b""
        if not data:
            self._forget(descriptor)
            return
        if descriptor in self._unfinished:
            data = self._unfinished.pop(descriptor) + data
        head = data.find(END_OF_HEADERS)
        if head < 0 or len(data) < head + len(END_OF_HEADERS) + content_length(data):
            self._unfinished[descriptor] = data
            return
        self._count += 1
        if self._keeps_marks:
            self._note_mark(data, head)
        if self._delay_s:
            self._owed.append((time.monotonic() + self._delay_s, descriptor))
            self._most_owed = max(self._most_owed, len(self._owed))
        else:
            self._answer(descriptor)

    def _note_mark(self, data: bytes, head: int) -> None:
        found = data.find(MARK_PREFIX, head)
        if found >= 0:
            self._arrived.setdefault(data[found : found + MARK_LENGTH].decode("ascii"), time.time_ns())

    def _answer(self, descriptor: int) -> None:
        try:
            self._connections[descriptor].send(ANSWER)
        except (KeyError, ConnectionError):
            self._forget(descriptor)

    def _answer_those_due(self) -> None:
        now = time.monotonic()
        while self._owed and self._owed[0][0] <= now:
            self._answer(self._owed.popleft()[1])

    def _forget(self, descriptor: int) -> None:
        connection = self._connections.pop(descriptor, None)
        if connection is not None:
            self._unfinished.pop(descriptor, None)
            self._epoll.unregister(descriptor)
            connection.close()

    def _obey(self) -> bool:
        data = os.read(sys.stdin.fileno(), READ)
        *lines, self._commands = (self._commands + data).split(b"\n")
        for line in lines:
            command, _, argument = line.decode("ascii").partition(" ")
            if command == "expect":
                self._expected = int(argument)
                self._next_report = 1
            else:
                say(count=self._count, open=len(self._owed), most_open=self._most_owed, arrived=self._arrived)
        return bool(data)

    def _report_progress(self) -> None:
        if self._count >= self._expected:
            self._expected = 0
            say(reached=self._count)
        else:
            self._next_report = min(self._expected, self._count + max(1, self._expected // PROGRESS_STEPS))
            say(count=self._count)


def content_length(data: bytes) -> int:
    """Return the value of Content-Length in a request whose headers are complete, 0 where there is none."""
    found = data.find(b"Content-Length: ")
    if found < 0:
        found = data.lower().find(b"content-length: ", 0, data.find(END_OF_HEADERS))
    return int(data[found + 16 : data.index(b"\r", found)]) if found >= 0 else 0


def say(**answer: object) -> None:
    """Write one line of JSON to the program that started this process."""
    print(json.dumps(answer), flush=True)


def main() -> None:
    """Listen on a free port of 127.0.0.1, tell which, and serve."""
    options = argparse.ArgumentParser()
    options.add_argument("--delay", type=float, default=0.0, help="seconds from a request's arrival to its answer")
    options.add_argument("--marks", action="store_true", help="keep the time of arrival of each mark")
    given = options.parse_args()
    receiver = Receiver(delay_s=given.delay, marks=given.marks)
    say(port=receiver.port)
    receiver.serve()


if __name__ == "__main__":
    main()
