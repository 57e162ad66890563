"""What differs between SQLite, PostgreSQL and MySQL/MariaDB: how to connect, write, lock, tell the time.

Each engine is Peewee's database class with the same few additions, so that no other module asks which one it is. A
connection belongs to a thread and stays open; one that the server has closed meanwhile is replaced at its next use.
"""

from app.engines.base import Guard, Insertion
from app.engines.mysql import MysqlEngine
from app.engines.postgres import PostgresEngine
from app.engines.sqlite import SqliteEngine

__all__ = ["Guard", "Insertion", "MysqlEngine", "PostgresEngine", "SqliteEngine"]
