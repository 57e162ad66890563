"""The first release's tables.

The classes are a frozen copy on purpose: what this script creates must not change when `app.models` does.
"""

from typing import Any

from peewee import BigIntegerField, BooleanField, CharField, IntegerField, Model, SqliteDatabase, TextField


def up(_migrator: Any, db: Any) -> None:
    is_sqlite = isinstance(db, SqliteDatabase)  # the others keep rows in the order of the primary key, or in a heap

    class Table(Model):  # type: ignore[misc]  # peewee carries no type information
        class Meta:
            database = db
            legacy_table_names = False

    class Webhook(Table):
        id = CharField(max_length=32, primary_key=True)
        url = TextField()
        token = TextField(null=True)
        headers = TextField(null=True)
        triggers = TextField()
        association_type = CharField(max_length=16)
        association_id = CharField(max_length=257)
        resource_key_pattern = CharField(max_length=512, null=True)
        secret = TextField()
        enabled = BooleanField()
        disabled_reason = TextField(null=True)
        created_by = CharField(max_length=128)
        created_at = BigIntegerField()
        last_modified_by = CharField(max_length=128)
        last_modified_at = BigIntegerField()
        deleted_at = BigIntegerField(null=True)
        version = BigIntegerField(index=True)

        class Meta:
            indexes = ((("association_type", "association_id", "id"), False),)

    class Event(Table):
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

    class Delivery(Table):
        id = CharField(max_length=32, primary_key=True)
        webhook_id = CharField(max_length=32, index=True)
        event_id = CharField(max_length=128)
        state = CharField(max_length=8)
        attempt = IntegerField()
        next_attempt_at = BigIntegerField(null=True)
        queued_at = BigIntegerField(null=True)
        created_at = BigIntegerField()

        class Meta:
            without_rowid = is_sqlite
            indexes = ((("queued_at", "next_attempt_at"), False),)

    class WebhookLog(Table):
        id = CharField(max_length=32, primary_key=True)
        webhook_id = CharField(max_length=32)
        event_id = CharField(max_length=128, index=True)
        delivery_id = CharField(max_length=32)
        attempt = IntegerField()
        url = TextField()
        triggered_event = CharField(max_length=64)
        request_headers = TextField()
        status = CharField(max_length=8)
        response_status = IntegerField(null=True)
        response_headers = TextField(null=True)
        response_body = TextField(null=True)
        duration_ms = IntegerField()
        requested_at = BigIntegerField()
        error = TextField(null=True)
        next_attempt_at = BigIntegerField(null=True)

        class Meta:
            without_rowid = is_sqlite
            indexes = ((("webhook_id", "id"), False),)

    class User(Table):
        id = CharField(max_length=128, primary_key=True)
        password_hash = CharField(max_length=255)
        admin = BooleanField()
        created_at = BigIntegerField()

        class Meta:
            table_name = "user_account"

    class Grant(Table):
        user_id = CharField(max_length=128)
        project_id = CharField(max_length=128)
        repo_name = CharField(max_length=128)
        created_at = BigIntegerField()

        class Meta:
            table_name = "user_grant"
            indexes = ((("user_id", "project_id", "repo_name"), True),)

    class AccessKey(Table):
        access_key = CharField(max_length=32, primary_key=True)
        secret_hash = CharField(max_length=64)
        app = CharField(max_length=128)
        scopes = TextField()
        created_at = BigIntegerField()

    class Counter(Table):
        name = CharField(max_length=32, primary_key=True)
        value = BigIntegerField()

    db.create_tables([Webhook, Event, Delivery, WebhookLog, User, Grant, AccessKey, Counter])
    Counter.insert(name="webhooks", value=0).on_conflict_ignore().execute()
