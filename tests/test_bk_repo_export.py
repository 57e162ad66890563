"""Documents of bk-repo's collection as fields of the interface."""

from typing import Any

import pytest

from app.bk_repo_export import key_of, wanted_from
from app.event_types import EVENT_TYPES

pytestmark = pytest.mark.sqlite_only

DOCUMENT = {
    "_id": {"$oid": "61c8"},
    "url": "http://x.example/",
    "triggers": ["NODE_CREATED", "NODE_MOVED"],
    "associationType": "REPO",
    "associationId": "p:r",
    "createdDate": {"$date": {"$numberLong": "1640563200000"}},
}


def test_types_of_extended_json_are_read_and_other_fields_left_out() -> None:
    wanted = wanted_from(DOCUMENT, EVENT_TYPES)
    assert (wanted.source_id, wanted.problem) == ("61c8", None)
    assert set(wanted.fields) == {"url", "triggers", "associationType", "associationId"}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"url": None}, "url is required"),
        ({"url": "ftp://x"}, "url"),
        ({"triggers": ["VERSION_STAGED"]}, "VERSION_STAGED"),
        ({"triggers": "NODE_CREATED"}, "triggers"),
        ({"associationType": "TEAM"}, "associationType"),
        ({"associationId": "p"}, "associationId"),
        ({"associationId": None}, "associationId is required"),
        ({"resourceKeyPattern": "(?<=a)b"}, "resourceKeyPattern"),
        ({"headers": {"Host": "x"}}, "Host"),
        ({"headers": ["x"]}, "headers"),
    ],
)
def test_what_a_server_would_refuse_has_its_reason(change: dict[str, Any], problem: str) -> None:
    assert problem in str(wanted_from(DOCUMENT | change, EVENT_TYPES).problem)


def test_unknown_triggers_are_left_out_where_others_remain() -> None:
    some = wanted_from(DOCUMENT | {"triggers": ["X", "NODE_CREATED"]}, EVENT_TYPES, skip_unknown=True)
    assert (some.fields["triggers"], some.unknown, some.problem) == (["NODE_CREATED"], ("X",), None)
    none = wanted_from(DOCUMENT | {"triggers": ["X"]}, EVENT_TYPES, skip_unknown=True)
    assert none.problem is not None


def test_the_system_has_no_id() -> None:
    assert wanted_from(DOCUMENT | {"associationType": "SYSTEM", "associationId": "x"}, EVENT_TYPES).problem is None


def test_a_webhook_is_the_same_whatever_the_order_of_its_triggers() -> None:
    shown = {**wanted_from(DOCUMENT, EVENT_TYPES).fields, "resourceKeyPattern": "", "id": "1"}
    assert key_of(shown | {"triggers": ["NODE_MOVED", "NODE_CREATED"]}) == wanted_from(DOCUMENT, EVENT_TYPES).key
    assert key_of(shown | {"url": "http://y.example/"}) != wanted_from(DOCUMENT, EVENT_TYPES).key
