"""Live readers of a real server: so many and no more, the API beside them, and an end that does not wait for them."""

import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.production import database_server, production
from tests.redis_server import redis_server
from tests.server import PASSWORD, Server, eventually, serving

PROMPTLY_S = 8.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path / "data") as running:
        yield running


class Viewer:
    """Someone who is logged in at a server."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}"
        self._session = requests.Session()
        self._session.trust_env = False
        form = self._session.get(f"{self._base}/login", timeout=10).text
        [token] = re.findall(r'name="csrf_token" value="([^"]+)"', form)
        sent = {"name": "admin", "password": PASSWORD, "csrf_token": token}
        answer = self._session.post(f"{self._base}/login", sent, timeout=10, allow_redirects=False)
        assert answer.status_code == 303

    def read(self) -> requests.Response:
        """Begin to read along."""
        headers = {"Accept": "text/event-stream", "Connection": "close"}
        return self._session.get(f"{self._base}/tail/stream", headers=headers, stream=True, timeout=10)


def hear(answer: requests.Response) -> str:
    """Return the first message of a stream."""
    assert answer.status_code == 200
    return next(answer.iter_content(None)).decode()


@pytest.mark.slow
def test_a_quarter_of_the_threads_reads_along_and_the_api_answers(server: Server) -> None:
    viewer = Viewer(server.port)
    reading = [viewer.read() for _ in range(4)]
    assert all("event: beat" in hear(each) for each in reading)
    refused = viewer.read()
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    with server.client() as client:
        assert client.list("SYSTEM") == []
    # One who goes without a word leaves his place to the next.
    reading.pop().close()
    eventually(lambda: viewer.read().status_code == 200)
    assert server.stop() == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_promptly_while_someone_reads_along(server: Server, number: signal.Signals) -> None:
    reading = [Viewer(server.port).read() for _ in range(2)]
    for each in reading:
        hear(each)
    began = time.monotonic()
    assert server.stop(number) == 0
    assert time.monotonic() - began < PROMPTLY_S
    assert "Traceback" not in server.text()


@pytest.mark.slow
def test_web_processes_hold_no_transaction_for_readers_and_end_promptly(tmp_path: Path) -> None:
    with (
        redis_server() as redis,
        database_server("postgres", durable=False) as database,
        production(tmp_path / "site", database.url, redis.url, WEB_THREADS="4") as site,
    ):
        site.release()
        web = site.start("web")
        viewer = Viewer(site.port)
        reading = viewer.read()
        hear(reading)
        assert viewer.read().status_code == 503
        states = site.query("SELECT state FROM pg_stat_activity WHERE application_name = 'hookline'")
        assert set(states) == {("idle",)}
        with site.client() as client:
            assert client.list("SYSTEM") == []
        assert web.stop(PROMPTLY_S) == 0
        assert "Traceback" not in web.text()
