"""Event types by what they are about, for people who choose among them. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

OTHER = "Other"
GROUPS = (
    ("Projects", ("PROJECT_",)),
    ("Repositories", ("REPO_",)),
    ("Files and folders", ("NODE_",)),
    ("Metadata", ("METADATA_",)),
    ("Package versions", ("VERSION_",)),
    ("Scans", ("SCAN_",)),
    ("About webhooks", ("WEBHOOK_", "DELIVERY_")),
)


class EventGroup(NamedTuple):
    """Event types of one kind; the title is in English."""

    title: str
    types: list[str]


def group_types(types: Iterable[str], builtin: Iterable[str]) -> list[EventGroup]:
    """Return `types` in groups, which keep the order of `builtin`; those that the settings add are the last."""
    wanted = set(types)
    known = [name for name in builtin if name in wanted]
    grouped = [EventGroup(title, [name for name in known if name.startswith(prefixes)]) for title, prefixes in GROUPS]
    rest = EventGroup(OTHER, sorted(wanted - {name for group in grouped for name in group.types}))
    return [group for group in (*grouped, rest) if group.types]
