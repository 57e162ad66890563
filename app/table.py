"""What all tables have in common: the database that they are in, and how they are named."""

from peewee import DatabaseProxy, Model

database = DatabaseProxy()


class Table(Model):  # type: ignore[misc]  # peewee carries no type information
    class Meta:
        database = database
        legacy_table_names = False
