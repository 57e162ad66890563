"""The bodies that receivers get, by event type (contract §6). Pure."""

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, cast

import msgspec

from app import payload_types as types
from app.errors import HooklineError
from app.event_types import WEBHOOK_TEST, Event

Json = dict[str, Any]
Builder = Callable[[Event, Mapping[str, Any]], Mapping[str, object]]


class PayloadError(HooklineError):
    """The payload of an event can't be built; the text names the key that is missing or wrong."""


def build_payload(event: Event, known_user: Mapping[str, Any] | None) -> bytes:
    """Return `payload_of` as JSON in UTF-8. Raises PayloadError, and nothing else."""
    return encode_payload(payload_of(event, known_user))


def payload_of(event: Event, known_user: Mapping[str, Any] | None) -> Json:
    """Return the body for `event` as an object. Raises PayloadError.

    `known_user` is the user object of `event.user_id`, None where the service knows no such user; one in the event's
    data comes before it. Types that contract §6 leaves out get `projectId, repoName, resourceKey, data`.
    """
    data = event.data or {}
    built = _BUILDERS.get(event.type, _as_published)(event, data)
    return {"eventType": event.type, "user": _user(event, data, known_user), **built}


def build_test_payload(webhook: Mapping[str, Any], user: Mapping[str, Any]) -> bytes:
    """Return the body of WEBHOOK_TEST: `webhook` as API callers see it, and `user`, completed from its `userId`.

    Raises PayloadError where one of them is no JSON.
    """
    made = made_user(str(user.get("userId") or ""))
    return encode_payload({"eventType": WEBHOOK_TEST, "user": {**made, **user}, "webHook": webhook})


def raw_event(event: Event) -> bytes:
    """Return `event` itself as JSON, for the record where its payload can't be built; `event_from` takes it back.

    A lone surrogate is kept as its escape. Data that no JSON can hold are left out. Never raises.
    """
    try:
        return msgspec.json.encode(event)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(event)).encode()
    except (RecursionError, TypeError, ValueError, OverflowError):
        return raw_event(msgspec.structs.replace(event, data=None))


def encode_payload(payload: Json) -> bytes:
    """Return `payload` as JSON in UTF-8. Raises PayloadError where no JSON can hold it."""
    try:
        return msgspec.json.encode(payload)
    except UnicodeEncodeError as error:
        raise PayloadError("the event holds a lone surrogate, which is no Unicode text") from error
    except RecursionError as error:
        raise PayloadError("data is nested too deeply") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise PayloadError(f"data is not JSON: {error}") from error


def _user(event: Event, data: Mapping[str, Any], known_user: Mapping[str, Any] | None) -> Mapping[str, Any]:
    given = data.get("user")
    if isinstance(given, dict):
        return given
    return made_user(event.user_id or "") if known_user is None else known_user


def made_user(user_id: str) -> types.User:
    """Return the `user` object made up from an id alone (contract §6)."""
    return {
        "userId": user_id,
        "name": user_id,
        "email": None,
        "phone": None,
        "createdDate": None,
        "locked": False,
        "admin": False,
    }


def _project_event(event: Event, data: Mapping[str, Any]) -> types.ProjectEvent:
    given = cast("types.Project | None", _object(data, "project"))
    return {"project": {"name": _project(event)} if given is None else given}


def _repository_event(event: Event, data: Mapping[str, Any]) -> types.RepositoryEvent:
    given = cast("types.Repository | None", _object(data, "repository"))
    return {"repository": {"projectId": _project(event), "name": _repo(event)} if given is None else given}


def _repository_deleted(event: Event, data: Mapping[str, Any]) -> types.RepositoryDeleted:
    return {"projectId": _project(event), "repoName": _repo(event)}


def _node_event(event: Event, data: Mapping[str, Any]) -> types.NodeEvent:
    return {"node": _node_at_resource_key(event, data)}


def _node_renamed(event: Event, data: Mapping[str, Any]) -> types.NodeRenamed:
    location = _location(_project(event), _repo(event), _text(data, "newFullPath"))
    return {"node": _node_moved_to(location, event, data), "oldFullPath": _resource_key(event)}


def _node_transferred(event: Event, data: Mapping[str, Any]) -> types.NodeTransferred:
    location = _location(_text(data, "dstProjectId"), _text(data, "dstRepoName"), _text(data, "dstFullPath"))
    return {
        "node": _node_moved_to(location, event, data),
        "srcProjectId": _project(event),
        "srcRepoName": _repo(event),
        "srcFullPath": _resource_key(event),
    }


def _node_deleted(event: Event, data: Mapping[str, Any]) -> types.NodeDeleted:
    return {"projectId": _project(event), "repoName": _repo(event), "fullPath": _resource_key(event)}


def _metadata_saved(event: Event, data: Mapping[str, Any]) -> types.MetadataSaved:
    metadata = _required(data, "metadata")
    if not isinstance(metadata, dict | list):
        raise PayloadError("data.metadata is not an object or a list")
    return {"node": _node_at_resource_key(event, data), "metedata": metadata}


def _metadata_deleted(event: Event, data: Mapping[str, Any]) -> types.MetadataDeleted:
    keys = _required(data, "keys")
    if not isinstance(keys, list):
        raise PayloadError("data.keys is not a list")
    return {"node": _node_at_resource_key(event, data), "deletedMetedataKeys": keys}


def _version_event(event: Event, data: Mapping[str, Any]) -> types.VersionEvent:
    key, given = _text(data, "packageKey"), data.get("version")
    if isinstance(given, dict):
        return {"packageKey": key, "packageVersion": cast(types.PackageVersion, given)}
    return {"packageKey": key, "packageVersion": {"name": _text(data, "packageVersion")}}


def _version_deleted(event: Event, data: Mapping[str, Any]) -> types.VersionDeleted:
    return {
        "projectId": _project(event),
        "repoName": _repo(event),
        "packageKey": _text(data, "packageKey"),
        "version": _text(data, "packageVersion"),
    }


def _scan_event(event: Event, data: Mapping[str, Any]) -> types.ScanEvent:
    _required(data, "task")
    return {"task": _object(data, "task") or {}}


def _as_published(event: Event, data: Mapping[str, Any]) -> types.OtherEvent:
    where = event.project_id, event.repo_name, event.resource_key
    return {"projectId": where[0], "repoName": where[1], "resourceKey": where[2], "data": event.data}


_BUILDERS: Final[Mapping[str, Builder]] = MappingProxyType(
    {
        "PROJECT_CREATED": _project_event,
        "REPO_CREATED": _repository_event,
        "REPO_UPDATED": _repository_event,
        "REPO_DELETED": _repository_deleted,
        "NODE_CREATED": _node_event,
        "NODE_DOWNLOADED": _node_event,
        "NODE_RENAMED": _node_renamed,
        "NODE_MOVED": _node_transferred,
        "NODE_COPIED": _node_transferred,
        "NODE_DELETED": _node_deleted,
        "METADATA_SAVED": _metadata_saved,
        "METADATA_DELETED": _metadata_deleted,
        "VERSION_CREATED": _version_event,
        "VERSION_UPDATED": _version_event,
        "VERSION_DELETED": _version_deleted,
        "SCAN_TRIGGERED": _scan_event,
        "SCAN_FINISHED": _scan_event,
    }
)


def _node_at_resource_key(event: Event, data: Mapping[str, Any]) -> types.Node:
    """Return the node of `data`; what that leaves out comes from the event's own path and user."""
    location = _location(_project(event), _repo(event), _resource_key(event))
    return cast(types.Node, {**location, **_defaults(event), **(_object(data, "node") or {})})


def _node_moved_to(location: types.Location, event: Event, data: Mapping[str, Any]) -> types.Node:
    """Return the node of `data` at its new location, whatever location the producer may have read before."""
    return cast(types.Node, {**location, **_defaults(event), **(_object(data, "node") or {}), **location})


def _location(project_id: str, repo_name: str, full_path: str) -> types.Location:
    bare = full_path.rstrip("/")  # a folder may be written with a slash at its end
    parent, _, name = bare.rpartition("/")
    return {"projectId": project_id, "repoName": repo_name, "fullPath": full_path, "path": f"{parent}/", "name": name}


def _defaults(event: Event) -> Json:
    user_id = event.user_id or ""
    return {"folder": False, "createdBy": user_id, "lastModifiedBy": user_id}


def _project(event: Event) -> str:
    return _field(event.project_id, "projectId")


def _repo(event: Event) -> str:
    return _field(event.repo_name, "repoName")


def _resource_key(event: Event) -> str:
    return _field(event.resource_key, "resourceKey")


def _field(value: str | None, name: str) -> str:
    if not value:
        raise PayloadError(f"{name} is {'missing' if value is None else 'empty'}")
    return value


def _required(data: Mapping[str, Any], key: str) -> Any:
    value = data.get(key)
    if value is None:
        raise PayloadError(f"data.{key} is missing")
    return value


def _text(data: Mapping[str, Any], key: str) -> str:
    value = _required(data, key)
    if not isinstance(value, str):
        raise PayloadError(f"data.{key} is not a string")
    return _field(value, f"data.{key}")


def _object(data: Mapping[str, Any], key: str) -> Json | None:
    value = data.get(key)
    if value is not None and not isinstance(value, dict):
        raise PayloadError(f"data.{key} is not an object")
    return value
