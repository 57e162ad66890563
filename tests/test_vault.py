"""Secrets at rest."""

import stat
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import pytest
from cryptography.fernet import Fernet

from app.errors import OperatorError
from app.vault import Vault, open_vault

ROOT = Path(__file__).parents[1]


def key() -> str:
    return Fernet.generate_key().decode()


@pytest.mark.parametrize("text", ["", "secret", "密码 \U0001f511", "x" * 10_000])
def test_it_gives_back_what_it_was_given(text: str) -> None:
    vault = Vault([key()])
    sealed = vault.encrypt(text)
    assert vault.decrypt(sealed) == text
    assert not text or text not in sealed


def test_the_same_text_is_never_sealed_alike() -> None:
    vault = Vault([key()])
    assert vault.encrypt("secret") != vault.encrypt("secret")


def test_an_older_key_still_opens_what_it_sealed_and_the_newest_seals() -> None:
    old, new = key(), key()
    rotated = Vault([new, old])
    assert rotated.decrypt(Vault([old]).encrypt("secret")) == "secret"
    assert Vault([new]).decrypt(rotated.encrypt("secret")) == "secret"
    with pytest.raises(OperatorError):
        Vault([old]).decrypt(rotated.encrypt("secret"))


def test_a_changed_text_is_refused() -> None:
    vault = Vault([key()])
    sealed = vault.encrypt("secret")
    changed = sealed[:20] + ("A" if sealed[20] != "A" else "B") + sealed[21:]
    for wrong in (changed, sealed[:-8], "", "plain"):
        with pytest.raises(OperatorError, match="not the key"):
            vault.decrypt(wrong)


@pytest.mark.parametrize("keys", [[""], ["short"], ["!" * 44], [key(), "short"]])
def test_a_key_that_is_none_is_refused(keys: list[str]) -> None:
    with pytest.raises(OperatorError, match="secret key"):
        Vault(keys)


def test_it_makes_a_key_file_that_only_the_owner_reads(tmp_path: Path) -> None:
    data = tmp_path / "deep" / "data"
    sealed = open_vault(None, data).encrypt("secret")
    assert [path.name for path in data.iterdir()] == ["secret.key"]
    assert stat.S_IMODE((data / "secret.key").stat().st_mode) == 0o600
    assert open_vault(None, data).decrypt(sealed) == "secret"


def test_a_given_key_is_used_and_no_file_is_made(tmp_path: Path) -> None:
    old, new = key(), key()
    sealed = Vault([old]).encrypt("secret")
    assert open_vault(f"{new} , {old}", tmp_path).decrypt(sealed) == "secret"
    assert list(tmp_path.iterdir()) == []


def test_a_key_file_may_hold_several_keys(tmp_path: Path) -> None:
    old, new = key(), key()
    (tmp_path / "secret.key").write_text(f"{new}\n{old}\n")
    assert open_vault(None, tmp_path).decrypt(Vault([old]).encrypt("secret")) == "secret"


def test_a_damaged_key_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_text("damaged")
    with pytest.raises(OperatorError):
        open_vault(None, tmp_path)


def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OperatorError, match="HOOKLINE_DATA") as refused:
        open_vault(None, tmp_path / "file")
    assert str(tmp_path / "file") in str(refused.value)


def test_processes_that_come_first_at_once_use_one_key(tmp_path: Path) -> None:
    program = "import sys; from pathlib import Path; from app.vault import open_vault; sys.stdin.read()\n"
    program += "print(open_vault(None, Path(sys.argv[1])).encrypt('secret'))"
    running = [
        subprocess.Popen([sys.executable, "-c", program, tmp_path], stdin=PIPE, stdout=PIPE, cwd=ROOT, text=True)
        for _ in range(3)
    ]
    for process in running:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    sealed = [process.communicate(timeout=30)[0].strip() for process in running]
    vault = open_vault(None, tmp_path)
    assert [vault.decrypt(text) for text in sealed] == ["secret"] * 3
    assert [path.name for path in tmp_path.iterdir()] == ["secret.key"]


def test_keys_for_other_purposes_are_of_each_key_and_each_purpose() -> None:
    first, second = key(), key()
    derived = Vault([first, second]).derive("sessions")
    assert derived == Vault([first]).derive("sessions") + Vault([second]).derive("sessions")
    assert len({*derived, *Vault([first, second]).derive("links")}) == 4
    assert {len(each) for each in derived} == {32}
