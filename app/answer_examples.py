"""Examples of what answers show, one of each kind of record; they tell of the same webhook and event."""

from app.delivery_query import DetailedDelivery, ListedDelivery
from app.delivery_status import DeliveryRecord
from app.event_examples import PROJECT, REPO, USER, example_of
from app.event_query import EventRecord
from app.event_types import EVENT_TYPES, WEBHOOK_TEST, event_from
from app.job_control import JobRecord
from app.log_json import LogRecord, SeedRow
from app.payloads import build_payload, build_test_payload, made_user
from app.rotation import ShownSecrets
from app.webhook_view import WebhookView

MOMENT = 1_740_988_800_000  # ms UTC
DATE = "2025-03-03T08:00:00.000"
LATER = "2025-03-03T08:00:05.000"
WEBHOOK_ID = "019565b2c5a07d3e8f1a2b3c4d5e6f70"
EVENT_ID = "019565b2c5a07d3e8f1a2b3c4d5e6f71"
DELIVERY_ID = "019565b2c5a07d3e8f1a2b3c4d5e6f72"
LOG_ID = "019565b2c5a07d3e8f1a2b3c4d5e6f73"
JOB_ID = "019565b2c5a07d3e8f1a2b3c4d5e6f74"
CURSOR = "MDE5NTY1YjJjNWEwN2QzZThmMWEyYjNjNGQ1ZTZmNzI"
URL = "https://ci.example.com/hook"
EVENT_TYPE = "NODE_CREATED"
SECRET = "whsec_TUZLNXc3czNkd0p2c0tCOU1tWDJoNEVZ"  # noqa: S105 an example

PAYLOAD = build_payload(event_from(example_of(EVENT_TYPE), EVENT_TYPES), None).decode()

WEBHOOK: WebhookView = {
    "id": WEBHOOK_ID,
    "url": URL,
    "token": "****f00d",
    "headers": {"X-Team": "mobile", "X-Api-Key": "****beef"},
    "triggers": [EVENT_TYPE, "VERSION_CREATED"],
    "associationType": "REPO",
    "associationId": f"{PROJECT}:{REPO}",
    "resourceKeyPattern": r"/release/.*\.apk",
    "filter": {"payload.node.size": {"$gt": 1_048_576}},
    "createdBy": USER,
    "createdDate": DATE,
    "lastModifiedBy": USER,
    "lastModifiedDate": DATE,
    "enabled": True,
    "disabledReason": None,
    "timeout": 10,
    "retrySchedule": ["5s", "5m", "2h"],
    "rateLimit": 50,
    "rateBurst": None,
    "ordering": "none",
    "signing": "v1",
    "payloadFormat": "default",
    "payloadTemplate": None,
    "clientCertificateSubject": None,
    "clientCertificateExpires": None,
    "failures": 0,
    "failingSince": None,
    "circuit": "closed",
    "circuitProbeTime": None,
    "backlog": False,
}

SECRETS: ShownSecrets = {
    "signing": "v1",
    "secret": SECRET,
    "publicKey": None,
    "previous": {
        "signing": "v1",
        "secret": "whsec_cHJldmlvdXMgc2VjcmV0IG9mIHRoZSB3ZWJob29r",
        "publicKey": None,
        "validUntil": "2025-03-04T08:00:00.000",
    },
}

LOG: LogRecord = {
    "id": LOG_ID,
    "webHookId": WEBHOOK_ID,
    "webHookUrl": URL,
    "triggeredEvent": EVENT_TYPE,
    "requestHeaders": {
        "Content-Type": "application/json",
        "X-BKREPO-EVENT": EVENT_TYPE,
        "webhook-id": DELIVERY_ID,
        "webhook-timestamp": "1740988800",
        "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
    },
    "requestPayload": PAYLOAD,
    "status": "SUCCESS",
    "responseStatus": 200,
    "responseHeaders": {"Content-Type": "text/plain"},
    "responseBody": "thanks",
    "requestDuration": 42,
    "requestTime": DATE,
    "errorMsg": None,
    "eventId": EVENT_ID,
    "deliveryId": DELIVERY_ID,
    "attempt": 1,
    "nextAttemptTime": None,
    "timing": {"dns": 1_200, "connect": 4_100, "tls": 11_800, "firstByte": 41_000, "total": 42_300},
}

SEED_ROW: SeedRow = {
    "id": LOG_ID,
    "webhookUrl": URL,
    "triggeredEvent": EVENT_TYPE,
    "requestHeaders": '{"Content-Type": "application/json"}',
    "requestPayload": PAYLOAD,
    "status": "SUCCESS",
    "responseHeaders": '{"Content-Type": "text/plain"}',
    "responseBody": "thanks",
    "requestDuration": "42",
    "requestTime": DATE,
    "errorMsg": None,
}

EVENT: EventRecord = {
    "id": EVENT_ID,
    "type": EVENT_TYPE,
    "projectId": PROJECT,
    "repoName": REPO,
    "resourceKey": "/release/1.4.0/shop.apk",
    "userId": USER,
    "source": "pipeline",
    "acceptedDate": DATE,
    "error": None,
}

DELIVERY: DeliveryRecord = {
    "deliveryId": DELIVERY_ID,
    "webHookId": WEBHOOK_ID,
    "webhookUrl": URL,
    "state": "PENDING",
    "heldReason": None,
    "inFlight": False,
    "nextAttemptTime": LATER,
    "attempts": 1,
    "lastStatus": "FAIL",
    "lastErrorMsg": "the receiver answered 500",
    "lastResponseStatus": 500,
    "lastAttemptTime": DATE,
}

DETAILED_DELIVERY: DetailedDelivery = {
    **DELIVERY,
    "eventId": EVENT_ID,
    "triggeredEvent": EVENT_TYPE,
    "createdDate": DATE,
    "logs": [LOG_ID],
}

LISTED_DELIVERY: ListedDelivery = {
    "deliveryId": DELIVERY_ID,
    "webHookId": WEBHOOK_ID,
    "webhookUrl": URL,
    "eventId": EVENT_ID,
    "triggeredEvent": EVENT_TYPE,
    "state": "PENDING",
    "heldReason": None,
    "inFlight": False,
    "nextAttemptTime": LATER,
    "attempts": 1,
    "createdDate": DATE,
}

RESEND: JobRecord = {
    "id": JOB_ID,
    "kind": "RESEND",
    "webHookId": WEBHOOK_ID,
    "state": "RUNNING",
    "total": 1_200,
    "done": 500,
    "skipped": 0,
    "createdBy": USER,
    "createdDate": DATE,
    "lastModifiedDate": LATER,
    "finishedDate": None,
    "errorMsg": None,
    "filters": {"startDate": DATE, "endDate": None, "state": ["DEAD", "FAILED"], "triggeredEvent": None},
}

REPLAY: JobRecord = {
    **RESEND,
    "kind": "REPLAY",
    "total": None,
    "filters": {"startDate": DATE, "endDate": None, "type": EVENT_TYPE},
}

# The body of the seed document's own example, with a URL that there may be.
SEED_WEBHOOK = {
    "url": "http://bkrepo.example.com",
    "headers": {"key": "value"},
    "triggers": [EVENT_TYPE],
    "resourceKeyPattern": r"(.*)\.apk",
    "association_type": "REPO",
    "association_id": f"{PROJECT}:{REPO}",
}

TEST_LOG: LogRecord = {
    **LOG,
    "triggeredEvent": WEBHOOK_TEST,
    "requestHeaders": {**LOG["requestHeaders"], "X-BKREPO-EVENT": WEBHOOK_TEST},
    "requestPayload": build_test_payload(WEBHOOK, made_user(USER)).decode(),
    "attempt": 0,
}
