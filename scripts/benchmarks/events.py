"""The events that the benchmarks publish, for payloads of 1 kB, every one with a mark of its own in its path."""

import json
import random
from collections.abc import Sequence

PROJECT = "bench"
TRIGGER = "NODE_CREATED"
MARK_PREFIX = b"mark-"
MARK_LENGTH = len(MARK_PREFIX) + 8
PAYLOAD_SIZE = 1_024  # bytes that a receiver gets
EVENT_SIZE = 816  # of an event whose payload, with the user and the parts of the path, has that size

_RANDOM = random.Random(1)  # the same events in every run


def mark_of(number: int) -> str:
    """Return the mark of the event `number`; the receiver finds it in the payload."""
    return f"{MARK_PREFIX.decode()}{number:08d}"


def repository(number: int) -> str:
    """Return the name of the repository that one webhook looks at."""
    return f"r{number}"


def make_event(number: int, repo_name: str, size: int = EVENT_SIZE, *, key: int | None = None) -> bytes:
    """Return the event `number` as JSON of `size` bytes: a new node in `repo_name`, with its metadata.

    The node is one of its own, or the one that `key` numbers.
    """
    name = mark_of(number) if key is None else f"node-{key:08d}"
    event = _event(number, repo_name, name, "")
    event = _event(number, repo_name, name, _filler(size - len(_encode(event))))
    return _encode(event)


def make_batch(events: Sequence[bytes]) -> bytes:
    """Return a JSON array of `events`."""
    return b"[" + b",".join(events) + b"]"


def _event(number: int, repo_name: str, name: str, filler: str) -> dict[str, object]:
    return {
        "type": TRIGGER,
        "projectId": PROJECT,
        "repoName": repo_name,
        "resourceKey": f"/release/2026/{name}.apk",
        "userId": "builder",
        "data": {
            "node": {
                "createdDate": "2026-01-15T09:30:00.000",
                "lastModifiedDate": "2026-01-15T09:30:00.000",
                "size": 48_203_776 + number,
                "sha256": f"{number * 2_654_435_761 % 2**256:064x}",
                "md5": f"{number * 40_503 % 2**128:032x}",
                "nodeMetadata": [
                    {"key": "build", "value": str(number), "system": False, "description": None},
                    {"key": "commit", "value": filler, "system": False, "description": None},
                ],
            }
        },
    }


def _filler(length: int) -> str:
    return f"{_RANDOM.getrandbits(4 * max(1, length)):0{max(0, length)}x}"


def _encode(event: object) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode()
