"""The command that repeats a request, as a real shell and a real curl understand it."""

import shutil
import subprocess

import pytest

from app.curl_command import MOST_IN_ARGUMENT, curl_command
from tests.receiver import Receiver

SHELLS = [shell for shell in ("sh", "bash") if shutil.which(shell)]
HOSTILE = '\'; touch /tmp/x; echo $(id) `id` "$HOME" !! \\n \\ %s %% *~#&|<>'

JSON = {"Content-Type": "application/json"}


def arguments(command: str, shell: str) -> tuple[list[str], bytes]:
    """Return what curl would get: its arguments, and its standard input."""
    script = f"""
curl() {{ printf '%s\\0' "$@"; printf END; for last in "$@"; do :; done; [ "$last" != @- ] || cat; }}
{command}
"""
    done = subprocess.run([shell], input=script.encode(), check=True, capture_output=True, timeout=20)
    given, _, piped = done.stdout.partition(b"\0END")
    return given.decode().split("\0"), piped


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("body", ["{}", '{"路":"径 🎉"}', HOSTILE, "a\nb\n\n", "", "@/etc/passwd", " ", "--next"])
def test_a_body_arrives_as_it_is(shell: str, body: str) -> None:
    given, piped = arguments(curl_command("http://a.example/x", JSON, body), shell)
    assert given == [
        *("--globoff", "--request", "POST", "http://a.example/x"),
        *("--header", "Content-Type: application/json", "--data-raw", body),
    ]
    assert piped == b""


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "body",
    [
        "\0",
        "a\x1b[201~\rb",
        "x\u202ey",
        "100% \\ '\x07",
        "\tstart\r\nend\n",
        "é" * MOST_IN_ARGUMENT,
        "\x7f7",
        "%d\x01\\0",
    ],
)
def test_what_a_terminal_would_act_upon_and_what_is_long_goes_through_a_pipe(shell: str, body: str) -> None:
    command = curl_command("http://a.example/", {}, body)
    assert all(character.isprintable() for character in command.replace("\n", ""))
    given, piped = arguments(command, shell)
    assert given[-2:] == ["--data-binary", "@-"]
    assert piped == body.encode()


@pytest.mark.parametrize("shell", SHELLS)
def test_url_and_headers_can_not_leave_their_quotes(shell: str) -> None:
    headers = {"X-Own": HOSTILE, "X-Empty": "", "X-Odd": "a\x1bb", "Authorization": "****cdef"}
    url = "http://a.example/x?y='$(id)'&z=[1-3]{a,b}"
    given, _ = arguments(curl_command(url, headers, "x"), shell)
    assert given[3] == url
    assert given[5:12:2] == [f"X-Own: {HOSTILE}", "X-Empty;", "X-Odd: a\x1bb", "Authorization: ****cdef"]


def test_an_international_url_is_the_one_that_was_called() -> None:
    assert "'http://xn--bcher-kva.example/%E8%B7%AF'" in curl_command("http://bücher.example/路", {}, "")


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("body", ['{"a":"it\'s 100% \\\\"}', "x\x01\n", ""], ids=["plain", "piped", "empty"])
def test_curl_sends_the_same_request(receiver: Receiver, body: str) -> None:
    command = curl_command(receiver.url, {**JSON, "X-Empty": "", "webhook-id": "1"}, body)
    subprocess.run(["sh", "-c", command], check=True, capture_output=True, timeout=20)
    [received] = receiver.received
    assert (received.method, received.path, received.body) == ("POST", "/hook", body.encode())
    sent = {name: received.headers[name] for name in ("content-type", "x-empty", "webhook-id")}
    assert sent == {"content-type": "application/json", "x-empty": "", "webhook-id": "1"}
