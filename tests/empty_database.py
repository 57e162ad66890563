"""Databases without tables on the servers that the tests share, and connections that Hookline knows nothing of."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg2
import pymysql

from app.ids import new_id
from app.models import database
from tests.conftest import Place

Run = Callable[..., list[tuple[Any, ...]]]


@contextlib.contextmanager
def empty_database(place: Place, directory: Path) -> Iterator[str]:
    """Give the URL of a database that has no tables, which is gone afterwards."""
    if place.url is None:
        yield f"sqlite:///{directory / 'empty.db'}"
        database.close()
        return
    name = f"test_{new_id()}"
    with beside(place.url) as run:
        run(f"CREATE DATABASE {name}")
        try:
            yield f"{place.url.rpartition('/')[0]}/{name}"
        finally:
            database.close()
            run(f"DROP DATABASE {name}" + (" WITH (FORCE)" if place.kind == "postgres" else ""))


@contextlib.contextmanager
def beside(url: str) -> Iterator[Run]:
    """Give a function that runs a statement on a connection of its own, commits, and returns the rows."""
    with contextlib.closing(_connect(url)) as connection:

        def run(sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
            cursor = connection.cursor()
            cursor.execute(sql, *([parameters] if parameters else []))
            rows = list(cursor.fetchall()) if cursor.description else []
            cursor.close()
            return rows

        yield run


def _connect(url: str) -> Any:
    if url.startswith("sqlite:"):
        return sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, timeout=15)
    parts = urlsplit(url)
    place = {"host": parts.hostname, "port": parts.port, "user": parts.username, "password": unquote(parts.password)}
    if url.startswith("postgres"):
        connection = psycopg2.connect(**place, dbname=parts.path[1:])
        connection.autocommit = True
        return connection
    return pymysql.connect(**place, database=parts.path[1:], autocommit=True)
