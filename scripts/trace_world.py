"""What `scripts/generate-trace` tells of: projects, repositories and what happens to the nodes in them."""

import hashlib
import itertools
import random
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

Json = dict[str, Any]

START = datetime(2025, 3, 3, 8)
PROJECTS = {
    "mobile": {"apk": "GENERIC", "maven-release": "MAVEN", "docker-local": "DOCKER"},
    "gamecore": {"build": "GENERIC", "maven-snapshot": "MAVEN", "helm-local": "HELM", "docker-local": "DOCKER"},
    "webfront": {"npm-local": "NPM", "site-bundles": "GENERIC"},
    "platform": {"helm-local": "HELM", "docker-base": "DOCKER", "tools": "GENERIC", "npm-shared": "NPM"},
}
COMPONENTS = ("launcher", "login", "payment", "chat", "renderer", "matchmaker", "telemetry", "gateway", "asset-pack")
PATHS = {
    "GENERIC": tuple(
        "/{component}/{month}/{component}-{version}-{number}" + ending
        for ending in (".apk", ".apk", ".ipa", ".zip", ".tar.gz", ".log", "-symbols.zip")
    ),
    "MAVEN": tuple(
        "/com/example/{component}/{version}/{component}-{version}-{number}" + ending
        for ending in (".jar", ".pom", "-sources.jar", ".aar")
    ),
    "NPM": ("/@example/{component}/-/{component}-{version}-{number}.tgz",),
    "HELM": ("/{component}-{version}-{number}.tgz",),
    "DOCKER": ("/{component}/{version}/sha256__{digest}", "/{component}/{version}/{number}/manifest.json"),
}
USERS = ("ci-bot", "ci-bot", "ci-bot", "release-bot", "u1007", "u1042", "u1043", "u2210", "u3318")
SOURCES = ("pipeline", "pipeline", "web", "command-line", None)
# How often each happens, out of about 1,000. A VERSION_CREATED comes with the creation of its node.
WEIGHTS = {
    "NODE_CREATED": 330,
    "NODE_DOWNLOADED": 350,
    "NODE_DELETED": 50,
    "NODE_RENAMED": 18,
    "NODE_MOVED": 30,
    "NODE_COPIED": 35,
    "METADATA_SAVED": 90,
    "METADATA_DELETED": 15,
    "VERSION_UPDATED": 18,
    "VERSION_DELETED": 10,
    "SCAN_TRIGGERED": 22,
    "SCAN_FINISHED": 22,
    "REPO_CREATED": 4,
    "REPO_UPDATED": 5,
    "REPO_DELETED": 2,
    "PROJECT_CREATED": 1,
}


class World:
    """What exists so far, and what happens next."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = START
        self.projects: list[str] = []
        self.repos: dict[tuple[str, str], str] = {}
        self.nodes: list[Json] = []
        self.versions: list[Json] = []
        self.scans: list[Json] = []
        self.numbers = itertools.count(1)

    def events(self) -> Iterator[Json]:
        """Yield events without end: first the projects and repositories, then the traffic."""
        for project_id, repos in PROJECTS.items():
            yield self.project_created(project_id)
            for repo_name, kind in repos.items():
                yield self.repo_created(project_id, repo_name, kind)
        happen: dict[str, Callable[[str], Iterator[Json]]] = {"METADATA": self.node, "NODE": self.node}
        happen |= {"PROJECT": self.project, "REPO": self.repo, "VERSION": self.version, "SCAN": self.scan}
        types, weights = list(WEIGHTS), list(WEIGHTS.values())
        while True:
            event_type = self.random.choices(types, weights)[0]
            yield from happen[event_type.partition("_")[0]](event_type)

    def event(self, event_type: str, where: Json, resource_key: str, data: Json) -> Json:
        """Return an event some seconds after the one before."""
        self.now += timedelta(milliseconds=self.random.randrange(20, 9_000))
        return {
            "type": event_type,
            "projectId": where["projectId"],
            "repoName": where.get("repoName"),
            "resourceKey": resource_key,
            "userId": self.random.choice(USERS),
            "data": data,
            "source": self.random.choice(SOURCES),
        }

    def date(self) -> str:
        return self.now.isoformat(timespec="milliseconds")

    def digest(self, algorithm: str = "sha256") -> str:
        return hashlib.new(algorithm, self.random.randbytes(16), usedforsecurity=False).hexdigest()

    def project(self, _: str) -> Iterator[Json]:
        yield self.project_created(f"team-{next(self.numbers)}")

    def project_created(self, project_id: str) -> Json:
        self.projects.append(project_id)
        project = {"name": project_id, "displayName": project_id.title(), "description": ""}
        return self.event("PROJECT_CREATED", {"projectId": project_id}, project_id, {"project": project})

    def repo(self, event_type: str) -> Iterator[Json]:
        if event_type == "REPO_CREATED":
            yield self.repo_created(self.random.choice(self.projects), f"tmp-{next(self.numbers)}", "GENERIC")
        elif event_type == "REPO_UPDATED":
            yield self.repo_changed(event_type, *self.random.choice(list(self.repos)))
        elif gone := next((key for key in self.repos if key[1].startswith("tmp-")), None):
            del self.repos[gone]
            self.nodes = [node for node in self.nodes if (node["projectId"], node["repoName"]) != gone]
            yield self.event(event_type, {"projectId": gone[0], "repoName": gone[1]}, gone[1], {})

    def repo_created(self, project_id: str, repo_name: str, kind: str) -> Json:
        self.repos[project_id, repo_name] = kind
        return self.repo_changed("REPO_CREATED", project_id, repo_name)

    def repo_changed(self, event_type: str, project_id: str, repo_name: str) -> Json:
        repository = {
            "projectId": project_id,
            "name": repo_name,
            "type": self.repos[project_id, repo_name],
            "category": "LOCAL",
            "public": self.random.random() < 0.1,
            "lastModifiedDate": self.date(),
        }
        where = {"projectId": project_id, "repoName": repo_name}
        return self.event(event_type, where, repo_name, {"repository": repository})

    def node(self, event_type: str) -> Iterator[Json]:
        if event_type == "NODE_CREATED":
            yield from self.node_created()
        elif self.nodes:
            # Recent nodes more often than old ones.
            index = len(self.nodes) - 1 - int(len(self.nodes) * self.random.random() ** 2)
            node = self.nodes[index]
            if event_type in {"NODE_DELETED", "NODE_RENAMED", "NODE_MOVED"}:
                del self.nodes[index]
            if event_type != "METADATA_DELETED" or node["nodeMetadata"]:
                data = self.change(event_type, node)
                yield self.event(event_type, node, node["fullPath"], data)

    def change(self, event_type: str, node: Json) -> Json:
        """Do to `node` what happens, and return the data of the event."""
        if event_type == "NODE_RENAMED":
            path = f"{node['path']}build{next(self.numbers)}-{re.sub('^build[0-9]+-', '', node['name'])}"
            self.nodes.append(node | location(path))
            return {"newFullPath": path}
        if event_type in {"NODE_MOVED", "NODE_COPIED"}:
            project_id, repo_name = self.random.choice([key for key in self.repos if key[0] == node["projectId"]])
            folder = "archive" if event_type == "NODE_MOVED" else "release"
            path = f"/{folder}/{self.now:%Y-%m}/{next(self.numbers)}/{node['name']}"
            self.nodes.append(node | location(path) | {"projectId": project_id, "repoName": repo_name})
            return {"dstProjectId": project_id, "dstRepoName": repo_name, "dstFullPath": path}
        if event_type == "METADATA_SAVED":
            saved = self.metadata(self.random.randrange(1, 4))
            values = {entry["key"]: entry["value"] for entry in saved}
            node["nodeMetadata"] = [entry for entry in node["nodeMetadata"] if entry["key"] not in values] + saved
            return {"metadata": values, "node": node}
        if event_type == "METADATA_DELETED":
            gone, *node["nodeMetadata"] = node["nodeMetadata"]
            return {"keys": [gone["key"]], "node": node}
        return {} if event_type == "NODE_DELETED" else {"node": node}

    def node_created(self) -> Iterator[Json]:
        (project_id, repo_name), kind = self.random.choice(list(self.repos.items()))
        where = {"projectId": project_id, "repoName": repo_name}
        component = self.random.choice(COMPONENTS)
        version = f"{self.random.randrange(1, 5)}.{self.random.randrange(20)}.{self.random.randrange(60)}"
        values = {"component": component, "version": version, "month": f"{self.now:%Y-%m}"}
        path = self.random.choice(PATHS[kind]).format(**values, number=next(self.numbers), digest=self.digest())
        event = self.event("NODE_CREATED", where, path, {})
        node = {
            **where,
            **location(path),
            "folder": False,
            "size": int(self.random.lognormvariate(14, 2.2)) + 64,
            "sha256": self.digest(),
            "md5": self.digest("md5"),
            "createdBy": event["userId"],
            "createdDate": self.date(),
            "lastModifiedBy": event["userId"],
            "lastModifiedDate": self.date(),
            "nodeMetadata": self.metadata(self.random.randrange(4)),
        }
        self.nodes.append(node)
        yield event | {"data": {"node": node}}
        if kind != "GENERIC" and self.random.random() < 0.4:
            package = {"packageKey": f"{kind.lower()}://{component}", "packageName": component, "packageType": kind}
            self.versions.append({**where, **package, "packageVersion": version})
            yield self.version_event("VERSION_CREATED", self.versions[-1], node["size"])

    def metadata(self, count: int) -> list[Json]:
        made = {
            "branch": self.random.choice(("main", "develop", "release/2.4", "feature/登录")),
            "buildNo": self.random.randrange(1, 5_000),
            "commit": self.digest("sha1"),
            "pipelineId": f"p-{self.digest()[:12]}",
            "qualityGate": self.random.choice(("passed", "failed", "skipped")),
        }
        keys = sorted(self.random.sample(list(made), count))
        return [{"key": key, "value": made[key], "system": False, "description": None} for key in keys]

    def version(self, event_type: str) -> Iterator[Json]:
        if self.versions:
            index = self.random.randrange(len(self.versions))
            version = self.versions[index]
            if event_type == "VERSION_DELETED":
                del self.versions[index]
            yield self.version_event(event_type, version)

    def version_event(self, event_type: str, version: Json, size: int | None = None) -> Json:
        data = {key: value for key, value in version.items() if key.startswith("package")}
        if size is not None:
            data["version"] = {"name": version["packageVersion"], "size": size, "downloads": 0, "stageTag": []}
        return self.event(event_type, version, f"{version['packageKey']}-{version['packageVersion']}", data)

    def scan(self, event_type: str) -> Iterator[Json]:
        if event_type == "SCAN_TRIGGERED":
            project_id, repo_name = self.random.choice(list(self.repos))
            where = {"projectId": project_id, "repoName": repo_name}
            task = {"taskId": self.digest()[:24], "name": "nightly", **where, "status": "SCANNING_SUBMITTING"}
            self.scans.append(task)
        elif self.scans:
            found = {level: self.random.randrange(9) for level in ("critical", "high", "medium", "low")}
            task = self.scans.pop(0) | {"status": "FINISHED", "finishedDateTime": self.date(), "found": found}
        else:
            return
        yield self.event(event_type, task, task["taskId"], {"task": task})


def location(path: str) -> Json:
    parent, _, name = path.rpartition("/")
    return {"fullPath": path, "path": f"{parent}/", "name": name}
