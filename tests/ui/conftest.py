"""A browser without a screen: it logs in, follows pages, and sends forms with their tokens."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from bs4 import BeautifulSoup, Tag
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.api.conftest import PASSWORD, people

__all__ = ["people"]

FRAGMENT = {"HX-Request": "true"}


@dataclass
class Pages:
    """One viewer. `at` is the page that was shown last."""

    client: FlaskClient
    at: BeautifulSoup | None = None

    def visit(self, path: str, status: int = 200, **options: Any) -> BeautifulSoup:
        """Load a page, follow redirects, and return it."""
        return self._see(self.client.get(path, follow_redirects=True, **options), status)

    def fragment(self, path: str, status: int = 200, **options: Any) -> BeautifulSoup:
        """Load a part of a page as htmx does."""
        answer = self.client.get(path, headers=FRAGMENT | options.pop("headers", {}), **options)
        assert answer.status_code == status, answer.text
        return BeautifulSoup(answer.text, "html5lib")

    def send(self, path: str, form: Mapping[str, Any], status: int = 200, **options: Any) -> BeautifulSoup:
        """Send a form with the session's token, and return the page that it leads to."""
        return self._see(self.post(path, form, follow_redirects=True, **options), status)

    def post(self, path: str, form: Mapping[str, Any], **options: Any) -> TestResponse:
        """Send a form with the session's token, and return the answer."""
        return self.client.post(path, data={"csrf_token": self.token(), **form}, **options)

    def token(self) -> str:
        """Return the token of the page that was shown last."""
        assert self.at is not None
        found = self.at.find("input", {"name": "csrf_token"})
        assert isinstance(found, Tag)
        return str(found["value"])

    def _see(self, answer: TestResponse, status: int) -> BeautifulSoup:
        assert answer.status_code == status, answer.text
        assert answer.mimetype == "text/html"
        self.at = BeautifulSoup(answer.text, "html5lib")
        return self.at


def text_of(part: Any) -> str:
    """Return the text of a part of a page, its white space made single."""
    return " ".join(part.get_text(" ").split())


@pytest.fixture
def log_in(app: Flask, people: None) -> Callable[..., Pages]:
    """Return pages as a user sees them: `root` is an administrator, `project-manager` has project p, `repo-manager`
    repository p:r, `outsider` another project."""

    def enter(name: str = "root", language: str = "en") -> Pages:
        pages = Pages(app.test_client())
        pages.client.set_cookie("language", language)
        pages.visit("/login")
        assert pages.post("/login", {"name": name, "password": PASSWORD}).status_code == 303
        return pages

    return enter


@pytest.fixture
def pages(log_in: Callable[..., Pages]) -> Pages:
    """Pages as the administrator sees them, in English."""
    return log_in("root")
