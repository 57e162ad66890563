"""The envelope around every answer, the trace id, and errors that nobody expected."""

import logging
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from app.authentication import Authenticator
from app.errors import DatabaseUnavailable
from app.models import Counter, User, Webhook, database
from app.services import Services
from app.traceparent import trace_id_of
from app.web import create_app
from tests.api.conftest import NEW, Api, platform
from tests.api.test_publish import EVENT

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    ("traceparent", "expected"),
    [
        (f"00-{TRACE}-00f067aa0ba902b7-01", TRACE),
        (f"00-{TRACE}-00f067aa0ba902b7-00", TRACE),
        (f"cc-{TRACE}-00f067aa0ba902b7-01-what-the-future-brings", TRACE),
        (None, None),
        ("", None),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-00f067aa0ba902b7-01", None),
        (f"ff-{TRACE}-00f067aa0ba902b7-01", None),
        (f"00-{TRACE}-00f067aa0ba902b7-01-more", None),
        (f"cc-{TRACE}-00f067aa0ba902b7-01more", None),
        (f"00-{TRACE}-00f067aa0ba902b7", None),
        (f"00-{TRACE}x-00f067aa0ba902b7-01", None),
        (f"00-{TRACE}-00f067aa0ba902b7-01\n", None),
        (f"00-{TRACE}-00f067aa0ba902b7-01,00-{TRACE}-00f067aa0ba902b7-01", None),
    ],
)
def test_a_valid_traceparent_names_the_trace(traceparent: str | None, expected: str | None) -> None:
    assert trace_id_of(traceparent) == expected


def test_the_trace_id_of_the_caller_comes_back(admin: Api) -> None:
    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    answer = admin("GET", "/webhook/list?associationType=SYSTEM", headers=headers)
    assert answer.json["traceId"] == answer.headers["X-Trace-Id"] == TRACE


def test_without_a_traceparent_each_request_has_its_own(admin: Api) -> None:
    ids = {admin("GET", "/webhook/list?associationType=SYSTEM").json["traceId"] for _ in range(3)}
    assert len(ids) == 3
    assert all(trace_id_of(f"00-{trace_id}-00f067aa0ba902b7-01") for trace_id in ids)


def test_log_lines_of_a_request_name_its_trace(admin: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    answer = admin("POST", "/webhook/create", NEW, headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
    logging.getLogger("elsewhere").info("no request")
    created, elsewhere = (record.getMessage() for record in caplog.records)
    assert created.startswith(f"webhook={answer.headers['X-Webhook-Id']} created by user=root for REPO p:r")
    assert created.endswith(f" traceId={TRACE}")
    assert elsewhere == "no request"


@pytest.mark.parametrize("path", ["/nope", "/webhook/api", "/webhook/api/nope", "/webhook/api//webhook/list"])
def test_an_unknown_url_is_not_found(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json["code"]) == (404, 250108)
    assert answer.json["traceId"] == answer.headers["X-Trace-Id"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/event/publish", {"POST"}),
        ("OPTIONS", "/event/publish", {"POST"}),
        ("POST", "/log/list/x", {"GET", "HEAD"}),
        ("PATCH", "/webhook/test/x", {"GET", "HEAD", "POST"}),
        ("GET", "/webhook/delete/x", {"DELETE"}),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(client: FlaskClient, method: str, path: str, allowed: set[str]) -> None:
    answer = client.open(f"/webhook/api{path}", method=method)
    assert (answer.status_code, answer.json["code"]) == (405, 250112)
    assert set(answer.headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    ("accepted", "message"),
    [
        ("", "no such resource"),
        ("fr", "no such resource"),
        ("en-GB", "no such resource"),
        ("zh", "资源不存在"),
        ("zh-CN,en;q=0.5", "资源不存在"),
        ("zh-Hans-CN", "资源不存在"),
        ("en,zh;q=0.5", "no such resource"),
        ("de, zh-TW;q=0.7, en;q=0.3", "资源不存在"),
    ],
)
def test_messages_are_in_the_language_that_fits_best(client: FlaskClient, accepted: str, message: str) -> None:
    assert client.get("/nope", headers={"Accept-Language": accepted}).json["message"] == message


@pytest.fixture
def failing(services: Services, authenticator: Authenticator) -> FlaskClient:
    """An application with two views more, which fail."""
    app = create_app(services, authenticator)

    def unexpected() -> str:
        raise ValueError("an internal detail")

    def unavailable() -> str:
        raise DatabaseUnavailable("an internal detail")

    app.add_url_rule("/unexpected", view_func=unexpected)
    app.add_url_rule("/unavailable", view_func=unavailable)
    return app.test_client()


def test_an_unexpected_error_gives_no_internals_and_logs_all(
    failing: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = failing.get("/unexpected")
    assert (answer.status_code, answer.json["code"]) == (500, 250102)
    assert "internal" not in answer.text
    [record] = caplog.records
    assert answer.json["traceId"] in record.getMessage()
    assert record.exc_info is not None
    assert "an internal detail" in str(record.exc_info[1])


def test_an_absent_server_is_unavailable(failing: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    answer = failing.get("/unavailable")
    assert (answer.status_code, answer.json["code"]) == (503, 250102)
    assert "internal" not in answer.text
    assert "an internal detail" in caplog.records[0].getMessage()


@pytest.mark.sqlite_only
def test_a_database_that_can_not_be_used_is_unavailable(
    services: Services, people: None, caplog: pytest.LogCaptureFixture
) -> None:
    client = create_app(services, Authenticator()).test_client()
    database.drop_tables([User, Webhook, Counter])
    for headers in (platform("publisher", "root"), {"Authorization": "Basic cm9vdDpjb3JyZWN0IGhvcnNl"}):
        answer = Api(client, headers)("GET", "/webhook/list?associationType=REPO")
        assert (answer.status_code, answer.json["code"]) == (503, 250102)
    answer = Api(client, platform("publisher"))("POST", "/event/publish", EVENT)
    assert (answer.status_code, answer.json["code"]) == (503, 250102)
    assert "no such table" in caplog.text


def test_two_applications_keep_their_settings_apart(
    services: Services, authenticator: Authenticator, admin: Api
) -> None:
    extended = replace(services, settings=replace(services.settings, extra_event_types=frozenset({"IMAGE_SIGNED"})))
    there = Api(create_app(extended, authenticator).test_client(), admin.headers)
    body = NEW | {"triggers": ["IMAGE_SIGNED"]}
    assert there("POST", "/webhook/create", body).status_code == 200
    assert there("POST", "/event/publish", {"type": "IMAGE_SIGNED"}).status_code == 202
    assert admin("POST", "/webhook/create", body).status_code == 400
    assert admin("POST", "/event/publish", {"type": "IMAGE_SIGNED"}).status_code == 400
