"""The tables of those who may call the API, and of what they may do. Times are as in app.models."""

from peewee import BigIntegerField, BooleanField, CharField, TextField

from app.table import Table


class User(Table):
    """Someone who may call the API. The name is the id."""

    id = CharField(max_length=128, primary_key=True)
    password_hash = CharField(max_length=255)  # argon2id
    admin = BooleanField(default=False)
    created_at = BigIntegerField()

    class Meta:
        table_name = "user_account"  # "user" is a reserved word in PostgreSQL


class Grant(Table):
    """MANAGE for a user on a project (`repo_name` is "") or on one repository of it."""

    user_id = CharField(max_length=128)
    project_id = CharField(max_length=128)
    repo_name = CharField(max_length=128, default="")
    created_at = BigIntegerField()

    class Meta:
        table_name = "user_grant"
        indexes = ((("user_id", "project_id", "repo_name"), True),)


class AccessKey(Table):
    """A platform's key pair (contract §2). The secret has 256 random bits, so a plain SHA-256 of it is kept."""

    access_key = CharField(max_length=32, primary_key=True)
    secret_hash = CharField(max_length=64)
    app = CharField(max_length=128)
    scopes = TextField()  # JSON list
    created_at = BigIntegerField()
