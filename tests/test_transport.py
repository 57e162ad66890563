"""The loop that all requests of a process share."""

import threading
import time
from collections.abc import Iterator
from functools import partial
from ipaddress import ip_network

import pytest

from app.address_guard import AddressGuard
from app.exchange import Outcome, Request
from app.transport import Transport
from tests.raw_receiver import answering, free_port, serving, silent
from tests.receiver import Answer, Receiver

PATIENCE_S = 10.0


@pytest.fixture
def transport() -> Iterator[Transport]:
    made = Transport(AddressGuard([ip_network("127.0.0.0/8")]), capacity=64)
    yield made
    made.stop()


class Collected:
    """Callbacks that keep what they are told."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.threads: set[int] = set()
        self._changed = threading.Condition()

    def done(self, outcome: Outcome) -> None:
        with self._changed:
            self.outcomes.append(outcome)
            self.threads.add(threading.get_ident())
            self._changed.notify_all()

    def wait_for(self, count: int) -> list[Outcome]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.outcomes) >= count, PATIENCE_S)
        return self.outcomes


def post(url: str, timeout_ms: int = 5_000, **headers: str) -> Request:
    return Request(url, headers, b"{}", timeout_ms)


def test_many_requests_are_under_way_at_the_same_time(transport: Transport, receiver: Receiver) -> None:
    receiver.script.extend([Answer(delay=0.3)] * 40)
    collected = Collected()
    started = time.perf_counter()
    transport.submit([(post(receiver.url), collected.done)] * 40)
    outcomes = collected.wait_for(40)
    assert time.perf_counter() - started < 3
    assert [outcome.status for outcome in outcomes] == [200] * 40
    assert len(receiver.received) == 40


def test_every_request_is_called_back_once_in_one_thread_of_its_own(transport: Transport, receiver: Receiver) -> None:
    collected = Collected()
    for _ in range(20):
        transport.submit([(post(receiver.url), collected.done), (post(receiver.url), collected.done)])
    collected.wait_for(40)
    transport.send(post(receiver.url))
    assert len(collected.outcomes) == 40
    assert len(collected.threads) == 1
    assert threading.get_ident() not in collected.threads


def test_threads_may_share_it(transport: Transport, receiver: Receiver) -> None:
    statuses: list[int | None] = []

    def send() -> None:
        statuses.extend(transport.send(post(receiver.url)).status for _ in range(10))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert statuses == [200] * 80


def test_a_receiver_that_is_silent_holds_up_no_other(transport: Transport, receiver: Receiver) -> None:
    slow, quick = Collected(), Collected()
    with serving(silent) as server:
        transport.submit([(post(server.url, 1_000), slow.done)] * 5)
        transport.submit([(post(receiver.url), quick.done)] * 5)
        assert [outcome.status for outcome in quick.wait_for(5)] == [200] * 5
        assert slow.outcomes == []
        errors = {outcome.error for outcome in slow.wait_for(5)}
    assert errors == {"time-out: no complete answer within 1000 ms"}


def test_each_request_has_a_deadline_of_its_own(transport: Transport) -> None:
    collected = Collected()
    with serving(silent) as server:
        transport.submit([(post(server.url, millis), collected.done) for millis in (600, 200, 400)])
        errors = [outcome.error for outcome in collected.wait_for(3)]
    assert errors == [f"time-out: no complete answer within {millis} ms" for millis in (200, 400, 600)]


@pytest.mark.parametrize(
    "url", ["http://[bad/", "http://a:99999/", "ftp://127.0.0.1/", "file:///etc/hostname", "", "x y"]
)
def test_what_cannot_be_sent_is_an_outcome_too_and_disturbs_no_other(
    transport: Transport, receiver: Receiver, url: str
) -> None:
    collected = Collected()
    transport.submit([(post(url, 500), collected.done), (post(receiver.url), collected.done)])
    bad, good = sorted(collected.wait_for(2), key=lambda outcome: outcome.status or 0)
    assert bad.error
    assert (bad.status, bad.body, good.status) == (None, b"", 200)


def test_a_header_that_cannot_be_encoded_is_an_outcome_too(transport: Transport, receiver: Receiver) -> None:
    outcome = transport.send(post(receiver.url, X="值"))
    assert outcome.status is None
    assert outcome.error is not None
    assert outcome.error.startswith("the request can't be sent: ")
    assert receiver.received == []
    assert transport.send(post(receiver.url)).status == 200


def test_a_callback_may_submit_the_next_request(transport: Transport, receiver: Receiver) -> None:
    collected = Collected()

    def again(outcome: Outcome) -> None:
        collected.done(outcome)
        if len(collected.outcomes) < 10:
            transport.submit([(post(receiver.url), again)])

    transport.submit([(post(receiver.url), again)])
    assert [outcome.status for outcome in collected.wait_for(10)] == [200] * 10


def test_a_callback_that_fails_is_logged_and_disturbs_no_other(
    transport: Transport, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    collected = Collected()

    def fail(_outcome: Outcome) -> None:
        raise RuntimeError("a defect")

    transport.submit([(post(receiver.url), fail), (post(receiver.url), collected.done)])
    collected.wait_for(1)
    assert transport.send(post(receiver.url)).status == 200
    assert [record.getMessage() for record in caplog.records] == ["the callback of a request failed"]


def test_calls_run_in_order_in_the_thread_of_the_callbacks(transport: Transport, receiver: Receiver) -> None:
    collected = Collected()
    order: list[int] = []
    threads: set[int] = set()
    ended = threading.Event()

    def nested() -> None:
        order.append(99)
        threads.add(threading.get_ident())
        ended.set()

    for number in range(20):
        transport.call_soon(partial(order.append, number))
    transport.call_soon(lambda: transport.call_soon(nested))
    assert ended.wait(PATIENCE_S)
    transport.submit([(post(receiver.url), collected.done)])
    collected.wait_for(1)
    assert order == [*range(20), 99]
    assert threads == collected.threads


def test_a_call_that_fails_is_logged_and_ends_nothing(
    transport: Transport, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    transport.call_soon(lambda: [][0])
    assert transport.send(post(receiver.url)).status == 200
    assert [record.getMessage() for record in caplog.records] == ["a call in the transport's thread failed"]


def test_stopping_abandons_what_is_under_way(receiver: Receiver) -> None:
    transport = Transport(AddressGuard([ip_network("127.0.0.0/8")]), capacity=4)
    collected = Collected()
    with serving(silent) as server:
        transport.submit([(post(server.url, 30_000), collected.done)] * 3)
        assert transport.send(post(receiver.url)).status == 200
        started = time.perf_counter()
        transport.stop()
        assert time.perf_counter() - started < 2
    assert collected.outcomes == []


def test_one_that_was_never_used_stops(receiver: Receiver) -> None:
    Transport(AddressGuard(), capacity=4).stop()
    assert receiver.received == []


def test_failures_do_not_wear_it_out(transport: Transport, receiver: Receiver) -> None:
    closed = f"http://127.0.0.1:{free_port()}/"
    with serving(answering()) as server:
        for _ in range(50):
            assert transport.send(post(closed)).error is not None
            assert transport.send(post(server.url)).error is not None
    assert transport.send(post(receiver.url)).status == 200


def test_a_call_runs_at_its_time_in_the_thread_of_the_callbacks(transport: Transport, receiver: Receiver) -> None:
    collected = Collected()
    transport.submit([(post(receiver.url), collected.done)])
    collected.wait_for(1)
    ran: list[tuple[float, float, int]] = []
    ended = threading.Event()

    def note(when: float) -> None:
        ran.append((when, time.monotonic(), threading.get_ident()))
        if len(ran) == 4:
            ended.set()

    start = time.monotonic()
    for delay in (0.15, 0.05, 0.1, -1.0):
        transport.call_at(start + delay, partial(note, start + delay))
    assert ended.wait(PATIENCE_S)
    assert [when for when, _, _ in ran] == [start - 1.0, start + 0.05, start + 0.1, start + 0.15]
    assert all(0 <= at - when < 1.0 for when, at, _ in ran[1:])
    assert {thread for _, _, thread in ran} == collected.threads


def test_calls_for_one_moment_run_in_the_order_in_which_they_came(transport: Transport) -> None:
    when = time.monotonic() + 0.05
    order: list[int] = []
    ended = threading.Event()
    for number in range(20):
        transport.call_at(when, partial(order.append, number))
    transport.call_at(when, ended.set)
    assert ended.wait(PATIENCE_S)
    assert order == list(range(20))


def test_a_call_may_set_the_next_and_requests_go_on_meanwhile(transport: Transport, receiver: Receiver) -> None:
    ticks: list[float] = []
    ended = threading.Event()

    def tick() -> None:
        ticks.append(time.monotonic())
        if len(ticks) < 10:
            transport.call_at(ticks[-1] + 0.01, tick)
        else:
            ended.set()

    transport.call_at(0, tick)
    assert [transport.send(post(receiver.url)).status for _ in range(20)] == [200] * 20
    assert ended.wait(PATIENCE_S)
    assert ticks[-1] - ticks[0] >= 0.09


def test_a_timed_call_that_fails_is_logged_and_ends_nothing(
    transport: Transport, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    ended = threading.Event()
    transport.call_at(0, lambda: [][0])
    transport.call_at(time.monotonic() + 0.01, ended.set)
    assert ended.wait(PATIENCE_S)
    assert transport.send(post(receiver.url)).status == 200
    assert [record.getMessage() for record in caplog.records] == ["a call in the transport's thread failed"]


def test_stopping_drops_the_calls_that_are_not_due() -> None:
    transport = Transport(AddressGuard(), capacity=4)
    ran: list[int] = []
    done = threading.Event()
    transport.call_at(time.monotonic() + 0.05, partial(ran.append, 1))
    transport.call_soon(done.set)
    assert done.wait(PATIENCE_S)
    transport.stop()
    transport.call_at(0, partial(ran.append, 2))
    assert not any(thread.name == "transport" for thread in threading.enumerate())
    assert ran == []


def test_a_callback_of_what_cannot_be_sent_may_fail_too(
    transport: Transport, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    transport.submit([(post(receiver.url, X="值"), lambda _outcome: [][0])])
    assert transport.send(post(receiver.url)).status == 200
    assert [record.getMessage() for record in caplog.records] == ["the callback of a request failed"]
