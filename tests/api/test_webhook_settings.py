"""How a webhook is delivered to, its health and what enabling it does, through create, update and show."""

import re
from typing import Any

import pytest

from app.ids import new_id
from app.models import DEAD, HELD, PENDING, WAITING, Delivery, Webhook, database
from app.services import Services
from app.webhook_view import show
from tests.api.conftest import Api, stored
from tests.test_certificate_pem import MINE, OTHER, client_pem

DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}")
SETTINGS: dict[str, Any] = {
    "timeout": 2.5,
    "retrySchedule": ["5s", "1500ms", "1d"],
    "rateLimit": 50,
    "rateBurst": 7,
    "ordering": "resource",
    "signing": "v1a",
}
NO_SETTINGS: dict[str, Any] = {
    **dict.fromkeys(SETTINGS),
    "ordering": "none",
    "signing": "v1",
}
RESET = {"timeout": 0, "retrySchedule": [], "rateLimit": 0, "rateBurst": 0, "ordering": "none", "signing": "v1"}
# What a webhook looks like after a night of failures.
ILL = {
    "failures": 12,
    "failing_since": 1_640_534_400_005,
    "failed_at": 1_640_534_500_000,
    "circuit_until": 1_640_534_600_000,
    "failed_probes": 2,
    "probe": "p" * 32,
    "backlog": True,
}
WELL = {"failures": 0, **dict.fromkeys(("failing_since", "failed_at", "circuit_until", "probe")), "failed_probes": 0}


def settings_of(admin: Api, webhook_id: str) -> dict[str, Any]:
    shown = admin.data("GET", f"/webhook/{webhook_id}")
    return {name: shown[name] for name in SETTINGS}


def owe(webhook_id: str, state: str) -> str:
    row = {"id": new_id(), "webhook_id": webhook_id, "event_id": "e", "state": state, "created_at": 0}
    Delivery.insert(**row).execute()
    return row["id"]


def owed() -> set[str]:
    return {row.id for row in Delivery.select()}


def health() -> dict[str, Any]:
    row = stored()[0]
    return {name: row[name] for name in WELL}


def test_settings_given_at_the_start_are_shown(admin: Api) -> None:
    assert settings_of(admin, admin.create(**SETTINGS)) == SETTINGS


def test_settings_given_later_are_shown_and_stay(admin: Api) -> None:
    webhook_id = admin.create()
    assert settings_of(admin, webhook_id) == NO_SETTINGS
    admin.data("PUT", "/webhook/update", {"id": webhook_id, **SETTINGS})
    assert settings_of(admin, webhook_id) == SETTINGS
    admin.data("PUT", "/webhook/update", {"id": webhook_id, **dict.fromkeys(SETTINGS), "url": "http://b"})
    assert settings_of(admin, webhook_id) == SETTINGS


def test_each_setting_has_a_way_back(admin: Api) -> None:
    webhook_id = admin.create(**SETTINGS)
    admin.data("PUT", "/webhook/update", {"id": webhook_id, **RESET})
    assert settings_of(admin, webhook_id) == NO_SETTINGS
    again = admin.create(**RESET)
    assert settings_of(admin, again) == NO_SETTINGS


@pytest.mark.parametrize("at_start", [True, False])
def test_a_certificate_is_stored_sealed_and_shown_by_its_subject_and_end(
    admin: Api, services: Services, at_start: bool
) -> None:
    webhook_id = admin.create(**({"clientCertificate": client_pem()} if at_start else {}))
    admin.data("PUT", "/webhook/update", {"id": webhook_id, "clientCertificate": client_pem()})
    [row] = stored()
    assert "BEGIN" not in row["client_certificate"]
    assert services.vault.decrypt(row["client_certificate"]) == client_pem()
    text = admin("GET", f"/webhook/{webhook_id}").text
    assert 'clientCertificate"' not in text
    assert "BEGIN" not in text
    shown = admin.data("GET", f"/webhook/{webhook_id}")
    assert shown["clientCertificateSubject"] == "CN=client.example"
    assert DATE.fullmatch(shown["clientCertificateExpires"])


def test_a_certificate_can_be_taken_away_and_is_not_by_leaving_it_out(admin: Api) -> None:
    webhook_id = admin.create(clientCertificate=client_pem())
    for change, subject in (({"url": "http://b"}, "CN=client.example"), ({"clientCertificate": ""}, None)):
        admin.data("PUT", "/webhook/update", {"id": webhook_id, **change})
        shown = admin.data("GET", f"/webhook/{webhook_id}")
        assert shown["clientCertificateSubject"] == subject
    assert (shown["clientCertificateExpires"], stored()[0]["client_certificate"]) == (None, None)


@pytest.mark.parametrize(
    ("pem", "text"),
    [
        (MINE.key_pem, "clientCertificate holds no certificate"),
        (MINE.pem, "clientCertificate must hold one private key"),
        (MINE.pem + OTHER.key_pem, "clientCertificate: the private key does not belong"),
    ],
)
def test_a_refused_certificate_changes_nothing(admin: Api, pem: str, text: str) -> None:
    webhook_id = admin.create(clientCertificate=client_pem())
    before = stored()
    answer = admin("PUT", "/webhook/update", {"id": webhook_id, "clientCertificate": pem})
    assert (answer.status_code, answer.json["code"]) == (400, 250105)
    assert answer.json["message"].startswith(text)
    assert stored() == before


def test_health_is_shown(admin: Api) -> None:
    webhook_id = admin.create()
    Webhook.update(**ILL).execute()
    shown = admin.data("GET", f"/webhook/{webhook_id}")
    assert {name: shown[name] for name in ("failures", "circuit", "backlog")} == {
        "failures": 12,
        "circuit": "open",
        "backlog": True,
    }
    assert (shown["failingSince"], shown["circuitProbeTime"]) == ("2021-12-26T16:00:00.005", "2021-12-26T16:03:20.000")


@pytest.mark.sqlite_only
def test_to_show_a_webhook_asks_the_database_nothing(admin: Api, services: Services) -> None:
    admin.create(**SETTINGS, clientCertificate=client_pem())
    row = Webhook.get()
    statements: list[str] = []
    database.connection().set_trace_callback(statements.append)
    show(services, row)
    database.connection().set_trace_callback(None)
    assert statements == []


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("pending", [None, "release"])
def test_enabling_begins_anew_and_releases_what_was_held(admin: Api, enabled: bool, pending: str | None) -> None:
    webhook_id = admin.create(enabled=enabled)
    Webhook.update(**ILL | {"backlog": False}, disabled_reason=None if enabled else "because").execute()
    held = owe(webhook_id, HELD)
    admin.data("PUT", "/webhook/update", {"id": webhook_id, "enabled": True, "pending": pending})
    assert health() == WELL
    [row] = stored()
    assert (bool(row["enabled"]), row["disabled_reason"], bool(row["backlog"])) == (True, None, True)
    assert owed() == {held}
    assert Delivery.get().state == HELD  # app.feeder does the rest


def test_enabling_drops_what_was_held_where_that_is_asked_for(admin: Api) -> None:
    webhook_id, other_id = admin.create(enabled=False), admin.create()
    for state in (HELD, HELD, WAITING):
        owe(webhook_id, state)
    kept = {owe(webhook_id, PENDING), owe(webhook_id, DEAD), owe(other_id, HELD), owe(other_id, WAITING)}
    admin.data("PUT", "/webhook/update", {"id": webhook_id, "enabled": True, "pending": "drop"})
    assert owed() == kept
    assert not stored()[0]["backlog"]


def test_enabling_a_healthy_webhook_changes_nothing_unless_release_is_asked_for(admin: Api) -> None:
    webhook_id = admin.create()
    for fields, backlog in (({}, False), ({"pending": "drop"}, False), ({"pending": "release"}, True)):
        admin.data("PUT", "/webhook/update", {"id": webhook_id, "enabled": True, **fields})
        assert (health(), bool(stored()[0]["backlog"])) == (WELL, backlog)


def test_other_changes_and_disabling_leave_health_as_it_is(admin: Api) -> None:
    webhook_id = admin.create()
    Webhook.update(**ILL).execute()
    held = owe(webhook_id, HELD)
    for change in ({"url": "http://b"}, {"enabled": False}):
        admin.data("PUT", "/webhook/update", {"id": webhook_id, **change})
        assert {name: stored()[0][name] for name in ILL} == ILL
    assert owed() == {held}


@pytest.mark.parametrize("change", [{"pending": "drop"}, {"pending": "drop", "enabled": False}])
def test_a_refused_drop_drops_nothing(admin: Api, change: dict[str, Any]) -> None:
    webhook_id = admin.create(enabled=False)
    held = owe(webhook_id, HELD)
    answer = admin("PUT", "/webhook/update", {"id": webhook_id, **change})
    assert (answer.status_code, answer.json["code"]) == (400, 250105)
    assert owed() == {held}


@pytest.mark.parametrize(("association_type", "association_id"), [("SYSTEM", None), ("PROJECT", "p")])
def test_what_happens_to_webhooks_is_told_to_the_system_and_to_projects(
    admin: Api, association_type: str, association_id: str | None
) -> None:
    place = {"association_type": association_type, "association_id": association_id}
    webhook_id = admin.create(**place, triggers=["WEBHOOK_FAILING", "WEBHOOK_DISABLED"])
    assert admin.data("GET", f"/webhook/{webhook_id}")["triggers"] == ["WEBHOOK_FAILING", "WEBHOOK_DISABLED"]


def test_what_happens_to_webhooks_is_not_told_to_one_moved_to_a_repository(admin: Api) -> None:
    webhook_id = admin.create(association_type="PROJECT", association_id="p", triggers=["DELIVERY_EXHAUSTED"])
    before = stored()
    move = {"association_type": "REPO", "association_id": "p:r"}
    answer = admin("PUT", "/webhook/update", {"id": webhook_id, **move})
    assert (answer.status_code, answer.json["code"]) == (400, 250105)
    assert answer.json["message"].startswith('triggers[0]: "DELIVERY_EXHAUSTED"')
    assert stored() == before
    admin.data("PUT", "/webhook/update", {"id": webhook_id, **move, "triggers": ["NODE_CREATED"]})
