"""The people of the API's tests, and a caller for each of them."""

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.accounts import hash_password
from app.models import AccessKey, Grant, User, Webhook
from tests.api.described import DescribedClient

PASSWORD = "correct horse"
# name -> administrator?
USERS = {"root": True, "project-manager": False, "repo-manager": False, "outsider": False}
# user, project, repository ("" for all)
GRANTS = (("project-manager", "p", ""), ("repo-manager", "p", "r"), ("outsider", "other", ""))
# access key -> scopes; the secret is the key spelt backwards
KEYS = {"publisher": ["event:publish"], "scopeless": []}

password_hash = cache(hash_password)


def basic(name: str, password: str = PASSWORD) -> dict[str, str]:
    """Return the headers of a user."""
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def platform(access_key: str, user_id: str | None = None) -> dict[str, str]:
    """Return the headers of a platform."""
    pair = base64.b64encode(f"{access_key}:{access_key[::-1]}".encode()).decode()
    return {"Authorization": f"Platform {pair}"} | ({"X-BKREPO-UID": user_id} if user_id else {})


@dataclass
class Api:
    """Calls the API as one caller."""

    client: FlaskClient
    headers: dict[str, str]

    def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> TestResponse:
        """Call `path` under the prefix, with `body` as JSON unless it is bytes."""
        headers = {"Content-Type": "application/json", **self.headers, **options.pop("headers", {})}
        data = body if isinstance(body, bytes) or body is None else json.dumps(body)
        return self.client.open(f"/webhook/api{path}", method=method, data=data, headers=headers, **options)

    def data(self, method: str, path: str, body: Any = None) -> Any:
        """Return the data of a call that succeeds."""
        answer = self(method, path, body)
        assert answer.json["code"] == 0, answer.json
        return answer.json["data"]

    def create(self, **fields: Any) -> str:
        """Make a webhook, and return its id."""
        answer = self("POST", "/webhook/create", NEW | fields)
        assert answer.status_code == 200, answer.json
        return answer.headers["X-Webhook-Id"]


NEW = {
    "url": "http://receiver.example/hook",
    "triggers": ["NODE_CREATED"],
    "association_type": "REPO",
    "association_id": "p:r",
}


@pytest.fixture(autouse=True)
def described(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test calls here, the OpenAPI document must be right about it."""
    monkeypatch.setattr(Flask, "test_client_class", DescribedClient)


@pytest.fixture
def people(services: Any) -> None:
    """Make users, grants and access keys. All share one password hash: making one takes 30 ms."""
    hashed = password_hash(PASSWORD)
    User.insert_many([(name, hashed, admin, 0) for name, admin in USERS.items()]).execute()
    Grant.insert_many([(*grant, 0) for grant in GRANTS], fields=Grant._meta.sorted_fields[1:]).execute()
    for access_key, scopes in KEYS.items():
        digest = hashlib.sha256(access_key[::-1].encode()).hexdigest()
        row = {"access_key": access_key, "secret_hash": digest, "app": "ci", "scopes": json.dumps(scopes)}
        AccessKey.insert(**row, created_at=0).execute()


@pytest.fixture
def as_user(client: FlaskClient, people: None) -> Callable[[str], Api]:
    return lambda name: Api(client, basic(name))


@pytest.fixture
def admin(as_user: Callable[[str], Api]) -> Api:
    return as_user("root")


def stored() -> list[dict[str, Any]]:
    """Return all webhooks as they are in the table."""
    return list(Webhook.select().order_by(Webhook.id).dicts())
