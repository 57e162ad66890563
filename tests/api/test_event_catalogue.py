"""GET /event/types: what there is to publish and to receive, for everyone with credentials."""

from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator

from app.authentication import Authenticator
from app.event_types import EVENT_TYPES
from app.services import Services
from app.web import create_app
from tests.api.conftest import Api, platform

pytestmark = pytest.mark.sqlite_only


def test_any_caller_sees_every_type_with_a_schema_that_its_example_conforms_to(
    client: FlaskClient, people: None
) -> None:
    found = Api(client, platform("scopeless")).data("GET", "/event/types")
    assert [record["type"] for record in found] == list(EVENT_TYPES)
    for record in found:
        Draft202012Validator(record["schema"]).validate(record["example"])


def test_types_of_the_settings_have_a_general_schema(
    services: Services, authenticator: Authenticator, admin: Api
) -> None:
    extended = replace(services, settings=replace(services.settings, extra_event_types=frozenset({"IMAGE_SIGNED"})))
    there = Api(create_app(extended, authenticator).test_client(), admin.headers)
    record = there.data("GET", "/event/types")[-1]
    assert (record["type"], record["publishable"], record["requires"]) == ("IMAGE_SIGNED", True, [])
    assert set(record["schema"]["required"]) == {"eventType", "user", "projectId", "repoName", "resourceKey", "data"}
    assert there("POST", "/event/publish", record["event"]).status_code == 202


def test_nobody_sees_it_without_credentials(client: FlaskClient) -> None:
    assert client.get("/webhook/api/event/types").status_code == 401


def test_what_is_published_by_the_catalogue_is_accepted(admin: Api) -> None:
    events = [record["event"] for record in admin.data("GET", "/event/types") if record["publishable"]]
    assert admin.data("POST", "/event/publish", events)["accepted"] == len(events) == 17
