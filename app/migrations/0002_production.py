"""What several processes on one database need: counts of logs, rejected events, the lease of the scheduler."""

from typing import Any

from peewee import SQL, BigIntegerField, CharField, CompositeKey, IntegerField, Model, MySQLDatabase, TextField


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
        hour = BigIntegerField()
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
    Lease.insert(name="scheduler", holder="", until_at=0, epoch=0).execute()
    Counter.insert(name="logs_counted_until", value=0).execute()
    # Failures are few and looked for often: a partial index finds them, and costs a success nothing.
    failures = WebhookLog.index(
        WebhookLog.webhook_id, WebhookLog.status, WebhookLog.id, name="webhook_log_failures", safe=False
    )
    db.execute(failures if isinstance(db, MySQLDatabase) else failures.where(SQL("status <> 'SUCCESS'")))
