"""How secrets look in answers and logs (contract §3): enough to recognise one, not to use it."""

from collections.abc import Mapping
from functools import lru_cache

_NAMES = ("authorization", "cookie", "token", "secret", "key")
_SHOWN = 4
_SHORT = 8


def mask(secret: str) -> str:
    """Return `****` and the last four characters; of a secret under eight characters nothing is shown."""
    return "****" + (secret[-_SHOWN:] if len(secret) >= _SHORT else "")


@lru_cache(maxsize=1024)
def is_secret_name(header: str) -> bool:
    """Return whether a header's name says that its value is a secret."""
    lowered = header.lower()
    return any(name in lowered for name in _NAMES)


def mask_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return `headers` with secret values masked."""
    return {name: mask(value) if is_secret_name(name) else value for name, value in headers.items()}
