"""Administration: what is running, of which versions, with which settings."""

from typing import NamedTuple

from werkzeug.wrappers import Response

from app.api.context import services
from app.errors import QueueUnavailable
from app.presence import missing_roles, running_processes, scheduler_lease
from app.queue import DELIVERIES, EVENTS, Broker
from app.settings_view import settings_in_force
from app.ui.admin import admin_section
from app.ui.pages import page
from app.versions import components, database_product

admin_system = admin_section("admin_system", __name__, "/admin/system")


class QueueState(NamedTuple):
    """What waits in the queue. `product` is None where it is in the process; `error` says why nothing is known."""

    product: str | None = None
    deliveries: int | None = None
    events: int | None = None
    error: str | None = None


@admin_system.get("")
def show() -> Response:
    """Show it; the part that changes renews itself."""
    processes = running_processes()
    return page(
        "admin/system.html",
        processes=processes,
        missing=missing_roles(processes),
        versions=sorted({process.version for process in processes if process.is_alive}),
        lease=scheduler_lease(),
        queue=_queue(services().broker),
        database=database_product(),
        components=components(),
        settings=settings_in_force(services().settings),
    )


def _queue(broker: Broker) -> QueueState:
    try:
        return QueueState(broker.product(), broker.waiting(DELIVERIES), broker.waiting(EVENTS))
    except QueueUnavailable as error:
        return QueueState(error=str(error))
