"""GET /webhook/api/webhook/secret/{id}, its rotation, and the change of the signing scheme."""

import base64
import threading
from collections.abc import Callable
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from app.models import Webhook, database
from app.rotation import rotate_secret
from app.services import Services
from app.signing import key_to_verify, verify
from app.webhooks import update_webhook
from tests.api.conftest import Api, stored
from tests.api.test_webhook_read import DATE
from tests.receiver import Receiver
from tests.test_webhooks import ADMIN

HOUR_MS = 3_600_000
OWN = "whsec_" + base64.b64encode(b"k" * 24).decode()


def secret(admin: Api, webhook_id: str) -> dict[str, Any]:
    return dict(admin.data("GET", f"/webhook/secret/{webhook_id}"))


def rotate(admin: Api, webhook_id: str, **body: Any) -> dict[str, Any]:
    return dict(admin.data("POST", f"/webhook/secret/rotate/{webhook_id}", body))


def sent(admin: Api, receiver: Receiver, webhook_id: str) -> tuple[bytes, dict[str, str]]:
    """Send a test, and return what the receiver got."""
    admin.data("PUT", "/webhook/update", {"id": webhook_id, "url": receiver.url})
    admin.data("POST", f"/webhook/test/{webhook_id}")
    return receiver.received[-1].body, dict(receiver.received[-1].headers)


def verifies(public_key: str, body: bytes, headers: dict[str, str]) -> bool:
    at = int(headers["webhook-timestamp"])
    return verify(key_to_verify(public_key), headers["webhook-id"], at, body, headers["webhook-signature"])


def test_a_secret_is_shown_with_its_scheme(admin: Api) -> None:
    shown = secret(admin, admin.create())
    assert shown.pop("secret").startswith("whsec_")
    assert shown == {"signing": "v1", "publicKey": None, "previous": None}


def test_of_a_pair_the_public_key_is_shown_and_the_private_one_never(admin: Api, services: Services) -> None:
    webhook_id = admin.create(signing="v1a")
    shown = secret(admin, webhook_id)
    assert len(base64.b64decode(shown.pop("publicKey").removeprefix("whpk_"))) == 32
    assert shown == {"signing": "v1a", "secret": None, "previous": None}
    private = services.vault.decrypt(stored()[0]["secret"])
    assert private.startswith("whsk_")
    rotate(admin, webhook_id)
    for path in (f"/webhook/secret/{webhook_id}", f"/webhook/{webhook_id}"):
        assert "whsk_" not in admin("GET", path).text


def test_rotating_needs_no_body_and_answers_as_showing_does(admin: Api) -> None:
    webhook_id = admin.create()
    before = secret(admin, webhook_id)
    answer = admin("POST", f"/webhook/secret/rotate/{webhook_id}")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    after = answer.json["data"]
    assert after == secret(admin, webhook_id)
    assert after["secret"].startswith("whsec_")
    assert after["secret"] != before["secret"]
    previous = after["previous"]
    assert DATE.fullmatch(previous.pop("validUntil"))
    assert previous == {"signing": "v1", "secret": before["secret"], "publicKey": None}
    assert stored()[0]["last_modified_by"] == "root"


def test_the_overlap_is_a_day_or_what_is_asked_for(admin: Api, services: Services) -> None:
    webhook_id = admin.create()
    for body, hours in (({}, 24), ({"overlapHours": None}, 24), ({"overlapHours": 168}, 168), ({"overlapHours": 1}, 1)):
        rotate_secret(services, ADMIN, webhook_id, body, 1_000)
        assert Webhook.get().previous_until == 1_000 + hours * HOUR_MS
    assert rotate(admin, webhook_id, overlapHours=0)["previous"] is None
    assert (Webhook.get().previous_secret, Webhook.get().previous_until) == (None, None)


def test_the_one_before_is_not_shown_once_its_time_is_over(admin: Api) -> None:
    webhook_id = admin.create()
    rotate(admin, webhook_id)
    Webhook.update(previous_until=1).execute()
    assert secret(admin, webhook_id)["previous"] is None


def test_during_the_overlap_both_verify_and_rotating_again_keeps_the_last_two(admin: Api, receiver: Receiver) -> None:
    webhook_id = admin.create()
    first = secret(admin, webhook_id)["secret"]
    second = rotate(admin, webhook_id)["secret"]
    body, headers = sent(admin, receiver, webhook_id)
    for each in (first, second):
        Verifier(each).verify(body, headers)
    third = rotate(admin, webhook_id)["secret"]
    body, headers = sent(admin, receiver, webhook_id)
    for each in (second, third):
        Verifier(each).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(first).verify(body, headers)


def test_a_pair_is_rotated_to_a_pair(admin: Api, receiver: Receiver) -> None:
    webhook_id = admin.create(signing="v1a")
    first = secret(admin, webhook_id)["publicKey"]
    second = rotate(admin, webhook_id)
    assert (second["signing"], second["previous"]["publicKey"], second["previous"]["secret"]) == ("v1a", first, None)
    body, headers = sent(admin, receiver, webhook_id)
    assert headers["webhook-signature"].count("v1a,") == 2
    assert verifies(first, body, headers)
    assert verifies(second["publicKey"], body, headers)


def test_another_scheme_is_another_secret_and_the_old_one_signs_too(admin: Api, receiver: Receiver) -> None:
    webhook_id = admin.create()
    first = secret(admin, webhook_id)["secret"]
    admin.data("PUT", "/webhook/update", {"id": webhook_id, "signing": "v1a"})
    shown = secret(admin, webhook_id)
    assert (shown["signing"], shown["secret"], shown["previous"]["secret"]) == ("v1a", None, first)
    body, headers = sent(admin, receiver, webhook_id)
    assert headers["webhook-signature"].startswith("v1a,")
    assert verifies(shown["publicKey"], body, headers)
    Verifier(first).verify(body, headers)


def test_a_scheme_that_is_there_already_changes_no_secret(admin: Api) -> None:
    webhook_id = admin.create()
    before = secret(admin, webhook_id)
    admin.data("PUT", "/webhook/update", {"id": webhook_id, "signing": "v1"})
    assert secret(admin, webhook_id) == before


def test_there_and_back_makes_a_third_secret(admin: Api, receiver: Receiver) -> None:
    webhook_id = admin.create()
    first = secret(admin, webhook_id)["secret"]
    admin.data("PUT", "/webhook/update", {"id": webhook_id, "signing": "v1a"})
    pair = secret(admin, webhook_id)["publicKey"]
    admin.data("PUT", "/webhook/update", {"id": webhook_id, "signing": "v1"})
    third = secret(admin, webhook_id)
    assert (third["signing"], third["previous"]["publicKey"]) == ("v1", pair)
    assert third["secret"] != first
    body, headers = sent(admin, receiver, webhook_id)
    assert [each.partition(",")[0] for each in headers["webhook-signature"].split()] == ["v1", "v1a"]
    Verifier(third["secret"]).verify(body, headers)
    assert verifies(pair, body, headers)


def test_one_may_bring_a_secret_along_and_do_so_again(admin: Api) -> None:
    webhook_id = admin.create()
    first = secret(admin, webhook_id)["secret"]
    once = rotate(admin, webhook_id, secret=OWN)
    assert (once["secret"], once["previous"]["secret"]) == (OWN, first)
    assert rotate(admin, webhook_id, secret=OWN, overlapHours=0) == once


@pytest.mark.parametrize("size", [24, 64])
def test_sizes_of_an_own_secret_are_inclusive(admin: Api, size: int) -> None:
    own = "whsec_" + base64.b64encode(b"x" * size).decode()
    assert rotate(admin, admin.create(), secret=own)["secret"] == own


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("body", "text"),
    [
        *(
            ({"overlapHours": value}, "overlapHours must be a whole number from 0 to 168")
            for value in (-1, 169, 1.5, 24.0, "24", True, [24], 10**30)
        ),
        *(({"secret": value}, "secret") for value in (5, True, ["x"], "", "whsec_", OWN[6:], OWN + "*", "whsec_密钥")),
        ({"secret": "whsk_" + base64.b64encode(b"k" * 64).decode()}, "secret must be whsec_"),
        ({"secret": "whsec_" + base64.b64encode(b"k" * 23).decode()}, "secret must be whsec_"),
        ({"secret": "whsec_" + base64.b64encode(b"k" * 65).decode()}, "secret must be whsec_"),
        ({"secret": "whsec_" + "A" * 100_000}, "secret must be whsec_"),
    ],
)
def test_a_bad_rotation_changes_nothing(admin: Api, body: dict[str, Any], text: str) -> None:
    webhook_id = admin.create()
    before = stored()
    answer = admin("POST", f"/webhook/secret/rotate/{webhook_id}", body)
    assert (answer.status_code, answer.json["code"]) == (400, 250105)
    assert answer.json["message"].startswith(text)
    assert OWN not in answer.json["message"]
    assert stored() == before


def test_no_own_secret_for_a_pair(admin: Api) -> None:
    webhook_id = admin.create(signing="v1a")
    before = stored()
    answer = admin("POST", f"/webhook/secret/rotate/{webhook_id}", {"secret": OWN})
    assert (answer.status_code, answer.json["code"]) == (400, 250105)
    assert answer.json["message"].startswith("secret may be given only where signing is v1")
    assert stored() == before


@pytest.mark.parametrize("body", [b"[]", b"{", b"null"])
def test_a_body_that_is_no_object_is_refused(admin: Api, body: bytes) -> None:
    answer = admin("POST", f"/webhook/secret/rotate/{admin.create()}", body)
    assert (answer.status_code, answer.json["code"]) == (400, 250106)


def test_who_may_not_manage_it_can_not_rotate(admin: Api, as_user: Callable[[str], Api]) -> None:
    webhook_id = admin.create()
    before = stored()
    for user, status in (("outsider", 404), ("repo-manager", 200)):
        answer = as_user(user)("POST", f"/webhook/secret/rotate/{webhook_id}")
        assert answer.status_code == status
        assert (stored() == before) == (status == 404)
    assert admin("GET", f"/webhook/secret/rotate/{webhook_id}").status_code == 405


def test_concurrent_rotations_and_changes_are_all_made(admin: Api, services: Services) -> None:
    webhook_id = admin.create()
    first = secret(admin, webhook_id)["secret"]
    made: list[dict[str, Any]] = []

    def turn() -> None:
        made.append(rotate_secret(services, ADMIN, webhook_id, {}, 1_000))
        database.close()

    def change() -> None:
        update_webhook(services, ADMIN, {"id": webhook_id, "rateLimit": 5}, 1_000)
        database.close()

    threads = [threading.Thread(target=work) for work in (turn, change, turn)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    row = Webhook.get()
    assert services.vault.decrypt(row.secret) in {each["secret"] for each in made}
    assert services.vault.decrypt(row.previous_secret) != first  # that one was replaced twice
    assert row.rate_limit == 5
