"""Ordered delivery: positions, heads, turns; and those who meet at one key."""

import threading
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import outbox
from app.attempts import Attempt, Due
from app.clock import now_ms
from app.database import write_transaction
from app.delivery import look_up
from app.event_types import Event
from app.events import Publisher
from app.feeder import Feeder
from app.models import DEAD, HELD, PENDING, WAITING, Delivery, database
from app.ordering import TURN_MS, busy_keys, head_of, in_turn, order_key, pass_on, take_positions
from app.queue import DELIVERIES
from app.recovery import again
from app.services import Services
from tests import rows
from tests.conftest import Place
from tests.server import eventually
from tests.test_outbox import NOW, attempts, make_delivery, make_event, state
from tests.test_recording import another

RACES = 15  # each round of a race takes some milliseconds

texts = st.none() | st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1)


@pytest.fixture
def on_server(services: Services, database_place: Place) -> Place:
    """Leaves out SQLite, where one writes at a time."""
    return database_place


@pytest.fixture
def hook(services: Services) -> str:
    return rows.webhook(services, "p", ordering="resource")


def place(position: int, **columns: Any) -> str:
    """Make an ordered delivery that is in the queue."""
    return make_delivery(**{"order_key": "k", "position": position, **columns})


def waiting(position: int, **columns: Any) -> str:
    return place(position, state=WAITING, next_attempt_at=None, queued_at=None, **columns)


def dues(*delivery_ids: str) -> list[Due]:
    """Return what a worker finds that is pointed at these, in that order."""
    found = {due.id: due for due in outbox.load(delivery_ids).dues}
    return [found[each] for each in delivery_ids]


def publish(services: Services, *keys: str) -> None:
    events = [Event(type="NODE_CREATED", project_id="p", repo_name="r", resource_key=key, user_id="u") for key in keys]
    services.publisher.publish(events, now_ms())


def in_order(webhook_id: str) -> list[Delivery]:
    return list(Delivery.select().where(Delivery.webhook_id == webhook_id).order_by(Delivery.position))


def messages(services: Services) -> list[str]:
    """Take out of the queue what its messages point at."""
    return [message.args[0] for message in services.broker.batch_consumer(DELIVERIES, 10).fetch(10_000)]


def at_once(*works: Callable[[], object]) -> list[Any]:
    """Do all of `works` at one moment, each in a thread of its own, and return what they return."""
    barrier = threading.Barrier(len(works))
    done: list[Any] = [None] * len(works)

    def run(number: int) -> None:
        try:
            barrier.wait(10)
            done[number] = works[number]()
        except BaseException as error:
            done[number] = error
        finally:
            database.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in done:
        if isinstance(each, BaseException):
            raise each
    return done


class TestKey:
    """What must arrive in order."""

    @given(texts, texts, texts)
    def test_it_is_a_resources_and_short(self, project: str | None, repo: str | None, resource: str | None) -> None:
        key = order_key("resource", "w", project, repo, resource)
        assert key == order_key("resource", "w", project, repo, resource)
        assert key is not None
        assert len(key) == 32

    @given(st.tuples(texts, texts, texts), st.tuples(texts, texts, texts))
    def test_other_resources_have_others(self, one: tuple[str | None, ...], other: tuple[str | None, ...]) -> None:
        same = order_key("resource", "w", *one) == order_key("resource", "w", *other)
        assert same == (one == other)

    def test_other_webhooks_have_others(self) -> None:
        for ordering in ("resource", "webhook"):
            assert order_key(ordering, "v", "p", "r", "/a") != order_key(ordering, "w", "p", "r", "/a")

    def test_it_is_the_same_for_all_of_a_webhook_where_that_is_asked_for(self) -> None:
        assert order_key("webhook", "w", "p", "r", "/a") == order_key("webhook", "w", "q", None, None)

    def test_where_order_does_not_matter_there_is_none(self) -> None:
        assert order_key("none", "w", "p", "r", "/a") is None


class TestPositions:
    """The order of acceptance."""

    def test_they_are_reserved_for_each_webhook(self, services: Services, hook: str) -> None:
        other = rows.webhook(services, "p")
        with write_transaction():
            assert take_positions([hook], 3) == {hook: 1}
        with write_transaction():
            assert take_positions([hook, other], 2) == {hook: 4, other: 1}

    def test_they_rise_in_the_order_in_which_they_are_seen(self, services: Services, hook: str) -> None:
        """Whoever looks never finds one before those that were there already."""
        stop = threading.Event()
        seen: list[list[int]] = []

        def publisher() -> Callable[[], None]:
            mine = Publisher(services.registry, services.broker, services.settings)
            event = Event(type="NODE_CREATED", project_id="p", repo_name="r", resource_key="/a", user_id="u")
            return lambda: [mine.publish([event], now_ms()) for _ in range(25)] and None

        def look() -> None:
            while not stop.is_set():
                seen.append([position for (position,) in Delivery.select(Delivery.position).tuples()])

        looking = threading.Thread(target=look)
        looking.start()
        at_once(publisher(), publisher())
        stop.set()
        looking.join()
        for before, after in pairwise(seen):
            added = set(after) - set(before)
            assert not added or not before or min(added) > max(before)
        assert [each.position for each in in_order(hook)] == list(range(1, 51))


@pytest.mark.usefixtures("services")
class TestTurns:
    """The first of a key is sent, the others wait."""

    def test_the_head_has_the_turn_and_the_others_wait(self) -> None:
        make_event()
        first, second, third = (place(position) for position in (1, 2, 3))
        assert in_turn(dues(third, second, first)) == {first}
        assert state(first) == (PENDING, 0, NOW, NOW)
        assert state(second) == state(third) == (WAITING, 0, None, None)

    def test_the_head_counts_whatever_its_state(self) -> None:
        make_event()
        place(1, next_attempt_at=NOW + 9, queued_at=None, attempt=1)
        waiting(1, order_key="l")
        place(1, order_key="m", state=HELD, next_attempt_at=None, queued_at=None)
        seconds = [place(2, order_key=key) for key in "klm"]
        assert in_turn(dues(*seconds)) == set()
        assert {state(each) for each in seconds} == {(WAITING, 0, None, None)}

    def test_keys_do_not_hold_up_each_other(self) -> None:
        make_event()
        firsts = [place(number, order_key=key) for number, key in enumerate("abc")]
        seconds = [place(number + 5, order_key=key) for number, key in enumerate("abc")]
        assert in_turn(dues(*seconds, *firsts)) == set(firsts)

    def test_what_was_given_up_is_no_head(self) -> None:
        make_event()
        place(1, state=DEAD, order_key=None, next_attempt_at=None, queued_at=None)
        second = place(2)
        assert in_turn(dues(second)) == {second}

    def test_what_has_been_delivered_meanwhile_has_no_turn(self) -> None:
        make_event()
        found = dues(place(1))
        Delivery.delete().execute()
        assert in_turn(found) == set()

    def test_nothing_is_asked_for_nothing(self) -> None:
        assert in_turn([]) == set()
        with write_transaction():
            assert (pass_on([], NOW), busy_keys(set())) == ([], set())

    def test_hundreds_of_one_key_are_settled_at_once(self) -> None:
        make_event()
        ids = [place(position) for position in range(300)]
        assert in_turn(dues(*ids)) == {ids[0]}
        assert Delivery.select().where(Delivery.state == WAITING).count() == 299

    def test_a_key_that_has_a_head_is_busy(self) -> None:
        waiting(1)
        place(1, order_key=None)
        with write_transaction():
            assert busy_keys({"k", "l"}) == {"k"}

    def test_the_head_of_a_key_can_be_asked_for(self) -> None:
        place(2)
        first = waiting(1)
        assert (head_of("k"), head_of("l")) == (first, None)


class TestPassingOn:
    """Whoever ends a head hands the turn on."""

    def test_the_next_is_whose_turn_it_is(self, services: Services) -> None:
        make_event()
        [due] = dues(place(1))
        second, third = waiting(2), waiting(3)
        with write_transaction():
            Delivery.delete().where(Delivery.id == due.id).execute()
            assert pass_on([due], NOW + 1) == [second]
        assert [state(second), state(third)] == [(PENDING, 0, NOW + 1 + TURN_MS, None), (WAITING, 0, None, None)]

    def test_one_that_has_the_turn_already_keeps_it(self, services: Services) -> None:
        make_event()
        [due] = dues(place(1))
        held = place(2, state=HELD, next_attempt_at=None, queued_at=None)
        with write_transaction():
            Delivery.delete().where(Delivery.id == due.id).execute()
            assert pass_on([due], NOW + 1) == []
        assert state(held) == (HELD, 0, None, None)

    def test_a_dead_one_that_is_sent_again_is_out_of_order(self, services: Services, hook: str) -> None:
        publish(services, "/a", "/a")
        first, second = (each.id for each in in_order(hook))
        Delivery.update(attempt=2).where(Delivery.id == first).execute()
        assert services.recorder.record(attempts([first], 500), NOW) == [second]
        with write_transaction():
            assert again([first], DEAD, NOW) == 1
        assert sorted(outbox.claim_due(NOW, 10)) == [first]
        assert [ready.due.id for ready in look_up(services, [first, second], NOW)] == [first]
        assert [ready.due.id for ready in look_up(services, [second], NOW, by_turn=True)] == [second]


class TestPublishing:
    """What comes behind another of its key waits from the first, and leaves no message."""

    def test_one_of_each_resource_is_queued(self, services: Services, hook: str) -> None:
        publish(services, "/a", "/b", "/a", "/b", "/a")
        found = in_order(hook)
        assert [each.state for each in found] == [PENDING, PENDING, WAITING, WAITING, WAITING]
        assert messages(services) == [found[0].id, found[1].id]

    def test_what_comes_later_waits_too(self, services: Services, hook: str) -> None:
        publish(services, "/a")
        publish(services, "/a", "/b")
        assert [(each.state, each.position) for each in in_order(hook)] == [(PENDING, 1), (WAITING, 2), (PENDING, 3)]

    def test_all_of_a_webhook_wait_for_each_other_where_that_is_asked_for(self, services: Services, hook: str) -> None:
        rows.change(hook, ordering="webhook")
        publish(services, "/a", "/b")
        publish(services, "/c")
        assert [each.state for each in in_order(hook)] == [PENDING, WAITING, WAITING]

    def test_other_webhooks_of_the_event_are_not_concerned(self, services: Services, hook: str) -> None:
        other = rows.webhook(services, "p")
        publish(services, "/a", "/a")
        assert [(each.state, each.order_key) for each in in_order(other)] == [(PENDING, None)] * 2

    def test_a_backlog_is_sent_in_order_too(self, services: Services, hook: str) -> None:
        rows.change(hook, backlog=True)
        publish(services, "/a", "/b")
        publish(services, "/a", "/b")
        assert [each.state for each in in_order(hook)] == [HELD, HELD, WAITING, WAITING]
        assert messages(services) == []
        rows.change(hook, ordering="none")  # what is in order stays so
        Feeder().feed(services.broker, now_ms())
        order: list[int] = []
        turns = messages(services)
        while turns:
            found = look_up(services, turns, now_ms(), by_turn=True)
            order += [ready.due.position or 0 for ready in found]
            turns = services.recorder.record(attempts([ready.due.id for ready in found]), now_ms())
        assert order == [1, 2, 3, 4]


def blocked(kind: str) -> bool:
    """Return whether someone waits for a lock on the test's server."""
    sql = (
        "SELECT COUNT(*) FROM pg_locks WHERE NOT granted"
        if kind == "postgres"
        # The lists of locks are for administrators. No statement of these tests takes so long by itself.
        else "SELECT COUNT(*) FROM information_schema.processlist"
        " WHERE command = 'Query' AND id <> CONNECTION_ID() AND time_ms > 50"
    )
    return bool(database.execute_sql(sql).fetchone()[0])


@pytest.mark.parametrize("is_given_up", [False, True])
def test_who_waits_for_a_head_that_is_just_ending_has_the_turn(on_server: Place, is_given_up: bool) -> None:
    make_event()
    head = dues(place(1))
    second = dues(place(2))
    turns: list[set[str]] = []

    def look() -> None:
        turns.append(in_turn(second))
        database.close()

    with write_transaction():
        if is_given_up:
            Delivery.update(state=DEAD, order_key=None).where(Delivery.id == head[0].id).execute()
        else:
            Delivery.delete().where(Delivery.id == head[0].id).execute()
        looking = threading.Thread(target=look)
        looking.start()
        eventually(lambda: blocked(on_server.kind))
        assert pass_on(head, NOW) == []  # it does not wait yet, and must not wait for ever
    looking.join()
    assert turns == [{second[0].id}]
    assert state(second[0].id) == (PENDING, 0, NOW, NOW)


def test_who_ends_a_head_finds_who_is_just_going_to_wait_for_it(on_server: Place, services: Services) -> None:
    make_event()
    ended = attempts([place(1)])
    second = place(2)
    following: list[list[str]] = []

    def end() -> None:
        following.append(services.recorder.record(ended, NOW))
        database.close()

    with write_transaction():  # as in_turn does
        Delivery.update(position=Delivery.position).where(Delivery.id == ended[0].due.id).execute()
        ending = threading.Thread(target=end)
        ending.start()
        eventually(lambda: blocked(on_server.kind))
        Delivery.update(state=WAITING, next_attempt_at=None, queued_at=None).where(Delivery.id == second).execute()
    ending.join()
    assert following == [[second]]


@pytest.mark.parametrize(("status", "tried"), [(200, 0), (500, 2)])
def test_a_head_that_ends_while_the_next_is_looked_up_leaves_nobody_waiting(
    services: Services, status: int, tried: int
) -> None:
    make_event()
    for number in range(RACES):
        key = f"k{number}"
        ended: Sequence[Attempt] = attempts([place(1, order_key=key, attempt=tried)], status)
        second = place(2, order_key=key)
        third = waiting(3, order_key=key)
        found = dues(second)
        passed, turns = at_once(lambda: another(services).record(ended, NOW), lambda: in_turn(found))  # noqa: B023
        assert second in turns or passed == [second]
        assert state(second) == ((PENDING, 0, NOW + TURN_MS, None) if passed else (PENDING, 0, NOW, NOW))
        assert state(third) == (WAITING, 0, None, None)


def test_a_head_that_ends_while_another_is_published_leaves_nobody_waiting(services: Services, hook: str) -> None:
    for number in range(RACES):
        publish(services, f"/{number}")
        [first] = messages(services)
        ended = attempts([first])
        passed, _ = at_once(
            lambda: services.recorder.record(ended, NOW),  # noqa: B023
            lambda: publish(services, f"/{number}"),  # noqa: B023
        )
        [second] = in_order(hook)
        assert second.state == PENDING
        assert [*passed, *messages(services)] == [second.id]
        Delivery.delete().execute()
