"""GET /healthz and /readyz: open to all, and true."""

from flask.testing import FlaskClient

from app.models import database


def test_the_process_is_alive(client: FlaskClient) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_it_is_ready_once_the_database_is_migrated(client: FlaskClient) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json == {"status": "ok", "checks": {"database": True, "migrations": True}}


def test_it_is_not_ready_while_a_migration_is_missing(client: FlaskClient) -> None:
    database.execute_sql("DELETE FROM schema_migration")
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json == {"status": "unavailable", "checks": {"database": True, "migrations": False}}
