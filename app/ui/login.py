"""Logging in and out, and the language of the pages."""

from flask import redirect, request, url_for
from flask_login import current_user, logout_user
from werkzeug.wrappers import Response

from app.errors import BadRequest
from app.messages import LANGUAGES
from app.ui.pages import page, say
from app.ui.section import open_section
from app.ui.security import YEAR_S
from app.ui.session import csrf, inside, log_in
from app.ui.texts import error_text, gettext

login = open_section("login", __name__)


@login.get("/login")
def form() -> Response:
    """Ask for name and password."""
    if current_user.is_authenticated:
        return redirect(inside(request.args.get("next")), 303)
    return page("login.html", ended="ended" in request.args, name="")


@login.post("/login")
def enter() -> Response:
    """Begin a session."""
    csrf.protect()
    name = request.form.get("name", "").strip()
    try:
        log_in(name, request.form.get("password", ""))
    except BadRequest as error:
        return page("login.html", status=error.status, error=error_text(error), ended=False, name=name)
    return redirect(inside(request.args.get("next")), 303)


@login.post("/logout")
def leave() -> Response:
    """End the session."""
    csrf.protect()
    logout_user()
    say(gettext("You have logged out."))
    return redirect(url_for("login.form"), 303)


@login.get("/language/<code>")
def language(code: str) -> Response:
    """Keep the language that someone chose."""
    answer = redirect(inside(request.args.get("next")), 303)
    if code in LANGUAGES:
        answer.set_cookie("language", code, max_age=YEAR_S, samesite="Lax", httponly=True)
    return answer
