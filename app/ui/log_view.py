"""A log as its page shows it: request, answer, timing, and the command that repeats it."""

import json
from collections.abc import Mapping
from typing import NamedTuple

from app.curl_command import curl_command
from app.log_timing import DOWNLOAD, Phase, phases_of
from app.logs import LogEntry
from app.models import ERROR, Webhook, WebhookLog
from app.shown_text import Shown, shown
from app.ui.texts import gettext

WIDTH = 1_000  # of the bar, in its own units
_NARROWEST = 3


class Bar(NamedTuple):
    """A phase of the request: what it is called, how long it took, where it is in the bar."""

    name: str
    text: str
    length: str
    x: int
    width: int
    has_ended: bool


class LogView(NamedTuple):
    """What the page of a log shows. Where there was no request, only the raw event is left of it."""

    log: WebhookLog
    webhook: Webhook
    request: Shown
    request_headers: Mapping[str, str]
    answer: Shown
    answer_headers: Mapping[str, str]
    bars: list[Bar]
    curl: str | None
    was_pruned: bool  # its event

    @property
    def may_retry(self) -> bool:
        """Whether there is something to send, and somebody to send it to."""
        return not self.was_pruned and self.webhook.deleted_at is None


def view_of(entry: LogEntry, webhook: Webhook) -> LogView:
    """Return what is shown of a log."""
    log, payload = entry
    headers = json.loads(log.request_headers)
    was_pruned = not payload
    return LogView(
        log=log,
        webhook=webhook,
        request=shown(payload),
        request_headers=headers,
        answer=shown(log.response_body or ""),
        answer_headers=json.loads(log.response_headers or "{}"),
        bars=_bars(phases_of(log.timing)),
        curl=None if was_pruned or log.status == ERROR else curl_command(log.url, headers, payload),
        was_pruned=was_pruned,
    )


def short(us: int) -> str:
    """Return a duration in microseconds for people. Pure."""
    if us < 1_000:
        return f"{us} µs"
    if us < 999_500:
        return f"{us / 1_000:.1f} ms" if us < 99_950 else f"{us / 1_000:.0f} ms"
    return f"{us / 1_000_000:.2f} s"


def _bars(phases: list[Phase]) -> list[Bar]:
    names = {
        "dns": gettext("Looking up the name"),
        "connect": gettext("Connecting"),
        "tls": gettext("TLS handshake"),
        "firstByte": gettext("Waiting for the first byte"),
        DOWNLOAD: gettext("Receiving the answer"),
    }
    total = max((phase.start + phase.length for phase in phases), default=0) or 1
    return [
        Bar(
            phase.name,
            names[phase.name],
            short(phase.length),
            min(phase.start * WIDTH // total, WIDTH - _NARROWEST),
            max(phase.length * WIDTH // total, _NARROWEST),
            phase.has_ended,
        )
        for phase in phases
    ]
