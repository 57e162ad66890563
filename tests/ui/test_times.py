"""Times for people."""

import pytest
from flask import Flask

from app.errors import BadRequest
from app.ui.times import input_value, instant, iso, local, utc, viewer_zone

pytestmark = pytest.mark.sqlite_only

AT = 1_640_563_200_123  # 2021-12-27T00:00:00.123Z


@pytest.mark.parametrize(
    ("zone", "shown"),
    [("Asia/Shanghai", "2021-12-27 08:00:00"), ("UTC", "2021-12-27 00:00:00"), ("America/Lima", "2021-12-26 19:00:00")],
)
def test_times_are_in_the_viewers_zone(app: Flask, zone: str, shown: str) -> None:
    with app.test_request_context("/", headers={"Cookie": f"zone={zone}"}):
        assert local(AT) == shown
        assert (utc(AT), iso(AT)) == ("2021-12-27 00:00:00.123 UTC", "2021-12-27T00:00:00.123Z")
        assert instant("from", input_value(AT)) == AT - 123


@pytest.mark.parametrize("zone", ["Nowhere/Town", "../etc/passwd", "x" * 5_000, "/etc/localtime", ""])
def test_an_unknown_zone_is_utc(app: Flask, zone: str) -> None:
    with app.test_request_context("/", headers={"Cookie": f"zone={zone}"}):
        assert viewer_zone().key == "UTC"


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2021-12-27T00:00:00.123Z", AT),
        ("2021-12-27T08:00", AT - 123),
        ("2021-12-27T08:00:00", AT - 123),
        (" 2021-12-27T08:00:00.123 ", AT),
        ("", None),
        (" ", None),
    ],
)
def test_what_people_type_is_in_their_zone_and_links_are_in_utc(app: Flask, text: str, at: int | None) -> None:
    with app.test_request_context("/", headers={"Cookie": "zone=Asia/Shanghai"}):
        assert instant("from", text) == at


@pytest.mark.parametrize("text", ["yesterday", "2021-13-01T00:00", "2021-12-27", "2021-12-27T00:00+08:00", "9" * 400])
def test_what_is_no_time_is_refused(app: Flask, text: str) -> None:
    with app.test_request_context("/"), pytest.raises(BadRequest) as refused:
        instant("from", text)
    assert refused.value.params["field"] == "from"
