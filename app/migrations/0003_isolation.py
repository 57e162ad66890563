"""What isolation and recovery need: limits and health of a webhook, held and ordered deliveries, jobs.

Every step may be repeated: MySQL commits each by itself, so a crash may leave the first of them done.
"""

from typing import Any

from peewee import SQL, BigIntegerField, BooleanField, CharField, IntegerField, Model, MySQLDatabase, TextField

_ORDER = "delivery_order"
_OLD_INDEX = "delivery_webhook_id"


def up(_migrator: Any, db: Any) -> None:
    class Table(Model):  # type: ignore[misc]  # peewee carries no type information
        class Meta:
            database = db
            legacy_table_names = False

    class Webhook(Table):
        timeout_ms = IntegerField(null=True)
        retry_schedule = TextField(null=True)
        rate_limit = IntegerField(null=True)
        rate_burst = IntegerField(null=True)
        signing = CharField(max_length=8, constraints=[SQL("DEFAULT 'v1'")])
        previous_secret = TextField(null=True)
        previous_until = BigIntegerField(null=True)
        ordering = CharField(max_length=8, constraints=[SQL("DEFAULT 'none'")])
        client_certificate = TextField(null=True)
        failures = IntegerField(index=True, constraints=[SQL("DEFAULT 0")])
        failing_since = BigIntegerField(null=True)
        failed_at = BigIntegerField(null=True)
        circuit_until = BigIntegerField(null=True)
        failed_probes = IntegerField(constraints=[SQL("DEFAULT 0")])
        probe = CharField(max_length=32, null=True)
        backlog = BooleanField(index=True, constraints=[SQL("DEFAULT FALSE")])
        last_position = BigIntegerField(constraints=[SQL("DEFAULT 0")])

    class Delivery(Table):
        earlier_attempts = IntegerField(constraints=[SQL("DEFAULT 0")])
        order_key = CharField(max_length=32, null=True)
        position = BigIntegerField(null=True)

    class Held(Table):
        id = CharField(max_length=32, primary_key=True)
        webhook_id = CharField(max_length=32)
        state = CharField(max_length=8)
        order_key = CharField(max_length=32, null=True)
        position = BigIntegerField(null=True)

        class Meta:
            table_name = "delivery"

    class Job(Table):
        id = CharField(max_length=32, primary_key=True)
        kind = CharField(max_length=16)
        webhook_id = CharField(max_length=32)
        state = CharField(max_length=16, index=True)
        filters = TextField()
        total = BigIntegerField(null=True)
        done = BigIntegerField()
        skipped = BigIntegerField()
        cursor = TextField(null=True)
        request_key = CharField(max_length=128, null=True)
        created_by = CharField(max_length=128)
        created_at = BigIntegerField()
        updated_at = BigIntegerField()
        finished_at = BigIntegerField(null=True)
        error = TextField(null=True)

        class Meta:
            indexes = ((("webhook_id", "id"), False), (("webhook_id", "request_key"), True))

    is_mysql = isinstance(db, MySQLDatabase)  # which has no partial indexes, and no safe way to make one
    for model in Webhook, Delivery:
        _add_columns(db, model)
    db.create_tables([Job])
    db.execute_sql(
        "UPDATE delivery SET state = 'HELD' WHERE state = 'PENDING' AND queued_at IS NULL AND next_attempt_at IS NULL"
    )
    present = {index.name for index in db.get_indexes("delivery")}
    by_state = Held.index(Held.webhook_id, Held.state, Held.id, name="delivery_webhook_id_state_id", safe=not is_mysql)
    in_order = Held.index(Held.order_key, Held.position, name=_ORDER, safe=not is_mysql)
    if not is_mysql:
        in_order = in_order.where(SQL("order_key IS NOT NULL"))
    for name, index in (("delivery_webhook_id_state_id", by_state), (_ORDER, in_order)):
        if name not in present:
            db.execute(index)
    if _OLD_INDEX in present:
        db.execute_sql(f"DROP INDEX {_OLD_INDEX}{' ON delivery' if is_mysql else ''}")


def _add_columns(db: Any, model: Any) -> None:
    """Add the columns of `model` that its table lacks, and their indexes."""
    table = model._meta.table_name
    present = {column.name for column in db.get_columns(table)}
    indexed = {tuple(index.columns) for index in db.get_indexes(table)}
    for field in model._meta.sorted_fields:
        if field.primary_key:
            continue
        if field.column_name not in present:
            context = db.get_sql_context()
            sql, parameters = context.literal(f"ALTER TABLE {table} ADD COLUMN ").sql(field.ddl(context)).query()
            db.execute_sql(sql, parameters)
        if field.index and (field.column_name,) not in indexed:
            db.execute(model.index(field, name=f"{table}_{field.column_name}", safe=False))
