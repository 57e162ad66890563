"""A command that sends a logged request again, for any POSIX shell. Pure.

What the receiver or the producer chose can't end its quotes, and holds no character that a terminal would act upon when
the command is pasted.
"""

import re
from collections.abc import Mapping

from app.shown_text import is_visible
from app.urls import ascii_url, url_fault

MOST_IN_ARGUMENT = 64 * 1024  # bytes; Linux takes 128 KiB

_UNUSUAL = re.compile(r"[^ -~]")
_SPECIAL = {"\\": "\\\\", "%": "%%", "\n": "\\n"}


def curl_command(url: str, headers: Mapping[str, str], body: str) -> str:
    """Return the command that posts `body` to `url`. Headers are sent as they are given, masked ones masked."""
    sent = ascii_url(url) if url_fault(url) is None else url
    lines = [f"curl --globoff --request POST {_word(sent)}"]
    lines += [f"--header {_word(_header(name, value))}" for name, value in headers.items()]
    if _is_plain(body.replace("\n", "")) and len(body.encode()) <= MOST_IN_ARGUMENT:
        return " \\\n  ".join([*lines, f"--data-raw {_quoted(body)}"])
    # A pipe has no limit, and printf, which is part of the shell, none either.
    return f"printf {_format(body)} |\n" + " \\\n  ".join([*lines, "--data-binary @-"])


def _header(name: str, value: str) -> str:
    # curl leaves out a header without a value, unless a semicolon stands in for the colon.
    return f"{name}: {value}" if value.strip() else f"{name};"


def _word(text: str) -> str:
    """Return an argument."""
    return _quoted(text) if _is_plain(text) else f'"$(printf {_format(text)})"'


def _is_plain(text: str) -> bool:
    return all(is_visible(found[0]) for found in _UNUSUAL.finditer(text))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _format(text: str) -> str:
    """Return the quoted format that makes printf write `text`."""
    shown = re.sub(r"[\\%\n]", lambda found: _SPECIAL[found[0]], text)
    return _quoted(_UNUSUAL.sub(_octal, shown))


def _octal(found: re.Match[str]) -> str:
    """Return a character that can't be seen as the octal numbers of its bytes."""
    if is_visible(found[0]):
        return found[0]
    return "".join(f"\\{byte:03o}" for byte in found[0].encode("utf-8", "surrogatepass"))
