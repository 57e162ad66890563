"""`hookline serve` as operators meet it: it starts, says what it must, refuses in one line, and ends when asked."""

import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hookline_client import Client, ClientError

from app.errors import OperatorError
from app.models import User
from app.services import Services
from tests.server import PASSWORD, Server, eventually, serving
from workers.serve import announce_first_admin, only_process, refuse_taken_port

ANNOUNCED = re.compile(r"^First administrator: admin, password (\S+) \(shown once\)$", re.MULTILINE)


def refusal(server: Server) -> str:
    """Return the one line with which a server refuses to start."""
    process = server.run()
    assert process.wait(20) == 1
    [line] = server.text().splitlines()
    assert line.startswith("Error: ")
    return line.removeprefix("Error: ")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("serve") / "data") as running:
        yield running


@pytest.mark.slow
def test_it_says_where_it_listens_and_shows_no_password_that_it_was_given(server: Server) -> None:
    assert f"Hookline is listening on http://127.0.0.1:{server.port}\n" in server.text()
    assert PASSWORD not in server.text()
    assert "First administrator" not in server.text()
    with server.client() as client:
        assert client.list("SYSTEM") == []


@pytest.mark.slow
def test_a_second_server_on_the_same_data_is_refused(server: Server) -> None:
    second = Server(server.data)
    second.output = server.data.with_name("second.out")
    assert refusal(second) == f"HOOKLINE_DATA: {server.data} is in use by another hookline serve"
    with server.client() as client:
        assert client.list("SYSTEM") == []  # and the first goes on


@pytest.mark.slow
def test_a_taken_port_is_refused(server: Server, tmp_path: Path) -> None:
    second = Server(tmp_path / "data")
    second.port = server.port
    assert refusal(second) == f"can't listen on 127.0.0.1:{server.port}: Address already in use"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_order_when_it_is_asked_to(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path / "data") as server:
        eventually(lambda: server.query("SELECT role FROM running_process") == [("serve",)])
        assert server.stop(number) == 0
        assert server.query("SELECT role FROM running_process") == []
    assert "Traceback" not in server.text()
    assert server.query("PRAGMA integrity_check") == [("ok",)]


@pytest.mark.slow
def test_the_first_administrators_password_is_made_and_printed_once(tmp_path: Path) -> None:
    with serving(tmp_path / "data", HOOKLINE_ADMIN_PASSWORD="") as server:
        [password] = ANNOUNCED.findall(server.text())
        server.kill()
        server.start()
        eventually(lambda: server.text().count("Hookline is listening") == 2)
        assert ANNOUNCED.findall(server.text()) == [password]
        base = f"http://127.0.0.1:{server.port}"
        with Client(base, user="admin", password=password, use_proxy=False) as client:
            assert client.list("SYSTEM") == []
        with server.client() as stranger, pytest.raises(ClientError, match="401"):
            stranger.list("SYSTEM")


def test_no_administrator_is_made_where_there_is_one(services: Services, capsys: pytest.CaptureFixture[str]) -> None:
    announce_first_admin(services.settings)
    assert ANNOUNCED.fullmatch(capsys.readouterr().out.strip())
    announce_first_admin(services.settings)
    assert capsys.readouterr().out == ""
    assert [(user.id, user.admin) for user in User.select()] == [("admin", True)]


def test_a_data_directory_is_held_by_one_and_then_free(tmp_path: Path) -> None:
    data = tmp_path / "new" / "data"
    with only_process(data), pytest.raises(OperatorError, match="in use by another"), only_process(data):
        pass
    with only_process(data):
        assert data.is_dir()


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OperatorError, match=r"^HOOKLINE_DATA: .*file/data can't be used"),
        only_process(tmp_path / "file" / "data"),
    ):
        pass


def test_a_port_is_refused_while_another_listens_on_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(OperatorError, match=f"can't listen on 127.0.0.1:{port}: Address already in use"):
            refuse_taken_port("127.0.0.1", port)
    assert refuse_taken_port("127.0.0.1", port) is None


def test_a_host_that_is_no_address_of_this_machine_is_refused() -> None:
    with pytest.raises(OperatorError, match=r"can't listen on 192\.0\.2\.1:8080"):
        refuse_taken_port("192.0.2.1", 8080)
