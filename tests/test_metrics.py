"""What happens is counted where it happens, by labels of which there are only so many."""

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from app import metrics
from app.by_hand import retry_log
from app.clock import now_ms
from app.delivery import deliver
from app.event_types import Event
from app.metrics_book import VARIABLE
from app.models import Delivery, WebhookLog
from app.presence import SERVE
from app.retention import Pruned
from app.services import Services
from tests import rows
from tests.metrics import counted
from tests.receiver import Receiver

pytestmark = pytest.mark.sqlite_only


@pytest.fixture(autouse=True)
def opened(services: Services) -> Iterator[None]:
    metrics.open_metrics(services.settings, SERVE)
    yield
    metrics.close_metrics()


def publish(services: Services, *event_ids: str) -> None:
    events = [
        Event(type="NODE_CREATED", project_id="p", repo_name="r", resource_key="/a", user_id="u", event_id=event_id)
        for event_id in event_ids
    ]
    services.publisher.publish(events, now_ms())


def deliver_all(services: Services) -> None:
    for row in list(Delivery.select()):
        deliver(services, row.id, now_ms())


def test_events_count_by_what_became_of_them(services: Services) -> None:
    for _ in range(2):
        rows.webhook(services)
    publish(services, "a", "b", "c")
    publish(services, "c", "d")
    metrics.rejected(2)
    found = counted(services)
    assert found['hookline_events_total{result="accepted"}'] == 4
    assert found['hookline_events_total{result="duplicate"}'] == 1
    assert found['hookline_events_total{result="rejected"}'] == 2
    assert found["hookline_matched_deliveries_total"] == 8
    assert found['hookline_commit_size_count{kind="publish"}'] == 2


def test_attempts_count_by_status_and_reason_and_by_their_times(services: Services, receiver: Receiver) -> None:
    receiver.answer(200, 503, 404)
    rows.webhook(services, url=receiver.url)
    publish(services, "a", "b", "c")
    deliver_all(services)
    found = counted(services)
    assert {name: value for name, value in found.items() if name.startswith("hookline_attempts_total") and value} == {
        'hookline_attempts_total{reason="answered_2xx",status="SUCCESS"}': 1,
        'hookline_attempts_total{reason="answered_4xx",status="FAIL"}': 1,
        'hookline_attempts_total{reason="answered_5xx",status="FAIL"}': 1,
    }
    assert found["hookline_request_duration_seconds_count"] == 3
    assert found["hookline_first_attempt_delay_seconds_count"] == 3
    assert found['hookline_first_attempt_delay_seconds_bucket{le="30.0"}'] == 3
    assert found["hookline_first_attempt_delay_seconds_sum"] < 30


def test_a_retry_is_no_first_attempt_and_the_last_gives_the_delivery_up(services: Services) -> None:
    rows.webhook(services, url="http://127.0.0.1:9/", retry_schedule="[1]")
    publish(services, "a")
    for _ in range(2):
        Delivery.update(queued_at=now_ms()).execute()
        deliver_all(services)
    found = counted(services)
    assert found['hookline_attempts_total{reason="connection",status="FAIL"}'] == 2
    assert found["hookline_first_attempt_delay_seconds_count"] == 1
    assert found["hookline_deliveries_given_up_total"] == 1
    assert found['hookline_deliveries{state="dead"}'] == 1


def test_an_attempt_by_hand_counts_and_a_payload_that_can_not_be_built_sends_nothing(services: Services) -> None:
    webhook_id = rows.webhook(services, url="http://127.0.0.1:9/")
    raw = '{"type":"NODE_MOVED","projectId":"p","repoName":"r","resourceKey":"/a"}'
    rows.event("e", type="NODE_MOVED", payload=raw, error="data.dstFullPath is missing")
    rows.delivery(webhook_id, "e", queued_at=now_ms())
    deliver_all(services)
    retry_log(services, WebhookLog.get(), now_ms())
    found = counted(services)
    assert found['hookline_attempts_total{reason="payload",status="ERROR"}'] == 2
    assert found["hookline_request_duration_seconds_count"] == 0


def test_requests_count_by_template_and_strangers_make_no_series(services: Services) -> None:
    for method, endpoint, status in (
        ("GET", "/webhook/api/webhook/<webhook_id>", 200),
        ("GET", "/webhook/api/webhook/<webhook_id>", 204),
        ("BREW", None, 405),
        ("WHEN", None, 405),
    ):
        metrics.requested(method, endpoint, status, 0.002)
    found = {name: value for name, value in counted(services).items() if name.startswith("hookline_http_requests")}
    assert found == {
        'hookline_http_requests_total{endpoint="/webhook/api/webhook/<webhook_id>",method="GET",status="2xx"}': 2,
        'hookline_http_requests_total{endpoint="unmatched",method="other",status="4xx"}': 2,
    }


def test_the_scheduler_tells_what_it_has_done(services: Services) -> None:
    metrics.scheduled("swept", 3)
    metrics.scheduled("swept", 0)
    metrics.pruned(Pruned(5, 4, 0))
    found = counted(services)
    assert found['hookline_scheduler_deliveries_total{task="swept"}'] == 3
    assert [found[f'hookline_pruned_rows_total{{kind="{kind}"}}'] for kind in ("logs", "events", "webhooks")] == [
        5,
        4,
        0,
    ]


def test_nothing_is_counted_with_metrics_off_or_before_they_are_opened(services: Services) -> None:
    metrics.close_metrics()
    metrics.open_metrics(replace(services.settings, metrics=False), SERVE)
    publish(services, "a")
    metrics.in_flight(1, 2)
    assert metrics.book() is None


def test_a_variable_that_names_a_directory_for_others_does_not_count_for_the_embedded_server(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "/nonexistent")
    metrics.open_metrics(services.settings, SERVE)
    publish(services, "a")
    assert VARIABLE not in os.environ
    assert counted(services)['hookline_events_total{result="accepted"}'] == 1


def test_a_directory_that_can_not_be_written_leaves_a_process_its_own_figures(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    taken = services.settings.data_dir / "file"
    taken.write_text("")
    metrics.open_metrics(replace(services.settings, metrics_dir=taken), SERVE)
    assert "metrics are of this process alone: PROMETHEUS_MULTIPROC_DIR=" in caplog.text
    publish(services, "a")
    assert counted(services)['hookline_events_total{result="accepted"}'] == 1


def test_a_batch_is_added_as_its_values_one_by_one(services: Services) -> None:
    book = metrics.book()
    assert book is not None
    values = [0, 1, 2, 300, 29_900, 30_000, 31_000, 31_000]
    book._duration.observe_many(values)
    book._duration.observe_many([])
    at_once = {name: value for name, value in counted(services).items() if "request_duration" in name}
    metrics.open_metrics(services.settings, SERVE)
    book = metrics.book()
    assert book is not None
    for value in values:
        book._duration.observe(value / 1000)
    assert {name: value for name, value in counted(services).items() if "request_duration" in name} == at_once
