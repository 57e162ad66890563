"""Connections: TLS, a socket, Sentinel and its fail-over; and who waits in an outage."""

import datetime
import ipaddress
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from app.errors import OperatorError, QueueUnavailable
from app.queue import DELIVERIES, delivery_message
from app.redis_broker import RedisBroker
from app.redis_client import Outage, cause, unavailable
from app.redis_url import parse_redis_url
from scripts import backends
from tests.redis_server import client_of, redis_broker, redis_server
from tests.server import eventually


def round_trip(broker: RedisBroker) -> list[str]:
    consumer = broker.batch_consumer(DELIVERIES, 1_000)
    broker.enqueue_many([delivery_message("a")])
    messages = consumer.fetch(10)
    consumer.ack_many(messages)
    consumer.close()
    return [message.args[0] for message in messages]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own authority, and its key."""
    directory = tmp_path_factory.mktemp("certificate")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    secret = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (directory / "cert.pem").write_bytes(made.public_bytes(encoding))
    (directory / "key.pem").write_bytes(secret)
    return directory / "cert.pem", directory / "key.pem"


@pytest.fixture(scope="module")
def tls_url(certificate: tuple[Path, Path]) -> Iterator[str]:
    port = backends.free_port()
    files = ("--tls-cert-file", str(certificate[0]), "--tls-key-file", str(certificate[1]))
    with redis_server("--tls-port", str(port), *files, "--tls-auth-clients", "no"):
        yield f"rediss://127.0.0.1:{port}/0"


def test_tls_takes_a_certificate_of_a_trusted_authority(tls_url: str, certificate: tuple[Path, Path]) -> None:
    with redis_broker(f"{tls_url}?ssl_ca_certs={certificate[0]}") as broker:
        assert round_trip(broker) == ["a"]


def test_tls_takes_any_certificate_where_that_is_asked_for(tls_url: str) -> None:
    with redis_broker(f"{tls_url}?ssl_cert_reqs=none") as broker:
        assert round_trip(broker) == ["a"]


def test_tls_refuses_an_unknown_certificate(tls_url: str) -> None:
    with pytest.raises(OperatorError, match="certificate"):
        RedisBroker(parse_redis_url(tls_url)).open()


def test_a_socket_does_as_well(tmp_path: Path) -> None:
    with redis_server("--unixsocket", str(tmp_path / "s")), redis_broker(f"unix://{tmp_path}/s?db=1") as broker:
        assert round_trip(broker) == ["a"]


@contextmanager
def sentinel(master: backends.Running, directory: Path) -> Iterator[int]:
    port = backends.free_port()
    config = directory / "sentinel.conf"
    config.write_text(
        f"port {port}\nbind 127.0.0.1\nrequirepass watch\n"
        f"sentinel monitor mymaster 127.0.0.1 {master.port} 1\nsentinel auth-pass mymaster data\n"
        "sentinel down-after-milliseconds mymaster 500\nsentinel failover-timeout mymaster 2000\n"
    )
    with (directory / "sentinel.log").open("wb") as log:
        process = subprocess.Popen(
            ["redis-server", str(config), "--sentinel"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        with client_of(f"redis://:watch@127.0.0.1:{port}") as client:
            eventually(lambda: knows_replica(client), 30)
        yield port
    finally:
        process.kill()
        process.wait()


def knows_replica(client: redis.Redis) -> bool:
    try:
        replicas = client.sentinel_slaves("mymaster")
    except (redis.ConnectionError, redis.ResponseError):
        return False
    return any(replica["master-link-status"] == "ok" for replica in replicas)


@pytest.mark.slow
def test_sentinel_tells_where_the_master_is_now(tmp_path: Path) -> None:
    with ExitStack() as stack:
        master = stack.enter_context(redis_server("--requirepass", "data", "--masterauth", "data"))
        replication = ("--replicaof", f"127.0.0.1 {master.port}", "--repl-diskless-sync-delay", "0")
        stack.enter_context(redis_server("--requirepass", "data", "--masterauth", "data", *replication))
        port = stack.enter_context(sentinel(master, tmp_path))
        away = backends.free_port()
        url = f"redis+sentinel://:data@127.0.0.1:{away},127.0.0.1:{port}/mymaster/2?sentinel_password=watch"
        broker = stack.enter_context(redis_broker(url))
        assert round_trip(broker) == ["a"]
        with client_of(f"redis://:data@127.0.0.1:{master.port}/2") as client:
            assert client.exists("dramatiq:hookline:since")
        master.kill()
        eventually(lambda: works(broker), 30)


def works(broker: RedisBroker) -> bool:
    try:
        return round_trip(broker) != []
    except QueueUnavailable:
        return False


def test_sentinels_that_know_no_such_service_are_an_error(tmp_path: Path) -> None:
    away = backends.free_port()
    with pytest.raises(OperatorError, match=r"REDIS_URL: redis\+sentinel://.*mymaster"):
        RedisBroker(parse_redis_url(f"redis+sentinel://127.0.0.1:{away}/mymaster")).open()


def test_a_refusal_is_told_in_one_short_line() -> None:
    with pytest.raises(QueueUnavailable) as raised, unavailable():
        raise redis.ResponseError("OOM " + "x" * 1_000 + "\nmore")
    assert len(str(raised.value)) < 250
    assert "more" not in str(raised.value)
    assert cause(redis.TimeoutError()) == "TimeoutError"


def test_a_defect_of_ours_is_no_outage() -> None:
    with pytest.raises(redis.DataError), unavailable():
        raise redis.DataError("not a string")


def fail(outage: Outage, error: Exception) -> None:
    with pytest.raises(QueueUnavailable), outage.watch():
        raise error


def test_after_an_outage_callers_fail_at_once_for_a_moment() -> None:
    outage = Outage()
    fail(outage, redis.ConnectionError("gone"))
    with pytest.raises(QueueUnavailable, match="a moment ago"), outage.watch():
        pytest.fail("it was let through")


def test_what_redis_refuses_is_no_outage() -> None:
    outage = Outage()
    fail(outage, redis.ResponseError("OOM"))
    with outage.watch():
        passed = True
    assert passed


def test_when_the_moment_is_over_one_caller_tries_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.redis_client.PAUSE_S", 0.0)
    outage = Outage()
    fail(outage, redis.TimeoutError("silence"))
    inside, leave = threading.Event(), threading.Event()

    def try_again() -> None:
        with outage.watch():
            inside.set()
            leave.wait(10)

    trying = threading.Thread(target=try_again)
    trying.start()
    assert inside.wait(10)
    with pytest.raises(QueueUnavailable, match="a moment ago"), outage.watch():
        pytest.fail("it was let through")
    leave.set()
    trying.join()
    with outage.watch():
        passed = True
    assert passed
