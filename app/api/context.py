"""What a view works with: the services, the caller, the trace id."""

from dataclasses import dataclass, field
from typing import cast

from flask import current_app, g, request

from app.authentication import Authenticator, Caller, Credentials
from app.clock import now_ms
from app.readers import MOST, Readers
from app.services import Services

EXTENSION = "hookline"


@dataclass(frozen=True, slots=True)
class Context:
    """What `create_app` keeps in `app.extensions`."""

    services: Services
    authenticator: Authenticator
    readers: Readers = field(default_factory=lambda: Readers(MOST))


def context() -> Context:
    """Return the context of the application that serves the request."""
    return cast(Context, current_app.extensions[EXTENSION])


def services() -> Services:
    """Return the services."""
    return context().services


def caller() -> Caller:
    """Return who makes the request; `authenticate` has seen to it that there is someone."""
    return cast(Caller, g.caller)


def credentials() -> Credentials:
    """Return what the request says about its caller."""
    environ = request.environ
    return Credentials(
        environ.get("HTTP_AUTHORIZATION"), environ.get("HTTP_X_BKREPO_UID"), environ.get("REMOTE_ADDR", "")
    )


def authenticate() -> None:
    """Find out who makes the request, before any view of the API. Raises Unauthenticated or TooManyRequests."""
    g.caller = context().authenticator.authenticate(credentials(), now_ms())
