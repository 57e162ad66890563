"""`hookline web`, `worker` and `scheduler` as operators meet them: they refuse in one line, and heed signals."""

import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from app.fairness import FIRST_WINDOW
from scripts import backends
from tests.production import ROOT, Production, database_server, hookline, production
from tests.receiver import Answer, Receiver
from tests.redis_server import client_of, redis_server
from tests.server import eventually, free_port
from tests.test_production import batches

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

PROCESSES = ("web", "worker", "scheduler")
PREPARATIONS = ("release", "migrate")
WRONG = "a-wrong-pa55word"
REDIS_PASSWORD = "a-good-pa55word"
SLOW_S = 1.5


@pytest.fixture(scope="module")
def redis() -> Iterator[backends.Running]:
    with redis_server(
        "--requirepass", REDIS_PASSWORD, url=f"redis://:{REDIS_PASSWORD}@127.0.0.1:{{port}}/0"
    ) as running:
        yield running


@pytest.fixture(scope="module")
def postgres() -> Iterator[backends.Running]:
    with database_server("postgres", durable=False) as running:
        yield running


@pytest.fixture(scope="module")
def mariadb() -> Iterator[backends.Running]:
    with database_server("mariadb", durable=False) as running:
        yield running


@pytest.fixture
def site(tmp_path: Path, redis: backends.Running) -> Iterator[Production]:
    with production(tmp_path / "site", f"sqlite:///{tmp_path / 'hookline.db'}", redis.url) as made:
        yield made
        with client_of(redis.url) as client:
            client.flushall()


def refusals(site: Production, names: tuple[str, ...], environ: Mapping[str, str]) -> set[str]:
    """Return the lines with which these commands refuse to start: each gives one, and exits with 1."""
    given = {**site.environ, **environ}
    started = [
        subprocess.Popen(hookline(name), cwd=ROOT, env=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for name in names
    ]
    said = set()
    for process in started:
        output, errors = process.communicate(timeout=60.0)  # its end says that no child holds the pipes open
        assert (process.returncode, output) == (1, ""), errors
        [line] = errors.splitlines()
        assert line.startswith("Error: ")
        said.add(line.removeprefix("Error: "))
    return said


def refuses(
    site: Production, *parts: str, names: tuple[str, ...] = (*PROCESSES, *PREPARATIONS), **environ: str
) -> set[str]:
    """Return the lines with which the commands refuse; each holds all `parts`, and no password."""
    said = refusals(site, names, environ)
    for line in said:
        for part in parts:
            assert part in line
        assert WRONG not in line
        assert REDIS_PASSWORD not in line
        assert backends.PASSWORD + "@" not in line
    return said


@pytest.mark.parametrize("url", ["oracle://u:p@127.0.0.1/x", "mysql://u:p@127.0.0.1:port/x"])
def test_a_database_url_that_is_none_is_refused(site: Production, url: str) -> None:
    assert refuses(site, "DATABASE_URL=", "not usable", DATABASE_URL=url)


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_a_database_that_cannot_be_reached_is_refused(site: Production, scheme: str) -> None:
    port = free_port()
    url = f"{scheme}://user:{WRONG}@127.0.0.1:{port}/name"
    assert refuses(site, "DATABASE_URL", f"127.0.0.1:{port}/name", "can't be opened", DATABASE_URL=url)


def test_a_file_that_cannot_be_opened_is_refused(site: Production) -> None:
    assert refuses(site, "DATABASE_URL", "/proc/hookline.db", DATABASE_URL="sqlite:////proc/hookline.db")


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_a_wrong_password_of_the_database_is_refused_and_not_shown(
    site: Production, kind: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(kind).url.replace(f":{backends.PASSWORD}@", f":{WRONG}@")
    assert refuses(site, "DATABASE_URL", "can't be opened", "hookline", DATABASE_URL=url)


@pytest.mark.parametrize(
    ("scheme", "driver", "extra"), [("postgresql", "psycopg2", "postgres"), ("mysql", "pymysql", "mysql")]
)
def test_a_missing_driver_is_named_with_what_to_install(
    site: Production, tmp_path: Path, scheme: str, driver: str, extra: str
) -> None:
    (tmp_path / "stubs").mkdir()
    (tmp_path / "stubs" / f"{driver}.py").write_text(f"raise ImportError('there is no {driver}')\n")
    url = f"{scheme}://user:{WRONG}@127.0.0.1/name"
    assert refuses(site, f"pip install 'hookline[{extra}]'", DATABASE_URL=url, PYTHONPATH=str(tmp_path / "stubs"))


def test_a_missing_key_is_refused(site: Production) -> None:
    assert refuses(site, "HOOKLINE_SECRET_KEY is needed", "hookline secret", HOOKLINE_SECRET_KEY="")


def test_a_key_that_is_none_is_refused_by_what_needs_one(site: Production) -> None:
    site.release()
    assert refuses(site, "secret key", names=PROCESSES, HOOKLINE_SECRET_KEY="no key")


def test_a_missing_redis_url_is_refused(site: Production) -> None:
    site.release()
    assert refuses(site, "REDIS_URL is needed", names=PROCESSES, REDIS_URL="")


@pytest.mark.parametrize("url", ["127.0.0.1:6379", "redis://127.0.0.1:none/0"])
def test_a_redis_url_that_is_none_is_refused(site: Production, url: str) -> None:
    site.release()
    assert refuses(site, "REDIS_URL", names=PROCESSES, REDIS_URL=url)


def test_a_redis_that_cannot_be_reached_is_refused(site: Production) -> None:
    site.release()
    port = free_port()
    assert refuses(
        site, "REDIS_URL", f"127.0.0.1:{port}", names=PROCESSES, REDIS_URL=f"redis://:{WRONG}@127.0.0.1:{port}/0"
    )


def test_a_wrong_password_of_redis_is_refused_and_not_shown(site: Production, redis: backends.Running) -> None:
    site.release()
    wrong = f"redis://:{WRONG}@127.0.0.1:{redis.port}/0"
    assert refuses(site, "REDIS_URL", f"127.0.0.1:{redis.port}", names=PROCESSES, REDIS_URL=wrong)


def test_a_database_of_an_older_version_is_refused_until_it_is_released(site: Production) -> None:
    assert refuses(site, "lacks 0001_initial, 0002_production", "hookline migrate", names=PROCESSES)
    site.release()
    site.query("DELETE FROM schema_migration WHERE name = '0002_production'")
    assert refuses(site, "the database lacks 0002_production: run hookline migrate", names=PROCESSES)


def test_a_database_of_a_newer_version_is_refused_by_all(site: Production) -> None:
    site.release()
    site.query("INSERT INTO schema_migration (name, applied) VALUES ('0999_later', '2030-01-01')")
    assert refuses(site, "newer version", "0999_later")


def test_a_taken_port_is_refused(site: Production) -> None:
    site.release()
    site.start("web")
    assert refuses(site, f"can't listen on 127.0.0.1:{site.port}", names=("web",))


def publish_slow(site: Production, receiver: Receiver, count: int) -> None:
    """Publish what the receiver answers after a while, and wait until all of it is in flight."""
    with site.client() as client:
        client.create(url=receiver.url, triggers=["NODE_CREATED"], associationType="SYSTEM")
        receiver.script.extend([Answer(delay=SLOW_S)] * count)
        client.publish(batches(count)[0])
    receiver.wait_for(count)


def test_signals_that_come_within_a_moment_count_as_one(site: Production, receiver: Receiver) -> None:
    site.release()
    site.start("web")
    worker = site.start("worker")
    publish_slow(site, receiver, FIRST_WINDOW)
    for _ in range(2):
        worker.send_all(signal.SIGTERM)  # to the master, which passes it on, and to the process that works
        worker.wait_for("Stopping worker process...")
    assert worker.process.wait(20.0) == 0
    assert worker.text().count("Stopping worker process...") == 1
    assert "Killing worker process" not in worker.text()
    assert (site.owed(), site.query("SELECT count(*) FROM webhook_log")) == (0, [(FIRST_WINDOW,)])
    assert len(receiver.received) == FIRST_WINDOW


def test_a_reload_finishes_what_is_in_flight_and_goes_on(site: Production, receiver: Receiver) -> None:
    site.release()
    site.start("web")
    worker = site.start("worker")
    publish_slow(site, receiver, FIRST_WINDOW)
    worker.send(signal.SIGHUP)
    with site.client() as client:
        client.publish(batches(50)[0])  # while the one process ends and the next begins
    worker.wait_for("Worker process is ready for action.", 2)
    eventually(lambda: site.owed() == 0)
    assert worker.process.poll() is None
    count = FIRST_WINDOW + 50
    assert len(receiver.received) == len({request.headers["webhook-id"] for request in receiver.received}) == count
    assert site.query("SELECT status, attempt, count(*) FROM webhook_log GROUP BY status, attempt") == [
        ("SUCCESS", 1, count)
    ]
    assert "Traceback" not in worker.text()


def test_a_worker_logs_what_log_level_says(site: Production, receiver: Receiver) -> None:
    site.release()
    site.start("web")
    worker = site.start("worker", LOG_LEVEL="DEBUG", LOG_FORMAT="text")
    with site.client() as client:
        client.create(url=receiver.url, triggers=["NODE_CREATED"], associationType="SYSTEM")
        client.publish(batches(1)[0])
    worker.wait_for("status=SUCCESS")
