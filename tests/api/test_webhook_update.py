"""PUT /webhook/api/webhook/update and DELETE /webhook/api/webhook/delete/{id}."""

from collections.abc import Callable
from typing import Any

import pytest

from app.ids import new_id
from app.models import PENDING, Delivery, Webhook
from app.services import Services
from tests.api.conftest import Api, stored
from tests.api.test_webhook_create import BAD_BODIES, BAD_FIELDS
from tests.test_certificate_pem import client_pem

UNKNOWN_ID = "0" * 32


def owe(webhook_id: str, **columns: Any) -> str:
    """Make a delivery that waits."""
    row = {"id": new_id(), "webhook_id": webhook_id, "event_id": "e", "state": PENDING, "created_at": 0, **columns}
    Delivery.insert(**row).execute()
    return row["id"]


def test_it_changes_what_is_given_and_leaves_the_rest(admin: Api) -> None:
    webhook_id = admin.create(token="a-long-token", headers={"X-A": "1"}, resourceKeyPattern=".*apk")
    before = admin.data("GET", f"/webhook/{webhook_id}")
    body = {"id": webhook_id, "url": "https://new.example/", "triggers": ["NODE_DELETED"], "token": None, "unknown": 1}
    answer = admin("PUT", "/webhook/update", body)
    assert answer.json == {"code": 0, "message": None, "data": None, "traceId": answer.headers["X-Trace-Id"]}
    after = admin.data("GET", f"/webhook/{webhook_id}")
    assert after.pop("lastModifiedDate") >= before.pop("lastModifiedDate")
    assert after == before | {"url": "https://new.example/", "triggers": ["NODE_DELETED"]}


def test_an_empty_text_removes_token_and_pattern(admin: Api) -> None:
    webhook_id = admin.create(token="a-long-token", headers={"X-A": "1"}, resourceKeyPattern=".*apk")
    admin.data("PUT", "/webhook/update", {"id": webhook_id, "token": "", "headers": {}, "resourceKeyPattern": ""})
    shown = admin.data("GET", f"/webhook/{webhook_id}")
    assert (shown["token"], shown["headers"], shown["resourceKeyPattern"]) == (None, {}, None)


def test_the_one_who_changed_it_is_named(admin: Api, as_user: Callable[[str], Api]) -> None:
    webhook_id = admin.create()
    as_user("repo-manager").data("PUT", "/webhook/update", {"id": webhook_id, "url": "http://b"})
    shown = admin.data("GET", f"/webhook/{webhook_id}")
    assert (shown["createdBy"], shown["lastModifiedBy"]) == ("root", "repo-manager")


def test_what_was_shown_can_be_sent_back_whole(admin: Api, services: Services) -> None:
    secrets = {"Authorization": "Bearer abcdefgh", "X-Api-Key": "short", "X-Plain": "****"}
    webhook_id = admin.create(token="a-long-token", headers=secrets)
    shown = admin.data("GET", f"/webhook/{webhook_id}")
    assert shown["token"] == "****oken"
    assert shown["headers"] == {"Authorization": "****efgh", "X-Api-Key": "****", "X-Plain": "****"}
    admin.data("PUT", "/webhook/update", shown)
    assert admin.data("GET", f"/webhook/{webhook_id}") | {"lastModifiedDate": ""} == shown | {"lastModifiedDate": ""}
    credentials = services.registry.credentials(services.registry.refresh().get(webhook_id))
    assert (credentials.token, credentials.headers) == ("a-long-token", secrets)


def test_a_masked_header_keeps_its_value_under_a_name_in_other_case(admin: Api, services: Services) -> None:
    webhook_id = admin.create(headers={"Authorization": "Bearer abcdefgh"})
    admin.data("PUT", "/webhook/update", {"id": webhook_id, "headers": {"authorization": "****efgh", "X-New": "1"}})
    credentials = services.registry.credentials(services.registry.refresh().get(webhook_id))
    assert credentials.headers == {"authorization": "Bearer abcdefgh", "X-New": "1"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"token": "****xxxx"}, "token"),
        ({"token": "****"}, "token"),
        ({"headers": {"Authorization": "****xxxx"}}, "headers.Authorization"),
        ({"headers": {"X-Other-Token": "****efgh"}}, "headers.X-Other-Token"),
    ],
)
def test_a_mask_of_something_else_is_refused(admin: Api, change: dict[str, Any], field: str) -> None:
    webhook_id = admin.create(token="a-long-token", headers={"Authorization": "Bearer abcdefgh"})
    before = stored()
    answer = admin("PUT", "/webhook/update", {"id": webhook_id, **change})
    assert (answer.status_code, answer.json["code"]) == (400, 250105)
    assert field in answer.json["message"]
    assert stored() == before


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("change", "code", "text"),
    [row for row in BAD_FIELDS if None not in row[0].values() and "association_type and" not in row[2]],
)
def test_it_refuses_bad_fields_and_changes_nothing(admin: Api, change: dict[str, Any], code: int, text: str) -> None:
    webhook_id = admin.create()
    before = stored()
    if "associationId" in change or "associationType" in change:
        change = {"association_type": "REPO", "association_id": "p:r", **change}
    if change == {"association_type": "SYSTEM"}:
        change = {**change, "association_id": "p:r"}
    answer = admin("PUT", "/webhook/update", {"id": webhook_id, **change})
    assert (answer.status_code, answer.json["code"]) == (400, code), answer.json
    assert text in answer.json["message"]
    assert stored() == before


@pytest.mark.sqlite_only
@pytest.mark.parametrize(("body", "code", "text"), BAD_BODIES)
def test_it_refuses_bad_bodies(admin: Api, body: bytes, code: int, text: str) -> None:
    answer = admin("PUT", "/webhook/update", body)
    assert (answer.status_code, answer.json["code"]) == (400, code)
    assert text in answer.json["message"]


@pytest.mark.parametrize(
    ("webhook_id", "status", "code"),
    [
        (None, 400, 250103),
        ("", 400, 250104),
        (5, 400, 250105),
        (["x"], 400, 250105),
        (UNKNOWN_ID, 404, 251401),
        ("x" * 100_000, 404, 251401),
        ("a\u0000b", 404, 251401),
    ],
)
def test_it_refuses_ids_that_name_nothing(admin: Api, webhook_id: object, status: int, code: int) -> None:
    answer = admin("PUT", "/webhook/update", {"id": webhook_id, "url": "http://b"})
    assert (answer.status_code, answer.json["code"]) == (status, code)


def test_it_moves_where_the_caller_may_manage_both_ends(as_user: Callable[[str], Api], admin: Api) -> None:
    manager = as_user("project-manager")
    webhook_id = manager.create()
    manager.data("PUT", "/webhook/update", {"id": webhook_id, "association_type": "PROJECT", "association_id": "p"})
    assert (stored()[0]["association_type"], stored()[0]["association_id"]) == ("PROJECT", "p")
    admin.data("PUT", "/webhook/update", {"id": webhook_id, "associationType": "SYSTEM"})
    assert (stored()[0]["association_type"], stored()[0]["association_id"]) == ("SYSTEM", "")


@pytest.mark.parametrize(
    "target",
    [
        {"association_type": "SYSTEM"},
        {"association_id": "p:other"},
        {"association_type": "PROJECT", "association_id": "p"},
    ],
)
def test_it_does_not_move_out_of_the_callers_hands(as_user: Callable[[str], Api], target: dict[str, str]) -> None:
    manager = as_user("repo-manager")
    webhook_id = manager.create()
    before = stored()
    answer = manager("PUT", "/webhook/update", {"id": webhook_id, **target})
    assert (answer.status_code, answer.json["code"]) == (403, 250113)
    assert stored() == before


def test_a_half_given_association_must_fit_the_other_half(admin: Api) -> None:
    webhook_id = admin.create()
    answer = admin("PUT", "/webhook/update", {"id": webhook_id, "association_type": "PROJECT"})
    assert (answer.status_code, answer.json["code"]) == (400, 250105)


def test_a_reason_for_being_disabled_is_shown_until_it_is_enabled(admin: Api) -> None:
    webhook_id = admin.create(enabled=False)
    assert admin.data("GET", f"/webhook/{webhook_id}")["enabled"] is False
    Webhook.update(disabled_reason="the receiver answered 410 Gone").execute()
    admin.data("PUT", "/webhook/update", {"id": webhook_id, "url": "http://b"})
    assert admin.data("GET", f"/webhook/{webhook_id}")["disabledReason"] == "the receiver answered 410 Gone"
    admin.data("PUT", "/webhook/update", {"id": webhook_id, "enabled": True})
    shown = admin.data("GET", f"/webhook/{webhook_id}")
    assert (shown["enabled"], shown["disabledReason"]) == (True, None)


def test_the_registry_sees_every_change(admin: Api, services: Services) -> None:
    webhook_id = admin.create()
    assert services.registry.refresh().get(webhook_id).url == "http://receiver.example/hook"
    admin.data("PUT", "/webhook/update", {"id": webhook_id, "url": "http://b"})
    assert services.registry.refresh().get(webhook_id).url == "http://b"
    admin.data("DELETE", f"/webhook/delete/{webhook_id}")
    assert services.registry.refresh().get(webhook_id) is None


def test_deleting_cancels_what_is_owed_and_forgets_the_secrets(admin: Api) -> None:
    with_secrets = {"token": "a-long-token", "headers": {"A": "b"}, "clientCertificate": client_pem()}
    webhook_id, other_id = admin.create(**with_secrets), admin.create()
    admin.data("POST", f"/webhook/secret/rotate/{webhook_id}")
    owe(webhook_id)
    kept = owe(other_id)
    answer = admin("DELETE", f"/webhook/delete/{webhook_id}")
    assert (answer.status_code, answer.json["code"], answer.json["data"]) == (200, 0, None)
    assert [row.id for row in Delivery.select()] == [kept]
    row = Webhook.get_by_id(webhook_id)
    assert (row.token, row.headers, row.secret) == (None, None, "")
    assert (row.previous_secret, row.previous_until, row.client_certificate) == (None, None, None)


def test_a_deleted_webhook_is_not_there_any_more(admin: Api) -> None:
    webhook_id = admin.create()
    admin.data("DELETE", f"/webhook/delete/{webhook_id}")
    for method, path, body in (
        ("GET", f"/webhook/{webhook_id}", None),
        ("DELETE", f"/webhook/delete/{webhook_id}", None),
        ("GET", f"/webhook/secret/{webhook_id}", None),
        ("POST", f"/webhook/secret/rotate/{webhook_id}", None),
        ("POST", f"/webhook/test/{webhook_id}", None),
        ("PUT", "/webhook/update", {"id": webhook_id, "url": "http://b"}),
    ):
        answer = admin(method, path, body)
        assert (answer.status_code, answer.json["code"]) == (404, 251401)
    assert admin.data("GET", "/webhook/list?associationType=REPO") == []
    assert admin.data("GET", f"/log/list/{webhook_id}") == []
