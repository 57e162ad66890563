"""Trying out patterns: on a key, on the events that came lately, and what is refused."""

import pytest

from app.authentication import Caller
from app.models import Grant
from app.pattern_test import RECENT, try_pattern
from app.permissions import Association
from app.services import Services
from tests.rows import ADMIN, AT, event, write_events

pytestmark = pytest.mark.sqlite_only
REPO = Association("REPO", "p:r")
PROJECT = Association("PROJECT", "p")
SYSTEM = Association("SYSTEM", "")
USER = Caller("single", admin=False, scopes=frozenset(), platform=False)


@pytest.mark.parametrize(
    ("pattern", "key", "matches"),
    [
        (r"/a/.*\.apk", "/a/b.apk", True),
        (r"/a/.*\.apk", "/a/b.apk.tmp", False),  # the whole key
        ("/项.*", "/项目/甲", True),
        ("", "/anything", True),
        ("", "", True),
        (".+", "", False),
        (".", "甲", True),
    ],
)
def test_a_key_is_compared_as_deliveries_are(pattern: str, key: str, matches: bool) -> None:
    assert try_pattern(ADMIN, pattern, key, None, now=AT).key_matches is matches


def test_a_refused_pattern_is_told_with_the_reason_of_the_engine() -> None:
    found = try_pattern(ADMIN, "a(", "a", SYSTEM, now=AT)
    assert (found.fault, found.key_matches, found.events) == ("missing ): a(", None, None)
    assert "invalid perl operator" in str(try_pattern(ADMIN, "(?=a)", "a", None, now=AT).fault)


def test_the_newest_events_of_the_association_are_compared(services: Services) -> None:
    event("e1", AT, resource_key="/a.apk")
    event("e2", AT + 1, resource_key="/b.txt")
    event("e3", AT + 2, resource_key=None, repo_name=None, type="PROJECT_CREATED")
    event("e4", AT + 3, resource_key="/c.apk", project_id="q")

    def compared(association: Association) -> list[tuple[str, bool]]:
        found = try_pattern(ADMIN, r".*\.apk", None, association, now=AT + 10)
        assert found.key_matches is None
        return [(row.id, matches) for row, matches in found.events or ()]

    assert compared(REPO) == [("e2", False), ("e1", True)]
    assert compared(PROJECT) == [("e3", False), ("e2", False), ("e1", True)]
    assert compared(SYSTEM) == [("e4", True), ("e3", False), ("e2", False), ("e1", True)]


def test_events_have_to_pass_the_filter_too(services: Services) -> None:
    for number in (1, 2, 3):
        event(f"e{number}", AT + number, resource_key=f"/{number}", payload=f'{{"size":{number}}}')
    events = try_pattern(ADMIN, "/[12]", None, REPO, now=AT + 10, stored_filter='{"payload.size":{"$gt":1}}').events
    assert [(row.id, matches) for row, matches in events or ()] == [("e3", False), ("e2", True), ("e1", False)]


def test_so_many_events_are_compared_and_no_more(services: Services) -> None:
    write_events([(f"e{number:03}", AT + number) for number in range(RECENT + 5)])
    events = try_pattern(ADMIN, "", None, REPO, now=AT + 1_000).events
    assert events is not None
    assert [events[0][0].id, len(events)] == [f"e{RECENT + 4:03}", RECENT]


def test_nobody_is_shown_events_that_he_may_not_see(services: Services) -> None:
    Grant.insert(user_id="single", project_id="p", repo_name="r", created_at=0).execute()
    event("e1")
    assert [row.id for row, _ in try_pattern(USER, "", None, REPO, now=AT).events or ()] == ["e1"]
    for association in (PROJECT, SYSTEM, Association("REPO", "q:r")):
        found = try_pattern(USER, "", "/a", association, now=AT)
        assert (found.events, found.key_matches) == (None, True)
