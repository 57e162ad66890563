"""The users known here, as payloads show them (contract §6)."""

from collections.abc import Collection, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from app.database import unavailable
from app.dates import to_iso
from app.models import User


def describe_users(user_ids: Collection[str], zone: ZoneInfo) -> dict[str, Mapping[str, Any]]:
    """Return the `user` object of each of `user_ids` that is known here. Raises DatabaseUnavailable."""
    if not user_ids:
        return {}
    found = User.select(User.id, User.admin, User.created_at).where(User.id.in_(list(user_ids)[:10_000]))
    with unavailable():
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
            for user_id, admin, created_at in found.tuples()
        }
