"""Lists of webhooks: pages by filter over all associations, how each fared in the last day, what is owed to one."""

import pytest

from app import webhook_list
from app.authentication import Caller
from app.errors import BadRequest
from app.log_counts import HOUR_MS
from app.models import DEAD, HELD, Grant, LogCount, Webhook
from app.services import Services
from app.webhook_list import Hour, WebhookFilter, filter_of, last_hours, owed, page_of_webhooks, position_of, states_of
from app.webhooks import delete_webhook
from tests.rows import ADMIN, AT, change, deliveries, webhook

ALL = WebhookFilter()
TYPES = {"NODE_CREATED", "NODE_DELETED"}


def user(name: str) -> Caller:
    return Caller(name, admin=False, scopes=frozenset(), platform=False)


def ids(wanted: WebhookFilter, caller: Caller = ADMIN, size: int = 50) -> list[list[str]]:
    """Return the ids on all pages."""
    found: list[list[str]] = []
    before = None
    while True:
        page = page_of_webhooks(caller, wanted, size, before)
        found.append([row.id for row in page.rows])
        if page.following is None:
            return found
        before = position_of({"cursor": page.following})


@pytest.fixture
def three(services: Services) -> list[str]:
    """A webhook of a repository, of its project and of all, oldest first."""
    return [webhook(services, association) for association in ("p:r", "p", "")]


def test_pages_are_newest_first_and_leave_out_what_is_deleted(services: Services, three: list[str]) -> None:
    delete_webhook(ADMIN, webhook(services), AT)
    assert ids(ALL, size=2) == [[three[2], three[1]], [three[0]]]


def test_an_ordinary_user_sees_what_he_has_grants_for(services: Services, three: list[str]) -> None:
    other = webhook(services, "q:r")
    grants = [("whole", "p", ""), ("single", "p", "r"), ("both", "p", ""), ("both", "q", "r")]
    Grant.insert_many([(*grant, 0) for grant in grants], fields=Grant._meta.sorted_fields[1:]).execute()
    assert ids(ALL, user("whole")) == [[three[1], three[0]]]
    assert ids(ALL, user("single")) == [[three[0]]]
    assert ids(ALL, user("both")) == [[other, three[1], three[0]]]
    assert ids(ALL, user("nobody")) == [[]]
    assert ids(WebhookFilter(association_type="SYSTEM"), user("both")) == [[]]


def test_filters_narrow_the_page(services: Services, three: list[str]) -> None:
    repo, project, system = three
    change(repo, url="https://a.example/100%_sure", enabled=False)
    change(project, triggers='["NODE_DELETED", "NODE_CREATED_TOO"]', failures=1, backlog=True)
    change(system, circuit_until=AT, failures=12)
    cases: list[tuple[WebhookFilter, list[str]]] = [
        (WebhookFilter(text="A.Example/100%_S"), [repo]),
        (WebhookFilter(text="P:R"), [repo]),
        (WebhookFilter(text="receiver"), [system, project]),
        (WebhookFilter(text="0__s"), []),
        (WebhookFilter(text=system.upper()), [system]),
        (WebhookFilter(association_type="SYSTEM"), [system]),
        (WebhookFilter(association_id="p"), [project]),
        (WebhookFilter(association_type="REPO", association_id="p:r"), [repo]),
        (WebhookFilter(association_type="REPO", association_id="p"), []),
        (WebhookFilter(trigger="NODE_CREATED"), [system, repo]),
        (WebhookFilter(state="enabled"), [system, project]),
        (WebhookFilter(state="disabled"), [repo]),
        (WebhookFilter(state="failing"), [system, project]),
        (WebhookFilter(state="circuit"), [system]),
        (WebhookFilter(state="backlog"), [project]),
    ]
    for wanted, expected in cases:
        assert ids(wanted) == [expected], wanted


@pytest.mark.sqlite_only
def test_a_page_looks_at_so_many_webhooks_and_says_where_to_go_on(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_list, "SCAN", 3)
    made = [webhook(services) for _ in range(7)]
    change(made[0], enabled=False)
    change(made[6], enabled=False)
    assert ids(WebhookFilter(state="disabled")) == [[made[6]], [], [made[0]]]


def test_the_parameters_of_a_list_are_checked_one_by_one() -> None:
    given = {"q": "x", "type": "REPO", "association": "", "state": "failing", "trigger": "NODE_CREATED", "else": "1"}
    expected = WebhookFilter(text="x", association_type="REPO", state="failing", trigger="NODE_CREATED")
    assert filter_of(given, TYPES) == expected
    for wrong in ({"type": "ALL"}, {"state": "ill"}, {"trigger": "NODE_EATEN"}, {"q": "x" * 257}, {"q": "\0"}):
        with pytest.raises(BadRequest):
            filter_of(wrong, TYPES)
    with pytest.raises(BadRequest):
        position_of({"cursor": "x"})


@pytest.mark.parametrize(
    ("columns", "states"),
    [
        ({}, ["enabled"]),
        ({"enabled": False, "failures": 3}, ["disabled", "failing"]),
        ({"circuit_until": 5, "failures": 12, "backlog": True}, ["circuit", "failing", "backlog"]),
    ],
)
def test_the_states_of_a_webhook_begin_with_what_matters_most(columns: dict[str, object], states: list[str]) -> None:
    assert states_of(Webhook(**columns)) == states


def test_the_last_day_is_added_up_by_hour(services: Services) -> None:
    now = AT + 30 * 60_000
    rows = [
        ("a", AT, "NODE_CREATED", "SUCCESS", 3),
        ("a", AT, "NODE_DELETED", "SUCCESS", 4),
        ("a", AT, "NODE_DELETED", "FAIL", 1),
        ("a", AT, "NODE_DELETED", "ERROR", 1),
        ("a", AT - 23 * HOUR_MS, "NODE_CREATED", "FAIL", 9),
        ("a", AT - 24 * HOUR_MS, "NODE_CREATED", "FAIL", 100),
        ("b", AT - HOUR_MS, "NODE_CREATED", "SUCCESS", 7),
        ("c", AT, "NODE_CREATED", "SUCCESS", 8),
    ]
    LogCount.insert_many(rows, fields=LogCount._meta.sorted_fields).execute()
    found = last_hours(["a", "b", "d"], now)
    assert [len(hours) for hours in found.values()] == [24, 24, 24]
    assert (found["a"][0], found["a"][-1]) == (Hour(AT - 23 * HOUR_MS, 0, 9), Hour(AT, 7, 2))
    assert found["b"][-2] == Hour(AT - HOUR_MS, 7, 0)
    assert not any(hour.succeeded or hour.failed for hour in found["d"])
    assert last_hours([], now) == {}


def test_what_is_owed_is_counted_by_state_up_to_a_bound(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_list, "MOST_OWED", 4)
    mine, other = webhook(services), webhook(services)
    deliveries(mine, 3)
    deliveries(mine, 7, AT + 100, state=HELD)
    deliveries(mine, 4, AT + 200, state=DEAD)
    deliveries(other, 2, AT + 300)
    assert owed(mine) == {"PENDING": 3, "HELD": 5, "WAITING": 0, "DEAD": 4}
