"""GET of one webhook, of lists and of the signing secret."""

import re
from collections.abc import Callable
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from app.authentication import Authenticator
from app.models import Webhook
from app.services import Services
from app.signing import signing_key
from app.web import create_app
from tests.api.conftest import Api

DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}")
ODD_IDS = ["0" * 32, "x", "x" * 5_000, "%00", "..", "%F0%9F%92%A9", "'%20OR%201=1--"]


def test_it_shows_every_field_in_the_documents_names(admin: Api) -> None:
    webhook_id = admin.create(token="a-long-token", headers={"X-Plain": "1"}, resourceKeyPattern="(.*).apk")
    shown = admin.data("GET", f"/webhook/{webhook_id}")
    created, modified = shown.pop("createdDate"), shown.pop("lastModifiedDate")
    assert shown == {
        "id": webhook_id,
        "url": "http://receiver.example/hook",
        "token": "****oken",
        "headers": {"X-Plain": "1"},
        "triggers": ["NODE_CREATED"],
        "associationType": "REPO",
        "associationId": "p:r",
        "resourceKeyPattern": "(.*).apk",
        "createdBy": "root",
        "lastModifiedBy": "root",
        "enabled": True,
        "disabledReason": None,
        "timeout": None,
        "retrySchedule": None,
        "rateLimit": None,
        "rateBurst": None,
        "ordering": "none",
        "signing": "v1",
        "filter": None,
        "payloadFormat": "default",
        "payloadTemplate": None,
        "clientCertificateSubject": None,
        "clientCertificateExpires": None,
        "failures": 0,
        "failingSince": None,
        "circuit": "closed",
        "circuitProbeTime": None,
        "backlog": False,
    }
    assert created == modified
    assert DATE.fullmatch(created)


def test_nothing_shows_the_secret_but_its_own_endpoint(admin: Api, services: Services) -> None:
    webhook_id = admin.create()
    secret = admin.data("GET", f"/webhook/secret/{webhook_id}")["secret"]
    assert secret.startswith("whsec_")
    assert len(signing_key(secret)) == 32
    for path in (f"/webhook/{webhook_id}", "/webhook/list?associationType=REPO", f"/log/list/{webhook_id}"):
        assert secret not in admin("GET", path).text
    registered = services.registry.refresh().get(webhook_id)
    assert services.registry.credentials(registered).key == signing_key(secret)


def test_secrets_are_kept_out_of_caches(admin: Api) -> None:
    answer = admin("GET", f"/webhook/secret/{admin.create()}")
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("webhook_id", ODD_IDS)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/webhook/{}"),
        ("GET", "/webhook/secret/{}"),
        ("GET", "/webhook/test/{}"),
        ("POST", "/webhook/test/{}"),
        ("DELETE", "/webhook/delete/{}"),
        ("GET", "/log/list/{}"),
        ("GET", "/log/list/{}?pageNumber=1"),
    ],
)
def test_ids_that_name_nothing_are_not_found(admin: Api, method: str, path: str, webhook_id: str) -> None:
    answer = admin(method, path.format(webhook_id))
    assert (answer.status_code, answer.json["code"]) == (404, 251401)


def test_lists_are_newest_first_and_of_one_association(admin: Api) -> None:
    first, second = admin.create(), admin.create()
    other = admin.create(association_id="p:other")
    project = admin.create(association_type="PROJECT", association_id="p")
    by_id = admin.data("GET", "/webhook/list?associationType=REPO&associationId=p:r")
    assert [shown["id"] for shown in by_id] == [second, first]
    assert by_id[0] == admin.data("GET", f"/webhook/{second}")
    by_type = admin.data("GET", "/webhook/list?association_type=REPO")
    assert [shown["id"] for shown in by_type] == [other, second, first]
    assert [shown["id"] for shown in admin.data("GET", "/webhook/list?associationType=PROJECT")] == [project]
    assert admin.data("GET", "/webhook/list?associationType=SYSTEM&associationId=") == []


def test_a_list_without_an_id_holds_what_the_caller_may_manage(admin: Api, as_user: Callable[[str], Api]) -> None:
    ids = {name: admin.create(association_id=name) for name in ("p:r", "p:R", "p:s", "P:r", "p2:r", "other:r", "p%:r")}
    projects = {
        name: admin.create(association_type="PROJECT", association_id=name) for name in ("p", "P", "other", "p2")
    }

    def listed(user: str, association_type: str) -> set[str]:
        found = as_user(user).data("GET", f"/webhook/list?associationType={association_type}")
        return {shown["associationId"] for shown in found}

    assert listed("root", "REPO") == set(ids)
    assert listed("root", "PROJECT") == set(projects)
    assert listed("project-manager", "REPO") == {"p:r", "p:R", "p:s"}
    assert listed("project-manager", "PROJECT") == {"p"}
    assert listed("repo-manager", "REPO") == {"p:r"}
    assert listed("repo-manager", "PROJECT") == set()
    assert listed("outsider", "REPO") == {"other:r"}


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("query", "code", "text"),
    [
        ("", 250103, "associationType"),
        ("associationId=p:r", 250103, "associationType"),
        ("associationType=", 250104, "associationType"),
        ("associationType=repo", 250105, "associationType"),
        ("associationType=" + "R" * 5_000, 250105, "associationType"),
        ("associationType=%00", 250105, "associationType"),
        ("associationType=REPO&associationType=PROJECT", 250105, "associationType"),
        ("associationType=REPO&association_type=PROJECT", 250105, "association_type"),
        ("associationType=REPO&associationId=", 250104, "associationId"),
        ("associationType=REPO&associationId=p", 250105, "associationId"),
        ("associationType=REPO&associationId=p:r:s", 250105, "associationId"),
        ("associationType=REPO&association_id=p", 250105, "association_id"),
        ("associationType=REPO&associationId=p:%00", 250105, "associationId"),
        ("associationType=REPO&associationId=p:" + "r" * 5_000, 250105, "associationId"),
        ("associationType=PROJECT&associationId=p:r", 250105, "associationId"),
        ("associationType=SYSTEM&associationId=p", 250105, "associationId"),
    ],
)
def test_a_list_names_the_bad_parameter(admin: Api, query: str, code: int, text: str) -> None:
    answer = admin("GET", f"/webhook/list?{query}")
    assert (answer.status_code, answer.json["code"]) == (400, code), answer.json
    assert text in answer.json["message"]


def test_dates_are_in_the_zone_of_the_settings(services: Services, admin: Api, authenticator: Authenticator) -> None:
    webhook_id = admin.create()
    Webhook.update(created_at=1_640_534_400_005).execute()
    in_shanghai = replace(services, settings=replace(services.settings, timezone=ZoneInfo("Asia/Shanghai")))
    there = Api(create_app(in_shanghai, authenticator).test_client(), admin.headers)
    assert admin.data("GET", f"/webhook/{webhook_id}")["createdDate"] == "2021-12-26T16:00:00.005"
    assert there.data("GET", f"/webhook/{webhook_id}")["createdDate"] == "2021-12-27T00:00:00.005"
