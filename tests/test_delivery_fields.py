"""How a webhook is delivered to, as its fields say it; what they refuse is in tests/api/test_webhook_create.py."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.delivery_fields import MAX_DELAY_MS, clean_delivery, duration_text, seconds
from app.errors import BadRequest
from config.settings import parse_duration_ms


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"timeout": 1}, {"timeout_ms": 1_000}),
        ({"timeout": 30.0}, {"timeout_ms": 30_000}),
        ({"timeout": 2.0305}, {"timeout_ms": 2_030}),
        ({"timeout": 0}, {"timeout_ms": 0}),
        ({"retrySchedule": ["1s", "1500ms", "2h", "7d"]}, {"retry_schedule": [1_000, 1_500, 7_200_000, 604_800_000]}),
        ({"retrySchedule": ["5s"] * 50}, {"retry_schedule": [5_000] * 50}),
        ({"retrySchedule": []}, {"retry_schedule": []}),
        ({"rateLimit": 10_000, "rateBurst": 1}, {"rate_limit": 10_000, "rate_burst": 1}),
        ({"rateLimit": 0, "rateBurst": 0}, {"rate_limit": 0, "rate_burst": 0}),
        ({"signing": "v1a", "ordering": "resource"}, {"signing": "v1a", "ordering": "resource"}),
        ({"clientCertificate": ""}, {"client_certificate": ""}),
        ({"timeout": None, "retrySchedule": None, "rateLimit": None, "signing": None, "else": 1}, {}),
    ],
)
def test_what_is_given_is_cleaned(raw: dict[str, Any], expected: dict[str, Any]) -> None:
    assert clean_delivery(raw) == expected


@pytest.mark.parametrize("field", ["timeout", "rateLimit", "rateBurst"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_has_no_number_for_is_no_number(field: str, value: float) -> None:
    with pytest.raises(BadRequest, match=field):
        clean_delivery({field: value})


@pytest.mark.parametrize(
    ("duration_ms", "text"),
    [(1_000, "1s"), (1_500, "1500ms"), (90_000, "90s"), (120_000, "2m"), (86_400_000, "1d"), (90_000_000, "25h")],
)
def test_a_duration_is_shown_in_the_largest_unit_that_fits(duration_ms: int, text: str) -> None:
    assert duration_text(duration_ms) == text


@given(st.integers(1_000, MAX_DELAY_MS))
def test_a_shown_duration_can_be_given_back(duration_ms: int) -> None:
    assert parse_duration_ms(duration_text(duration_ms)) == duration_ms


def test_seconds_are_whole_where_they_can_be() -> None:
    assert (seconds(5_000), seconds(2_500)) == (5, 2.5)
    assert isinstance(seconds(5_000), int)
