"""Finding events: pages by filter, and who may see what."""

import random

import pytest

from app import event_query
from app.authentication import Caller
from app.errors import Forbidden, NotFound
from app.event_query import EventFilter, find_event, may_see, page_of_events, require_view, search
from app.models import Event, Grant
from app.services import Services
from tests.rows import ADMIN, AT, event, write_events

PUBLISHER = Caller(None, admin=False, scopes=frozenset({"event:publish"}), platform=True)
ALL = EventFilter(start=AT, end=AT + 1_000_000)


def user(name: str | None) -> Caller:
    return Caller(name, admin=False, scopes=frozenset(), platform=False)


def pages(wanted: EventFilter, size: int) -> list[list[str]]:
    """Return the ids on all pages."""
    found: list[list[str]] = []
    position = None
    while True:
        page = page_of_events(wanted, size, position)
        found.append([row.id for row in page.events])
        if page.following is None:
            return found
        position = page.following


def flat(found: list[list[str]]) -> list[str]:
    return [event_id for page in found for event_id in page]


@pytest.fixture
def many(services: Services) -> list[str]:
    """Events of which many have the same time; their ids, newest first as the database sorts them."""
    chance = random.Random(3)
    write_events([(f"e-{number}", AT + chance.randrange(8)) for number in range(100)])
    ordered = Event.select(Event.id).order_by(Event.accepted_at.desc(), Event.id.desc())
    return [event_id for (event_id,) in ordered.tuples()]


@pytest.mark.parametrize("size", [1, 7, 20, 99, 100, 101])
def test_pages_give_each_event_once_though_many_have_the_same_time(many: list[str], size: int) -> None:
    found = pages(ALL, size)
    assert flat(found) == many
    assert [len(page) for page in found] == [size] * (100 // size) + ([100 % size] if 100 % size else [])


def test_both_ends_of_the_range_belong_to_it(services: Services) -> None:
    write_events([(f"e{at}", AT + at) for at in range(5)])
    assert flat(pages(EventFilter(start=AT + 1, end=AT + 3), 10)) == ["e3", "e2", "e1"]


@pytest.mark.parametrize(
    ("filters", "number"),
    [
        ({"type": "NODE_DELETED"}, 1),
        ({"project_id": "q"}, 2),
        ({"repo_name": "s"}, 3),
        ({"resource_key": "/b"}, 4),
        ({"user_id": "v"}, 5),
        ({"project_id": "q", "user_id": "v"}, None),
    ],
)
def test_filters_narrow_the_page(services: Services, filters: dict[str, str], number: int | None) -> None:
    variants = (
        {},
        {"type": "NODE_DELETED"},
        {"project_id": "q"},
        {"repo_name": "s"},
        {"resource_key": "/b"},
        {"user_id": "v"},
    )
    for place, columns in enumerate(variants):
        event(f"e{place}", **columns)
    wanted = EventFilter(start=AT, end=AT, **filters)  # type: ignore[arg-type]
    assert flat(pages(wanted, 10)) == ([] if number is None else [f"e{number}"])


def test_a_page_with_filters_looks_at_so_many_events_and_says_where_to_go_on(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_query, "SCAN", 10)
    write_events([(f"e{number:03}", AT + number) for number in range(45)])
    Event.update(user_id="amy").where(Event.id.in_(["e002", "e003", "e044"])).execute()
    wanted = EventFilter(start=AT, end=AT + 100, user_id="amy")
    assert pages(wanted, 5) == [["e044"], [], [], ["e003", "e002"], []]


def test_the_scan_goes_on_past_more_events_of_one_time_than_it_looks_at(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_query, "SCAN", 3)
    write_events([(f"e{number:03}", AT) for number in range(10)])
    write_events([("old", AT - 1)], user_id="amy")
    assert flat(pages(EventFilter(start=AT - 1, end=AT, user_id="amy"), 2)) == ["old"]
    assert flat(pages(EventFilter(start=AT - 1, end=AT, user_id="u"), 2)) == [f"e{9 - n:03}" for n in range(10)]


def test_without_filters_nothing_is_passed_over(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_query, "SCAN", 2)
    write_events([(f"e{number}", AT + number) for number in range(6)])
    assert pages(ALL, 6) == [[f"e{5 - number}" for number in range(6)]]


@pytest.fixture
def grants(services: Services) -> None:
    for name, project_id, repo_name in (("project", "p", ""), ("repo", "p", "r"), ("other", "q", "")):
        Grant.insert(user_id=name, project_id=project_id, repo_name=repo_name, created_at=0).execute()


@pytest.mark.parametrize(
    ("caller", "visible"),
    [
        (ADMIN, {"p:r", "p:s", "p:", "q:r", ":"}),
        (PUBLISHER, {"p:r", "p:s", "p:", "q:r", ":"}),
        (user("project"), {"p:r", "p:s", "p:"}),
        (user("repo"), {"p:r"}),
        (user("other"), {"q:r"}),
        (user("nobody"), set()),
        (user(None), set()),
    ],
)
@pytest.mark.usefixtures("grants")
def test_who_may_see_the_events_of_what(caller: Caller, visible: set[str]) -> None:
    places = [("p", "r"), ("p", "s"), ("p", None), ("q", "r"), (None, None)]
    found = {f"{project or ''}:{repo or ''}" for project, repo in places if may_see(caller, project, repo)}
    assert found == visible


@pytest.mark.usefixtures("grants")
def test_a_project_with_a_colon_in_its_name_is_another_project() -> None:
    assert not may_see(user("project"), "p:r", None)
    assert not may_see(user("repo"), "p:r", "")


@pytest.mark.usefixtures("grants")
def test_lists_must_name_what_the_caller_may_see() -> None:
    for caller, filters, reason in (
        (ADMIN, {}, None),
        (user("project"), {}, "events_unscoped"),
        (user("project"), {"repo_name": "r"}, "events_unscoped"),
        (user("project"), {"project_id": "p"}, None),
        (user("project"), {"project_id": "q"}, "events_forbidden"),
        (user("repo"), {"project_id": "p"}, "events_forbidden"),
        (user("repo"), {"project_id": "p", "repo_name": "r"}, None),
        (PUBLISHER, {}, "events_unscoped"),
        (PUBLISHER, {"project_id": "p"}, None),
    ):
        wanted = EventFilter(start=0, end=1, **filters)  # type: ignore[arg-type]
        if reason is None:
            require_view(caller, wanted)
        else:
            with pytest.raises(Forbidden, match=reason):
                require_view(caller, wanted)


@pytest.mark.usefixtures("grants")
def test_an_event_is_found_by_those_who_may_see_it() -> None:
    event("e/1", payload="{}")
    assert find_event(user("repo"), "e/1").payload == "{}"
    for caller, event_id in (
        (user("other"), "e/1"),
        (ADMIN, "e/2"),
        (ADMIN, "x" * 129),
        (ADMIN, "\0"),
        (ADMIN, "\ud800"),
    ):
        with pytest.raises(NotFound, match="event_not_found"):
            find_event(caller, event_id)


def test_a_part_of_a_resource_key_is_found_in_capitals_or_not(services: Services) -> None:
    for number, key in enumerate(("/Shop/1.0_b.apk", "/shop/1.0xb.apk", "/other", None)):
        event(f"e{number}", AT + number, resource_key=key)
    for part, found in (("SHOP/", ["e1", "e0"]), ("1.0_B", ["e0"]), ("%", []), ("nothing", [])):
        assert flat(pages(EventFilter(start=AT, end=AT + 9, key_part=part), 10)) == found


@pytest.mark.usefixtures("grants")
def test_holders_of_grants_see_events_of_what_they_manage() -> None:
    for number, (project_id, repo_name) in enumerate((("p", "r"), ("p", "s"), ("p", None), ("q", "r"), (None, None))):
        event(f"e{number}", AT + number, project_id=project_id, repo_name=repo_name)
    for name, found in (("project", ["e2", "e1", "e0"]), ("repo", ["e0"]), ("other", ["e3"]), ("nobody", [])):
        assert flat(pages(EventFilter(start=AT, end=AT + 9, viewer=name), 10)) == found, name
    assert flat(pages(EventFilter(start=AT, end=AT + 9, viewer="project", repo_name="s"), 10)) == ["e1"]


@pytest.mark.usefixtures("grants")
def test_a_search_leads_to_the_event_of_that_id_else_to_keys() -> None:
    event("/a.apk", AT)
    event("e1", AT + 1, resource_key="/b")
    event("e2", AT + 2, resource_key="/x/b")
    wanted = EventFilter(start=AT, end=AT + 9)
    found = search(ADMIN, "/a.apk", wanted)
    assert isinstance(found, Event)
    assert found.id == "/a.apk"
    assert search(user("other"), "/a.apk", wanted) == EventFilter(start=AT, end=AT + 9, resource_key="/a.apk")
    assert search(ADMIN, "/b", wanted) == EventFilter(start=AT, end=AT + 9, resource_key="/b")
    assert search(ADMIN, "/x", wanted) == EventFilter(start=AT, end=AT + 9, key_part="/x")
