"""What several processes on one database need: counts of logs, rejected events, the lease of the scheduler.

Every step may be repeated: MySQL commits each by itself, so a crash may leave the first of them done.
"""

from typing import Any

from peewee import SQL, BigIntegerField, CharField, CompositeKey, IntegerField, Model, MySQLDatabase, TextField

_FAILURES = "webhook_log_failures"


def up(_migrator: Any, db: Any) -> None:
    class Table(Model):  # type: ignore[misc]  # peewee carries no type information
        class Meta:
            database = db
            legacy_table_names = False

    class WebhookLog(Table):
        id = CharField(max_length=32, primary_key=True)
        webhook_id = CharField(max_length=32)
        status = CharField(max_length=8)

    class LogCount(Table):
        webhook_id = CharField(max_length=32)
        hour = BigIntegerField(index=True)
        triggered_event = CharField(max_length=64)
        status = CharField(max_length=8)
        number = BigIntegerField()

        class Meta:
            primary_key = CompositeKey("webhook_id", "hour", "triggered_event", "status")

    class RejectedEvent(Table):
        id = CharField(max_length=32, primary_key=True)
        message_id = CharField(max_length=128)
        place = IntegerField()
        reason = TextField()
        raw = TextField()
        received_at = BigIntegerField(index=True)

    class Counter(Table):
        name = CharField(max_length=32, primary_key=True)
        value = BigIntegerField()

    class Lease(Table):
        name = CharField(max_length=32, primary_key=True)
        holder = CharField(max_length=64)
        until_at = BigIntegerField()
        epoch = BigIntegerField()

    db.create_tables([LogCount, RejectedEvent, Lease])
    Lease.insert(name="scheduler", holder="", until_at=0, epoch=0).on_conflict_ignore().execute()
    Counter.insert(name="logs_counted_until", value=0).on_conflict_ignore().execute()
    # Failures are few and looked for often: a partial index finds them, and costs a success nothing.
    is_mysql = isinstance(db, MySQLDatabase)  # which has no partial indexes, and no safe way to make one
    failures = WebhookLog.index(
        WebhookLog.webhook_id, WebhookLog.status, WebhookLog.id, name=_FAILURES, safe=not is_mysql
    )
    if not is_mysql:
        failures = failures.where(SQL("status <> 'SUCCESS'"))
    if _FAILURES not in {index.name for index in db.get_indexes("webhook_log")}:
        db.execute(failures)
