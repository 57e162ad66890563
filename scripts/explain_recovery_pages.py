"""What the pages of recovery and the live tail call."""

from app.clock import now_ms
from app.delivery_query import DeliveryPage
from app.job_control import newest_jobs
from app.job_request import FAILED, JobFilters
from app.log_tail import Tail, TailFilter
from app.models import DEAD
from app.recovery import preview_resend
from app.recovery_list import NEWEST, RETRYING, STATES, Part, RecoveryFilter, last_failures, page_of_trouble, parts_of
from app.replay import preview_replay
from app.services import Services
from app.statistics import EVERYTHING, Scope, scope_of
from app.trouble import trouble
from scripts.explain_call import BUSY, MANAGER, Call
from scripts.explain_owed import DAY_MS


def recovery_pages(services: Services, now: int) -> list[Call]:
    """Return what the pages of recovery call."""
    mine = scope_of(MANAGER)
    busy = [Part(BUSY, state) for state in STATES]
    picky = RecoveryFilter(start=now - 20 * DAY_MS, triggered_event="NODE_CREATED")
    days = services.settings.log_retention_days
    return [
        Call("Webhooks in trouble", lambda: trouble(EVERYTHING)),
        Call("Webhooks in trouble that a user may manage", lambda: trouble(mine)),
        Call("Deliveries in trouble", lambda: _page(parts_of(trouble(EVERYTHING).webhooks, (DEAD,)))),
        Call("What went wrong with them last", lambda: last_failures(_page([Part(BUSY, DEAD)]).rows)),
        Call("A webhook's deliveries that wait for a retry", lambda: _page([Part(BUSY, RETRYING)])),
        Call("A webhook's deliveries in trouble by filter", lambda: page_of_trouble(busy, picky, 50)),
        Call("Preview a resend", lambda: preview_resend(BUSY, JobFilters(None, None, None, (DEAD, FAILED)), now)),
        Call("The same by trigger", lambda: preview_resend(BUSY, JobFilters(None, None, "NODE_CREATED", (DEAD,)), now)),
        Call("Preview a replay", lambda: preview_replay(JobFilters(now - DAY_MS, None, None), days, now)),
        Call("The newest jobs", lambda: newest_jobs(EVERYTHING, 10)),
        Call("The newest jobs of several webhooks", lambda: newest_jobs(mine, 10)),
    ]


def live_tail() -> list[Call]:
    """Return what the live tail calls."""
    mine, one = scope_of(MANAGER), Scope((BUSY,))
    return [
        Call("The newest logs of all, and what is new", lambda: _looks(EVERYTHING)),
        Call("The newest logs of several webhooks", lambda: _looks(mine)),
        Call("The newest logs of one", lambda: _looks(one)),
        Call("The newest failures of all", lambda: _looks(EVERYTHING, status="failures")),
        Call("The newest failures of several webhooks", lambda: _looks(mine, status="failures")),
        Call("The newest failures of one", lambda: _looks(one, status="failures")),
        Call("The newest by trigger", lambda: _looks(one, triggered_event="NODE_DELETED")),
    ]


def _page(parts: list[Part]) -> DeliveryPage:
    return page_of_trouble(parts, RecoveryFilter(), 50, NEWEST)


def _looks(scope: Scope, **wanted: str) -> None:
    # From before the oldest log, so that there is something new however few there are.
    tail = Tail(TailFilter(**wanted), now_ms() - 40 * DAY_MS)
    for _ in range(2):
        tail.look(scope, now_ms())
