"""Receivers that misbehave, all at once: each is cut in time with an exact `errorMsg`, and holds up no other."""

import gzip
import ssl
import threading
import time
from contextlib import ExitStack
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import NamedTuple

import pytest

from app.address_guard import AddressGuard
from app.attempts import Due, Policy, judge
from app.exchange import KEPT_BODY, Outcome, Request
from app.models import WebhookLog
from app.transport import Transport
from tests.certificates import Certificate, authority, issued, serving_with
from tests.raw_receiver import Behaviour, answering, dripping, flooding, free_port, resetting, serving, silent
from tests.receiver import Receiver

DEADLINE_MS = 1_000
SLACK_S = 0.9  # less than the deadline; much, because the machine may be busy
OK = b"HTTP/1.1 200 OK\r\n"
BOMB = gzip.compress(bytes(4_000_000), mtime=0)

LATE = "time-out: no complete answer within 1000 ms"
CUT = "connection lost: the receiver closed the connection before its answer was complete"
RESET = "connection lost: the receiver reset the connection"
REFUSED = "connection refused: nothing listens at the receiver's address and port"
NOT_HTTP = "not HTTP: the receiver's answer can't be understood"


class Case(NamedTuple):
    """A receiver, and what is said of it. `url` is for one that is not there; `{port}` is one where nobody listens."""

    error: str | None
    behave: Behaviour = silent
    status: int | None = None
    certificate: str | None = None
    scheme: str = ""
    url: str = ""
    request: bytes = b"{}"
    reads: bool = True


CASES = {
    "drips its body": Case(LATE, dripping(OK + b"Content-Length: 99\r\n\r\n", b"x", 0.1), 200),
    "drips its headers": Case(LATE, dripping(OK + b"X-Slow: ", b"x", 0.1), 200),
    "accepts and never answers": Case(LATE),
    "reads nothing of a large request": Case(LATE, request=bytes(16_000_000), reads=False),
    "never completes the TLS handshake": Case(LATE, scheme="https", reads=False),
    "drips interim answers": Case(LATE, dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.1), 100),
    "floods with interim answers": Case(
        "answer too large: more than 262144 bytes of headers",
        flooding(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
        100,
    ),
    "sends endless headers": Case(
        "answer too large: more than 262144 bytes of headers", flooding(OK, b"X-Flood: %b\r\n" % (b"x" * 1_000)), 200
    ),
    "sends an endless header": Case(
        "answer too large: a header is too long", flooding(OK + b"X-Flood: ", b"x" * 1_000), 200
    ),
    "sends many short headers": Case("answer too large: too many headers", flooding(OK, b"a:b\r\n" * 1_000), 200),
    "sends an endless body": Case(
        "answer too large: more than 1048576 bytes", flooding(OK + b"\r\n", b"x" * 16_384), 200
    ),
    "sends an endless chunked body": Case(
        "answer too large: more than 1048576 bytes",
        flooding(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"4000\r\n%b\r\n" % (b"x" * 16_384)),
        200,
    ),
    "resets after the request": Case(RESET, resetting()),
    "resets in the middle of the answer": Case(RESET, resetting(OK + b"Content-Length: 9\r\n\r\ncut"), 200),
    "closes without an answer": Case("no answer: the receiver closed the connection without one", answering()),
    "closes without an answer over TLS": Case(
        "no answer: the receiver closed the connection without one", answering(), certificate="good"
    ),
    "closes among its headers": Case(CUT, answering(OK + b"X-Cut: y"), 200),
    "promises more than it sends": Case(CUT, answering(OK + b"Content-Length: 9\r\n\r\ncut"), 200),
    "closes in the middle of a chunk": Case(CUT, answering(OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\ncut"), 200),
    "closes in the middle over TLS": Case(
        CUT, answering(OK + b"Content-Length: 9\r\n\r\ncut"), 200, certificate="good"
    ),
    "has an expired certificate": Case("TLS: the certificate has expired", certificate="expired"),
    "has a certificate of the future": Case("TLS: the certificate is not valid yet", certificate="early"),
    "has a certificate of another host": Case("TLS: the certificate is for another host name", certificate="other"),
    "has a self-signed certificate": Case("TLS: the certificate is self-signed", certificate="self-signed"),
    "has a certificate of an unknown authority": Case(
        "TLS: the certificate's authority is not trusted (see CA_BUNDLE)", certificate="unknown"
    ),
    "speaks plain HTTP where TLS is asked for": Case(
        "TLS: the receiver does not speak TLS", answering(OK + b"\r\n"), scheme="https"
    ),
    "closes during the TLS handshake": Case(
        "TLS: the receiver closed the connection during the handshake", answering(), scheme="https"
    ),
    "resets during the TLS handshake": Case(
        "TLS: the receiver reset the connection during the handshake", resetting(), scheme="https"
    ),
    "answers with garbage": Case(NOT_HTTP, answering(bytes(range(128, 256)) * 8)),
    "answers with a banner": Case(NOT_HTTP, answering(b"220 mail.example ESMTP\r\n")),
    "answers with broken chunks": Case(NOT_HTTP, answering(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"), 200),
    "answers with a broken length": Case(NOT_HTTP, answering(OK + b"Content-Length: -5\r\n\r\n"), 200),
    "answers with a NUL in a header": Case(NOT_HTTP, answering(OK + b"X-Nul: \0\r\n\r\n"), 200),
    "sends a compressed bomb": Case(
        None, answering(OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB), BOMB), 200
    ),
    "redirects": Case(
        "the receiver answered 302",
        answering(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"),
        302,
    ),
    "sends an interim answer only": Case(CUT, answering(b"HTTP/1.1 103 Early Hints\r\n\r\n"), 103),
    "has a name that does not exist": Case(
        "DNS: the name nobody.invalid does not resolve", url="http://nobody.invalid/"
    ),
    "does not listen": Case(REFUSED, url="http://127.0.0.1:{port}/"),
    "does not listen on IPv6": Case(REFUSED, url="http://[::1]:{port}/"),
    "has no route to it": Case("no connection: Network is unreachable", url="http://127.255.255.255:{port}/"),
}


class Ended(NamedTuple):
    """What became of a request, and how many seconds after all were submitted."""

    outcome: Outcome
    after: float


class Round(NamedTuple):
    """All cases, sent at once, and the seconds that each of the requests to a healthy receiver took meanwhile."""

    ended: dict[str, Ended]
    healthy: list[float]


def certificates(directory: Path, known: Certificate) -> dict[str | None, ssl.SSLContext | None]:
    """Return what makes a receiver's certificate good or bad."""
    shown = {
        "good": issued(known),
        "expired": issued(known, valid=(-3, -1)),
        "early": issued(known, valid=(1, 3)),
        "other": issued(known, ("other.example",)),
        "self-signed": issued(None),
        "unknown": issued(authority("Somebody else's authority")),
    }
    return {None: None, **{name: serving_with(certificate, directory) for name, certificate in shown.items()}}


@pytest.fixture(scope="module")
def round_of_all(tmp_path_factory: pytest.TempPathFactory) -> Round:
    known = authority()
    contexts = certificates(tmp_path_factory.mktemp("tls"), known)
    networks = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
    with ExitStack() as stack:
        transport = Transport(AddressGuard(networks), capacity=64, ca_bundle=known.pem)
        stack.callback(transport.stop)
        healthy = Receiver()
        stack.callback(healthy.close)
        requests = {}
        for name, case in CASES.items():
            url = case.url.format(port=free_port())
            if not case.url:
                server = stack.enter_context(serving(case.behave, contexts[case.certificate], reads=case.reads))
                url = f"{case.scheme}://{server.url.partition('://')[2]}" if case.scheme else server.url
            requests[name] = Request(url, {}, case.request, DEADLINE_MS)
        return sent(transport, requests, Request(healthy.url, {}, b"{}", DEADLINE_MS))


def sent(transport: Transport, requests: dict[str, Request], healthy: Request) -> Round:
    assert transport.send(healthy).status == 200
    ended: dict[str, Ended] = {}
    durations = []
    all_ended = threading.Event()
    started = time.perf_counter()

    def done(name: str, outcome: Outcome) -> None:
        ended[name] = Ended(outcome, time.perf_counter() - started)
        if len(ended) == len(requests):
            all_ended.set()

    transport.submit([(request, partial(done, name)) for name, request in requests.items()])
    while not all_ended.wait(0.02):
        assert time.perf_counter() - started < 10
        before = time.perf_counter()
        assert transport.send(healthy).status == 200
        durations.append(time.perf_counter() - before)
    return Round(ended, durations)


def error_msg(outcome: Outcome) -> str | None:
    """Return what the log says of a failed attempt."""
    due = Due(id="d", webhook_id="w", event_id="e", attempt=0, type="NODE_CREATED", payload="{}", error=None)
    attempt = judge(
        due, Request("http://x/", {}, b"", 0), outcome, Policy((1_000,), DEADLINE_MS), now=outcome.started_at
    )
    row = dict(zip(WebhookLog._meta.sorted_field_names, attempt.log_row, strict=True))
    error: str | None = row["error"]
    return error


@pytest.mark.parametrize("name", CASES)
def test_a_receiver_that(name: str, round_of_all: Round) -> None:
    case, (outcome, after) = CASES[name], round_of_all.ended[name]
    assert (error_msg(outcome), outcome.status) == (case.error, case.status)
    assert after < DEADLINE_MS / 1_000 + SLACK_S
    assert outcome.duration_ms <= after * 1_000 + 1


def test_a_healthy_receiver_is_reached_at_once_meanwhile(round_of_all: Round) -> None:
    assert len(round_of_all.healthy) > 10
    assert max(round_of_all.healthy) < SLACK_S


def test_what_is_too_large_is_cut_well_before_the_deadline(round_of_all: Round) -> None:
    too_large = [ended for ended in round_of_all.ended.values() if "too large" in (ended.outcome.error or "")]
    assert len(too_large) == 6
    assert max(ended.after for ended in too_large) < DEADLINE_MS / 1_000 / 2


def test_a_compressed_body_is_kept_as_it_came(round_of_all: Round) -> None:
    outcome = round_of_all.ended["sends a compressed bomb"].outcome
    assert outcome.body == BOMB[:KEPT_BODY]
    assert gzip.decompress(BOMB) == bytes(4_000_000)
