"""Administration: users, what they may, access keys, the system; and one's own account."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from bs4 import BeautifulSoup
from flask import Flask

from app.accounts import grant, password_fits
from app.api.context import EXTENSION, Context
from app.authentication import Authenticator
from app.models import AccessKey, Grant, Lease, RunningProcess, User
from app.redis_broker import RedisBroker
from app.redis_url import parse_redis_url
from app.services import Services
from app.ui import admin_keys, admin_users
from tests.api.conftest import PASSWORD
from tests.database_clock import database_now
from tests.server import free_port
from tests.ui.conftest import Pages, text_of

pytestmark = pytest.mark.sqlite_only

LogIn = Callable[..., Pages]
PAGES = ("/admin/users", "/admin/users/new", "/admin/user?name=root", "/admin/keys", "/admin/keys/new", "/admin/system")
WRITES = (
    *("/admin/users/new", "/admin/user/password", "/admin/user/admin", "/admin/user/delete", "/admin/user/grant"),
    *("/admin/user/revoke", "/admin/keys/new", "/admin/keys/revoke"),
)
HOSTILE = "<b>&\"'/../?x=1#%2f שלום"
NEW = "a newer password"


@pytest.fixture(scope="module")
def authenticator() -> Authenticator:
    """One that no other tests share: for a minute it remembers who was an administrator here."""
    return Authenticator()


def rows(page: BeautifulSoup) -> list[str]:
    return [text_of(row) for row in page.select("tbody tr")]


def wrong(page: BeautifulSoup, field: str) -> str:
    """Return the error that a control is described by."""
    control = page.find(attrs={"name": field, "aria-invalid": "true"})
    assert control is not None
    return text_of(page.find(id=f"{field}-error"))


def said(page: BeautifulSoup) -> str:
    return text_of(page.find(id="said"))


@pytest.mark.parametrize("path", PAGES)
def test_others_are_told_that_a_page_is_for_administrators(log_in: LogIn, path: str) -> None:
    page = log_in("project-manager").visit(path, 403)
    assert "this page is for administrators" in text_of(page)
    assert page.find("a", href="/admin/users") is None


def test_others_can_do_nothing_there(log_in: LogIn) -> None:
    pages = log_in("project-manager")
    pages.visit("/account")
    before = list(User.select().dicts()), Grant.select().count(), AccessKey.select().count()
    for path in WRITES:
        form = {"name": "outsider", "password": NEW, "admin": "yes", "project": "p", "app": "x", "key": "publisher"}
        assert pages.post(path, form).status_code == 403
    assert before == (list(User.select().dicts()), Grant.select().count(), AccessKey.select().count())


def test_users_are_listed_with_what_they_may_and_searched(pages: Pages) -> None:
    page = pages.visit("/admin", 200)
    assert page.title is not None
    assert text_of(page.title) == "Users · Hookline"
    listed = rows(page)
    assert [row.split()[0] for row in listed] == ["outsider", "project-manager", "repo-manager", "root"]
    assert "(you) administrator everything" in listed[3]
    assert " user 1 " in listed[0]
    page = pages.visit("/admin/users?q=MANAGER")
    assert [row.split()[0] for row in rows(page)] == ["project-manager", "repo-manager"]
    assert page.find("input", {"name": "q"})["value"] == "MANAGER"  # type: ignore[index]
    page = pages.visit("/admin/users?q=nobody-like-that")
    assert "No user has that in the name." in text_of(page)
    pages.visit("/admin/users?q=%00", 400)


def test_a_long_list_goes_on_page_by_page(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_users, "USERS", 3)
    page = pages.visit("/admin/users?q=r")
    assert [row.split()[0] for row in rows(page)] == ["outsider", "project-manager", "repo-manager"]
    page = pages.visit(str(page.select_one("a.older")["href"]))  # type: ignore[index]
    assert [row.split()[0] for row in rows(page)] == ["root"]
    assert page.select_one("a.older") is None


def test_a_user_is_made_and_what_was_typed_stays_where_something_is_wrong(pages: Pages) -> None:
    pages.visit("/admin/users/new")
    page = pages.send("/admin/users/new", {"name": " a:b", "password": NEW, "admin": "yes"}, 400)
    assert "1 to 128 printable characters, no colon" in wrong(page, "name")
    assert page.find(id="name")["value"] == " a:b"  # type: ignore[index]
    assert page.find("input", {"name": "admin"}).has_attr("checked")  # type: ignore[union-attr]
    assert NEW not in str(page)
    page = pages.send("/admin/users/new", {"name": "amy", "password": "short"}, 400)
    assert wrong(page, "password") == "a password has at least 8 characters"
    page = pages.send("/admin/users/new", {"name": "root", "password": NEW}, 400)
    assert wrong(page, "name") == "user root exists already"
    assert User.get_or_none(User.id == "amy") is None
    page = pages.send("/admin/users/new", {"name": "amy", "password": NEW, "admin": "yes"})
    assert (said(page), text_of(page.h1)) == ("User amy was made.", "amy")
    assert User.get_by_id("amy").admin


def test_a_password_that_is_made_is_shown_once_and_works(pages: Pages) -> None:
    pages.visit("/admin/users/new")
    answer = pages.post("/admin/users/new", {"name": HOSTILE, "password": ""})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    page = BeautifulSoup(answer.text, "html5lib")
    assert page.select_one("main b") is None
    password = text_of(page.find(id="password"))
    assert password_fits(password, User.get_by_id(HOSTILE).password_hash)
    page = pages.visit(str(page.find("a", string="Done")["href"]))  # type: ignore[index]
    assert text_of(page.h1) == HOSTILE
    assert password not in str(page)
    assert page.select_one("main b") is None


def test_a_permission_is_granted_and_revoked(pages: Pages) -> None:
    pages.visit("/admin/user?name=outsider")
    page = pages.send("/admin/user/grant", {"name": "outsider", "project": "a:b", "repo": "<i>"}, 400)
    assert "project has 1 to 128" in wrong(page, "project")
    assert (page.find(id="project")["value"], page.find(id="repo")["value"]) == ("a:b", "<i>")  # type: ignore[index]
    page = pages.send("/admin/user/grant", {"name": "outsider", "project": "p", "repo": "r"})
    assert said(page) == "User outsider manages p:r."
    assert ["other all of them" in row or "p r" in row for row in rows(page)] == [True, True]
    dialog = page.find("dialog", id="revoke-2")
    assert "will not manage the webhooks of p:r any more" in text_of(dialog)
    form = {field["name"]: field["value"] for field in dialog.select("input")}  # type: ignore[union-attr]
    page = pages.send("/admin/user/revoke", form)
    assert said(page) == "User outsider does not manage p:r any more."
    assert [row.project_id for row in Grant.select().where(Grant.user_id == "outsider")] == ["other"]
    assert said(pages.send("/admin/user/revoke", form)) == "That permission was gone already."


def test_a_users_password_is_set_and_his_sessions_end(pages: Pages, log_in: LogIn) -> None:
    other = log_in("outsider")
    pages.visit("/admin/user?name=outsider")
    page = pages.send("/admin/user/password", {"name": "outsider", "password": "short"}, 400)
    assert wrong(page, "password") == "a password has at least 8 characters"
    assert "outsider" in text_of(other.visit("/account"))
    page = pages.send("/admin/user/password", {"name": "outsider", "password": NEW})
    assert said(page) == "User outsider has a new password and must log in again."
    assert text_of(other.visit("/account").h1) == "Log in"


def test_an_administrator_is_made_and_unmade(pages: Pages, log_in: LogIn) -> None:
    page = pages.visit("/admin/user?name=repo-manager")
    assert "will manage all webhooks, users and access keys" in text_of(page.find("dialog", id="make"))
    page = pages.send("/admin/user/admin", {"name": "repo-manager", "admin": "yes"})
    assert said(page) == "User repo-manager is an administrator now."
    assert "only what one permission of theirs covers" in text_of(page.find("dialog", id="unmake"))
    other = log_in("repo-manager")
    other.visit("/admin/users")
    pages.send("/admin/user/admin", {"name": "repo-manager", "admin": "no"})
    other.visit("/admin/users", 403)  # at once
    page = pages.send("/admin/user/admin", {"name": "root", "admin": "no"}, 400)
    assert "another administrator can" in text_of(page.select_one("p.said.error"))


def test_a_user_is_deleted_with_what_the_question_says(pages: Pages, log_in: LogIn) -> None:
    grant("outsider", "other", "second", 5)
    other = log_in("outsider")
    page = pages.visit("/admin/user?name=outsider")
    question = text_of(page.find("dialog", id="delete-user"))
    assert "User outsider will be deleted, with 2 permissions." in question
    page = pages.send("/admin/user/delete", {"name": "outsider"})
    assert said(page) == "User outsider was deleted, with 2 permissions."
    assert (User.get_or_none(User.id == "outsider"), Grant.select().where(Grant.user_id == "outsider").count()) == (
        None,
        0,
    )
    assert text_of(other.visit("/account").h1) == "Log in"
    for action in ("delete", "grant", "password", "admin", "revoke"):
        page = pages.visit("/admin/users")
        assert "there is no user outsider" in text_of(pages.send(f"/admin/user/{action}", {"name": "outsider"}, 404))
    pages.visit("/admin/users")
    assert "you can't delete yourself" in text_of(pages.send("/admin/user/delete", {"name": "root"}, 400))
    page = pages.visit("/admin/user?name=root")
    assert page.find("dialog", id="delete-user") is None
    assert page.select_one("main a[href='/account']") is not None


def test_keys_are_made_shown_once_listed_and_revoked(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    pages.visit("/admin/keys/new")
    page = pages.send("/admin/keys/new", {"app": "a:b", "scopes": "event:publish"}, 400)
    assert "app has 1 to 128" in wrong(page, "app")
    assert page.find("input", {"name": "scopes"}).has_attr("checked")  # type: ignore[union-attr]
    page = pages.send("/admin/keys/new", {"app": "ci", "scopes": "event:all"}, 400)
    assert "there is no scope event:all" in text_of(page.find(id="scopes-error"))
    page = pages.send("/admin/keys/new", {"app": "<i>nightly</i>", "scopes": "event:publish"})
    access_key, secret = text_of(page.find(id="access-key")), text_of(page.find(id="secret"))
    assert (len(access_key), len(secret)) == (32, 43)
    assert json.loads(AccessKey.get_by_id(access_key).scopes) == ["event:publish"]
    page = pages.visit("/admin/keys")
    assert page.select_one("main i") is None
    assert secret not in str(page)
    [mine] = [row for row in rows(page) if access_key in row]
    assert mine.startswith(f"<i>nightly</i> {access_key} event:publish")
    assert said(pages.send("/admin/keys/revoke", {"key": access_key})) == f"The access key {access_key} was revoked."
    assert said(pages.send("/admin/keys/revoke", {"key": access_key})) == "That access key was gone already."
    monkeypatch.setattr(admin_keys, "KEYS", 1)
    page = pages.visit("/admin/keys")
    assert len(rows(page)) == 1
    page = pages.visit(str(page.select_one("a.older")["href"]))  # type: ignore[index]
    assert (len(rows(page)), page.select_one("a.older")) == (1, None)


def process(name: str, role: str, silent_ms: int = 0, version: str = "0.1.0") -> None:
    at = database_now() - silent_ms
    RunningProcess.insert(
        id=name, role=role, host=f"{name}.example", pid=42, version=version, started_at=at - 60_000, seen_at=at
    ).execute()


def test_the_system_shows_who_is_alive_and_what_is_missing(pages: Pages) -> None:
    page = pages.visit("/admin/system")
    assert "No worker has been seen for 30 seconds." in text_of(page.find(id="live"))
    process("one", "worker")
    process("two", "worker", silent_ms=45_000, version="0.0.9")
    process("<s>three", "scheduler", version="0.2.0")
    process("four", "web")
    Lease.update(holder="<s>three.example:42:0f", until_at=database_now() + 9_000, epoch=7).execute()
    page = pages.visit("/admin/system")
    live = text_of(page.find(id="live"))
    assert "has been seen for 30 seconds" not in live
    assert "Processes of different versions are running: 0.1.0, 0.2.0." in live
    shown = rows(page.find(id="live"))  # type: ignore[arg-type]
    assert shown[0].startswith("scheduler alive schedules <s>three.example 42 0.2.0")
    assert shown[3].startswith("worker silent two.example 42 0.0.9")
    assert "45 s ago" in shown[3]
    assert "by process 42 on <s>three.example; changed hands 7 times" in live
    assert page.select_one("main s") is None
    assert "SQLite 3." in live
    assert "in memory" in live


def test_the_system_shows_settings_without_secrets_and_versions(pages: Pages) -> None:
    page = pages.visit("/admin/system")
    section = page.find("section", attrs={"aria-labelledby": "settings"})
    shown = {str(row.th.get_text()): text_of(row) for row in section.select("tbody tr")}  # type: ignore[union-attr]
    assert "10s default Time for a whole attempt." in shown["REQUEST_TIMEOUT"]
    assert "127.0.0.0/8, ::1/128 set here" in shown["ALLOW_NETWORKS"]
    assert "20 % up or down" in shown["RETRY_JITTER"]
    assert "not set default" in shown["REDIS_URL"]
    versions = text_of(page.find("section", attrs={"aria-labelledby": "versions"}))
    assert "Hookline 0." in versions
    assert "libcurl" in versions


def test_the_system_shows_when_redis_is_away(app: Flask, services: Services, pages: Pages) -> None:
    broker = RedisBroker(parse_redis_url(f"redis://127.0.0.1:{free_port()}/0"))
    context = app.extensions[EXTENSION]
    app.extensions[EXTENSION] = Context(replace(services, broker=broker), context.authenticator)
    live = text_of(pages.visit("/admin/system").find(id="live"))
    assert "The queue can't be reached. Events are accepted and wait in the database." in live
    assert "– deliveries and – messages" in live


def test_one_changes_ones_own_password_and_stays_logged_in(log_in: LogIn) -> None:
    pages, other = log_in("repo-manager"), log_in("repo-manager")
    page = pages.visit("/account")
    assert [row.split(" 19")[0] for row in rows(page)] == ["p r"]
    form = {"present": PASSWORD, "password": NEW, "again": NEW}
    page = pages.send("/account/password", form | {"again": "another"}, 400)
    assert wrong(page, "again") == "The two passwords differ."
    page = pages.send("/account/password", form | {"present": "wrong"}, 400)
    assert wrong(page, "present") == "this is not your present password"
    page = pages.send("/account/password", form | {"password": "short", "again": "short"}, 400)
    assert wrong(page, "password") == "a password has at least 8 characters"
    assert not any(secret in str(page) for secret in (PASSWORD, NEW))
    page = pages.send("/account/password", form)
    assert "Your password was changed." in said(page)
    assert text_of(page.h1) == "Your account"
    assert text_of(other.visit("/account").h1) == "Log in"
    assert password_fits(NEW, User.get_by_id("repo-manager").password_hash)


def test_guessing_ones_own_password_is_held_up(log_in: LogIn) -> None:
    pages = log_in("project-manager")
    pages.visit("/account")
    form = {"present": "wrong", "password": NEW, "again": NEW}
    for _ in range(10):
        pages.send("/account/password", form, 400)
    page = pages.send("/account/password", form | {"present": PASSWORD}, 429)
    assert "too many failed logins" in wrong(page, "present")


def test_all_of_it_is_there_in_chinese(log_in: LogIn) -> None:
    pages = log_in("root", "zh")
    for path, title in zip(PAGES, ("用户", "新建用户", "root", "访问密钥", "新建访问密钥", "系统"), strict=True):
        assert text_of(pages.visit(path).h1) == title
    pages.visit("/admin/users/new")
    page = pages.send("/admin/users/new", {"name": "", "password": NEW}, 400)
    assert "可打印字符" in wrong(page, "name")
    page = pages.send("/admin/user/delete", {"name": "outsider"})
    assert said(page) == "已删除用户 outsider 及其 1 项权限。"
    assert "上下 20 %。" in text_of(pages.visit("/admin/system"))
