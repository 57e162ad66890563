"""The users known here, as payloads show them (contract §6)."""

from collections.abc import Collection, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from app.database import marks, unavailable
from app.dates import to_iso
from app.models import database

_SELECT = "SELECT id, admin, created_at FROM user_account WHERE id IN ({marks})"
_MOST = 10_000


def describe_users(user_ids: Collection[str], zone: ZoneInfo) -> dict[str, Mapping[str, Any]]:
    """Return the `user` object of each of `user_ids` that is known here. Raises DatabaseUnavailable."""
    if not user_ids:
        return {}
    wanted = list(user_ids)[:_MOST]
    with unavailable():
        # Plain SQL: this runs for every commit of events, and building the query costs ten times what running it does.
        found = database.execute_sql(_SELECT.format(marks=marks(len(wanted))), wanted).fetchall()
        return {
            user_id: {
                "userId": user_id,
                "name": user_id,
                "email": None,
                "phone": None,
                "createdDate": to_iso(created_at, zone),
                "locked": False,
                "admin": bool(admin),
            }
            for user_id, admin, created_at in found
        }
