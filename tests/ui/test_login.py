"""Logging in and out, and what a session is good for."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.accounts import hash_password
from app.clock import now_ms
from app.models import User
from app.services import Services
from app.ui.session import LONGEST_MS
from app.web import create_app
from config.settings import Settings
from tests.api.conftest import PASSWORD, password_hash
from tests.ui.conftest import FRAGMENT, Pages, text_of

pytestmark = pytest.mark.sqlite_only

LogIn = Callable[..., Pages]


@pytest.fixture
def stranger(app: Flask, people: None) -> Pages:
    return Pages(app.test_client())


@pytest.mark.parametrize(
    "path", ["/", "/webhooks", "/logs", "/events", "/recovery", "/tail", "/publish", "/admin/users"]
)
def test_a_stranger_is_led_to_the_login_page_and_back(client: FlaskClient, path: str) -> None:
    answer = client.get(f"{path}?q=a%26b")
    assert (answer.status_code, answer.location) == (303, f"/login?next={path}?q%3Da%2526b")


def test_name_and_password_of_a_user_of_the_api_begin_a_session(stranger: Pages) -> None:
    stranger.visit("/login")
    answer = stranger.post("/login?next=/logs?status=FAIL", {"name": " root ", "password": PASSWORD})
    assert (answer.status_code, answer.location) == (303, "/logs?status=FAIL")
    cookie = answer.headers["Set-Cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=Lax", "Expires"))
    assert "Secure" not in cookie
    assert text_of(stranger.visit("/account").find("header")).endswith("root Log out")


@pytest.mark.parametrize(
    ("name", "password"),
    [("root", "wrong"), ("nobody", PASSWORD), ("", ""), ("root", ""), ("a:b", "c"), ("root\x00", "x"), ("\ud800", "x")],
)
def test_wrong_credentials_are_refused_alike(stranger: Pages, name: str, password: str) -> None:
    stranger.visit("/login")
    page = stranger.send("/login", {"name": name.encode("utf-8", "surrogatepass"), "password": password}, 401)
    assert text_of(page.select_one("p.said.error")) == "the credentials are wrong"
    assert page.find("input", {"name": "password"}).get("value") is None


def test_after_ten_failures_the_name_is_locked_out_for_a_while(stranger: Pages) -> None:
    # Another than the users of other tests: what was verified within the minute is not held up.
    User.insert(id="newcomer", password_hash=password_hash(PASSWORD), admin=False, created_at=0).execute()
    stranger.visit("/login")
    for _ in range(10):
        stranger.send("/login", {"name": "newcomer", "password": "guess"}, 401)
    page = stranger.send("/login", {"name": "newcomer", "password": PASSWORD}, 429)
    assert re.search(r"try again in \d+ seconds", text_of(page))


def test_a_platform_key_is_no_user(stranger: Pages) -> None:
    stranger.visit("/login")
    stranger.send("/login", {"name": "publisher", "password": "rehsilbup"}, 401)
    assert stranger.client.get("/account").status_code == 303


@pytest.mark.parametrize("target", ["//elsewhere.example/", "https://elsewhere.example/", "/\\elsewhere", "x", "/\n/x"])
def test_nobody_is_led_elsewhere(stranger: Pages, target: str) -> None:
    stranger.visit("/login")
    answer = stranger.client.post(
        "/login",
        query_string={"next": target},
        data={"csrf_token": stranger.token(), "name": "root", "password": PASSWORD},
    )
    assert (answer.status_code, answer.location) == (303, "/")


def test_logging_out_ends_the_session_and_says_so(log_in: LogIn) -> None:
    pages = log_in()
    pages.visit("/account")
    assert "You have logged out." in text_of(pages.send("/logout", {}))
    assert pages.client.get("/account").status_code == 303


def test_a_new_password_ends_other_sessions(log_in: LogIn) -> None:
    pages = log_in("repo-manager")
    User.update(password_hash=hash_password("new")).where(User.id == "repo-manager").execute()
    assert pages.client.get("/account").status_code == 303


def test_an_old_password_begins_no_session_at_once(log_in: LogIn, stranger: Pages) -> None:
    log_in("repo-manager")  # which the API's authenticator now remembers
    User.update(password_hash=hash_password("new")).where(User.id == "repo-manager").execute()
    stranger.visit("/login")
    stranger.send("/login", {"name": "repo-manager", "password": PASSWORD}, 401)
    assert stranger.client.get("/account").status_code == 303


def test_a_deleted_user_has_no_session(log_in: LogIn) -> None:
    pages = log_in("repo-manager")
    User.delete().where(User.id == "repo-manager").execute()
    assert pages.client.get("/account").status_code == 303


def test_a_session_ends_after_a_week_however_busy(log_in: LogIn) -> None:
    pages = log_in()
    with pages.client.session_transaction() as session:
        session["since"] = now_ms() - LONGEST_MS - 1
    answer = pages.client.get("/account")
    assert (answer.status_code, answer.location) == (303, "/login?next=/account&ended=1")
    assert "Your session has ended" in text_of(pages.visit("/account"))


def test_a_session_that_has_ended_leads_a_part_of_a_page_to_the_login_too(client: FlaskClient) -> None:
    answer = client.get("/account", headers={**FRAGMENT, "HX-Current-URL": "http://localhost/logs?page=2"})
    assert answer.status_code == 204
    assert answer.headers["HX-Redirect"] == "/login?next=/logs?page%3D2"


def test_what_was_typed_stays_where_a_session_ends_meanwhile(client: FlaskClient) -> None:
    answer = client.post("/account/password", headers=FRAGMENT)
    assert (answer.status_code, answer.headers.get("HX-Redirect")) == (401, None)
    assert "your session has ended" in answer.text


@pytest.mark.parametrize("path", ["/logout", "/login"])
def test_a_form_without_the_sessions_token_changes_nothing(log_in: LogIn, path: str) -> None:
    pages = log_in()
    for token in ({}, {"csrf_token": ""}, {"csrf_token": "forged"}):
        answer = pages.client.post(path, data=token)
        assert answer.status_code == 400
        assert "This form is out of date" in answer.text
    assert pages.client.get("/account").status_code == 200


def test_cookies_go_over_tls_only_where_the_public_url_says_so(services: Services, settings: Settings) -> None:
    secure = replace(services, settings=replace(settings, public_url="https://hooks.example.com"))
    answer = create_app(secure).test_client().get("/login")
    assert "Secure" in answer.headers["Set-Cookie"]
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_calls_of_the_api_get_no_cookie_and_heed_none(log_in: LogIn) -> None:
    pages = log_in()
    answer = pages.client.get("/webhook/api/webhook/list?associationType=SYSTEM")
    assert (answer.status_code, answer.headers.get("Set-Cookie")) == (401, None)


@pytest.mark.parametrize(("code", "shown"), [("zh", "登录"), ("en", "Log in")])
def test_a_viewer_chooses_the_language(stranger: Pages, code: str, shown: str) -> None:
    page = stranger.visit(f"/language/{code}?next=/login", headers={"Accept-Language": "zh-CN,en;q=0.5"})
    assert text_of(page.find("h1")) == shown


def test_the_browsers_language_is_the_first_choice(stranger: Pages) -> None:
    page = stranger.visit("/login", headers={"Accept-Language": "zh-CN,en;q=0.5"})
    assert (page.html["lang"], text_of(page.find("h1"))) == ("zh-Hans", "登录")


def test_an_unknown_language_changes_nothing(stranger: Pages) -> None:
    assert stranger.client.get("/language/xx").headers.get("Set-Cookie") is None
