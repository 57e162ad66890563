"""Error pages."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from app.ui.security import POLICY
from tests.ui.conftest import Pages, text_of

pytestmark = pytest.mark.sqlite_only

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.mark.parametrize("path", ["/nothing", "/static/none.js", "/web/hook", "/favicon.ico"])
def test_a_browser_gets_a_page_where_there_is_nothing(client: FlaskClient, path: str) -> None:
    answer = client.get(path, headers=BROWSER)
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert "There is no such page." in answer.text
    assert answer.headers["Content-Security-Policy"] == POLICY


@pytest.mark.parametrize("accept", ["*/*", "application/json", "", None])
def test_a_client_of_the_api_gets_json_where_there_is_nothing(client: FlaskClient, accept: str | None) -> None:
    answer = client.get("/nothing", headers={} if accept is None else {"Accept": accept})
    assert (answer.status_code, answer.json["code"]) == (404, 250108)


def test_under_the_apis_prefix_a_browser_gets_json_too(client: FlaskClient) -> None:
    assert client.get("/webhook/api/nothing", headers=BROWSER).json["code"] == 250108


def test_a_missing_page_in_a_browser_shows_who_is_logged_in(log_in: Callable[..., Pages]) -> None:
    page = log_in("root").visit("/nothing", 404, headers=BROWSER)
    assert "There is no such page." in text_of(page)


def test_a_wrong_method_is_refused_with_a_page(client: FlaskClient) -> None:
    answer = client.get("/logout", headers=BROWSER)
    assert answer.status_code == 405
