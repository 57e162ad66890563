"""GET /metrics: both formats, the token, and the rest where a server is away."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from app import metrics, metrics_state
from app.api.context import EXTENSION, Context
from app.engines import PostgresEngine
from app.errors import QueueUnavailable
from app.memory_broker import MemoryBroker
from app.models import database
from app.presence import SERVE
from app.services import Services
from tests.metrics import scraped
from tests.server import free_port

OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
TOKEN = "a token of the tests"


class Away(MemoryBroker):
    """A queue that does not answer."""

    def waiting(self, queue_name: str) -> int:
        raise QueueUnavailable("away")


@pytest.fixture(autouse=True)
def opened(services: Services) -> Iterator[None]:
    metrics.open_metrics(services.settings, SERVE)
    yield
    metrics.close_metrics()


def use(client: FlaskClient, services: Services, broker: Any = None, **settings: Any) -> None:
    """Have the application use other settings, or another broker."""
    context: Context = client.application.extensions[EXTENSION]
    changed = replace(services, settings=replace(services.settings, **settings), broker=broker or services.broker)
    client.application.extensions[EXTENSION] = replace(context, services=changed)


def test_it_shows_what_is_counted_and_what_is_in_the_database(client: FlaskClient) -> None:
    client.get("/healthz")
    client.get("/nowhere")
    answer = client.get("/metrics")
    assert (answer.status_code, answer.content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    found = scraped(answer.text)
    assert found['hookline_http_requests_total{endpoint="/healthz",method="GET",status="2xx"}'] == 1
    assert found['hookline_http_requests_total{endpoint="unmatched",method="GET",status="4xx"}'] == 1
    assert found["hookline_database_up"] == found["hookline_queue_up"] == found["hookline_scheduler_leader"] == 1
    assert found['hookline_queue_messages{queue="deliveries"}'] == 0


@pytest.mark.sqlite_only
def test_it_speaks_openmetrics_to_those_who_ask_for_it(client: FlaskClient) -> None:
    answer = client.get("/metrics", headers=OPENMETRICS)
    assert answer.content_type.startswith("application/openmetrics-text; version=1.0.0")
    families = {family.name: family.type for family in text_string_to_metric_families(answer.text)}
    assert families["hookline_attempts"] == "counter"
    assert families["hookline_request_duration_seconds"] == "histogram"


@pytest.mark.sqlite_only
@pytest.mark.parametrize("given", [None, "Bearer", "Bearer other", f"Basic {TOKEN}", f"Bearer {TOKEN}é"])
def test_with_a_token_it_is_closed_to_those_who_lack_it(
    client: FlaskClient, services: Services, given: str | None
) -> None:
    use(client, services, metrics_token=TOKEN)
    answer = client.get("/metrics", headers={"Authorization": given} if given else {})
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert "hookline_" not in answer.text


@pytest.mark.sqlite_only
def test_with_a_token_it_is_open_to_those_who_show_it(client: FlaskClient, services: Services) -> None:
    use(client, services, metrics_token=TOKEN)
    assert client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


@pytest.mark.sqlite_only
def test_it_is_not_there_with_metrics_off(client: FlaskClient) -> None:
    metrics.close_metrics()
    answer = client.get("/metrics")
    assert (answer.status_code, answer.text) == (404, "metrics are off (see METRICS)\n")


@pytest.mark.sqlite_only
def test_a_database_and_a_queue_that_are_away_leave_the_rest(client: FlaskClient, services: Services) -> None:
    use(client, services, Away())
    working = database.obj
    database.initialize(PostgresEngine(database="d", host="127.0.0.1", port=free_port(), user="u"))
    found = scraped(client.get("/metrics").text)
    database.initialize(working)
    assert found["hookline_database_up"] == found["hookline_queue_up"] == 0
    assert found['hookline_events_total{result="accepted"}'] == 0
    assert not any(name.startswith(("hookline_deliveries{", "hookline_queue_messages")) for name in found)


@pytest.mark.sqlite_only
def test_the_database_is_asked_once_in_five_seconds(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.get("/metrics").status_code == 200
    database.execute_sql("UPDATE lease SET epoch = 9, holder = 'host:1:x'")
    assert scraped(client.get("/metrics").text)["hookline_scheduler_epoch"] == 0
    monkeypatch.setattr(metrics_state, "KEEP_S", 0.0)
    metrics.open_metrics(client.application.extensions[EXTENSION].services.settings, SERVE)
    assert scraped(client.get("/metrics").text)["hookline_scheduler_epoch"] == 9
