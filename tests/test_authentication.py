"""The authenticator: what it remembers and for how long, and how it slows down guessing."""

import base64
import threading

import pytest

from app import accounts
from app.authentication import Authenticator, Caller, Credentials
from app.errors import TooManyRequests, Unauthenticated
from app.models import AccessKey, User, database
from app.throttle import Throttle

pytestmark = pytest.mark.usefixtures("services")

NOW = 1_000_000


def given(scheme: str, name: str, secret: str, address: str = "192.0.2.1", uid: str | None = None) -> Credentials:
    pair = base64.b64encode(f"{name}:{secret}".encode()).decode()
    return Credentials(f"{scheme} {pair}", uid, address)


@pytest.fixture
def key() -> tuple[str, str]:
    return accounts.create_access_key("ci", ["event:publish"], now=0)


def test_verified_credentials_are_remembered_for_a_minute() -> None:
    accounts.create_user("alice", "correct horse", admin=True, now=0)
    authenticator = Authenticator()
    credentials = given("Basic", "alice", "correct horse")
    caller = authenticator.authenticate(credentials, NOW)
    assert caller == Caller("alice", admin=True, scopes=frozenset(), platform=False)
    User.delete().execute()
    assert authenticator.authenticate(credentials, NOW + 59_999) is caller
    with pytest.raises(Unauthenticated):
        authenticator.authenticate(credentials, NOW + 60_000)


def test_wrong_passwords_are_not_remembered_as_right() -> None:
    accounts.create_user("alice", "correct horse", admin=False, now=0)
    authenticator = Authenticator()
    authenticator.authenticate(given("Basic", "alice", "correct horse"), NOW)
    with pytest.raises(Unauthenticated):
        authenticator.authenticate(given("Basic", "alice", "correct horse "), NOW)


def test_a_password_with_colons_and_a_name_in_unicode_are_fine() -> None:
    accounts.create_user("小明", "a:b:c", admin=False, now=0)
    assert Authenticator().authenticate(given("Basic", "小明", "a:b:c"), NOW).user_id == "小明"


def test_a_platform_acts_for_the_user_it_names(key: tuple[str, str]) -> None:
    accounts.create_user("小明", "x", admin=True, now=0)
    authenticator = Authenticator()
    on_the_wire = "小明".encode().decode("latin-1")
    scopes = frozenset({"event:publish"})
    nobody = authenticator.authenticate(given("Platform", *key), NOW)
    admin = authenticator.authenticate(given("Platform", *key, uid=on_the_wire), NOW)
    unknown = authenticator.authenticate(given("Platform", *key, uid="unknown"), NOW)
    assert nobody == Caller(None, admin=False, scopes=scopes, platform=True)
    assert admin == Caller("小明", admin=True, scopes=scopes, platform=True)
    assert unknown == Caller("unknown", admin=False, scopes=scopes, platform=True)


def test_a_removed_key_is_forgotten_after_a_minute(key: tuple[str, str]) -> None:
    authenticator = Authenticator()
    authenticator.authenticate(given("Platform", *key), NOW)
    AccessKey.delete().execute()
    with pytest.raises(Unauthenticated):
        authenticator.authenticate(given("Platform", *key), NOW + 60_000)


def test_ten_failures_in_a_minute_close_the_door_even_to_the_right_secret(key: tuple[str, str]) -> None:
    access_key, secret = key
    authenticator = Authenticator()
    for n in range(10):
        with pytest.raises(Unauthenticated):
            authenticator.authenticate(given("Platform", access_key, f"guess-{n}"), NOW + n)
    with pytest.raises(TooManyRequests) as refused:
        authenticator.authenticate(given("Platform", access_key, secret), NOW + 30_000)
    assert (refused.value.code, refused.value.params) == (250124, {"retry_after": 30})
    assert authenticator.authenticate(given("Platform", access_key, secret, "192.0.2.9"), NOW + 30_000).platform
    assert authenticator.authenticate(given("Platform", access_key, secret), NOW + 60_000).platform


def test_guessing_passwords_is_refused_without_a_check() -> None:
    accounts.create_user("alice", "correct horse", admin=False, now=0)
    authenticator = Authenticator()
    for n in range(10):
        with pytest.raises(Unauthenticated):
            authenticator.authenticate(given("Basic", "alice", f"guess-{n}"), NOW)
    with pytest.raises(TooManyRequests):
        authenticator.authenticate(given("Basic", "alice", "correct horse"), NOW)


def test_equal_requests_that_meet_share_one_answer() -> None:
    accounts.create_user("alice", "correct horse", admin=False, now=0)
    authenticator, found = Authenticator(), list[Caller]()

    def call() -> None:
        found.append(authenticator.authenticate(given("Basic", "alice", "correct horse"), NOW))
        database.close()

    threads = [threading.Thread(target=call) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len({id(caller) for caller in found}) == 1


def test_the_memory_of_credentials_is_bounded(key: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.authentication.REMEMBERED", 3)
    authenticator = Authenticator()
    for n in range(10):
        authenticator.authenticate(given("Platform", *key, uid=f"user-{n}"), NOW)
    AccessKey.delete().execute()
    assert authenticator.authenticate(given("Platform", *key, uid="user-9"), NOW).user_id == "user-9"
    with pytest.raises(Unauthenticated):
        authenticator.authenticate(given("Platform", *key, uid="user-0"), NOW)


def test_a_throttle_forgets_failures_that_left_its_window() -> None:
    throttle = Throttle(limit=2, window_ms=100)
    throttle.fail("a", 0)
    assert throttle.wait_ms("a", 0) == 0
    throttle.fail("a", 50)
    assert (throttle.wait_ms("a", 60), throttle.wait_ms("b", 60)) == (40, 0)
    assert throttle.wait_ms("a", 100) == 0
    throttle.fail("a", 100)
    assert throttle.wait_ms("a", 120) == 30


def test_a_throttle_has_room_for_so_many_keys() -> None:
    throttle = Throttle(limit=1, window_ms=100)
    for n in range(10_001):
        throttle.fail(n, 0)
    assert (throttle.wait_ms(0, 0), throttle.wait_ms(1, 0), throttle.wait_ms(10_000, 0)) == (0, 100, 100)
