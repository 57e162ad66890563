"""The types of what receivers get, by kind of event (contract §6): the keys besides `eventType` and `user`.

`app.payloads` and `app.operational` return them, so mypy checks them; `app.event_schemas` makes JSON Schemas of them.
What a producer gives as project, repository, node, version, task or user is passed on as it is, other keys too: these
types say what bk-repo's producers give.
"""

from typing import Annotated, Any, NotRequired, TypedDict

from msgspec import Meta

ProducersDate = Annotated[str, Meta(description="As the producer gives it", examples=["2025-03-03T08:00:00.000"])]


class Stamps(TypedDict):
    """Who made and changed a thing, and when."""

    createdBy: NotRequired[str]
    createdDate: NotRequired[ProducersDate]
    lastModifiedBy: NotRequired[str]
    lastModifiedDate: NotRequired[ProducersDate]


class User(TypedDict):
    """Who did it."""

    userId: str
    name: NotRequired[str]
    email: NotRequired[str | None]
    phone: NotRequired[str | None]
    createdDate: NotRequired[ProducersDate | None]
    locked: NotRequired[bool]
    admin: NotRequired[bool]


class Project(Stamps):
    """A project."""

    name: str
    displayName: NotRequired[str]
    description: NotRequired[str | None]


class Repository(Stamps):
    """A repository."""

    name: str
    projectId: NotRequired[str]
    type: NotRequired[str]
    category: NotRequired[str]
    public: NotRequired[bool]
    description: NotRequired[str | None]


class Metadata(TypedDict):
    """A key and its value."""

    key: str
    value: NotRequired[Any]
    system: NotRequired[bool]
    description: NotRequired[str | None]


class Location(TypedDict):
    """Where a file or folder is. `path` is the folder it is in, with a slash at the end."""

    projectId: str
    repoName: str
    fullPath: str
    path: str
    name: str


class Node(Location):
    """A file or folder."""

    folder: bool
    createdBy: str
    lastModifiedBy: str
    createdDate: NotRequired[ProducersDate]
    lastModifiedDate: NotRequired[ProducersDate]
    size: NotRequired[Annotated[int, Meta(description="Bytes")]]
    sha256: NotRequired[str | None]
    md5: NotRequired[str | None]
    nodeMetadata: NotRequired[list[Metadata]]


class PackageVersion(Stamps):
    """A version of a package."""

    name: str
    size: NotRequired[int]
    downloads: NotRequired[int]
    stageTag: NotRequired[list[str]]
    metadata: NotRequired[dict[str, Any]]
    packageMetadata: NotRequired[list[Metadata]]
    tags: NotRequired[list[str]]
    contentPath: NotRequired[str | None]


class ProjectEvent(TypedDict):
    """What is told of a project."""

    project: Project


class RepositoryEvent(TypedDict):
    """What is told of a repository."""

    repository: Repository


class RepositoryDeleted(TypedDict):
    """Which repository is gone."""

    projectId: str
    repoName: str


class NodeEvent(TypedDict):
    """What is told of a file or folder."""

    node: Node


class NodeRenamed(NodeEvent):
    """A file or folder under its new name, and the path that it had."""

    oldFullPath: str


class NodeTransferred(NodeEvent):
    """A file or folder at its new place, and where it came from."""

    srcProjectId: str
    srcRepoName: str
    srcFullPath: str


class NodeDeleted(TypedDict):
    """Which file or folder is gone."""

    projectId: str
    repoName: str
    fullPath: str


class MetadataSaved(NodeEvent):
    """Metadata that were set. The key is spelt as bk-repo spells it."""

    metedata: dict[str, Any] | list[Any]


class MetadataDeleted(NodeEvent):
    """The keys of metadata that were removed. The key is spelt as bk-repo spells it."""

    deletedMetedataKeys: list[Any]


class VersionEvent(TypedDict):
    """What is told of a version of a package."""

    packageKey: str
    packageVersion: PackageVersion


class VersionDeleted(TypedDict):
    """Which version of a package is gone."""

    projectId: str
    repoName: str
    packageKey: str
    version: str


class ScanEvent(TypedDict):
    """The task of a scan, as the scanner gives it."""

    task: dict[str, Any]


class OtherEvent(TypedDict):
    """An event of a type that EXTRA_EVENT_TYPES names."""

    projectId: str | None
    repoName: str | None
    resourceKey: str | None
    data: dict[str, Any] | None


class TroubledWebhook(TypedDict):
    """The webhook that an operational event is about, as the event leaves it; none of its secrets are shown."""

    id: str
    url: str
    associationType: str
    associationId: str | None
    enabled: bool
    disabledReason: str | None
    failures: Annotated[int, Meta(description="Attempts that failed in a row")]
    failingSince: str | None
