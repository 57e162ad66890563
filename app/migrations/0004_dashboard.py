"""What the dashboard needs: where the time of a request went, statistics of logs, and which processes are running.

Every step may be repeated: MySQL commits each by itself, so a crash may leave the first of them done.
"""

from typing import Any

from peewee import SQL, BigIntegerField, CharField, CompositeKey, IntegerField, Model, MySQLDatabase, TextField

_FAILED = "webhook_log_failed_id"
_MEASURED = "logs_measured_until"


def up(_migrator: Any, db: Any) -> None:
    class Table(Model):  # type: ignore[misc]  # peewee carries no type information
        class Meta:
            database = db
            legacy_table_names = False

    class WebhookLog(Table):
        id = CharField(max_length=32, primary_key=True)
        timing = TextField(null=True)

    class LogStat(Table):
        webhook_id = CharField(max_length=32)
        span_ms = IntegerField()
        start = BigIntegerField()
        status = CharField(max_length=8)
        bucket = IntegerField()
        number = BigIntegerField()

        class Meta:
            primary_key = CompositeKey("webhook_id", "span_ms", "start", "status", "bucket")
            indexes = ((("span_ms", "start"), False),)

    class RunningProcess(Table):
        id = CharField(max_length=32, primary_key=True)
        role = CharField(max_length=16)
        host = CharField(max_length=255)
        pid = IntegerField()
        version = CharField(max_length=32)
        started_at = BigIntegerField()
        seen_at = BigIntegerField(index=True)

    class Counter(Table):
        name = CharField(max_length=32, primary_key=True)
        value = BigIntegerField()

    if "timing" not in {column.name for column in db.get_columns("webhook_log")}:
        context = db.get_sql_context()
        column = WebhookLog.timing.ddl(context)
        db.execute_sql(*context.literal("ALTER TABLE webhook_log ADD COLUMN ").sql(column).query())
    db.create_tables([LogStat, RunningProcess])
    if Counter.get_or_none(Counter.name == _MEASURED) is None:
        Counter.insert(name=_MEASURED, value=0).execute()
    # Failures of all webhooks are looked for by time. MySQL, which has no partial indexes, goes without.
    is_mysql = isinstance(db, MySQLDatabase)
    if not is_mysql and _FAILED not in {index.name for index in db.get_indexes("webhook_log")}:
        db.execute(WebhookLog.index(WebhookLog.id, name=_FAILED).where(SQL("status <> 'SUCCESS'")))
