"""Static files."""

import gzip
import re

import pytest
from flask.testing import FlaskClient

from app.ui.assets import FOREVER, STATIC
from app.ui.security import POLICY
from tests.ui.conftest import Pages

pytestmark = pytest.mark.sqlite_only

FIRST_PAINT = 100 * 1024
GZIP = {"Accept-Encoding": "gzip"}


def linked(page: str) -> list[str]:
    """Return the URLs of the static files that a page loads."""
    return re.findall(r'(?:href|src)="(/static/[^"]+)"', page)


def test_files_are_kept_by_browsers_for_good_and_named_anew_when_they_change(client: FlaskClient) -> None:
    for url in linked(client.get("/login").text):
        answer = client.get(url.replace("&amp;", "&"))
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, FOREVER)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Set-Cookie" not in answer.headers


def test_an_old_name_is_not_kept(client: FlaskClient) -> None:
    assert client.get("/static/app.css?v=old").headers["Cache-Control"] == "no-cache"


def test_files_are_sent_gzipped_to_who_takes_it(client: FlaskClient) -> None:
    packed = client.get("/static/app.css", headers={"Accept-Encoding": "gzip, br"})
    plain = client.get("/static/app.css")
    assert (packed.content_encoding, plain.content_encoding) == ("gzip", None)
    assert gzip.decompress(packed.data) == plain.data == (STATIC / "app.css").read_bytes()
    assert "accept-encoding" in packed.vary.as_set()


def test_a_file_that_has_not_changed_is_not_sent_again(client: FlaskClient) -> None:
    first = client.get("/static/app.js")
    again = client.get("/static/app.js", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize("name", ["../__init__.py", "..%2f__init__.py", "%2fetc/passwd", "none.css", "vendor"])
def test_nothing_else_is_sent(client: FlaskClient, name: str) -> None:
    assert client.get(f"/static/{name}").status_code == 404


@pytest.mark.parametrize("path", ["/login", "/", "/webhooks", "/webhooks/new", "/logs", "/tail", "/admin/system"])
def test_the_first_paint_is_light(client: FlaskClient, pages: Pages, path: str) -> None:
    browser = client if path == "/login" else pages.client
    urls = {url.replace("&amp;", "&") for url in linked(browser.get(path).text)}
    sent = [browser.get(url, headers=GZIP).data for url in (path, *urls)]
    assert sum(map(len, sent)) < FIRST_PAINT


def test_pages_are_sent_gzipped_in_varying_sizes(client: FlaskClient) -> None:
    packed = [client.get("/login", headers=GZIP) for _ in range(20)]
    assert {answer.content_encoding for answer in packed} == {"gzip"}
    assert all(b"<h1>Log in</h1>" in gzip.decompress(answer.data) for answer in packed)
    assert len({len(answer.data) for answer in packed}) > 5
    assert "Accept-Encoding" in packed[0].headers["Vary"]
    assert client.get("/login").content_encoding is None


def test_pages_forbid_everything_that_is_not_ours(client: FlaskClient) -> None:
    answer = client.get("/login")
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert "unsafe" not in POLICY
    assert answer.headers["Cache-Control"] == "no-store"
