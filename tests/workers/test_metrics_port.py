"""METRICS_PORT: processes that serve no HTTP otherwise answer there, one of a machine for all."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
import requests

from app import metrics, progress
from app.presence import SERVE
from app.progress import Loop
from app.services import Services
from tests.metrics import scraped
from tests.server import eventually, free_port
from workers import metrics_port
from workers.metrics_port import answer_at_port

pytestmark = pytest.mark.sqlite_only


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture
def answering(services: Services, port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(metrics_port, "AGAIN_S", 0.05)
    metrics.open_metrics(services.settings, SERVE)
    answer_at_port(replace(services, settings=replace(services.settings, metrics_port=port, metrics_token="t")))
    url = f"http://127.0.0.1:{port}"
    eventually(lambda: answers(url))
    yield url
    metrics.close_metrics()


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=5).status_code > 0
    except requests.ConnectionError:
        return False


def test_it_answers_metrics_to_the_token_and_nothing_else(
    answering: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert requests.get(f"{answering}/metrics", timeout=5).status_code == 401
    allowed = requests.get(f"{answering}/metrics", headers={"Authorization": "Bearer t"}, timeout=5)
    assert scraped(allowed.text)["hookline_database_up"] == 1
    assert requests.get(f"{answering}/", timeout=5).status_code == 404
    assert requests.get(f"{answering}/healthz", timeout=5).text == "ok\n"
    stuck = Loop("transport")
    monkeypatch.setattr(progress, "PATIENCE_S", -1.0)
    answer = requests.get(f"{answering}/healthz", timeout=5)
    stuck.end()
    assert (answer.status_code, answer.text) == (503, "stuck: transport\n")
    assert not any(record.levelname in {"WARNING", "ERROR"} for record in caplog.records)


def test_without_a_port_nothing_listens(services: Services) -> None:
    before = threading.active_count()
    answer_at_port(services)
    assert threading.active_count() == before
