"""The scheduler works off callers' bulk actions."""

import pytest

from app.clock import now_ms
from app.job_control import find_job, start_job
from app.job_request import JobFilters, JobRequest
from app.models import DEAD, Delivery
from tests.server import eventually
from tests.workers.conftest import ADMIN, Desk
from workers.scheduler import work_once
from workers.serve import scheduler

FAILED_ONES = JobFilters(None, None, None, ("DEAD",))


def ask(desk: Desk) -> str:
    """Ask for one delivery, which was given up, to be sent again, and return the job's id."""
    hook = desk.register("http://receiver.example/")
    desk.publish()
    Delivery.update(state=DEAD, next_attempt_at=None, queued_at=None).execute()
    return str(start_job(ADMIN, JobRequest("RESEND", hook, FAILED_ONES, None), now_ms() + 1_000).id)


def test_a_job_is_worked_off_and_its_deliveries_are_due(desk: Desk) -> None:
    job_id = ask(desk)
    with scheduler(desk.services):
        eventually(lambda: find_job(ADMIN, job_id).state == "SUCCEEDED")
    assert Delivery.get().next_attempt_at is not None


@pytest.mark.usefixtures("impatient")
@pytest.mark.sqlite_only
def test_it_waits_for_the_database_and_says_so_in_one_line(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    job_id = ask(desk)
    with desk.database_locked():
        work_once(desk.services)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "jobs wait: database is locked"
    ]
    work_once(desk.services)
    assert find_job(ADMIN, job_id).state == "SUCCEEDED"
