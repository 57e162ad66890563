"""One attempt: the request, and what its outcome leaves behind."""

from typing import Any

import msgspec
import pytest
from standardwebhooks import Webhook as Verifier

from app.attempts import Attempt, Due, Policy, judge, log_row, request_for, status_of, unbuildable
from app.clock import now_ms
from app.exchange import Outcome, Request
from app.matching import Webhook
from app.models import DEAD, ERROR, FAIL, PENDING, SUCCESS, WebhookLog
from app.registry import Credentials
from app.signing import V1, V1A, key_to_sign, key_to_verify, new_secret, public_key, sign, signing_key, verify

SECRET = new_secret()
KEY = signing_key(SECRET)
NOW = 1_700_000_000_999
DUE = Due("d" * 32, "w" * 32, "e1", 0, "NODE_CREATED", '{"path":"/路"}', None)
WEBHOOK = Webhook(
    id="w" * 32,
    url="http://receiver.example/hook",
    token=None,
    headers=None,
    secret="sealed",
    triggers=frozenset({"NODE_CREATED"}),
    association_type="SYSTEM",
    association_id="",
    resource_key_pattern=None,
    enabled=True,
)
REQUEST = Request(WEBHOOK.url, {"Authorization": "Bearer abcdef", "webhook-id": DUE.id}, b"{}", 10_000)
POLICY = Policy((5_000, 300_000), 10_000)


def outcome(status: int | None = 200, error: str | None = None, **changes: Any) -> Outcome:
    fields: dict[str, Any] = {"headers": {"X": "y"}, "body": b"ok", "started_at": NOW, "duration_ms": 7}
    return Outcome(status=status, error=error, **fields | changes)


def columns(row: tuple[Any, ...]) -> dict[str, Any]:
    """Return a log's row by the names of its columns."""
    return dict(zip([field.name for field in WebhookLog._meta.sorted_fields], row, strict=True))


def made(due: Due = DUE, what: Outcome | None = None, policy: Policy = POLICY) -> Attempt:
    return judge(due, REQUEST, what or outcome(), policy, now=NOW)


def request(credentials: Credentials, now: int = NOW) -> Request:
    return request_for(DUE, WEBHOOK, credentials, now, 10_000)


def test_the_request_is_a_signed_post_of_the_payload() -> None:
    now = now_ms()
    sent = request(Credentials(KEY, None, {}), now)
    assert (sent.url, sent.body, sent.timeout_ms) == (WEBHOOK.url, DUE.payload.encode(), 10_000)
    assert sent.headers["Content-Type"] == "application/json"
    assert sent.headers["X-BKREPO-EVENT"] == "NODE_CREATED"
    assert (sent.headers["webhook-id"], sent.headers["webhook-timestamp"]) == (DUE.id, str(now // 1000))
    assert Verifier(SECRET).verify(sent.body, sent.headers) == {"path": "/路"}
    assert "X-TOKEN" not in sent.headers


def test_the_webhooks_own_headers_and_token_go_with_it() -> None:
    sent = request(Credentials(KEY, "a-token", {"X-Own": "1", "authorization": "Bearer x"}))
    assert (sent.headers["X-TOKEN"], sent.headers["X-Own"], sent.headers["authorization"]) == (
        "a-token",
        "1",
        "Bearer x",
    )


def test_a_header_of_the_webhook_replaces_ours_in_any_case_and_the_token_replaces_both() -> None:
    sent = request(Credentials(KEY, "a-token", {"content-TYPE": "text/x", "x-bkrepo-event": "E", "x-Token": "other"}))
    lowered = [name.lower() for name in sent.headers]
    assert len(set(lowered)) == len(lowered)
    by_name = {name.lower(): value for name, value in sent.headers.items()}
    assert (by_name["content-type"], by_name["x-bkrepo-event"], by_name["x-token"]) == ("text/x", "E", "a-token")


def test_the_credentials_are_left_as_they_are() -> None:
    own = {"X-Token": "other"}
    request(Credentials(KEY, "a-token", own))
    assert own == {"X-Token": "other"}


def test_the_id_stays_the_same_over_the_attempts_and_the_signature_is_new() -> None:
    first, second = (request(Credentials(KEY, None, {}), NOW + later) for later in (0, 5_000))
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


def test_without_a_secret_before_there_is_one_signature() -> None:
    assert request(Credentials(KEY, None, {})).headers["webhook-signature"].count(" ") == 0


def test_the_secret_before_signs_too_until_its_time_is_over() -> None:
    old, now = new_secret(), now_ms()
    credentials = Credentials(KEY, None, {}, signing_key(old))
    both = request_for(DUE, msgspec.structs.replace(WEBHOOK, previous_until=now + 1), credentials, now, 10_000)
    for secret in (SECRET, old):
        assert Verifier(secret).verify(both.body, both.headers) == {"path": "/路"}
    first, second = both.headers["webhook-signature"].split(" ")
    at = now // 1000
    assert first == sign(KEY, DUE.id, at, both.body)
    assert second == sign(signing_key(old), DUE.id, at, both.body)
    later = request_for(DUE, msgspec.structs.replace(WEBHOOK, previous_until=now), credentials, now, 10_000)
    assert later.headers["webhook-signature"] == first


def test_a_pair_and_a_secret_may_sign_together() -> None:
    pair = new_secret(V1A)
    webhook = msgspec.structs.replace(WEBHOOK, signing=V1A, previous_until=NOW + 1)
    sent = request_for(DUE, webhook, Credentials(key_to_sign(pair), None, {}, KEY), NOW, 10_000)
    signatures = sent.headers["webhook-signature"]
    assert [each.partition(",")[0] for each in signatures.split(" ")] == [V1A, V1]
    for key in (key_to_verify(public_key(pair)), KEY):
        assert verify(key, DUE.id, NOW // 1000, sent.body, signatures)


def test_a_webhooks_own_timeout_and_certificate_go_with_the_request() -> None:
    plain = request(Credentials(KEY, None, {}))
    assert (plain.timeout_ms, plain.client_certificate) == (10_000, None)
    own = request_for(
        DUE,
        msgspec.structs.replace(WEBHOOK, timeout_ms=2_500),
        Credentials(KEY, None, {}, client_certificate="PEM"),
        NOW,
        10_000,
    )
    assert (own.timeout_ms, own.client_certificate) == (2_500, "PEM")


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (200, None, SUCCESS),
        (204, None, SUCCESS),
        (299, None, SUCCESS),
        (199, None, FAIL),
        (300, None, FAIL),
        (302, None, FAIL),
        (404, None, FAIL),
        (500, None, FAIL),
        (None, "DNS: no such host", FAIL),
        (200, "time-out: no complete answer within 10000 ms", FAIL),
    ],
)
def test_success_is_a_complete_2xx_answer(status: int | None, error: str | None, expected: str) -> None:
    assert status_of(outcome(status, error)) == expected
    assert made(what=outcome(status, error)).status == expected


def test_a_success_is_the_end() -> None:
    attempt = made()
    row = columns(attempt.log_row)
    assert (attempt.next_attempt_at, attempt.webhook_gone) == (None, False)
    assert (row["status"], row["response_status"], row["error"], row["next_attempt_at"]) == (SUCCESS, 200, None, None)


def test_a_failure_is_tried_again_after_the_schedules_delay_counted_from_its_end() -> None:
    attempt = made(what=outcome(500, duration_ms=1_000))
    assert (attempt.state, attempt.next_attempt_at) == (PENDING, NOW + 1_000 + 5_000)
    assert columns(attempt.log_row)["next_attempt_at"] == attempt.next_attempt_at
    assert columns(attempt.log_row)["error"] == "the receiver answered 500"


def test_the_last_failure_gives_the_delivery_up() -> None:
    assert made(DUE._replace(attempt=1), outcome(500)).state == PENDING
    last = made(DUE._replace(attempt=2), outcome(500))
    assert (last.state, last.next_attempt_at) == (DEAD, None)
    assert columns(last.log_row)["attempt"] == 3


def test_jitter_moves_the_next_attempt() -> None:
    attempt = made(what=outcome(500, duration_ms=0), policy=POLICY._replace(jitter=-0.2))
    assert attempt.next_attempt_at == NOW + 4_000


@pytest.mark.parametrize("name", ["Retry-After", "retry-after", "RETRY-AFTER"])
@pytest.mark.parametrize(("status", "delay"), [(429, 60_000), (503, 60_000), (500, 5_000)])
def test_a_receiver_may_ask_for_a_longer_wait(name: str, status: int, delay: int) -> None:
    attempt = made(what=outcome(status, headers={name: "60"}, duration_ms=0))
    assert attempt.next_attempt_at == NOW + delay


def test_only_a_complete_410_says_that_the_webhook_is_gone() -> None:
    assert made(what=outcome(410)).webhook_gone
    assert not made(what=outcome(410, "connection lost: cut")).webhook_gone
    assert not made(what=outcome(404)).webhook_gone


def test_the_log_says_what_was_sent_and_answered_with_secrets_masked() -> None:
    row = columns(made(what=outcome(201, body=b"made", timing='{"dns":1}')).log_row)
    assert (row["webhook_id"], row["event_id"], row["delivery_id"]) == (DUE.webhook_id, "e1", DUE.id)
    assert (row["attempt"], row["url"], row["triggered_event"]) == (1, WEBHOOK.url, "NODE_CREATED")
    assert msgspec.json.decode(row["request_headers"]) == {"Authorization": "****cdef", "webhook-id": DUE.id}
    assert (row["response_status"], row["response_body"]) == (201, "made")
    assert msgspec.json.decode(row["response_headers"]) == {"X": "y"}
    assert (row["requested_at"], row["duration_ms"], row["timing"]) == (NOW, 7, '{"dns":1}')
    assert int(row["id"][:12], 16) == NOW


def test_a_body_that_is_not_text_is_kept_as_far_as_it_can_be() -> None:
    row = columns(made(what=outcome(body=b"a\xff\0\xe8\xb7\xafz")).log_row)
    assert row["response_body"] == "a\ufffd\ufffd路z"


def test_an_attempt_without_an_answer_says_why() -> None:
    row = columns(made(what=outcome(None, "DNS: no such host", headers={}, body=b"")).log_row)
    assert (row["status"], row["response_status"], row["error"]) == (FAIL, None, "DNS: no such host")


def test_a_payload_that_could_not_be_built_is_an_error_that_time_will_not_mend() -> None:
    attempt = unbuildable(DUE._replace(error="data.node is missing"), "http://x", NOW, attempt=1)
    row = columns(attempt.log_row)
    assert (attempt.status, attempt.state, attempt.next_attempt_at, attempt.webhook_gone) == (ERROR, DEAD, None, False)
    assert (row["status"], row["attempt"], row["url"], row["requested_at"]) == (ERROR, 1, "http://x", NOW)
    assert row["error"] == "the payload could not be built: data.node is missing"
    assert (row["request_headers"], row["response_status"], row["timing"]) == ("{}", None, None)


def test_an_attempt_by_hand_counts_as_number_zero() -> None:
    row = columns(log_row(DUE, REQUEST, outcome(500), status=FAIL, attempt=0, following=None, now=NOW))
    assert (row["attempt"], row["status"], row["next_attempt_at"]) == (0, FAIL, None)
    assert row["error"] == "the receiver answered 500"
