"""Redis, PostgreSQL and MariaDB servers of one's own on free ports of 127.0.0.1, for the tests and the benchmark.

Each is a context manager that gives the server's URL. Its data is in a new directory, deleted with it. The databases
refuse to run as root, so root starts them as the user that their package made.
"""

import atexit
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

READY_PATIENCE_S = 60.0
STOP_PATIENCE_S = 20.0
DATABASE = "hookline"
PASSWORD = "hookline"

_made: dict[str, Path] = {}  # directories of new servers, by the program that made them
_until_exit = contextlib.ExitStack()
atexit.register(_until_exit.close)
_POSTGRES_PLACES = "/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin"


class BackendError(Exception):
    """A server can't be had here; the text says which program is missing, or the end of what it printed."""


class Backend:
    """A server under way."""

    def __init__(self, command: Sequence[str], directory: Path, user: str | None) -> None:
        self._command = list(command)
        self._log = directory / "server.log"
        self._user = user
        self._process = self._run()

    def _run(self) -> "subprocess.Popen[bytes]":
        with self._log.open("ab") as output:
            return subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", **_identity(self._user)
            )

    def wait(self, is_ready: Callable[[], bool]) -> None:
        """Wait until `is_ready`. Raises BackendError where the server ends, or takes too long."""
        deadline = time.monotonic() + READY_PATIENCE_S
        while not is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                end = "\n".join(self._log.read_text(errors="replace").splitlines()[-10:])
                raise BackendError(f"{self._command[0]} did not start:\n{end}")
            time.sleep(0.02)

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    def kill(self) -> None:
        """End it at once, as `kill -9` does."""
        self._end(signal.SIGKILL)

    def restart(self, is_ready: Callable[[], bool]) -> None:
        """Start it again, on the same port and data, after `kill`."""
        self._process = self._run()
        self.wait(is_ready)

    def stop(self) -> None:
        """End it at once, with its children: its data is thrown away."""
        self._end(signal.SIGQUIT if "postgres" in self._command[0] else signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        try:
            self._process.wait(STOP_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Running:
    """A server with its address. `kill` and `start` end it and bring it back on its data."""

    def __init__(self, url: str, port: int, backend: Backend, is_ready: Callable[[], bool]) -> None:
        self.url = url
        self.port = port
        self._backend = backend
        self._is_ready = is_ready

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._backend.pid

    def kill(self) -> None:
        """End it at once."""
        self._backend.kill()

    def start(self) -> None:
        """Start it again, and wait until it answers."""
        self._backend.restart(self._is_ready)


@contextlib.contextmanager
def redis(*options: str, url: str = "redis://127.0.0.1:{port}/0") -> Iterator[Running]:
    """Give a Redis that keeps nothing on disk; `options` go to redis-server. Raises BackendError."""
    program = _program("redis-server")
    with _directory(None) as directory:
        port = free_port()
        base = (program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
        backend = Backend((*base, "--dir", str(directory), *options), directory, None)
        with _stopping(backend):
            backend.wait(lambda: _accepts(port))
            yield Running(url.format(port=port), port, backend, lambda: _accepts(port))


@contextlib.contextmanager
def postgres(*, durable: bool = True) -> Iterator[Running]:
    """Give a PostgreSQL with an empty database; without `durable` it does not sync to disk. Raises BackendError."""
    user = _user("postgres")
    with _directory(user) as directory:
        data, port = directory / "data", free_port()
        password = directory / "password"
        password.write_text(PASSWORD)
        auth = ("--auth=scram-sha-256", f"--pwfile={password}", "--username=hookline")
        _initialise([_postgres("initdb"), "--encoding=UTF8", "--locale=C", "--no-sync", *auth], "--pgdata", data, user)
        options = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": 200}
        if not durable:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "jit": "off"}
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        backend = Backend((_postgres("postgres"), "-D", str(data), *words), directory, user)
        with _stopping(backend):
            ready = [_postgres("pg_isready"), "-h", "127.0.0.1", "-p", str(port), "-q"]
            backend.wait(lambda: subprocess.run(ready).returncode == 0)
            url = f"postgresql://hookline:{PASSWORD}@127.0.0.1:{port}/postgres"
            yield Running(url, port, backend, lambda: subprocess.run(ready).returncode == 0)


@contextlib.contextmanager
def mariadb(*, durable: bool = True) -> Iterator[Running]:
    """Give a MariaDB with an empty database; without `durable` it does not sync to disk. Raises BackendError."""
    user = _user("mysql")
    with _directory(user) as directory:
        data, port, init = directory / "data", free_port(), directory / "init.sql"
        init.write_text(
            f"CREATE DATABASE IF NOT EXISTS {DATABASE};\n"
            f"GRANT ALL ON *.* TO 'hookline'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n"
        )
        install = (_program("mariadb-install-db"), "--no-defaults", "--skip-test-db")
        _initialise([*install, "--auth-root-authentication-method=normal"], "--datadir", data, user)
        options = {
            "datadir": data,
            "port": port,
            "bind-address": "127.0.0.1",
            "socket": directory / "socket",
            "pid-file": directory / "pid",
            "init-file": init,
            "innodb-buffer-pool-size": "512M",
            "innodb-log-file-size": "512M",
            "innodb-flush-log-at-trx-commit": 1 if durable else 0,
        }
        words = [f"--{name}={value}" for name, value in options.items()]
        plain = ("--no-defaults", "--skip-name-resolve", "--skip-log-bin")
        backend = Backend((_program("mariadbd"), *plain, *words), directory, user)
        with _stopping(backend):
            backend.wait(lambda: _accepts(port))
            url = f"mysql://hookline:{PASSWORD}@127.0.0.1:{port}/{DATABASE}"
            yield Running(url, port, backend, lambda: _accepts(port))


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on at present."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise BackendError(f"{name} is not here")
    return found


def _postgres(name: str) -> str:
    """Return the path of one of PostgreSQL's programs, which Debian keeps off the PATH, of the newest version."""
    places = [path for pattern in _POSTGRES_PLACES for path in Path("/").glob(f"{pattern[1:]}/{name}")]
    versions = sorted(places, key=lambda path: [int(part) for part in path.parts if part.isdigit()])
    return str(versions[-1]) if versions else _program(name)


def _user(name: str) -> str | None:
    """Return whom to start a database as: its package's user for root, else None, which is who we are."""
    if os.geteuid():
        return None
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(name).pw_name
    raise BackendError(f"there is no user {name} to run the database as")


def _identity(user: str | None) -> dict[str, object]:
    return {} if user is None else {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def _initialise(command: Sequence[str], option: str, data: Path, user: str | None) -> None:
    """Fill `data` with a new server's files. `command` takes seconds to make them, so it does so once; then they are
    copied."""
    if command[0] not in _made:
        made = _until_exit.enter_context(_directory(user)) / "data"
        _run([*command, f"{option}={made}"], user)
        _made[command[0]] = made
    _run(["cp", "-a", str(_made[command[0]]), str(data)], None)


def _run(command: Sequence[str], user: str | None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", **_identity(user))
    if done.returncode:
        raise BackendError(f"{command[0]} failed:\n{(done.stderr or done.stdout)[-1000:]}")


@contextlib.contextmanager
def _directory(owner: str | None) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="hookline-"))
    try:
        if owner is not None:
            shutil.chown(path, owner)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _stopping(backend: Backend) -> Iterator[None]:
    try:
        yield
    finally:
        backend.stop()


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
        return True
    return False
