"""Managing users, rights and access keys."""

import threading
from collections.abc import Callable

import pytest

from app import accounts, user_admin
from app.accounts import password_fits
from app.authentication import Caller
from app.errors import AccountError, NotFound
from app.models import AccessKey, Grant, User, database
from app.registry import current_version
from app.user_admin import (
    KeyRow,
    UserRow,
    add_user,
    change_password,
    delete_user,
    find_user,
    page_of_keys,
    page_of_users,
    places_of,
    revoke,
    revoke_key,
    set_admin,
    set_password,
)
from tests.api.conftest import PASSWORD, password_hash

pytestmark = pytest.mark.usefixtures("services")

ROOT = Caller("root", admin=True, scopes=frozenset(), platform=False)
NEW = "a newer password"


def users(*names: str, admin: bool = False) -> None:
    hashed = password_hash(PASSWORD)
    User.insert_many([(name, hashed, admin, 5) for name in names]).execute()


def sorted_names() -> list[str]:
    return [row.id for row in User.select().order_by(User.id)]


def names(search: str = "", after: str = "", size: int = 10) -> tuple[list[str], str | None]:
    page = page_of_users(search, after, size)
    return [user.name for user in page.users], page.following


def test_users_are_listed_by_name_page_by_page_with_what_they_may() -> None:
    users("ann", "bob", "小明")
    users("root", admin=True)
    accounts.grant("bob", "p", "", now=5)
    accounts.grant("bob", "p", "r", now=5)
    assert page_of_users("", "", 2) == ([UserRow("ann", False, 5, 0), UserRow("bob", False, 5, 2)], "bob")
    assert names(after="bob", size=2) == (["root", "小明"], None)
    assert names(size=4)[1] is None


def test_a_search_finds_part_of_a_name_and_goes_on_where_it_has_looked_at_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    users("Anna", "a%b", "a_b", "bob", "hanne", "susanne")
    assert sorted(names("ANN")[0]) == ["Anna", "hanne", "susanne"]
    assert names("%") == (["a%b"], None)
    assert names("_") == (["a_b"], None)
    assert names("\\") == ([], None)
    monkeypatch.setattr(user_admin, "SCAN", 2)
    assert names("susanne") == ([], sorted_names()[2])
    assert names("susanne", after=sorted_names()[2])[0] == ["susanne"]


def test_who_is_not_there_is_not_found() -> None:
    users("root", "other", admin=True)
    actions: list[Callable[[str], object]] = [
        find_user,
        lambda name: set_admin(ROOT, name, True),
        lambda name: set_admin(ROOT, name, False),
        lambda name: set_password(ROOT, name, NEW),
        lambda name: delete_user(ROOT, name),
    ]
    for action in actions:
        with pytest.raises(NotFound):
            action("nobody")
    with pytest.raises(NotFound):
        find_user("a\0b")


def test_a_password_is_replaced_and_not_a_short_one_nor_ones_own() -> None:
    users("root", "ann")
    set_password(ROOT, "ann", NEW)
    assert password_fits(NEW, User.get_by_id("ann").password_hash)
    for name, password, reason in ("ann", "seven77", "password_short"), ("root", NEW, "own_password"):
        with pytest.raises(AccountError) as refused:
            set_password(ROOT, name, password)
        assert (refused.value.reason, refused.value.params["field"]) == (reason, "password")
    with pytest.raises(AccountError, match="at least 8 characters"):
        add_user("bob", "seven77", admin=False, now=5)
    assert password_fits(PASSWORD, User.get_by_id("root").password_hash)


def test_ones_own_password_is_changed_by_who_knows_it() -> None:
    users("ann")
    for name, present, field in (
        ("ann", "wrong", "present"),
        ("nobody", PASSWORD, "present"),
        ("ann", PASSWORD, "password"),
    ):
        with pytest.raises(AccountError) as refused:
            change_password(name, present, "short")
        assert refused.value.params["field"] == field
    change_password("ann", PASSWORD, NEW)
    assert password_fits(NEW, User.get_by_id("ann").password_hash)


def test_an_administrator_is_made_and_unmade_and_every_process_sees_it() -> None:
    users("root", admin=True)
    users("ann")
    before = current_version()
    set_admin(ROOT, "ann", True)
    set_admin(ROOT, "ann", True)
    assert find_user("ann").admin
    set_admin(ROOT, "ann", False)
    assert not find_user("ann").admin
    assert current_version() == before + 3


def test_nobody_takes_his_own_rights_nor_deletes_himself() -> None:
    users("root", "ann", admin=True)
    for action in lambda: set_admin(ROOT, "root", False), lambda: delete_user(ROOT, "root"):
        with pytest.raises(AccountError, match="another administrator can"):
            action()
    assert find_user("root").admin


def at_once(*actions: Callable[[], object]) -> list[str]:
    """Run `actions` in threads at the same moment, and return the reasons for which some were refused."""
    barrier = threading.Barrier(len(actions))
    refused: list[str] = []

    def run(action: Callable[[], object]) -> None:
        barrier.wait(10.0)
        try:
            action()
        except AccountError as error:
            refused.append(error.reason)
        database.close()

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)
    return refused


def test_the_only_administrator_stays_though_two_go_at_each_other() -> None:
    ann, bob = (Caller(name, admin=True, scopes=frozenset(), platform=False) for name in ("ann", "bob"))
    pairs: list[tuple[Callable[[], object], Callable[[], object]]] = [
        (lambda: delete_user(ann, "bob"), lambda: delete_user(bob, "ann")),
        (lambda: set_admin(ann, "bob", False), lambda: set_admin(bob, "ann", False)),
        (lambda: set_admin(ann, "bob", False), lambda: delete_user(bob, "ann")),
    ]
    for pair in pairs * 2:
        User.delete().execute()
        users("ann", "bob", admin=True)
        assert at_once(*pair) == ["last_administrator"]
        assert User.select().where(User.admin).count() == 1


def test_a_deleted_user_takes_his_grants_along_and_leaves_none_to_the_next_of_that_name() -> None:
    users("root", admin=True)
    users("ann", "bob")
    for name, repo_name in ("ann", ""), ("ann", "r"), ("bob", "r"):
        accounts.grant(name, "p", repo_name, now=5)
    before = current_version()
    assert delete_user(ROOT, "ann") == 2
    assert current_version() == before + 1
    assert [row.user_id for row in Grant.select()] == ["bob"]
    with pytest.raises(AccountError, match="no user ann"):
        accounts.grant("ann", "p", "", now=6)
    add_user("ann", NEW, admin=False, now=7)
    assert find_user("ann") == UserRow("ann", False, 7, 0)


def test_grants_are_listed_page_by_page_and_revoked_one_by_one() -> None:
    users("ann", "bob")
    for name, project_id, repo_name in ("ann", "a", "y"), ("ann", "a", ""), ("ann", "b", "x"), ("bob", "a", "x"):
        accounts.grant(name, project_id, repo_name, now=5)
    places, last = places_of("ann", ("", ""), 2)
    assert ([place[:2] for place in places], last and last[:2]) == ([("a", ""), ("a", "y")], ("a", "y"))
    assert [place[:2] for place in places_of("ann", ("a", "y"), 2)[0]] == [("b", "x")]
    assert places_of("ann", ("a", "y"), 1)[1] is None
    assert (revoke("ann", "a", ""), revoke("ann", "a", "")) == (True, False)
    assert [place[:2] for place in places_of("ann", ("", ""), 9)[0]] == [("a", "y"), ("b", "x")]
    assert find_user("bob").grants == 1


def test_keys_are_listed_without_their_secrets_and_revoked() -> None:
    made = {accounts.create_access_key(app, [], now=at)[0]: app for app, at in (("ci", 1), ("build", 2), ("ci", 3))}
    listed, following = page_of_keys("", 10)
    assert ([(key.app, key.created_at) for key in listed], following) == ([("build", 2), ("ci", 3), ("ci", 1)], None)
    assert listed[0] == KeyRow(listed[0].access_key, "build", [], 2)
    first, following = page_of_keys("", 2)
    rest, end = page_of_keys(following or "", 2)
    assert ({key.access_key for key in first + rest}, len(first), end) == (set(made), 2, None)
    key = listed[0].access_key
    assert (revoke_key(key), revoke_key(key)) == (True, False)
    assert AccessKey.select().count() == 2
