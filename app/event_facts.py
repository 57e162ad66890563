"""What happened, in a few words: the lines of a message about an event, whatever its type. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from app.event_types import EVENT_TYPES
from app.template_filters import file_size

MAX_KEYS = 20  # of metadata

# A fact is the first of these members of the payload that is there.
_FACTS: Final[Sequence[tuple[str, tuple[str, ...]]]] = (
    ("Project", ("node.projectId", "projectId", "repository.projectId", "project.name", "task.projectId")),
    ("Repository", ("node.repoName", "repoName", "repository.name")),
    ("Path", ("node.fullPath", "fullPath")),
    ("Resource", ("resourceKey",)),
    ("Package", ("packageKey",)),
    ("Version", ("packageVersion.name", "version")),
    ("Task", ("task.name",)),
    ("Status", ("task.status",)),
    ("Webhook", ("webHook.url",)),
    ("Reason", ("reason",)),
    ("Failures", ("failures",)),
    ("Event", ("delivery.triggeredEvent",)),
    ("Attempts", ("delivery.attempts",)),
    ("Error", ("lastErrorMsg", "delivery.lastErrorMsg")),
)


def title_of(event_type: str) -> str:
    """Return what happened; of a type that the settings add, its name."""
    kind = EVENT_TYPES.get(event_type)
    return event_type if kind is None else kind.description


def facts_of(payload: Mapping[str, Any], project_id: str | None) -> list[dict[str, str]]:
    """Return the facts of an event as `name` and `value`, which may be any text; ten at most."""
    found = {name: _first(payload, places) for name, places in _FACTS}
    found["Project"] = found["Project"] or project_id
    size, moved = _member(payload, "node.size"), _came_from(payload)
    more = {
        "From": moved,
        "Size": file_size(size) if type(size) is int and abs(size) < 1 << 64 else None,
        "Metadata": _keys(payload.get("metedata", payload.get("deletedMetedataKeys"))),
        "By": _first(payload, ("user.name", "user.userId")),
    }
    return [{"name": name, "value": str(value)} for name, value in (found | more).items() if value not in (None, "")]


def _came_from(payload: Mapping[str, Any]) -> str | None:
    if "srcFullPath" not in payload:
        return cast(str | None, _first(payload, ("oldFullPath",)))
    return "{}/{}{}".format(*(payload.get(name, "") for name in ("srcProjectId", "srcRepoName", "srcFullPath")))


def _keys(metadata: Any) -> str | None:
    """Return the keys of metadata, which producers give as an object, or as a list of objects or of names."""
    if not isinstance(metadata, dict | list):
        return None
    names = [one.get("key") if isinstance(one, dict) else one for one in list(metadata)[:MAX_KEYS]]
    return ", ".join(name for name in names if isinstance(name, str))


def _first(payload: Mapping[str, Any], places: Sequence[str]) -> Any:
    values = (_member(payload, place) for place in places)
    return next((value for value in values if isinstance(value, str | int) and value != ""), None)


def _member(payload: Any, place: str) -> Any:
    for name in place.split("."):
        payload = payload.get(name) if isinstance(payload, dict) else None
    return payload
