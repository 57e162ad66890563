"""What a call is, and who makes it."""

from collections.abc import Callable
from typing import NamedTuple

from app.authentication import Caller
from scripts.explain_owed import webhook_id

ADMIN = Caller("user-0", admin=True, scopes=frozenset(), platform=False)
MANAGER = Caller("user-7", admin=False, scopes=frozenset(), platform=False)
BUSY = webhook_id(0)


class Call(NamedTuple):
    """Something that Hookline does."""

    name: str
    run: Callable[[], object]
