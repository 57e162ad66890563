"""The tables. All times are integer milliseconds UTC; ids are UUIDv7 as 32 hexadecimal digits."""

from peewee import BigIntegerField, BooleanField, CharField, CompositeKey, IntegerField, TextField

from app.account_models import AccessKey as AccessKey
from app.account_models import Grant as Grant
from app.account_models import User as User
from app.table import Table as Table
from app.table import database as database

# States of a delivery: owed; owed, and its webhook can't be sent to now; owed, and not yet its turn; given up.
PENDING = "PENDING"
HELD = "HELD"
WAITING = "WAITING"
DEAD = "DEAD"

SUCCESS = "SUCCESS"
FAIL = "FAIL"
ERROR = "ERROR"


class Webhook(Table):
    """A registered URL. A deleted one stays as a tombstone, so that other processes see the deletion and its
    logs can be read until they are pruned."""

    id = CharField(max_length=32, primary_key=True)
    url = TextField()
    token = TextField(null=True)  # encrypted
    headers = TextField(null=True)  # JSON object, encrypted: people put credentials there
    triggers = TextField()  # JSON list
    association_type = CharField(max_length=16)
    association_id = CharField(max_length=257, default="")  # "" for SYSTEM
    resource_key_pattern = CharField(max_length=512, null=True)
    secret = TextField()  # encrypted
    enabled = BooleanField(default=True)
    disabled_reason = TextField(null=True)
    created_by = CharField(max_length=128)
    created_at = BigIntegerField()
    last_modified_by = CharField(max_length=128)
    last_modified_at = BigIntegerField()
    deleted_at = BigIntegerField(null=True)
    version = BigIntegerField(index=True)  # value of the change counter when this row last changed
    timeout_ms = IntegerField(null=True)  # this and the next: NULL for what the settings say
    retry_schedule = TextField(null=True)  # JSON list of milliseconds
    rate_limit = IntegerField(null=True)  # requests a second, NULL for no limit
    rate_burst = IntegerField(null=True)
    signing = CharField(max_length=8, default="v1")
    previous_secret = TextField(null=True)  # encrypted; deliveries are signed with it too up to `previous_until`
    previous_until = BigIntegerField(null=True)
    ordering = CharField(max_length=8, default="none")
    client_certificate = TextField(null=True)  # PEM, certificates and key, encrypted
    # Health, which changes without raising the version, and what the webhook's deliveries do for it, which raises it.
    failures = IntegerField(default=0, index=True)  # in a row
    failing_since = BigIntegerField(null=True)  # the first of them
    failed_at = BigIntegerField(null=True)  # the last of them
    circuit_until = BigIntegerField(null=True)  # when the next probe is due; NULL while the circuit is closed
    failed_probes = IntegerField(default=0)  # in a row
    probe = CharField(max_length=32, null=True)  # the one delivery that may be sent while the circuit is open
    backlog = BooleanField(default=False, index=True)  # new deliveries are held, and fed in their order
    last_position = BigIntegerField(default=0)  # of ordered deliveries
    filter = TextField(null=True)  # JSON conditions on the event, see app.filters
    payload_format = CharField(max_length=16, default="default")  # see app.payload_formats
    payload_template = TextField(null=True)  # Jinja, where the format is "template"

    class Meta:
        indexes = ((("association_type", "association_id", "id"), False),)


class Event(Table):
    """An accepted event. `payload` is the body that receivers get, or the raw event where `error` says why that
    could not be built."""

    id = CharField(max_length=128, primary_key=True)
    type = CharField(max_length=64)
    project_id = CharField(max_length=128, null=True)
    repo_name = CharField(max_length=128, null=True)
    resource_key = TextField(null=True)
    user_id = CharField(max_length=128, null=True)
    source = TextField(null=True)
    payload = TextField()
    error = TextField(null=True)
    accepted_at = BigIntegerField(index=True)
    traceparent = CharField(max_length=55, null=True)  # W3C Trace Context, of the request that published it


class Delivery(Table):
    """The outbox: an event still owed to a webhook, or given up (DEAD). Success removes the row.

    `next_attempt_at` is when it is due, NULL while it is not to be sent. `queued_at` is when its message was last
    enqueued, NULL when it is not in the queue. HELD ones are fed by app.feeder, WAITING ones by app.ordering.
    """

    id = CharField(max_length=32, primary_key=True)
    webhook_id = CharField(max_length=32)
    event_id = CharField(max_length=128)
    state = CharField(max_length=8)
    attempt = IntegerField(default=0)  # attempts made so far
    next_attempt_at = BigIntegerField(null=True)
    queued_at = BigIntegerField(null=True)
    created_at = BigIntegerField()
    earlier_attempts = IntegerField(default=0)  # those before the present round: a resent one has a new schedule
    order_key = CharField(max_length=32, null=True)  # what is delivered in order; NULL where order does not matter
    position = BigIntegerField(null=True)  # in the order of acceptance

    class Meta:
        indexes = ((("queued_at", "next_attempt_at"), False), (("webhook_id", "state", "id"), False))


class WebhookLog(Table):
    """History: one row an attempt. The id carries the time of the request, so (webhook_id, id) is the order of
    listing and of date ranges. `attempt` is 0 for a test or a retry by hand."""

    id = CharField(max_length=32, primary_key=True)
    webhook_id = CharField(max_length=32)
    event_id = CharField(max_length=128, index=True)
    delivery_id = CharField(max_length=32)
    attempt = IntegerField()
    url = TextField()
    triggered_event = CharField(max_length=64)
    request_headers = TextField()  # JSON object, secrets masked
    status = CharField(max_length=8)
    response_status = IntegerField(null=True)
    response_headers = TextField(null=True)  # JSON object
    response_body = TextField(null=True)
    duration_ms = IntegerField()
    requested_at = BigIntegerField()
    error = TextField(null=True)
    next_attempt_at = BigIntegerField(null=True)
    timing = TextField(null=True)  # JSON object: microseconds from the start of the request to the end of each phase
    request_payload = TextField(null=True)  # what was sent, where that is not the event's payload

    class Meta:
        indexes = ((("webhook_id", "id"), False),)


class LogCount(Table):
    """How many logs of a webhook there are in an hour, by trigger and status; see app.log_counts."""

    webhook_id = CharField(max_length=32)
    hour = BigIntegerField(index=True)  # when it begins
    triggered_event = CharField(max_length=64)
    status = CharField(max_length=8)
    number = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("webhook_id", "hour", "triggered_event", "status")


class LogStat(Table):
    """How many logs of a webhook ("" for all of them) are of a minute or an hour, by status and duration; see
    app.log_stats."""

    webhook_id = CharField(max_length=32)
    span_ms = IntegerField()  # a minute or an hour
    start = BigIntegerField()
    status = CharField(max_length=8)
    bucket = IntegerField()  # of the duration
    number = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("webhook_id", "span_ms", "start", "status", "bucket")
        indexes = ((("span_ms", "start"), False),)


class RejectedEvent(Table):
    """An event from the queue `events` that could not be accepted, as it came. The id is made of the message's id and
    the event's place in it, so that a message that comes twice leaves it once."""

    id = CharField(max_length=32, primary_key=True)
    message_id = CharField(max_length=128)
    place = IntegerField()  # in the message's list, from 0; -1 for the message as a whole
    reason = TextField()
    raw = TextField()
    received_at = BigIntegerField(index=True)


class Job(Table):
    """A bulk action on deliveries, worked off in batches by the scheduler; see app.jobs."""

    id = CharField(max_length=32, primary_key=True)
    kind = CharField(max_length=16)
    webhook_id = CharField(max_length=32)
    state = CharField(max_length=16, index=True)
    filters = TextField()  # JSON object
    total = BigIntegerField(null=True)  # NULL until it is counted
    done = BigIntegerField(default=0)
    skipped = BigIntegerField(default=0)
    cursor = TextField(null=True)  # where the next batch begins
    request_key = CharField(max_length=128, null=True)  # the caller's, so that asking twice makes one job
    created_by = CharField(max_length=128)
    created_at = BigIntegerField()
    updated_at = BigIntegerField()
    finished_at = BigIntegerField(null=True)
    error = TextField(null=True)

    class Meta:
        indexes = ((("webhook_id", "id"), False), (("webhook_id", "request_key"), True))


class Lease(Table):
    """Who holds a role that one process at a time may have. `epoch` rises with each new holder."""

    name = CharField(max_length=32, primary_key=True)
    holder = CharField(max_length=64, default="")
    until_at = BigIntegerField(default=0)  # by the database's clock
    epoch = BigIntegerField(default=0)


class RunningProcess(Table):
    """A process of the service, which says from time to time that it is still there; see app.presence."""

    id = CharField(max_length=32, primary_key=True)
    role = CharField(max_length=16)
    host = CharField(max_length=255)
    pid = IntegerField()
    version = CharField(max_length=32)
    started_at = BigIntegerField()
    seen_at = BigIntegerField(index=True)  # by the database's clock


class Counter(Table):
    """A named number raised inside the transaction that it describes; `webhooks` is the version of the webhooks."""

    name = CharField(max_length=32, primary_key=True)
    value = BigIntegerField(default=0)


TABLES = (
    *(Webhook, Event, Delivery, WebhookLog, LogCount, LogStat, RejectedEvent, User, Grant, AccessKey, Counter, Lease),
    *(Job, RunningProcess),
)
