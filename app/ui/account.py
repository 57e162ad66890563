"""One's own account: what one may, and the password."""

from typing import cast

from flask import redirect, request, url_for
from werkzeug.wrappers import Response

from app.api.context import caller
from app.authentication import FAILURE_WINDOW_MS, MAX_FAILURES, TOO_MANY
from app.clock import now_ms
from app.errors import AccountError, BadRequest, TooManyRequests
from app.throttle import Throttle
from app.ui.admin import at_field
from app.ui.pages import page, say
from app.ui.section import section
from app.ui.session import renew
from app.ui.texts import gettext
from app.user_admin import change_password, places_of

PLACES = 100

account = section("account", __name__, "/account")
_guesses = Throttle(MAX_FAILURES, FAILURE_WINDOW_MS)  # a session left open must not let the password be found out


@account.get("")
def show() -> Response:
    """Show who one is and what one may."""
    return _page()


@account.post("/password")
def password() -> Response:
    """Change one's own password; other sessions of the user end, this one goes on."""
    name, new = _name(), request.form.get("password", "")
    if new != request.form.get("again", ""):
        return _page(400, {"again": gettext("The two passwords differ.")})
    try:
        _change(name, request.form.get("present", ""), new, now_ms())
    except BadRequest as error:
        return _page(error.status, at_field(error))
    renew(name)
    say(gettext("Your password was changed. You are logged out everywhere else."))
    return redirect(url_for("account.show"), 303)


def _change(name: str, present: str, new: str, now: int) -> None:
    wait = _guesses.wait_ms(name, now)
    if wait:
        raise TooManyRequests(TOO_MANY, "too_many_failures", field="present", retry_after=-(-wait // 1000))
    try:
        change_password(name, present, new)
    except AccountError as error:
        if error.reason == "password_wrong":
            _guesses.fail(name, now)
        raise


def _page(status: int = 200, errors: dict[str, str] | None = None) -> Response:
    places, last = places_of(_name(), ("", ""), PLACES)
    return page("account.html", status=status, places=places, has_more=last is not None, errors=errors or {})


def _name() -> str:
    return cast(str, caller().user_id)  # a session is always a user's
