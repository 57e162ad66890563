"""The webhooks of scripts/demo_data, and how their receivers behave: well, slowly, not at all."""

import random
from collections.abc import Callable
from typing import Any, NamedTuple

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

TIME_OUT_MS = 10_000
SCHEDULE = ["1h", "2h", "6h"]  # so that nothing is sent while someone looks
TROUBLES = 7  # the last so many attempts at the webhook `failing` have failed


class Answer(NamedTuple):
    """What a receiver answers, in so many milliseconds; without a status there is an error instead."""

    status: int | None
    duration_ms: int
    body: str = ""
    error: str | None = None


Behaviour = Callable[[random.Random, int], Answer]  # of chance, and of how many deliveries are left, this one included


class Demo(NamedTuple):
    """A webhook: its name, the fields that a caller would send, and how its receiver behaves.

    Nothing goes to it any more since `stopped_ms` before the present, or its receiver is down for the last `down_for`
    deliveries.
    """

    name: str
    fields: dict[str, Any]
    behave: Behaviour
    stopped_ms: int = 0
    down_for: int = 0


def well(median_ms: float, failures: float = 0.002) -> Behaviour:
    """Return the behaviour of a receiver that answers in about so many milliseconds and rarely fails."""

    def behave(chance: random.Random, _: int) -> Answer:
        took = max(1, round(chance.lognormvariate(0, 0.5) * median_ms))
        if chance.random() < failures:
            return Answer(502, took, "<html><body><h1>502 Bad Gateway</h1></body></html>")
        return Answer(200, took, '{"accepted":true}')

    return behave


def unavailable(chance: random.Random, _: int) -> Answer:
    """Answer as what stands before a receiver does while that is down."""
    return Answer(503, chance.randrange(3, 30), "upstream connect error or disconnect before headers")


def _strained(chance: random.Random, left: int) -> Answer:
    """Answer slowly, at times too slowly, and in the end with errors only."""
    if left <= TROUBLES:
        return Answer(500, chance.randrange(40, 400), '{"error":"the signature database is being updated"}')
    if chance.random() < 0.03:
        return Answer(None, TIME_OUT_MS, error=f"time-out: no complete answer within {TIME_OUT_MS} ms")
    return Answer(202, min(round(chance.lognormvariate(6.2, 0.6)), TIME_OUT_MS - 1), '{"scan":"queued"}')


def _leaving(chance: random.Random, left: int) -> Answer:
    return Answer(410, 12, "this hook was removed") if left == 1 else well(30)(chance, left)


def _webhook(place: str, url: str, *triggers: str, **more: Any) -> dict[str, Any]:
    """Return the fields of a webhook of a project, of a repository or, with "", of all."""
    kind = "REPO" if ":" in place else "PROJECT" if place else "SYSTEM"
    association = {"associationType": kind, "associationId": place}
    return {"url": url, "triggers": list(triggers), **association, "retrySchedule": SCHEDULE, **more}


_CHANGES = ("NODE_CREATED", "NODE_RENAMED", "NODE_MOVED", "NODE_COPIED", "NODE_DELETED")
_VERSIONS = ("VERSION_CREATED", "VERSION_UPDATED", "VERSION_DELETED")
_PLACES = ("PROJECT_CREATED", "REPO_CREATED", "REPO_UPDATED", "REPO_DELETED")
_TROUBLES = ("WEBHOOK_FAILING", "WEBHOOK_RECOVERED", "WEBHOOK_DISABLED", "DELIVERY_EXHAUSTED")

DEMOS = (
    Demo("idle", _webhook("platform:tools", "https://inventory.example.com/tools", "SCAN_FINISHED"), well(20)),
    Demo("audit", _webhook("", "https://audit.example.com/events", *_PLACES), well(15)),
    Demo(
        "alerts", _webhook("", "https://alerts.example.com/v2/enqueue", *_TROUBLES, token="pager-4b1c9e77"), well(120)
    ),
    Demo(
        "gone",
        _webhook("platform:docker-base", "https://legacy.example.org/notify", "NODE_CREATED"),
        _leaving,
        stopped_ms=2 * DAY_MS,
    ),
    Demo(
        "paused",
        _webhook("platform", "https://staging.example.com/hooks", *_VERSIONS),
        well(45),
        stopped_ms=3 * DAY_MS,
    ),
    Demo(
        "limited",
        _webhook("webfront", "https://stats.example.net/downloads", "NODE_DOWNLOADED", rateLimit=20, rateBurst=40),
        well(8),
    ),
    Demo(
        "mirror",
        _webhook("gamecore", "https://mirror.example.net/v1/artifacts", *_CHANGES, ordering="resource"),
        well(85, 0.006),
    ),
    Demo(
        "builds",
        _webhook(
            "mobile:apk", "https://ci.example.com/job/smoke-test", "NODE_CREATED", resourceKeyPattern=r".*\.(apk|ipa)"
        ),
        well(210),
    ),
    Demo(
        "releases", _webhook("mobile", "https://chat.example.com/hooks/releases", *_VERSIONS, signing="v1a"), well(140)
    ),
    Demo(
        "down",
        _webhook("webfront", "https://deploy.example.org/artifacts", "NODE_CREATED", "METADATA_SAVED", *_VERSIONS),
        well(60),
        down_for=24,
    ),
    Demo(
        "failing",
        _webhook(
            "", "https://scanner.example.com/api/scans", "NODE_CREATED", "VERSION_CREATED", token="scan-7d0f31aa25"
        ),
        _strained,
    ),
    Demo(
        "search",
        _webhook("", "https://search.example.com/artifacts", *_CHANGES, "METADATA_SAVED", headers={"X-Index": "live"}),
        well(32),
    ),
)
