"""Jobs, worked off in batches: to their end, cancelled, crashed, in turns."""

import threading
from collections.abc import Callable

import pytest

from app import jobs, recovery
from app.errors import BadRequest, TooManyRequests
from app.ids import id_at
from app.job_control import cancel_job, find_job, newest_jobs, page_of_jobs, start_job
from app.job_request import JobFilters, JobRequest
from app.jobs import work
from app.models import DEAD, HELD, PENDING, Delivery, Job, WebhookLog, database
from app.services import Services
from app.statistics import EVERYTHING, Scope
from tests.rows import ADMIN, AT, change, deliveries, delivery, event, log, outbox, webhook, write_events

NOW = AT + 3_600_000
SECOND = 1_000
BOTH = ("DEAD", "FAILED")


class Crash(BaseException):
    """The process ends here."""


def resend(webhook_id: str, *states: str, key: str | None = None, **filters: int | str) -> Job:
    meant = {"start": None, "end": None, "event_type": None} | filters
    asked = JobRequest("RESEND", webhook_id, JobFilters(**meant, states=states or BOTH), key)  # type: ignore[arg-type]
    return start_job(ADMIN, asked, NOW)


def replay(webhook_id: str, key: str | None = None, start: int = AT) -> Job:
    return start_job(ADMIN, JobRequest("REPLAY", webhook_id, JobFilters(start, None, None), key), NOW)


def now_of(job: Job) -> Job:
    return find_job(ADMIN, job.id)


def result(job: Job) -> tuple[str, int | None, int, int]:
    row = now_of(job)
    return row.state, row.total, row.done, row.skipped


def pending() -> int:
    return int(Delivery.select().where(Delivery.state == PENDING).count())


# --- to the end


def test_a_job_is_worked_off_at_its_rate_and_tells_how_far_it_is(services: Services) -> None:
    hook = webhook(services)
    deliveries(hook, 2_500, state=DEAD, attempt=9)
    job = resend(hook)
    seen = []
    for second in range(7):
        assert work(services, NOW + second * SECOND) == (500 if second < 5 else 0)
        seen.append(result(job))
    assert seen[:5] == [("RUNNING", 2_500, 500 * done, 0) for done in range(1, 6)]
    assert seen[5:] == [("SUCCEEDED", 2_500, 2_500, 0)] * 2
    ended = now_of(job)
    assert (ended.finished_at, ended.error, ended.cursor) == (NOW + 5 * SECOND, None, None)
    rows = Delivery.select(Delivery.state, Delivery.attempt, Delivery.earlier_attempts, Delivery.queued_at).distinct()
    assert list(rows.tuples()) == [(PENDING, 9, 9, None)]
    assert Delivery.select().where(Delivery.next_attempt_at.between(NOW, NOW + 5 * SECOND)).count() == 2_500


def test_a_replay_of_many_is_worked_off_too(services: Services) -> None:
    hook = webhook(services)
    write_events([(f"e{number}", AT + number // 100) for number in range(1_200)])
    job = replay(hook)
    assert [work(services, NOW + second * SECOND) for second in range(4)] == [500, 500, 200, 0]
    assert result(job) == ("SUCCEEDED", 1_200, 1_200, 0)
    assert pending() == 1_200
    again = replay(hook)
    work(services, NOW + 5 * SECOND)
    assert result(again) == ("SUCCEEDED", 1_200, 0, 1_200)


def test_what_failed_is_resent_and_nothing_else(services: Services) -> None:
    hook, other = webhook(services), webhook(services)
    event("e")
    later = {"next_attempt_at": NOW + 1_000_000}
    dead = delivery(hook, "e", state=DEAD, attempt=3)
    failed = delivery(hook, "e", attempt=2, earlier_attempts=1, **later)
    in_flight = delivery(hook, "e", attempt=1, queued_at=AT)
    untouched = [
        delivery(hook, "e", **later),
        delivery(hook, "e", attempt=2, earlier_attempts=2, **later),
        delivery(hook, "e", state="WAITING"),
        delivery(other, "e", state=DEAD, attempt=1),
        delivery(hook, "e", NOW + 1, state=DEAD, attempt=1),
    ]
    before = outbox(in_flight, *untouched)
    job = resend(hook)
    work(services, NOW + SECOND)
    assert result(job) == ("SUCCEEDED", 3, 2, 1)
    assert outbox(dead) == [(PENDING, 3, 3, NOW + SECOND, None)]
    assert outbox(failed) == [(PENDING, 2, 1, NOW + SECOND, None)]
    assert outbox(in_flight, *untouched) == before


@pytest.mark.parametrize(("states", "expected"), [(("DEAD",), [0]), (("FAILED",), [1]), (BOTH, [0, 1])])
def test_by_state(services: Services, states: tuple[str, ...], expected: list[int]) -> None:
    hook = webhook(services)
    event("e")
    ids = [delivery(hook, "e", state=DEAD, attempt=3), delivery(hook, "e", attempt=2, next_attempt_at=NOW + 1_000_000)]
    resend(hook, *states)
    work(services, NOW + SECOND)
    assert [number for number in (0, 1) if outbox(ids[number])[0][3] == NOW + SECOND] == expected


def test_by_range_and_trigger(services: Services) -> None:
    hook = webhook(services)
    event("made")
    event("moved", type="NODE_MOVED")
    ids = [delivery(hook, "moved", AT + at, state=DEAD) for at in range(4)]
    made = delivery(hook, "made", AT + 1, state=DEAD)
    job = resend(hook, start=AT + 1, end=AT + 2, event_type="NODE_MOVED")
    work(services, NOW)
    assert result(job) == ("SUCCEEDED", 2, 2, 0)
    assert [row[0] for row in outbox(*ids)] == [DEAD, PENDING, PENDING, DEAD]
    assert outbox(made)[0][0] == DEAD


def test_into_a_backlog_they_are_held_for_the_feeder(services: Services) -> None:
    hook = webhook(services, backlog=True)
    event("e")
    dead = delivery(hook, "e", state=DEAD, attempt=3)
    held = delivery(hook, "e", state=HELD, attempt=1)
    job = resend(hook)
    work(services, NOW)
    assert result(job) == ("SUCCEEDED", 2, 1, 1)
    assert outbox(dead) == [(HELD, 3, 3, None, None)]
    assert outbox(held) == [(HELD, 1, 0, None, None)]


def test_a_job_that_finds_nothing_succeeds(services: Services) -> None:
    job = resend(webhook(services))
    assert work(services, NOW) == 0
    assert result(job) == ("SUCCEEDED", 0, 0, 0)


# --- turns


def test_jobs_take_turns_within_the_rate(services: Services) -> None:
    hooks = [webhook(services) for _ in range(3)]
    for hook in hooks:
        deliveries(hook, 400, state=DEAD)
    made = [resend(hook) for hook in hooks]
    assert work(services, NOW) == 500
    assert [result(job)[2] for job in made] == [167, 167, 166]
    assert [work(services, NOW + second * SECOND) for second in (1, 2, 3)] == [500, 200, 0]
    assert {result(job) for job in made} == {("SUCCEEDED", 400, 400, 0)}


def test_those_that_have_waited_longest_come_first(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "JOBS_AT_ONCE", 1)
    hooks = [webhook(services) for _ in range(2)]
    for hook in hooks:
        deliveries(hook, 1_100, state=DEAD)
    made = [resend(hook) for hook in hooks]
    for second in range(4):
        work(services, NOW + (second + 1) * SECOND)
    assert [result(job)[2] for job in made] == [1_000, 1_000]


def test_it_stops_after_a_batch_where_the_process_is_to_end(services: Services) -> None:
    hook = webhook(services)
    deliveries(hook, 30, state=DEAD)
    job = resend(hook)
    assert work(services, NOW, lambda: True) == 0
    assert result(job)[0] == "PENDING"


# --- cut off


def test_a_cancelled_job_stops_at_its_next_batch(services: Services) -> None:
    hook = webhook(services)
    deliveries(hook, 1_200, state=DEAD)
    job = resend(hook)
    work(services, NOW)
    assert cancel_job(ADMIN, job.id, NOW + 1).state == "CANCELLED"
    assert work(services, NOW + SECOND) == 0
    assert result(job) == ("CANCELLED", 1_200, 500, 0)
    assert (pending(), now_of(job).finished_at) == (500, NOW + 1)


def test_one_that_is_cancelled_while_a_batch_is_prepared_changes_nothing_more(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = webhook(services)
    deliveries(hook, 10, state=DEAD)
    job = resend(hook)
    plan = jobs._plan

    def cancelled_meanwhile(*args: object, **options: int) -> object:
        made = plan(*args, **options)  # type: ignore[arg-type]
        cancel_job(ADMIN, job.id, NOW)
        return made

    monkeypatch.setattr(jobs, "_plan", cancelled_meanwhile)
    assert work(services, NOW) == 0
    assert (result(job)[0], pending()) == ("CANCELLED", 0)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_crash_repeats_nothing_and_loses_nothing(
    services: Services, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    hook = webhook(services)
    ids = deliveries(hook, 1_200, state=DEAD, attempt=4)
    job = resend(hook)
    work(services, NOW)
    again = recovery.again

    def crash(*args: object) -> int:
        if moment == "after":
            again(*args)  # type: ignore[arg-type]
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(recovery, "again", crash)
        with pytest.raises(Crash):
            work(services, NOW + SECOND)
    assert result(job) == ("RUNNING", 1_200, 500, 0)
    assert pending() == 500
    Delivery.delete().where(Delivery.id.in_(ids[:500])).execute()  # delivered meanwhile
    for second in (2, 3, 4):
        work(services, NOW + second * SECOND)
    assert result(job) == ("SUCCEEDED", 1_200, 1_200, 0)
    assert pending() == 700


def test_two_schedulers_at_once_count_a_batch_once(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = webhook(services)
    write_events([(f"e{number}", AT) for number in range(30)])
    job = replay(hook)
    plan = jobs._plan

    def other_first(*args: object, **options: int) -> object:
        made = plan(*args, **options)  # type: ignore[arg-type]
        monkeypatch.setattr(jobs, "_plan", plan)
        work(services, NOW)
        return made

    monkeypatch.setattr(jobs, "_plan", other_first)
    assert work(services, NOW) == 0
    assert (result(job), pending()) == (("SUCCEEDED", 30, 30, 0), 30)


@pytest.mark.parametrize(
    ("columns", "error"),
    [({"enabled": False}, "the webhook was disabled"), ({"deleted_at": AT}, "the webhook was deleted")],
)
@pytest.mark.parametrize("ask", [resend, replay])
def test_a_webhook_that_goes_in_the_middle_fails_the_job(
    services: Services, ask: Callable[[str], Job], columns: dict[str, int], error: str
) -> None:
    hook = webhook(services)
    deliveries(hook, 600, state=DEAD)
    write_events([(f"missing{number}", AT) for number in range(600)])
    job = ask(hook)
    work(services, NOW)
    change(hook, **columns)
    work(services, NOW + SECOND)
    ended = now_of(job)
    assert (ended.state, ended.error, ended.done, ended.finished_at) == ("FAILED", error, 500, NOW + SECOND)


def test_a_job_that_breaks_is_ended_and_the_others_go_on(
    services: Services, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken, good = webhook(services), webhook(services)
    for hook in (broken, good):
        deliveries(hook, 5, state=DEAD)
    first, second = resend(broken), resend(good)
    Job.update(filters="{").where(Job.id == first.id).execute()
    work(services, NOW)
    ended = Job.get_by_id(first.id)
    assert (ended.state, ended.error) == ("FAILED", jobs.UNEXPECTED)
    assert result(second) == ("SUCCEEDED", 5, 5, 0)
    assert f"job={first.id} failed" in caplog.text


# --- asked for


def test_the_same_key_asks_for_the_same_job(services: Services) -> None:
    hook, other = webhook(services), webhook(services)
    first = resend(hook, key="k")
    assert resend(hook, key="k").id == first.id
    work(services, NOW)
    change(hook, enabled=False)
    assert resend(hook, key="k").state == "SUCCEEDED"
    assert resend(other, key="k").id != first.id
    for differently in (lambda: resend(hook, "DEAD", key="k"), lambda: replay(hook, key="k")):
        with pytest.raises(BadRequest, match="key_reused"):
            differently()


def test_a_webhook_has_one_unfinished_job_of_a_kind(services: Services) -> None:
    hook, other = webhook(services), webhook(services)
    first = resend(hook)
    for _ in range(2):
        with pytest.raises(TooManyRequests) as caught:
            resend(hook)
        assert caught.value.params["value"] == first.id
        Job.update(state="RUNNING").execute()
    replay(hook)
    resend(other)
    cancel_job(ADMIN, first.id, NOW)
    resend(hook)
    assert Job.select().count() == 4


@pytest.mark.parametrize("state", ["SUCCEEDED", "CANCELLED", "FAILED"])
def test_what_has_ended_is_not_cancelled(services: Services, state: str) -> None:
    job = resend(webhook(services))
    Job.update(state=state).execute()
    with pytest.raises(BadRequest) as caught:
        cancel_job(ADMIN, job.id, NOW)
    assert (caught.value.reason, caught.value.params["value"], result(job)[0]) == ("job_finished", state, state)


def test_pages_of_jobs_are_newest_first(services: Services) -> None:
    hook = webhook(services)
    made = []
    for _ in range(5):
        made.append(resend(hook).id)
        Job.update(state="SUCCEEDED").execute()
    resend(webhook(services))
    first = page_of_jobs(hook, 3)
    second = page_of_jobs(hook, 3, first.jobs[-1].id)
    assert [job.id for page in (first, second) for job in page.jobs] == made[::-1]
    assert (first.following is not None, second.following) == (True, None)


def test_the_newest_jobs_of_several_webhooks(services: Services) -> None:
    hooks = [webhook(services) for _ in range(3)]
    made = [resend(hook).id for hook in hooks]
    assert [job.id for job in newest_jobs(EVERYTHING, 2)] == made[:0:-1]
    assert [job.id for job in newest_jobs(Scope((hooks[0], hooks[2])), 5)] == [made[2], made[0]]


def test_a_log_by_hand_does_not_make_an_event_missing(services: Services) -> None:
    hook = webhook(services)
    event("e")
    log(hook, "e", id_at(AT), attempt=0)
    job = replay(hook)
    work(services, NOW)
    assert result(job) == ("SUCCEEDED", 1, 0, 1)
    assert WebhookLog.select().count() == 1


@pytest.mark.parametrize("key", [None, "k"])
def test_calls_that_meet_make_one_job(services: Services, key: str | None) -> None:
    hook = webhook(services)
    meeting = threading.Barrier(4)
    outcomes: list[str] = []

    def ask() -> None:
        try:
            meeting.wait()
            outcomes.append(resend(hook, key=key).id)
        except TooManyRequests:
            outcomes.append("refused")
        finally:
            database.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    [job] = Job.select()
    assert sorted(outcomes) == sorted([job.id] * 4 if key else [job.id, *["refused"] * 3])
