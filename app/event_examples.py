"""An example of each event that can be published, as a producer of an artifact repository gives it. Pure."""

import copy
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

Json = dict[str, Any]

PROJECT: Final = "shop"
REPO: Final = "android"
USER: Final = "ci-bot"

_APK = "/release/1.4.0/shop.apk"
_SDK = "gav://com.example.shop:sdk-1.4.0"
_STAMPS = {
    "createdBy": USER,
    "createdDate": "2025-03-03T08:00:00.000",
    "lastModifiedBy": USER,
    "lastModifiedDate": "2025-03-03T08:00:00.000",
}
_FILE = {
    "folder": False,
    "size": 25_165_824,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "md5": "098f6bcd4621d373cade4e832627b4f6",
    **_STAMPS,
}
_METADATA = [{"key": "build", "value": "1042", "system": False, "description": None}]
_NODE = {**_FILE, "nodeMetadata": _METADATA}
_PACKAGE = {"packageKey": "gav://com.example.shop:sdk", "packageName": "sdk", "packageType": "MAVEN"}
_VERSION = {
    "name": "1.4.0",
    "size": 48_213,
    "downloads": 0,
    "stageTag": ["@prerelease"],
    "contentPath": "/com/example/shop/sdk/1.4.0/sdk-1.4.0.aar",
    "packageMetadata": _METADATA,
    "tags": ["latest"],
    **_STAMPS,
}
_TASK: Json = {
    "taskId": "67c55f3ae4b0f8a3d2c1b0a9",
    "name": "nightly",
    "projectId": PROJECT,
    "scanner": "standard",
    "triggerType": "MANUAL",
    "triggerDateTime": "2025-03-03T08:00:00.000",
    "createdBy": USER,
    "total": 12,
}
_SCAN_STARTED = {"startDateTime": None, "finishedDateTime": None, "scanned": 0, "failed": 0, "passed": 0}
_SCAN_ENDED = {
    "startDateTime": "2025-03-03T08:00:02.000",
    "finishedDateTime": "2025-03-03T08:04:31.000",
    "scanned": 12,
    "failed": 0,
    "passed": 11,
    "scanResultOverview": {"cveCriticalCount": 0, "cveHighCount": 1, "cveMediumCount": 4, "cveLowCount": 9},
}


def _repository(**more: Any) -> Json:
    known = {"projectId": PROJECT, "name": REPO, "type": "GENERIC", "category": "LOCAL", "public": False}
    return {"repository": {**known, "description": "Builds of the app", **_STAMPS, **more}}


def _event(resource_key: str, data: Json | None = None, repo_name: str | None = REPO) -> Json:
    return {
        "projectId": PROJECT,
        "repoName": repo_name,
        "resourceKey": resource_key,
        "userId": USER,
        "data": {} if data is None else data,
    }


def _version(**data: Any) -> Json:
    return _event(_SDK, {**_PACKAGE, "packageVersion": "1.4.0", **data})


def _scan(status: str, **progress: Any) -> Json:
    return _event(_TASK["taskId"], {"task": {**_TASK, "status": status, **progress}}, None)


_MOVED = {"dstProjectId": PROJECT, "dstRepoName": "archive", "dstFullPath": "/1.4.0/shop.apk", "node": _FILE}

_EXAMPLES: Final[Mapping[str, Json]] = MappingProxyType(
    {
        "PROJECT_CREATED": _event(
            PROJECT,
            {"project": {"name": PROJECT, "displayName": "Shop", "description": "The shop and its apps", **_STAMPS}},
            None,
        ),
        "REPO_CREATED": _event(REPO, _repository()),
        "REPO_UPDATED": _event(REPO, _repository(public=True, lastModifiedDate="2025-03-04T10:30:00.000")),
        "REPO_DELETED": _event(REPO),
        "NODE_CREATED": _event(_APK, {"node": _NODE}),
        "NODE_RENAMED": _event(_APK, {"newFullPath": "/release/1.4.0/shop-signed.apk", "node": _NODE}),
        "NODE_MOVED": _event(_APK, _MOVED),
        "NODE_COPIED": _event(_APK, _MOVED),
        "NODE_DELETED": _event(_APK),
        "NODE_DOWNLOADED": _event(_APK, {"node": _NODE}),
        "METADATA_SAVED": _event(_APK, {"metadata": {"build": "1042", "signed": "true"}, "node": _NODE}),
        "METADATA_DELETED": _event(_APK, {"keys": ["signed"], "node": _NODE}),
        "VERSION_CREATED": _version(version=_VERSION),
        "VERSION_UPDATED": _version(version={**_VERSION, "lastModifiedDate": "2025-03-04T10:30:00.000"}),
        "VERSION_DELETED": _version(),
        "SCAN_TRIGGERED": _scan("PENDING", **_SCAN_STARTED),
        "SCAN_FINISHED": _scan("FINISHED", **_SCAN_ENDED),
    }
)


def example_of(event_type: str) -> Json:
    """Return an example of an event, the caller's to change; of a type of EXTRA_EVENT_TYPES one with data made up."""
    fields = _EXAMPLES.get(event_type) or _event(_APK, {"detail": "whatever the producer has to say"})
    return {"type": event_type, **copy.deepcopy(fields)}
