"""Records: what the service shows, with its attributes, and what a newer one may add."""

import dataclasses
import pickle
from datetime import datetime
from typing import Any

import pytest
from hookline_client import Delivery, EventRecord, Log, LogRow, Published, Secrets, Timing, Webhook

pytestmark = pytest.mark.sqlite_only


def test_names_dates_lists_and_records_within_records_are_read() -> None:
    log = Log.of(
        {
            "id": "l",
            "webHookId": "w",
            "webHookUrl": "http://h/",
            "requestTime": "2021-12-27T08:00:00.250",
            "nextAttemptTime": None,
            "timing": {"dns": 1, "firstByte": 2, "total": None},
        }
    )
    assert (log.webhook_id, log.webhook_url, log.request_time) == (
        "w",
        "http://h/",
        datetime(2021, 12, 27, 8, 0, 0, 250_000),
    )
    assert (log.next_attempt_time, log.timing) == (None, Timing(dns=1, first_byte=2))
    assert LogRow.of({"webhookUrl": "http://h/"}).webhook_url == "http://h/"
    event = EventRecord.of({"id": "e", "deliveries": [{"deliveryId": "d", "logs": ["l"]}]})
    assert event.deliveries == (Delivery(delivery_id="d", logs=("l",)),)
    assert Webhook.of({"retrySchedule": ["5s"], "filter": {"type": "T"}}).retry_schedule == ("5s",)


def test_what_a_newer_server_adds_is_kept_and_what_an_older_one_lacks_has_a_default() -> None:
    webhook = Webhook.of({"id": "w", "brandNew": [1]})
    assert (webhook["brandNew"], webhook.raw, "brandNew" in webhook, "older" in webhook) == (
        [1], {"id": "w", "brandNew": [1]}, True, False
    )  # fmt: skip
    assert (webhook.payload_format, webhook.enabled) == ("default", True)
    with pytest.raises(KeyError):
        webhook["older"]


def test_the_keys_of_secrets_are_the_present_one_and_the_one_before() -> None:
    before: dict[str, Any] = {"signing": "v1", "secret": "whsec_old", "validUntil": "2021-12-27T08:00:00.000"}
    secrets = Secrets.of({"signing": "v1a", "secret": None, "publicKey": "whpk_new", "previous": before})
    assert secrets.keys == ("whpk_new", "whsec_old")
    assert secrets.previous is not None
    assert secrets.previous.valid_until == datetime(2021, 12, 27, 8)


def test_records_are_frozen_and_can_be_pickled() -> None:
    published = Published.of({"accepted": 1, "eventIds": ["e"]})
    with pytest.raises(dataclasses.FrozenInstanceError):
        published.accepted = 2  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(published)) == published
    assert (published + published).event_ids == ("e", "e")
