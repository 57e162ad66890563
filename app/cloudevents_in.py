"""CloudEvents 1.0 as producers send them, taken for events (docs/formats.md). Pure."""

import base64
import binascii
import hashlib
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, Final

from app.cloudevents import SPEC_VERSION, TYPE_PREFIX
from app.errors import BadRequest
from app.event_types import LIMITS, Event
from app.fields import EMPTY, INVALID, MISSING
from app.intake import read_event
from app.json_reader import read_value
from app.messages import shown

REQUIRED: Final = ("id", "source", "type")
_OPTIONAL: Final = ("subject", "time", "datacontenttype", "dataschema", "projectid", "reponame", "userid", "eventid")
# The attribute that a field of the event is made of.
NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "projectId": "projectid",
        "repoName": "reponame",
        "resourceKey": "subject",
        "userId": "userid",
        "eventId": "id",
    }
)
# Where our own payloads have what the data of the event had, by type: payload's key -> data's key.
_FROM_PAYLOAD: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "METADATA_SAVED": {"metedata": "metadata"},
        "METADATA_DELETED": {"deletedMetedataKeys": "keys"},
        "VERSION_CREATED": {"packageVersion": "version"},
        "VERSION_UPDATED": {"packageVersion": "version"},
        "VERSION_DELETED": {"version": "packageVersion"},
    }
)
_FROM_NODE: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "NODE_RENAMED": {"fullPath": "newFullPath"},
        "NODE_MOVED": {"projectId": "dstProjectId", "repoName": "dstRepoName", "fullPath": "dstFullPath"},
        "NODE_COPIED": {"projectId": "dstProjectId", "repoName": "dstRepoName", "fullPath": "dstFullPath"},
    }
)


def event_of(cloud: object, known: Collection[str], where: str = "") -> Event:
    """Return a CloudEvent in the JSON format as an event of one of the types `known`.

    Raises BadRequest naming the attribute, after `where` the event stands in a batch.
    """
    if not isinstance(cloud, dict):
        raise BadRequest(INVALID, "not_object", field=where or "body")
    prefix = f"{where}." if where else ""
    _check_attributes(cloud, prefix)
    event_type = cloud["type"].removeprefix(TYPE_PREFIX)
    value = {
        "type": event_type,
        "eventId": cloud.get("eventid") or event_id(cloud["source"], cloud["id"]),
        "source": cloud["source"],
        "resourceKey": cloud.get("subject"),
        "projectId": cloud.get("projectid"),
        "repoName": cloud.get("reponame"),
        "userId": cloud.get("userid"),
        "data": data_of(event_type, _data(cloud, prefix)),
        "traceparent": cloud.get("traceparent"),
    }
    return read_event(value, known, where, names=NAMES)


def event_id(source: str, cloud_id: str) -> str:
    """Return the id of an event that another system sent as `cloud_id`: that is unique with its `source` only."""
    digest = hashlib.blake2b(source.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    whole = f"{cloud_id}@{digest}"
    if len(whole) <= LIMITS["eventId"]:
        return whole
    return f"{hashlib.blake2b(cloud_id.encode('utf-8', 'surrogatepass'), digest_size=16).hexdigest()}@{digest}"


def data_of(event_type: str, data: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the data of an event from those of a CloudEvent; of one that this service sent, they are our payload."""
    if data is None or data.get("eventType") != event_type:
        return data
    inner = data.get("data")
    if {"projectId", "repoName", "resourceKey", "data"} <= data.keys() and isinstance(inner, dict | None):
        return inner  # of a type that the settings add
    node = data.get("node")
    made = {name: value for name, value in data.items() if name != "eventType"}
    if isinstance(node, dict):
        made |= {new: node[old] for old, new in _FROM_NODE.get(event_type, {}).items() if old in node}
    names = _FROM_PAYLOAD.get(event_type, {})
    return {names.get(name, name): value for name, value in made.items()}


def _check_attributes(cloud: Mapping[str, Any], prefix: str) -> None:
    version = _text(cloud, "specversion", prefix)
    if version != SPEC_VERSION:
        field = f"{prefix}specversion"
        raise BadRequest(INVALID, "not_one_of", field=field, value=shown(version), known=SPEC_VERSION)
    for name in REQUIRED:
        _text(cloud, name, prefix)
    for name in _OPTIONAL:
        if cloud.get(name) is not None and not isinstance(cloud[name], str):
            raise BadRequest(INVALID, "not_string", field=f"{prefix}{name}")


def _text(cloud: Mapping[str, Any], name: str, prefix: str) -> str:
    value = cloud.get(name)
    if value is None:
        raise BadRequest(MISSING, "missing", field=f"{prefix}{name}")
    if not isinstance(value, str):
        raise BadRequest(INVALID, "not_string", field=f"{prefix}{name}")
    if not value:
        raise BadRequest(EMPTY, "empty", field=f"{prefix}{name}")
    return value


def _data(cloud: Mapping[str, Any], prefix: str) -> dict[str, Any] | None:
    """Return the data, which must be a JSON object if there are any."""
    data, field = cloud.get("data"), f"{prefix}data"
    if cloud.get("data_base64") is not None:
        field = f"{prefix}data_base64"
        if data is not None:
            raise BadRequest(INVALID, "given_twice", field=f"{prefix}data", other=field)
        data = read_value(_decoded(cloud["data_base64"], field), field)
    elif data is None:
        return None
    if not isinstance(data, dict) or not _is_json(cloud.get("datacontenttype")):
        raise BadRequest(INVALID, "cloud_data", field=field)
    return data


def _decoded(value: object, field: str) -> bytes:
    if not isinstance(value, str):
        raise BadRequest(INVALID, "not_string", field=field)
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(INVALID, "invalid", field=field) from error


def _is_json(content_type: str | None) -> bool:
    media_type = (content_type or "application/json").partition(";")[0].strip().lower()
    return media_type in ("application/json", "text/json") or media_type.endswith("+json")
