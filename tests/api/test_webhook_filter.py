"""The filter of a webhook: kept and shown, refused with its place, and what it does to events from then on."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.models import Delivery, Event, Webhook
from tests.api.conftest import Api, platform

LARGE = {"payload.node.size": {"$gt": 100}, "userId": {"$nin": ["径", "root"]}}


def shown(admin: Api, webhook_id: str) -> Any:
    return admin.data("GET", f"/webhook/{webhook_id}")["filter"]


def published(client: FlaskClient, event_id: str, data: Any, **fields: Any) -> int:
    event = {"type": "NODE_CREATED", "projectId": "p", "repoName": "r", "resourceKey": "/a", "userId": "u"}
    body = event | {"data": data, "eventId": event_id} | fields
    return int(Api(client, platform("publisher")).data("POST", "/event/publish", body)["matched"])


def test_it_is_kept_shown_changed_and_taken_away(admin: Api) -> None:
    webhook_id = admin.create(filter=LARGE)
    assert shown(admin, webhook_id) == LARGE
    for change, after in (({"url": "http://b"}, LARGE), ({"filter": None}, LARGE), ({"filter": {"type": "T"}}, None)):
        admin.data("PUT", "/webhook/update", {"id": webhook_id, **change})
        assert shown(admin, webhook_id) == (after or change["filter"])
    admin.data("PUT", "/webhook/update", {"id": webhook_id, "filter": {}})
    assert shown(admin, webhook_id) is None
    assert Webhook.get_by_id(webhook_id).filter is None
    assert shown(admin, admin.create()) is None


def test_a_wrong_one_is_refused_with_its_place_and_nothing_changes(admin: Api) -> None:
    webhook_id = admin.create(filter=LARGE)
    wrong = {"$and": [{"type": "T"}, {"payload.node.size": {"$gt": "1", "$most": 2}}]}
    refused = admin("PUT", "/webhook/update", {"id": webhook_id, "filter": wrong, "url": "http://b"})
    assert (refused.status_code, refused.json["code"]) == (400, 250105)
    assert refused.json["message"].startswith("filter.$and[1].payload.node.size.$most: there is no such operator")
    chinese = admin("PUT", "/webhook/update", {"id": webhook_id, "filter": []}, headers={"Accept-Language": "zh"})
    assert chinese.json["message"] == "参数 filter 必须是对象"
    assert shown(admin, webhook_id) == LARGE


def test_it_holds_for_events_after_the_answer(admin: Api, client: FlaskClient) -> None:
    webhook_id = admin.create(filter=LARGE)
    assert published(client, "small", {"node": {"size": 100}}) == 0
    assert published(client, "large", {"node": {"size": 101}}) == 1
    assert published(client, "root", {"node": {"size": 101}}, userId="root") == 0
    admin.data("PUT", "/webhook/update", {"id": webhook_id, "filter": {"payload.node.size": {"$lte": 100}}})
    assert published(client, "small too", {"node": {"size": 100}}) == 1
    assert published(client, "large too", {"node": {"size": 101}}) == 0
    assert {row.event_id for row in Delivery.select()} == {"large", "small too"}


def test_an_event_without_a_payload_comes_so_that_its_log_can_say_why(admin: Api, client: FlaskClient) -> None:
    admin.create(filter=LARGE)
    admin.create(filter={"payload.node.size": 1, "userId": "root"})
    assert published(client, "broken", {"node": "no object"}) == 1
    assert Event.get_by_id("broken").error == "data.node is not an object"


@pytest.mark.sqlite_only
def test_it_sees_the_payload_that_receivers_get(admin: Api, client: FlaskClient) -> None:
    meant = {"payload": {"user": {"admin": True}, "node": {"name": "b.apk"}}, "source": {"$exists": False}}
    admin.create(filter=meant)
    assert published(client, "known", None, userId="root", resourceKey="/a/b.apk") == 1
    assert published(client, "unknown", None, userId="u", resourceKey="/a/b.apk") == 0
    assert published(client, "sourced", None, userId="root", resourceKey="/a/b.apk", source="s") == 0
