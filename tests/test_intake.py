"""Events from callers: who may publish, and how what is wrong is said."""

import pytest

from app.authentication import Caller
from app.errors import BadRequest, Forbidden
from app.event_types import EVENT_TYPES
from app.intake import may_publish, read_event, require_publisher

GOOD = {"type": "NODE_CREATED", "projectId": "p", "repoName": "r", "resourceKey": "/a"}


@pytest.mark.parametrize(
    ("admin", "scopes", "may"), [(True, [], True), (False, ["event:publish"], True), (False, [], False)]
)
def test_who_may_publish(admin: bool, scopes: list[str], may: bool) -> None:
    caller = Caller("u", admin=admin, scopes=frozenset(scopes), platform=bool(scopes))
    assert may_publish(caller) is may
    if may:
        require_publisher(caller)
    else:
        with pytest.raises(Forbidden, match="publish_forbidden"):
            require_publisher(caller)


@pytest.mark.parametrize(
    ("value", "where", "reason", "params"),
    [
        ([], "", "invalid", {"field": "body", "limit": None}),
        ([], "[3]", "invalid", {"field": "[3]", "limit": None}),
        ({}, "", "missing", {"field": "type", "limit": None}),
        (GOOD | {"projectId": ""}, "[0]", "empty", {"field": "[0].projectId", "limit": None}),
        (GOOD | {"userId": "u" * 129}, "", "too_long", {"field": "userId", "limit": 128}),
        (GOOD | {"type": "NOPE"}, "", "trigger_unknown", {"field": "type", "value": '"NOPE"'}),
    ],
)
def test_what_is_wrong_names_its_place(value: object, where: str, reason: str, params: dict[str, object]) -> None:
    with pytest.raises(BadRequest) as caught:
        read_event(value, EVENT_TYPES, where)
    assert (caught.value.reason, caught.value.params) == (reason, params)


def test_a_good_event_is_returned() -> None:
    assert read_event(GOOD, EVENT_TYPES).resource_key == "/a"
