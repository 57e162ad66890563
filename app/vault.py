"""Secrets at rest: encrypted with Fernet (AES-128-CBC and HMAC-SHA-256), several keys for rotation."""

import os
from base64 import urlsafe_b64decode
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.errors import OperatorError


class Vault:
    """Encrypts and decrypts short texts. The first key encrypts; every key decrypts."""

    def __init__(self, keys: list[str]) -> None:
        self._keys = keys
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError as error:
            raise OperatorError(f"the secret key is not usable: {error}") from error

    def encrypt(self, text: str) -> str:
        """Return `text` encrypted and authenticated."""
        return self._fernet.encrypt(text.encode()).decode()

    def decrypt(self, sealed: str) -> str:
        """Return the text of `sealed`. Raises OperatorError where no key fits."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise OperatorError("a stored secret can't be decrypted: this is not the key it was stored with") from error

    def derive(self, purpose: str) -> list[bytes]:
        """Return keys of 32 bytes for something else than secrets at rest, one of each key of the vault, in its order
        (HKDF, RFC 5869)."""
        return [
            HKDF(hashes.SHA256(), 32, salt=None, info=purpose.encode()).derive(urlsafe_b64decode(key))
            for key in self._keys
        ]


def open_vault(secret_key: str | None, data_dir: Path) -> Vault:
    """Return the vault of `secret_key` (comma-separated keys, newest first), else of the key file in `data_dir`.

    The file is made at first use, readable by its owner alone. Raises OperatorError where that is not possible.
    """
    if secret_key:
        return Vault([key.strip() for key in secret_key.split(",")])
    path = data_dir / "secret.key"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _write_once(path, Fernet.generate_key())
        return Vault(path.read_text().split())
    except OSError as error:
        raise OperatorError(f"HOOKLINE_DATA: {path} can't be used: {error.strerror}") from error


def _write_once(path: Path, key: bytes) -> None:
    # Written whole under another name, then linked: a second process either finds the whole key or makes its own.
    draft = path.with_suffix(f".{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
