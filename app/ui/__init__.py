"""The dashboard: pages for people over the functions that the API calls too. Rendered here, no build step.

A section is a module with a blueprint, a folder of templates, and texts in `locale/`.
"""

from datetime import timedelta

from flask import Flask

from app.services import Services
from app.ui.assets import Assets
from app.ui.errors import register_error_pages
from app.ui.login import login
from app.ui.menu import SECTIONS
from app.ui.session import register_session
from app.ui.templating import register_templating

IDLE = timedelta(hours=12)
MAX_FORM = 4 * 1024 * 1024  # bytes: the largest event that may be published, percent-encoded


def register_ui(app: Flask, services: Services) -> None:
    """Add the dashboard to `app`."""
    current, *former = services.vault.derive("dashboard sessions")
    app.config.update(
        SECRET_KEY=current,
        SECRET_KEY_FALLBACKS=former,
        SESSION_COOKIE_NAME="hookline",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=(services.settings.public_url or "").startswith("https:"),
        PERMANENT_SESSION_LIFETIME=IDLE,
        MAX_FORM_MEMORY_SIZE=MAX_FORM,
        WTF_CSRF_TIME_LIMIT=None,  # a form is good as long as its session
        WTF_CSRF_CHECK_DEFAULT=False,  # the API has no cookies that a foreign page could use
    )
    assets = Assets()
    register_session(app)
    register_templating(app, assets)
    for section in (assets.blueprint(), login, *SECTIONS):
        app.register_blueprint(section)
    register_error_pages(app)
