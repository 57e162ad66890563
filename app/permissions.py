"""Who may manage which webhooks (contract §2)."""

from typing import Any, NamedTuple

from peewee import fn

from app.authentication import Caller
from app.errors import Forbidden
from app.models import Grant, Webhook, database

FORBIDDEN = 250113

SYSTEM = "SYSTEM"
PROJECT = "PROJECT"
REPO = "REPO"


class Association(NamedTuple):
    """What a webhook belongs to. `id` is "" for SYSTEM, a project id, or `projectId:repoName`."""

    type: str
    id: str

    def __str__(self) -> str:
        return f"{self.type} {self.id}".strip()


def may_manage(caller: Caller, association: Association) -> bool:
    """Return whether `caller` may manage the webhooks of `association` and read their logs."""
    if caller.admin:
        return True
    if caller.user_id is None or association.type == SYSTEM:
        return False
    project_id, _, repo_name = association.id.partition(":")
    held = Grant.select().where(
        Grant.user_id == caller.user_id, Grant.project_id == project_id, Grant.repo_name.in_({"", repo_name})
    )
    return bool(held.exists())


def require_manage(caller: Caller, association: Association) -> None:
    """Raise Forbidden where `caller` may not manage `association`."""
    if not may_manage(caller, association):
        raise Forbidden(FORBIDDEN, "association_forbidden", value=association)


def visible(caller: Caller, association_type: str) -> Any:
    """Return the condition that a webhook of `association_type` is one `caller` may manage.

    Raises Forbidden for SYSTEM webhooks and a caller who may see none of them.
    """
    if caller.admin:
        return Webhook.association_type == association_type
    if association_type == SYSTEM:
        require_manage(caller, Association(SYSTEM, ""))
    whole = (Grant.repo_name == "") & _covers(association_type)
    single = (Grant.repo_name != "") & (Webhook.association_id == Grant.project_id.concat(":").concat(Grant.repo_name))
    held = Grant.select(Grant.user_id).where(Grant.user_id == caller.user_id, whole | single)
    return (Webhook.association_type == association_type) & fn.EXISTS(held)


def _covers(association_type: str) -> Any:
    """Return the condition that the grant's project is, or has, what the webhook belongs to."""
    if association_type == PROJECT:
        return Webhook.association_id == Grant.project_id
    prefix = Grant.project_id.concat(":")
    length = getattr(fn, database.char_length)
    return fn.SUBSTR(Webhook.association_id, 1, length(Grant.project_id) + 1) == prefix
