"""Who is logged in: a signed cookie that names the user and a mark of the password, so that a new one ends it."""

import base64
import hashlib
from typing import cast
from urllib.parse import urlsplit

from flask import Flask, Request, Response, g, redirect, request, session, url_for
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_login import LoginManager, current_user, login_user
from flask_wtf.csrf import CSRFProtect
from werkzeug.wrappers import Response as AnyResponse

from app.accounts import password_fits
from app.api.context import context
from app.authentication import Caller, Credentials
from app.clock import now_ms
from app.database import unavailable
from app.errors import BadRequest, Unauthenticated
from app.models import User

LONGEST_MS = 7 * 86_400_000  # however busy it is, a session ends after a week
_SINCE = "since"
API = "/webhook/"

manager = LoginManager()
csrf = CSRFProtect()


class PageSessions(SecureCookieSessionInterface):
    """Flask's sessions, for pages: calls of the API and static files have none, and do not pay for one."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session of a request, the null session for what is no page."""
        if request.path.startswith((API, "/static/")):
            return self.make_null_session(app)
        return super().open_session(app, request)


class Account:
    """A user as Flask-Login keeps one."""

    is_authenticated = True
    is_active = True
    is_anonymous = False

    def __init__(self, row: User) -> None:
        self.caller = Caller(row.id, bool(row.admin), frozenset(), platform=False)
        self._mark = hashlib.sha256(row.password_hash.encode()).hexdigest()[:16]

    def get_id(self) -> str:
        """Return what the session keeps: it names nobody any more once the password has changed."""
        return f"{self._mark}:{self.caller.user_id}"


def register_session(app: Flask) -> None:
    """Have `app` keep sessions."""
    app.session_interface = PageSessions()
    manager.init_app(app)
    csrf.init_app(app)


@manager.user_loader  # type: ignore[untyped-decorator]
def load_account(kept: str) -> Account | None:
    """Return the user of a session; None where he is gone, has a new password, or the session is too old."""
    if now_ms() - session.get(_SINCE, 0) > LONGEST_MS:
        return None
    with unavailable():
        row = User.get_or_none(User.id == kept.partition(":")[2])
    account = None if row is None else Account(row)
    return account if account is not None and account.get_id() == kept else None


def log_in(name: str, password: str) -> None:
    """Begin a session. Raises Unauthenticated, and TooManyRequests after too many failures, as the API does."""
    if not name or not password or ":" in name:
        raise Unauthenticated(250114, "credentials_wrong")
    pair = base64.b64encode(f"{name}:{password}".encode("utf-8", "replace")).decode()
    given = Credentials(f"Basic {pair}", None, request.remote_addr or "")
    try:
        caller = context().authenticator.authenticate(given, now_ms())
    except Unauthenticated as error:
        raise Unauthenticated(error.code, "credentials_wrong") from error
    with unavailable():
        row = User.get_or_none(User.id == caller.user_id)
    # The authenticator remembers for a minute: a session is begun with the password as it is now.
    if row is None or not password_fits(password, row.password_hash):
        raise Unauthenticated(250114, "credentials_wrong")
    session.clear()  # nothing of an earlier session, such as its CSRF token, goes over into this one
    session.permanent = True
    session[_SINCE] = now_ms()
    login_user(Account(row))


def renew(name: str) -> None:
    """Keep the session of a user whose password has just changed; it must be the one who is logged in."""
    with unavailable():
        login_user(Account(User.get_by_id(name)))


def guard() -> AnyResponse | None:
    """Let only who is logged in pass, and writes only with the session's token. For sections' before_request."""
    if not current_user.is_authenticated:
        return to_login()
    csrf.protect()
    g.caller = cast(Account, current_user).caller
    return None


def recognise() -> None:
    """Note who is logged in, if anyone is, for a page that everybody may see. For sections' before_request."""
    if current_user.is_authenticated:
        g.caller = cast(Account, current_user).caller


def require_admin() -> None:
    """Raise Forbidden where the viewer is no administrator."""
    if not g.caller.admin:
        raise AdministratorsOnly(250113, "administrators_only")


class SessionEnded(BadRequest):
    """A write from a page whose session has ended; what was typed there is to stay."""

    status = 401


class AdministratorsOnly(BadRequest):
    """A page for administrators."""

    status = 403


def to_login() -> AnyResponse:
    """Send a browser to the login page, and back to where it is afterwards; htmx needs that said in a header."""
    here = _current_page()
    target = url_for("login.form", next=here, ended=1 if "_user_id" in session or request.method != "GET" else None)
    if is_fragment() and request.method != "GET":
        raise SessionEnded(250114, "session_ended")
    if is_fragment():
        return Response(status=204, headers={"HX-Redirect": target})
    if request.accept_mimetypes.best == "text/event-stream":
        return Response(status=401)
    return redirect(target, 303)


def is_fragment() -> bool:
    """Return whether htmx asks, to put the answer into a page."""
    return request.headers.get("HX-Request") == "true"


def inside(target: str | None) -> str:
    """Return `target` where it is a page of ours, else the first page: nobody is to be led elsewhere by a link."""
    if target and target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable():
        return target
    return "/"


def _current_page() -> str | None:
    if is_fragment():
        parts = urlsplit(request.headers.get("HX-Current-URL", ""))
        return f"{parts.path}?{parts.query}".rstrip("?") or None
    return request.full_path.rstrip("?") if request.method == "GET" else None
