"""What the overview calls."""

from app.failing import failing_webhooks
from app.outstanding import outstanding
from app.statistics import EVERYTHING, scope_of, statistics
from app.timeline import RANGES
from scripts.explain_call import MANAGER, Call


def overview(now: int) -> list[Call]:
    """Return what the overview reads, for an administrator and for somebody who has some of the webhooks."""
    mine = scope_of(MANAGER)
    return [
        Call("Statistics of all webhooks", lambda: statistics(EVERYTHING, RANGES["24h"], now)),
        Call("Which webhooks a user may manage", lambda: scope_of(MANAGER)),
        Call("Statistics of a user's webhooks", lambda: statistics(mine, RANGES["7d"], now)),
        Call("What is owed and given up", lambda: outstanding(EVERYTHING)),
        Call("What is owed to a user's webhooks", lambda: outstanding(mine)),
        Call("Failing webhooks", lambda: failing_webhooks(EVERYTHING)),
        Call("A user's failing webhooks", lambda: failing_webhooks(mine)),
    ]
