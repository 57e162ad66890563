"""Administration: users and what they may. A name may hold anything, so it goes in the query, not in the path."""

from flask import redirect, request, url_for
from werkzeug.wrappers import Response

from app.accounts import grant
from app.api.context import caller
from app.clock import now_ms
from app.errors import AccountError
from app.ui.admin import admin_section, at_field, given
from app.ui.pages import page, say
from app.ui.texts import gettext, ngettext
from app.user_admin import (
    add_user,
    delete_user,
    find_user,
    made_password,
    page_of_users,
    places_of,
    revoke,
    set_admin,
    set_password,
)

USERS = 50
PLACES = 100

admin = admin_section("admin", __name__, "/admin")


@admin.get("")
def start() -> Response:
    """Lead to the first page of the administration."""
    return redirect(url_for("admin.users"), 303)


@admin.get("/users")
def users() -> Response:
    """Show the users by name, or those whose names hold a text."""
    search = given(request.args, "q")
    found = page_of_users(search, given(request.args, "after"), USERS)
    return page("admin/users.html", found=found, search=search)


@admin.get("/users/new")
def new_user() -> Response:
    """Ask for a new user."""
    return page("admin/user_new.html", name="", is_admin=False, errors={})


@admin.post("/users/new")
def create() -> Response:
    """Make a user; a password that was made for him is shown, once."""
    name, is_admin = request.form.get("name", ""), "admin" in request.form
    made = None if request.form.get("password") else made_password()
    try:
        add_user(name, made or request.form["password"], admin=is_admin, now=now_ms())
    except AccountError as error:
        errors = at_field(error)
        return page("admin/user_new.html", status=error.status, name=name, is_admin=is_admin, errors=errors)
    say(gettext("User %s was made.") % name)
    return _with_password(name, made)


@admin.get("/user")
def user() -> Response:
    """Show a user, what he may, and what can be done about it."""
    return _user(given(request.args, "name"))


@admin.post("/user/password")
def password() -> Response:
    """Give a user a new password; one that was made for him is shown, once."""
    name = find_user(given(request.form, "name")).name
    made = None if request.form.get("password") else made_password()
    try:
        set_password(caller(), name, made or request.form["password"])
    except AccountError as error:
        return _user(name, error)
    say(gettext("User %s has a new password and must log in again.") % name)
    return _with_password(name, made)


@admin.post("/user/admin")
def change_admin() -> Response:
    """Make a user an administrator, or no longer one."""
    name, becomes = find_user(given(request.form, "name")).name, request.form.get("admin") == "yes"
    try:
        set_admin(caller(), name, becomes)
    except AccountError as error:
        return _user(name, error)
    text = gettext("User %s is an administrator now.") if becomes else gettext("User %s is no administrator any more.")
    say(text % name)
    return _to(name)


@admin.post("/user/delete")
def delete() -> Response:
    """Delete a user."""
    name = find_user(given(request.form, "name")).name
    try:
        grants = delete_user(caller(), name)
    except AccountError as error:
        return _user(name, error)
    text = ngettext(
        "User %(name)s was deleted, with %(num)s permission.",
        "User %(name)s was deleted, with %(num)s permissions.",
        grants,
    )
    say(text % {"name": name, "num": grants})
    return redirect(url_for("admin.users"), 303)


@admin.post("/user/grant")
def give() -> Response:
    """Let a user manage a project, or a repository of it."""
    name = find_user(given(request.form, "name")).name
    project, repo = request.form.get("project", "").strip(), request.form.get("repo", "").strip()
    try:
        grant(name, project, repo, now_ms())
    except AccountError as error:
        return _user(name, error)
    say(gettext("User %(name)s manages %(place)s.") % {"name": name, "place": _place(project, repo)})
    return _to(name)


@admin.post("/user/revoke")
def take() -> Response:
    """Take a permission away."""
    name = find_user(given(request.form, "name")).name
    project, repo = given(request.form, "project"), given(request.form, "repo")
    if revoke(name, project, repo):
        text = gettext("User %(name)s does not manage %(place)s any more.")
        say(text % {"name": name, "place": _place(project, repo)})
    else:
        say(gettext("That permission was gone already."), "warning")
    return _to(name)


def _user(name: str, error: AccountError | None = None) -> Response:
    shown = find_user(name)
    places, last = places_of(
        shown.name, (given(request.args, "project_after"), given(request.args, "repo_after")), PLACES
    )
    return page(
        "admin/user.html",
        status=error.status if error else 200,
        user=shown,
        places=places,
        last=last,
        errors=at_field(error) if error else {},
        typed={field: request.form.get(field, "") for field in ("project", "repo")},
        is_self=shown.name == caller().user_id,
    )


def _with_password(name: str, made: str | None) -> Response:
    """Go to the user's page, by way of a password that was made: it is in no cookie and no URL, so it is shown here."""
    return _to(name) if made is None else page("admin/user_password.html", name=name, password=made)


def _to(name: str) -> Response:
    return redirect(url_for("admin.user", name=name), 303)


def _place(project: str, repo: str) -> str:
    return f"{project}:{repo}" if repo else project
