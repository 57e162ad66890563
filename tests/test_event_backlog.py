"""Reading accepted events along: each once, in order, however late it appears."""

import pytest

from app import event_backlog
from app.event_backlog import OVERLAP_MS, Backlog, Place
from app.matching import Webhook
from app.services import Services
from tests.rows import AT, event, write_events

SECOND = 1_000


def about(association: str = "", *triggers: str) -> Webhook:
    kind = "REPO" if ":" in association else "PROJECT" if association else "SYSTEM"
    return Webhook(
        id="w",
        url="http://localhost/",
        token=None,
        headers=None,
        secret="",
        triggers=frozenset(triggers or ("NODE_CREATED",)),
        association_type=kind,
        association_id=association,
        resource_key_pattern=None,
        enabled=True,
    )


ANY = about()


def test_what_is_new_comes_once_in_the_order_of_acceptance(services: Services) -> None:
    backlog = Backlog(AT)
    event("before", AT - 1)
    write_events([("b", AT), ("a", AT), ("c", AT + 5)])
    assert backlog.look(ANY, AT + SECOND) == (["a", "b", "c"], False)
    event("d", AT + SECOND + 1)
    assert backlog.look(ANY, AT + 2 * SECOND) == (["d"], False)
    assert backlog.look(ANY, AT + 3 * SECOND) == ([], False)


def test_one_that_was_committed_late_comes_too(services: Services) -> None:
    backlog = Backlog(AT)
    event("a", AT + 10 * SECOND)
    assert backlog.look(ANY, AT + 10 * SECOND).ids == ["a"]
    write_events([("late", AT + 1), ("too-early", AT - 1)])
    assert backlog.look(ANY, AT + 10 * SECOND + 500).ids == ["late"]
    # A reader who takes long over one look has to hear of what appeared meanwhile.
    event("later", AT + 9 * SECOND)
    assert backlog.look(ANY, AT + 90 * SECOND).ids == ["later"]
    assert backlog.look(ANY, AT + 91 * SECOND).ids == []


def test_a_clock_that_is_ahead_hides_nothing(services: Services) -> None:
    backlog = Backlog(AT)
    event("ahead", AT + 5 * SECOND)
    assert backlog.look(ANY, AT).ids == ["ahead"]
    event("in-time", AT + 1)
    assert backlog.look(ANY, AT + SECOND).ids == ["in-time"]
    assert backlog.look(ANY, AT + 2 * SECOND).ids == []


def test_who_resumes_gets_again_what_may_have_been_late_but_nothing_from_before_he_began(services: Services) -> None:
    write_events([("old", AT - 1), ("a", AT), ("b", AT), ("c", AT + OVERLAP_MS + SECOND)])
    backlog = Backlog(AT)
    assert backlog.resume_from() == Place(AT)
    now = AT + OVERLAP_MS + 2 * SECOND
    assert backlog.look(ANY, now).ids == ["a", "b", "c"]
    assert backlog.resume_from(Place(AT, "a")) == Place(AT, "a")  # of that time nothing can be late
    assert backlog.resume_from(Place(AT + OVERLAP_MS + SECOND, "c")) == Place(AT + 2 * SECOND)
    assert backlog.resume_from() == Place(AT + 2 * SECOND)
    assert Backlog(AT, Place(AT, "a")).look(ANY, now).ids == ["b", "c"]
    assert Backlog(AT, Place(AT - 1, "o")).look(ANY, now).ids == ["a", "b", "c"]
    early = Backlog(AT)
    early.look(ANY, AT + SECOND)
    assert early.resume_from() == Place(AT)


def test_of_many_some_come_at_a_look_even_where_all_are_of_one_moment(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_backlog, "MOST", 3)
    write_events([(f"e{number}", AT) for number in range(7)])
    backlog = Backlog(AT)
    looks = [backlog.look(ANY, AT + SECOND) for _ in range(4)]
    assert looks == [(["e0", "e1", "e2"], True), (["e3", "e4", "e5"], True), (["e6"], False), ([], False)]


def test_a_narrow_reader_passes_others_by_some_at_a_look(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_backlog, "SCAN", 4)
    write_events([(f"e{number}", AT + number // 3) for number in range(10)], project_id="busy")
    event("mine", AT + 20)
    backlog = Backlog(AT)
    looks = [backlog.look(about("p"), AT + SECOND) for _ in range(3)]
    assert looks == [([], True), ([], True), (["mine"], False)]


def test_by_project_repository_and_type(services: Services) -> None:
    event("a", AT)
    event("b", AT + 1, repo_name="s")
    event("c", AT + 2, project_id="q")
    event("d", AT + 3, type="NODE_DELETED")
    event("e", AT + 4, project_id=None, repo_name=None)

    def found(*wanted: str) -> list[str]:
        return Backlog(AT).look(about(*wanted), AT + SECOND).ids

    assert found("") == ["a", "b", "c", "e"]
    assert found("p") == ["a", "b"]
    assert found("p:r") == ["a"]
    assert found("p:r", "NODE_DELETED", "NODE_CREATED") == ["a", "d"]
