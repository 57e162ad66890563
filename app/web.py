"""The Flask application: the API and the dashboard over the services."""

from flask import Flask

from app.api import register_api
from app.api.body import MAX_BATCH
from app.api.context import EXTENSION, Context
from app.api.tracing import register_tracing, trace_log_records
from app.authentication import Authenticator
from app.readers import MOST, Readers
from app.services import Services
from app.ui import register_ui


def create_app(services: Services, authenticator: Authenticator | None = None, readers: Readers | None = None) -> Flask:
    """Return the WSGI application. Its threads may share `services`, and what else is given."""
    app = Flask(__name__, static_folder=None, template_folder="ui/templates")
    app.config["MAX_CONTENT_LENGTH"] = MAX_BATCH
    # Every URL has one form and one set of methods: no redirects to others, no answers to OPTIONS by themselves.
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.merge_slashes = False
    app.url_map.strict_slashes = True
    app.extensions[EXTENSION] = Context(services, authenticator or Authenticator(), readers or Readers(MOST))
    trace_log_records()
    register_tracing(app)
    register_api(app)
    register_ui(app, services)
    return app
