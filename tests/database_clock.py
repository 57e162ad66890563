"""The database's clock, as leases read it."""

from app.models import database


def database_now() -> int:
    """Return the time in milliseconds UTC by the database's clock, which all processes share."""
    return int(database.execute_sql(f"SELECT {database.clock_ms}").fetchone()[0])
