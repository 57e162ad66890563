"""One attempt: the request that a delivery makes, and the row that its outcome leaves. Pure."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from app.exchange import Outcome, Request
from app.ids import id_at
from app.masking import mask_headers
from app.matching import Webhook
from app.models import DEAD, ERROR, FAIL, PENDING, SUCCESS, WebhookLog
from app.payload_formats import body_for
from app.registry import Credentials
from app.retry import next_attempt_at, retry_after_ms
from app.signing import sign

_NUMBER, _URL, _RESPONSE_STATUS, _DURATION, _REQUESTED_AT, _ERROR = (
    [field.name for field in WebhookLog._meta.sorted_fields].index(name)
    for name in ("attempt", "url", "response_status", "duration_ms", "requested_at", "error")
)

GONE = 410
LATEST_MS = 60_000


class Due(NamedTuple):
    """A delivery that is due, with what it sends. `attempt` counts the attempts made so far, `earlier_attempts` those
    of them that are of an earlier round: a delivery that was given up and is sent again has a new schedule."""

    id: str
    webhook_id: str
    event_id: str
    attempt: int
    type: str
    payload: str
    error: str | None  # why the payload could not be built
    earlier_attempts: int = 0
    order_key: str | None = None
    position: int | None = None
    accepted_at: int = 0  # this and what follows is of the event
    project_id: str | None = None
    repo_name: str | None = None
    resource_key: str | None = None
    user_id: str | None = None
    source: str | None = None
    traceparent: str | None = None


class Policy(NamedTuple):
    """How attempts are made: settings, and the jitter of this attempt as a fraction from -1 to 1."""

    schedule_ms: Sequence[int]
    timeout_ms: int
    jitter: float = 0.0


class Attempt(NamedTuple):
    """An attempt that was made, ready to be recorded."""

    due: Due
    log_row: tuple[Any, ...]  # in the order of WebhookLog's fields
    status: str
    next_attempt_at: int | None  # None where the delivery has succeeded or is given up
    webhook_gone: bool
    ended_at: int

    @property
    def has_failed(self) -> bool:
        """Whether the delivery is still owed after it, or given up."""
        return self.status != SUCCESS

    @property
    def state(self) -> str:
        """The state of the delivery after a failed attempt."""
        return DEAD if self.next_attempt_at is None else PENDING

    @property
    def number(self) -> int:
        """Which attempt at its delivery it is, from 1; 0 for one made by hand."""
        number: int = self.log_row[_NUMBER]
        return number

    @property
    def url(self) -> str:
        """Where the request went."""
        url: str = self.log_row[_URL]
        return url

    @property
    def duration_ms(self) -> int:
        """How long the request took."""
        duration_ms: int = self.log_row[_DURATION]
        return duration_ms

    @property
    def started_at(self) -> int:
        """When the request began."""
        started_at: int = self.log_row[_REQUESTED_AT]
        return started_at

    @property
    def error(self) -> str | None:
        """What went wrong, as the log says it."""
        error: str | None = self.log_row[_ERROR]
        return error

    @property
    def response_status(self) -> int | None:
        """The status of the answer, if there was one."""
        status: int | None = self.log_row[_RESPONSE_STATUS]
        return status


def request_for(
    due: Due, webhook: Webhook, credentials: Credentials, now: int, timeout_ms: int, *, base: str | None = None
) -> Request:
    """Return the signed request of contract §6, stamped with `now`. `timeout_ms` is for webhooks that say nothing,
    `base` the address of this service, where it is known.

    The secret before the present one signs too, in the second place, until its time is over. Raises PayloadError where
    the webhook's template fails.
    """
    body, content_type = body_for(due, webhook, base)
    seconds = now // 1000
    headers = {"Content-Type": content_type, "X-BKREPO-EVENT": due.type}
    if credentials.headers:
        own = {name.lower() for name in credentials.headers}
        headers = {name: value for name, value in headers.items() if name.lower() not in own} | credentials.headers
    if credentials.token:
        headers = {name: value for name, value in headers.items() if name.lower() != "x-token"}
        headers["X-TOKEN"] = credentials.token
    headers["webhook-id"] = due.id
    headers["webhook-timestamp"] = str(seconds)
    signature = sign(credentials.key, due.id, seconds, body)
    if credentials.previous_key is not None and now < (webhook.previous_until or 0):
        signature += " " + sign(credentials.previous_key, due.id, seconds, body)
    headers["webhook-signature"] = signature
    return Request(webhook.url, headers, body, webhook.timeout_ms or timeout_ms, credentials.client_certificate)


def judge(due: Due, request: Request, outcome: Outcome, policy: Policy, *, now: int) -> Attempt:
    """Return the attempt that ended with `outcome`, recorded `now`: SUCCESS is a 2xx answer, complete and in time.

    A delivery with an error is `unbuildable`.
    """
    if due.error is not None:
        return unbuildable(due, request.url, now, attempt=due.attempt + 1)
    status = status_of(outcome)
    following = None if status == SUCCESS else _following(due, outcome, policy)
    row = log_row(due, request, outcome, status=status, attempt=due.attempt + 1, following=following, now=now)
    gone = outcome.status == GONE and outcome.error is None
    ended_at = outcome.started_at + outcome.duration_ms
    return Attempt(due, row, status, following, webhook_gone=gone, ended_at=ended_at)


def sent_by_hand(due: Due, request: Request, outcome: Outcome, *, now: int) -> Attempt:
    """Return the attempt that someone had made, recorded `now`: number 0, which no other follows."""
    status = status_of(outcome)
    row = log_row(due, request, outcome, status=status, attempt=0, following=None, now=now)
    return Attempt(due, row, status, None, webhook_gone=False, ended_at=outcome.started_at + outcome.duration_ms)


def unbuildable(due: Due, url: str, now: int, attempt: int) -> Attempt:
    """Return the attempt of a delivery whose payload could not be built: an ERROR, which time won't mend."""
    outcome = Outcome(None, {}, b"", f"the payload could not be built: {due.error}", now, 0)
    row = log_row(due, Request(url, {}, b"", 0), outcome, status=ERROR, attempt=attempt, following=None, now=now)
    return Attempt(due, row, ERROR, None, webhook_gone=False, ended_at=now)


def status_of(outcome: Outcome) -> str:
    """Return SUCCESS or FAIL."""
    answered_well = outcome.error is None and outcome.status is not None and 200 <= outcome.status < 300
    return SUCCESS if answered_well else FAIL


def log_row(
    due: Due, request: Request, outcome: Outcome, *, status: str, attempt: int, following: int | None, now: int
) -> tuple[Any, ...]:
    """Return the row of WebhookLog, in the order of its fields. `attempt` is 0 for one made by hand.

    The id carries the time of the request, or a minute before `now` where recording was held up for longer: what is
    older than that may have been counted already (app.log_counts).
    """
    error = outcome.error
    if error is None and status == FAIL:
        error = f"the receiver answered {outcome.status}"
    return (
        id_at(max(outcome.started_at, now - LATEST_MS)),
        due.webhook_id,
        due.event_id,
        due.id,
        attempt,
        request.url,
        due.type,
        _json(mask_headers(request.headers)),
        status,
        outcome.status,
        _json(outcome.headers),
        _text(outcome.body),
        outcome.duration_ms,
        outcome.started_at,
        error,
        following,
        outcome.timing,
        _sent(due, request),
    )


def _following(due: Due, outcome: Outcome, policy: Policy) -> int | None:
    ended_at = outcome.started_at + outcome.duration_ms
    asked = next((value for name, value in outcome.headers.items() if name.lower() == "retry-after"), None)
    return next_attempt_at(
        policy.schedule_ms,
        due.attempt - due.earlier_attempts + 1,
        ended_at,
        jitter=policy.jitter,
        retry_after_ms=retry_after_ms(outcome.status, asked, ended_at),
    )


def _sent(due: Due, request: Request) -> str | None:
    """Return the body that was sent, None where it is the event's payload or nothing was sent."""
    return None if not request.body or request.body == due.payload.encode() else _text(request.body)


def _json(headers: dict[str, str]) -> str:
    return msgspec.json.encode(headers).decode()


def _text(body: bytes) -> str:
    # PostgreSQL's text takes no NUL; the replacement character stands for what is not text.
    return body.decode("utf-8", "replace").replace("\0", "\ufffd")
