"""The users known here, as payloads show them (contract §6)."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from app.database import marks, unavailable
from app.dates import to_iso
from app.models import database

# The version of the webhooks comes with them: whoever publishes needs both, and each round trip delays the events.
_SELECT = """
    SELECT c.value, u.id, u.admin, u.created_at FROM counter c
    LEFT JOIN user_account u ON u.id IN ({marks}) WHERE c.name = 'webhooks'
"""
_MOST = 10_000


class Known(NamedTuple):
    """The `user` object of each user who is known here, and the version of the webhooks at that moment."""

    users: dict[str, Mapping[str, Any]]
    version: int


def describe_users(user_ids: Collection[str], zone: ZoneInfo) -> Known:
    """Return those of `user_ids` that are known here, as payloads show them. Raises DatabaseUnavailable."""
    wanted = list(user_ids)[:_MOST] or [""]
    with unavailable():
        # Plain SQL: this runs for every commit of events, and building the query costs ten times what running it does.
        found = database.execute_sql(_SELECT.format(marks=marks(len(wanted))), wanted).fetchall()
    users: dict[str, Mapping[str, Any]] = {
        user_id: {
            "userId": user_id,
            "name": user_id,
            "email": None,
            "phone": None,
            "createdDate": to_iso(created_at, zone),
            "locked": False,
            "admin": bool(admin),
        }
        for _, user_id, admin, created_at in found
        if user_id is not None
    }
    return Known(users, found[0][0])
