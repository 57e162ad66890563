"""What the ecosystem needs: filters and formats of webhooks, the body of a log where it is not the event's payload, and
the trace of an event.

Every step may be repeated: MySQL commits each by itself, so a crash may leave the first of them done.
"""

from typing import Any

from peewee import SQL, CharField, Model, TextField


def up(_migrator: Any, db: Any) -> None:
    class Table(Model):  # type: ignore[misc]  # peewee carries no type information
        class Meta:
            database = db
            legacy_table_names = False

    class Webhook(Table):
        filter = TextField(null=True)
        payload_format = CharField(max_length=16, constraints=[SQL("DEFAULT 'default'")])
        payload_template = TextField(null=True)

    class Event(Table):
        traceparent = CharField(max_length=55, null=True)

    class WebhookLog(Table):
        request_payload = TextField(null=True)

    for field in (
        *(Webhook.filter, Webhook.payload_format, Webhook.payload_template),
        *(Event.traceparent, WebhookLog.request_payload),
    ):
        table = field.model._meta.table_name
        if field.column_name not in {column.name for column in db.get_columns(table)}:
            context = db.get_sql_context()
            db.execute_sql(*context.literal(f"ALTER TABLE {table} ADD COLUMN ").sql(field.ddl(context)).query())
