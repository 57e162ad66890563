"""What the service is made of, for who reports a problem."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

import pycurl

from app.database import unavailable
from app.models import database

PACKAGES = (
    *("granian", "Flask", "dramatiq", "APScheduler", "peewee", "psycopg2-binary", "PyMySQL", "redis", "msgspec"),
    *("google-re2", "cryptography", "argon2-cffi"),
)


class Component(NamedTuple):
    """A part of the service and its version."""

    name: str
    version: str


def components() -> list[Component]:
    """Return the versions of Hookline, of Python, of the packages that matter, and of libcurl with what is in it."""
    found = [Component("Hookline", version("hookline")), Component("Python", platform.python_version())]
    for name in PACKAGES:
        try:
            found.append(Component(name, version(name)))
        except PackageNotFoundError:  # a driver for another database
            continue
    parts = (part.partition("/") for part in pycurl.version.split())
    return found + [Component(name, number) for name, _, number in parts if number]


def database_product() -> str:
    """Return the database's name and version. Raises DatabaseUnavailable."""
    with unavailable():
        return str(database.product())
