"""Failures as one line for a person."""

import peewee
import requests
from hookline_client import HooklineError as CallFailed

from app.errors import HooklineError
from config.settings import SettingsError


def is_expected(error: Exception) -> bool:
    """Return whether whoever runs a command can act upon `error`, as upon a server that is away; a bug is not."""
    return isinstance(error, HooklineError | SettingsError | CallFailed | OSError | peewee.DatabaseError)


def describe(error: Exception) -> str:
    """Return `error` as one line, naming the server or the file at fault."""
    request = error.request if isinstance(error, requests.RequestException) else None
    if request is not None and isinstance(error, requests.Timeout):
        return f"{request.url} gave no answer in time"
    if request is not None and isinstance(error, requests.ConnectionError):
        return f"{request.url} can't be reached"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__
