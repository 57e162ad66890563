"""Who may call what: the matrix of contract §2."""

import base64
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from app.authentication import Authenticator
from app.models import AccessKey, Event, Webhook
from app.services import Services
from app.web import create_app
from tests.api.conftest import NEW, Api, basic, platform
from tests.api.test_publish import EVENT

ID = "0" * 32
ENDPOINTS = [
    ("POST", "/webhook/create"),
    ("PUT", "/webhook/update"),
    ("DELETE", f"/webhook/delete/{ID}"),
    ("GET", f"/webhook/{ID}"),
    ("GET", "/webhook/list"),
    ("GET", f"/webhook/secret/{ID}"),
    ("POST", f"/webhook/secret/rotate/{ID}"),
    ("GET", f"/webhook/test/{ID}"),
    ("POST", f"/webhook/test/{ID}"),
    ("GET", f"/webhook/retry/{ID}"),
    ("POST", f"/webhook/retry/{ID}"),
    ("GET", f"/log/list/{ID}"),
    ("POST", "/event/publish"),
    ("GET", "/event/list"),
    ("GET", "/event/some-id"),
    ("POST", "/event/replay"),
    ("GET", f"/delivery/list?webHookId={ID}"),
    ("GET", f"/delivery/{ID}"),
    ("POST", f"/delivery/resend/{ID}"),
    ("POST", "/delivery/resend"),
    ("GET", f"/delivery/job/{ID}"),
    ("GET", f"/delivery/job/list?webHookId={ID}"),
    ("POST", f"/delivery/job/cancel/{ID}"),
]
SYSTEM = {"association_type": "SYSTEM", "association_id": ""}
PROJECT = {"association_type": "PROJECT", "association_id": "p"}
REPO = {"association_type": "REPO", "association_id": "p:r"}
OTHER_REPO = {"association_type": "REPO", "association_id": "p:s"}

CALLERS = {
    "administrator": basic("root"),
    "project manager": basic("project-manager"),
    "repository manager": basic("repo-manager"),
    "outsider": basic("outsider"),
    "platform for nobody": platform("publisher"),
    "platform without scopes for an administrator": platform("scopeless", "root"),
    "platform for a repository manager": platform("publisher", "repo-manager"),
    "platform for an unknown user": platform("publisher", "nobody-known"),
}
MAY_MANAGE = {
    "administrator": [SYSTEM, PROJECT, REPO, OTHER_REPO],
    "project manager": [PROJECT, REPO, OTHER_REPO],
    "repository manager": [REPO],
    "platform without scopes for an administrator": [SYSTEM, PROJECT, REPO, OTHER_REPO],
    "platform for a repository manager": [REPO],
}
MAY_PUBLISH = {
    "administrator",
    "platform for nobody",
    "platform without scopes for an administrator",
    "platform for a repository manager",
    "platform for an unknown user",
}


def pair(scheme: str, text: str | bytes) -> str:
    raw = text if isinstance(text, bytes) else text.encode()
    return f"{scheme} {base64.b64encode(raw).decode()}"


BAD_AUTHORIZATIONS = [
    None,
    "",
    "Basic",
    "Basic ",
    "Basic !!!!",
    "Basic " + "A" * 9_000,
    "Bearer abc",
    pair("Bearer", "root:correct horse"),
    pair("Basic", "root"),
    pair("Basic", ":correct horse"),
    pair("Basic", "root:"),
    pair("Basic", b"root:\xff"),
    pair("Basic", "root\0:correct horse"),
    pair("Basic", "r" * 129 + ":x"),
    pair("Basic", "root:correct horse") + "=",
    pair("Basic", "nobody-here:correct horse"),
    pair("Basic", "root:wrong"),
    pair("Platform", "publisher:wrong"),
    pair("Platform", "nokey:yekon"),
    pair("Platform", "root:correct horse"),
    pair("Basic", "publisher:rehsilbup"),
]


@pytest.mark.sqlite_only
@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_a_stranger_is_asked_for_credentials_everywhere(
    client: FlaskClient, people: None, method: str, path: str
) -> None:
    answer = Api(client, {})(method, path, {})
    assert (answer.status_code, answer.json["code"]) == (401, 250114)
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="Hookline", charset="UTF-8"'


@pytest.mark.parametrize("authorization", BAD_AUTHORIZATIONS)
def test_bad_credentials_are_refused(services: Services, people: None, authorization: str | None) -> None:
    client = create_app(services).test_client()
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = Api(client, headers)("POST", "/webhook/create", NEW)
    assert (answer.status_code, answer.json["code"]) == (401, 250114)
    assert Webhook.select().count() == 0


@pytest.mark.parametrize("scheme", ["basic", "BASIC"])
def test_the_scheme_is_known_in_any_case(client: FlaskClient, people: None, scheme: str) -> None:
    headers = {"Authorization": pair(scheme, "root:correct horse")}
    assert Api(client, headers)("GET", "/webhook/list?associationType=SYSTEM").status_code == 200


@pytest.mark.parametrize("who", CALLERS)
@pytest.mark.parametrize("association", [SYSTEM, PROJECT, REPO, OTHER_REPO], ids=lambda a: a["association_id"] or "all")
def test_webhooks_are_managed_by_those_who_may(
    client: FlaskClient, admin: Api, who: str, association: dict[str, str]
) -> None:
    allowed = association in MAY_MANAGE.get(who, [])
    caller = Api(client, CALLERS[who])
    webhook_id = admin.create(**association)

    created = caller("POST", "/webhook/create", NEW | association)
    query = f"associationType={association['association_type']}&associationId={association['association_id']}"
    listed = caller("GET", f"/webhook/list?{query}")
    for answer in (created, listed):
        assert (answer.status_code, answer.json["code"]) == ((200, 0) if allowed else (403, 250113))

    for method, path, body in (
        ("GET", f"/webhook/{webhook_id}", None),
        ("GET", f"/webhook/secret/{webhook_id}", None),
        ("POST", f"/webhook/secret/rotate/{webhook_id}", None),
        ("GET", f"/log/list/{webhook_id}", None),
        ("GET", f"/log/list/{webhook_id}?pageNumber=1", None),
        ("PUT", "/webhook/update", {"id": webhook_id, "url": "http://changed"}),
        ("DELETE", f"/webhook/delete/{webhook_id}", None),
    ):
        answer = caller(method, path, body)
        assert (answer.status_code, answer.json["code"]) == ((200, 0) if allowed else (404, 251401)), path
    row = Webhook.get_by_id(webhook_id)
    assert (row.url, row.deleted_at is None) == ("http://changed" if allowed else NEW["url"], not allowed)
    assert Webhook.select().count() == (2 if allowed else 1)


@pytest.mark.parametrize("who", CALLERS)
def test_events_are_published_by_those_who_may(client: FlaskClient, people: None, who: str) -> None:
    answer = Api(client, CALLERS[who])("POST", "/event/publish", EVENT)
    assert (answer.status_code, answer.json["code"]) == ((202, 0) if who in MAY_PUBLISH else (403, 250113))
    assert Event.select().count() == (1 if who in MAY_PUBLISH else 0)


def test_a_platform_without_scopes_may_not_publish(client: FlaskClient, people: None) -> None:
    for headers in (platform("scopeless"), platform("scopeless", "outsider")):
        assert Api(client, headers)("POST", "/event/publish", EVENT).status_code == 403
    assert Event.select().count() == 0


def test_what_a_platform_does_bears_the_users_name(client: FlaskClient, people: None) -> None:
    caller = Api(client, platform("publisher", "repo-manager"))
    shown = caller.data("GET", f"/webhook/{caller.create()}")
    assert (shown["createdBy"], shown["lastModifiedBy"]) == ("repo-manager", "repo-manager")


@pytest.mark.parametrize("user_id", ["u" * 129, "a\tb", "\xff"])
def test_a_user_id_that_is_none_is_refused(client: FlaskClient, people: None, user_id: str) -> None:
    answer = Api(client, platform("publisher", user_id))("POST", "/event/publish", EVENT)
    assert (answer.status_code, answer.json["code"]) == (400, 250105)
    assert "X-BKREPO-UID" in answer.json["message"]


def test_hidden_and_unknown_webhooks_look_the_same(as_user: Callable[[str], Api], admin: Api) -> None:
    hidden = as_user("outsider")("GET", f"/webhook/{admin.create()}")
    unknown = as_user("outsider")("GET", f"/webhook/{ID}")
    assert hidden.json | {"traceId": ""} == unknown.json | {"traceId": ""}


def test_guessing_is_slowed_down_for_one_name_and_address_only(services: Services, people: None) -> None:
    client = create_app(services, Authenticator()).test_client()
    known = Api(client, basic("root"))
    assert known("GET", "/webhook/list?associationType=REPO").status_code == 200
    guesses = [Api(client, platform("publisher-x"))("GET", "/webhook/list").status_code for _ in range(11)]
    assert guesses == [401] * 10 + [429]
    answer = Api(client, platform("publisher-x"))("GET", "/webhook/list")
    assert answer.json["code"] == 250124
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert (
        Api(client, platform("publisher-x"))(
            "GET", "/webhook/list", environ_overrides={"REMOTE_ADDR": "192.0.2.1"}
        ).status_code
        == 401
    )
    assert known("GET", "/webhook/list?associationType=REPO").status_code == 200
    assert Api(client, platform("publisher"))("POST", "/event/publish", EVENT).status_code == 202


def test_keys_are_not_stored_in_the_clear(people: None) -> None:
    assert AccessKey.get_by_id("publisher").secret_hash != "rehsilbup"
    assert len(AccessKey.get_by_id("publisher").secret_hash) == 64
