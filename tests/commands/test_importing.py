"""`hookline import`: webhooks from bk-repo."""

import json
from pathlib import Path
from typing import Any

import pytest
from hookline_client import Client

from tests.commands.conftest import Run, ok, one_line, parsed

pytestmark = pytest.mark.sqlite_only


def document(**fields: Any) -> dict[str, Any]:
    """Return a document as mongoexport writes it."""
    at = {"$date": "2021-12-27T00:00:00.000Z"}
    known = {
        "_id": {"$oid": "61c8f9a2e4b0f8a3d2c1b0a9"},
        "url": "http://ci.example.com/hook",
        "triggers": ["NODE_CREATED"],
        "associationType": "PROJECT",
        "associationId": "imported",
        "createdBy": "admin",
        "createdDate": at,
        "lastModifiedBy": "admin",
        "lastModifiedDate": at,
        "_class": "com.tencent.bkrepo.webhook.model.TWebHook",
    }
    return known | fields


@pytest.fixture
def export(tmp_path: Path) -> Path:
    documents = [
        document(headers={"X-A": "1"}, token="a long token", resourceKeyPattern="/a.*"),
        document(associationType="SYSTEM", associationId="", triggers=["NODE_CREATED", "VERSION_STAGED"]),
        document(url="http://ci.example.com/2", resourceKeyPattern="(?=x)"),
        document(resourceKeyPattern=None, headers=None),
    ]
    path = tmp_path / "webhooks.json"
    path.write_text("".join(json.dumps(each) + "\n" for each in documents))
    return path


def test_a_dry_run_says_what_would_be_made_and_what_can_t_be(run: Run, client: Client, export: Path) -> None:
    before = len(list(client.iter_webhooks()))
    result = run("import", str(export), "--dry-run")
    assert result.exit_code == 1
    _, first, second, third, fourth = result.stdout.splitlines()
    assert "would be made" in first
    assert "refused" in second
    assert "VERSION_STAGED" in second
    assert "resourceKeyPattern" in third
    assert "would be made" in fourth
    assert result.stderr == "4 webhooks: 2 would be made, 2 refused\n"
    assert len(list(client.iter_webhooks())) == before


def test_what_is_there_is_passed_over_the_next_time(run: Run, client: Client, export: Path) -> None:
    done = run("import", str(export), "--json", "--disabled", "--skip-unknown-triggers")
    outcomes = json.loads(done.stdout)
    assert [outcome["result"] for outcome in outcomes] == ["made", "made", "refused", "made"]
    assert outcomes[1]["reason"] == "without VERSION_STAGED"
    assert outcomes[0]["sourceId"] == "61c8f9a2e4b0f8a3d2c1b0a9"
    assert "token" not in outcomes[0]["webhook"]
    made = client.get(outcomes[0]["id"])
    assert (made.token, made.headers, made.resource_key_pattern) == ("****oken", {"X-A": "1"}, "/a.*")
    assert not made.enabled
    again = json.loads(run("import", str(export), "--json", "--skip-unknown-triggers").stdout)
    assert [outcome["result"] for outcome in again] == ["there already", "there already", "refused", "there already"]
    assert [outcome["id"] for outcome in again] == [outcome["id"] for outcome in outcomes]
    for outcome in outcomes:
        if outcome["id"]:
            client.delete(outcome["id"])


def test_an_array_is_as_good_as_lines_and_the_same_twice_is_made_once(run: Run) -> None:
    text = json.dumps([document(), document()])
    assert [row["result"] for row in parsed(run("import", "-", "--dry-run", "--json", stdin=text))] == [
        "would be made",
        "there already",
    ]


def test_an_empty_export_makes_nothing(run: Run) -> None:
    result = run("import", "-", stdin="[]")
    assert ok(result) == ""
    assert result.stderr == "0 webhooks: none\n"


def test_what_is_no_export_is_one_line(run: Run) -> None:
    assert one_line(run("import", "-", stdin="url,triggers\n")).startswith("standard input: ")
