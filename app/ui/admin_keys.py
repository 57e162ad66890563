"""Administration: access keys of platforms."""

from flask import redirect, request, url_for
from werkzeug.wrappers import Response

from app.accounts import SCOPES, create_access_key
from app.clock import now_ms
from app.errors import AccountError
from app.ui.admin import admin_section, at_field, given
from app.ui.pages import page, say
from app.ui.texts import gettext
from app.user_admin import page_of_keys, revoke_key

KEYS = 100

admin_keys = admin_section("admin_keys", __name__, "/admin/keys")


@admin_keys.get("")
def list_() -> Response:
    """Show the access keys, without their secrets, which nobody has."""
    keys, following = page_of_keys(given(request.args, "after"), KEYS)
    return page("admin/keys.html", keys=keys, following=following)


@admin_keys.get("/new")
def form() -> Response:
    """Ask for a new access key."""
    return page("admin/key_new.html", app="", chosen=[], scopes=sorted(SCOPES), errors={})


@admin_keys.post("/new")
def create() -> Response:
    """Make an access key and show its secret, once: it is in no cookie, so this is no redirect."""
    app, chosen = request.form.get("app", "").strip(), request.form.getlist("scopes")
    try:
        access_key, secret = create_access_key(app, chosen, now_ms())
    except AccountError as error:
        return page(
            "admin/key_new.html",
            status=error.status,
            app=app,
            chosen=chosen,
            scopes=sorted(SCOPES),
            errors=at_field(error),
        )
    return page("admin/key_made.html", app=app, access_key=access_key, secret=secret)


@admin_keys.post("/revoke")
def revoke() -> Response:
    """Delete an access key."""
    access_key = given(request.form, "key")
    if revoke_key(access_key):
        say(gettext("The access key %s was revoked.") % access_key)
    else:
        say(gettext("That access key was gone already."), "warning")
    return redirect(url_for("admin_keys.list_"), 303)
