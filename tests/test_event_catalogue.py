"""The catalogue has all types, and says of each what the code does with it."""

import pytest

from app.event_catalogue import catalogue
from app.event_types import EVENT_TYPES, InvalidEvent, event_from

CATALOGUE = {record["type"]: record for record in catalogue({"IMAGE_SIGNED", "BUILD_DONE", "NODE_CREATED"})}


def test_it_has_all_types_in_order_and_those_of_the_settings_last() -> None:
    assert list(CATALOGUE) == [*EVENT_TYPES, "BUILD_DONE", "IMAGE_SIGNED"]
    assert catalogue(()) == [CATALOGUE[name] for name in EVENT_TYPES]


@pytest.mark.parametrize("event_type", CATALOGUE)
def test_what_may_be_published_has_an_event_that_is_accepted_and_needs_what_it_says(event_type: str) -> None:
    record = CATALOGUE[event_type]
    if not record["publishable"]:
        with pytest.raises(InvalidEvent):
            event_from({"type": event_type}, {event_type})
        assert record["event"] is None
        return
    assert record["event"] is not None
    assert event_from(record["event"], {event_type}).type == event_type
    for field in record["requires"]:
        with pytest.raises(InvalidEvent, match=f"{field}: missing"):
            event_from({**record["event"], field: None}, {event_type})


def test_it_tells_of_operational_types() -> None:
    operational = [record["type"] for record in CATALOGUE.values() if record["operational"]]
    assert operational == ["WEBHOOK_DISABLED", "WEBHOOK_FAILING", "WEBHOOK_RECOVERED", "DELIVERY_EXHAUSTED"]
    assert CATALOGUE["WEBHOOK_TEST"]["example"]["webHook"]["id"]
