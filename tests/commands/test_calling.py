"""Which server, and as whom."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from app.commands.calling import DEFAULT_SERVER, Layer, Target, resolve
from app.commands.profiles import Profile, Profiles
from app.errors import OperatorError
from tests.certificates import authority, issued, serving_with
from tests.commands.conftest import Run, one_line, parsed
from tests.server import PASSWORD, Server, free_port

pytestmark = pytest.mark.sqlite_only

PROD = Profile(server="https://prod", user="amy", secret="of prod")
CI = Profile(server="https://ci", user="ci", access_key="ak", secret_env="CI_SECRET", ca_file="/ci.pem")
PROFILES = Profiles({"prod": PROD, "ci": CI}, "prod")
ENVIRON = {"HOOKLINE_SERVER": "https://env", "HOOKLINE_USER": "eve", "HOOKLINE_PASSWORD": "of env"}
NOTHING = Layer()


def test_without_anything_it_is_the_server_of_this_machine() -> None:
    assert resolve(NOTHING, None, {}, Profiles()) == Target(DEFAULT_SERVER, None, None, None, None)


def test_the_default_profile_is_used_where_nothing_else_is_said() -> None:
    assert resolve(NOTHING, None, {}, PROFILES) == Target("https://prod", "amy", None, "of prod", None)


def test_the_environment_wins_over_a_profile_that_it_or_nobody_names() -> None:
    named = {**ENVIRON, "HOOKLINE_PROFILE": "prod"}
    for environ in (ENVIRON, named):
        assert resolve(NOTHING, None, environ, PROFILES) == Target("https://env", "eve", None, "of env", None)


def test_a_profile_that_an_option_names_wins_over_the_environment() -> None:
    assert resolve(NOTHING, "prod", ENVIRON, PROFILES) == Target("https://prod", "amy", None, "of prod", None)
    found = resolve(NOTHING, "ci", {**ENVIRON, "CI_SECRET": "of ci"}, PROFILES)
    assert found == Target("https://ci", "ci", "ak", "of ci", "/ci.pem")


def test_options_win_over_all() -> None:
    found = resolve(Layer(server="https://flag", user="flo", ca_file="/f"), "prod", ENVIRON, PROFILES)
    assert (found.server, found.user, found.ca_file) == ("https://flag", "flo", "/f")


def test_a_password_goes_to_no_other_server_and_for_no_other_user() -> None:
    assert resolve(Layer(server="https://other"), None, {}, PROFILES).secret is None
    assert resolve(Layer(user="bob"), None, {}, PROFILES).secret is None
    assert resolve(Layer(server="https://other"), None, ENVIRON, Profiles()).secret is None
    assert resolve(NOTHING, "ci", ENVIRON, PROFILES).secret is None


def test_a_password_of_the_environment_without_a_server_is_for_any() -> None:
    assert resolve(Layer(server="https://x", user="bob"), None, {"HOOKLINE_PASSWORD": "p"}, PROFILES).secret == "p"


def test_a_key_of_the_environment_acts_for_the_user_of_an_option() -> None:
    environ = {"HOOKLINE_ACCESS_KEY": "ak", "HOOKLINE_ACCESS_SECRET": "sk", "HOOKLINE_PASSWORD": "p"}
    found = resolve(Layer(user="amy"), None, environ, Profiles())
    assert (found.user, found.access_key, found.secret) == ("amy", "ak", "sk")


def test_an_unknown_profile_is_an_error_that_names_the_others() -> None:
    with pytest.raises(OperatorError, match="there is no profile 'x'; there are: ci, prod"):
        resolve(NOTHING, None, {"HOOKLINE_PROFILE": "x"}, PROFILES)


# --- one line says what was wrong


def test_no_credentials(bare: Run) -> None:
    assert "hookline profile add" in one_line(bare("webhook", "list"))


def test_no_password_and_nobody_to_ask(bare: Run) -> None:
    assert "--password-stdin" in one_line(bare("webhook", "list", "--user", "amy"))


def test_a_wrong_password(run: Run) -> None:
    assert "HTTP 401" in one_line(run("webhook", "list", HOOKLINE_PASSWORD="wrong"))


def test_the_password_of_standard_input(bare: Run, server: Server) -> None:
    options = ("--server", f"http://127.0.0.1:{server.port}", "--user", "admin", "--password-stdin")
    assert parsed(bare("webhook", "list", *options, "--json", stdin=PASSWORD + "\n")) == []


def test_an_address_that_is_none_and_one_where_nothing_listens(run: Run) -> None:
    assert "localhost:8080" in one_line(run("webhook", "list", HOOKLINE_SERVER="localhost:8080"))
    away = f"http://127.0.0.1:{free_port()}"
    assert one_line(run("webhook", "list", HOOKLINE_SERVER=away)) == f"{away} can't be reached: nothing listens there"


def test_a_host_that_is_not_there(run: Run) -> None:
    assert "no-such-host.invalid" in one_line(run("webhook", "list", HOOKLINE_SERVER="http://no-such-host.invalid"))


def test_a_file_of_authorities_that_is_not_there(run: Run) -> None:
    assert "no/such.pem" in one_line(run("webhook", "list", "--ca-file", "no/such.pem", HOOKLINE_SERVER="https://x"))


class Stranger(HTTPServer):
    """Speaks HTTP, but is something else than Hookline."""

    def handle_error(self, *_: object) -> None:
        pass


class StrangerHandler(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_a_certificate_that_nobody_trusts_and_one_that_is_trusted(run: Run, tmp_path: Path) -> None:
    trusted = authority()
    (tmp_path / "ca.pem").write_text(trusted.pem)
    with Stranger(("127.0.0.1", 0), StrangerHandler) as listener:
        context = serving_with(issued(trusted), tmp_path)
        listener.socket = context.wrap_socket(listener.socket, server_side=True)
        thread = threading.Thread(target=listener.serve_forever, args=(0.01,))
        thread.start()
        address = f"https://127.0.0.1:{listener.server_port}"
        refused = one_line(run("webhook", "list", HOOKLINE_SERVER=address))
        answered = one_line(run("webhook", "list", "--ca-file", str(tmp_path / "ca.pem"), HOOKLINE_SERVER=address))
        listener.shutdown()
        thread.join()
    assert address in refused
    assert "certificate" in refused
    assert "is this the right server?" in answered
