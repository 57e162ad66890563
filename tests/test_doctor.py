"""`hookline doctor`: what it says of things that are really broken, and how to mend them."""

import json
import os
import resource
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from playhouse.migrations import Runner

from app import doctor_database, doctor_host, doctor_redis, doctor_service
from app.cli import main
from app.clock import now_ms
from app.database import connect
from app.doctor import BROKEN, DOUBTFUL, GOOD, Check, Finding, examine, good
from app.doctor import Result as Checked
from app.models import User, database
from app.presence import WEB, Presence, running_processes
from app.schema import migrate
from app.services import Services
from config.settings import Settings, load_settings
from scripts import backends
from tests.conftest import SECRET_KEY, Place
from tests.empty_database import empty_database
from tests.redis_server import client_of
from tests.rows import delivery, event, webhook
from tests.server import eventually

# --- the runner


def _settings(**environ: str) -> Settings:
    return load_settings(environ)


@pytest.mark.sqlite_only
def test_a_check_that_hangs_or_fails_is_a_finding_and_others_are_made() -> None:
    hanging = threading.Event()

    def hang(_: Settings) -> Finding:
        hanging.wait(60)
        return good("at last")

    def fail(_: Settings) -> Finding:
        raise ZeroDivisionError("oh\nno")

    checks = (
        Check("hangs", hang, "wake it"),
        Check("needs it", hang, "wake it", needs="hangs"),
        Check("needs that", hang, "wake it", needs="needs it"),
        Check("fails", fail, "mend it"),
        Check("is not for here", lambda _: None, "-"),
        Check("nor is this", fail, "-", needs="is not for here"),
        Check("works", lambda _: good("fine"), "-"),
    )
    found = list(examine(checks, _settings(), patience_s=0.05))
    hanging.set()
    assert found == [
        Checked("hangs", Finding(BROKEN, "no answer within 0.05 s", "wake it")),
        Checked("needs it", None),
        Checked("needs that", None),
        Checked("fails", Finding(BROKEN, "oh no", "mend it")),
        Checked("works", Finding(GOOD, "fine")),
    ]


# --- the command


Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    def run(*arguments: str, **environ: str) -> Result:
        cleared = {name: None for name in os.environ if name.startswith("HOOKLINE_")}
        env = {**cleared, "HOOKLINE_DATA": str(tmp_path / "data"), **environ}
        return CliRunner(env=env).invoke(main, ["doctor", *arguments])

    yield run
    if database.obj is not None:
        database.close()


@pytest.mark.sqlite_only
def test_a_new_machine_is_told_what_comes_first_and_nothing_is_made(run: Run, tmp_path: Path) -> None:
    result = run()
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "ok      settings: every variable can be used"
    assert f"warning database: there is no {tmp_path}/data/hookline.db yet → hookline release makes it" in result.stdout
    assert lines[-1].startswith("Not checked, for what they need is not there: tables, writing")
    assert not (tmp_path / "data").exists()


@pytest.mark.sqlite_only
def test_a_good_machine_passes(run: Run, tmp_path: Path) -> None:
    release = ["release", "--data", str(tmp_path / "data")]
    assert CliRunner(env={"HOOKLINE_ADMIN_PASSWORD": "a password of the tests"}).invoke(main, release).exit_code == 0
    result = run("--json")
    assert result.exit_code == 0, result.output
    checks = {check["name"]: check for check in json.loads(result.stdout)["checks"]}
    assert {name: check["state"] for name, check in checks.items() if check["state"] != "ok"} == {
        "processes": "warning"  # none of the service is running
    }
    assert checks["tables"] == {"name": "tables", "state": "ok", "text": "the tables are up to date", "remedy": None}


@pytest.mark.sqlite_only
def test_a_broken_setting_is_one_line_and_the_exit_status_is_1(run: Run) -> None:
    result = run(MAX_IN_FLIGHT="many")
    assert result.exit_code == 1
    assert result.stdout.startswith("failed  settings: MAX_IN_FLIGHT='many' is not usable")
    assert result.stdout.count("\n") == 1


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("postgresql://hookline:wrong@127.0.0.1:{port}/hookline", "start the server, or correct host and port"),
        ("mysql://hookline:wrong@127.0.0.1:{port}/hookline", "start the server, or correct host and port"),
        ("sqlite:////proc/nowhere/hookline.db", "hookline release makes it, and so does hookline serve"),
    ],
)
def test_a_database_that_is_away_is_one_line(run: Run, url: str, remedy: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nothing listens
        place = url.format(port=taken.getsockname()[1])
        result = run(DATABASE_URL=place, HOOKLINE_SECRET_KEY=Fernet.generate_key().decode())
    [line] = [line for line in result.stdout.splitlines() if " database: " in line]
    assert line.endswith(f"→ {remedy}")
    assert "wrong" not in result.stdout
    assert "Traceback" not in result.output


# --- the database


@pytest.fixture
def empty(database_place: Place, tmp_path: Path, environ: dict[str, str]) -> Iterator[Settings]:
    """The settings of a database without tables."""
    with empty_database(database_place, tmp_path) as url:
        connect(url)  # which makes the file of SQLite
        yield load_settings({**environ, "DATABASE_URL": url, "HOOKLINE_SECRET_KEY": SECRET_KEY})


def found_by(checks: tuple[Check, ...], settings: Settings) -> dict[str, Finding | None]:
    return dict(examine(checks, settings))


def test_a_database_without_tables_is_to_be_migrated(empty: Settings) -> None:
    found = found_by(doctor_database.CHECKS, empty)
    assert found["database"].state == GOOD, found
    assert (found["tables"].state, found["tables"].remedy) == (BROKEN, "run hookline release")
    assert found["writing"] is None
    connect(empty.database_url)
    migrate()
    assert {finding.state for finding in found_by(doctor_database.CHECKS, empty).values()} == {GOOD}
    Runner(database.obj).History.insert(name="9999_later").execute()
    assert found_by(doctor_database.CHECKS, empty)["tables"].remedy == "upgrade Hookline here"


@pytest.fixture
def on_server(database_place: Place) -> Place:
    """Leaves out SQLite, which has neither users nor other databases."""
    return database_place


def test_a_wrong_password_and_a_database_that_is_not_there_are_told_apart(on_server: Place, empty: Settings) -> None:
    parts = urlsplit(empty.database_url)
    nowhere = replace(empty, database_url=parts._replace(path="/nowhere").geturl())
    found = found_by(doctor_database.CHECKS, nowhere)["database"]
    assert found.remedy in {
        "make the database and give the user all rights on it, or correct its name",
        "correct user and password in DATABASE_URL",  # MariaDB tells users without rights on it nothing else
    }
    guest = replace(empty, database_url=empty.database_url.replace(f"//{parts.username}:", "//guest:"))
    found = found_by(doctor_database.CHECKS, guest)["database"]
    assert found.state == BROKEN
    assert parts.password not in found.text


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ('FATAL: password authentication failed for user "hookline"', "correct user and password in DATABASE_URL"),
        ("(1045, \"Access denied for user 'h'@'localhost'\")", "correct user and password in DATABASE_URL"),
        ("(1049, \"Unknown database 'nowhere'\")", "make the database and give the user all rights on it, or correct"),
        ("could not translate host name", "correct the host in DATABASE_URL, or the machine's DNS"),
        ("the driver is missing: pip install 'hookline[mysql]'", "install the driver"),
        ("file is not a database", "restore the file from a backup"),
        ("something new", "correct DATABASE_URL, or see what the server's log says"),
    ],
)
@pytest.mark.sqlite_only
def test_what_drivers_say_has_a_remedy(said: str, remedy: str) -> None:
    assert doctor_database.remedy_for(said).startswith(remedy)


@pytest.mark.sqlite_only
def test_a_file_that_is_no_database_is_broken(tmp_path: Path) -> None:
    (tmp_path / "hookline.db").write_bytes(b"no database at all" * 100)
    found = found_by(doctor_database.CHECKS, _settings(HOOKLINE_DATA=str(tmp_path)))
    assert (found["database"].state, found["database"].remedy) == (BROKEN, "restore the file from a backup")


@pytest.mark.sqlite_only
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_directory_that_can_only_be_read_is_broken(settings: Settings) -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        shutil.copy(settings.data_dir / "hookline.db", place)
        place.chmod(0o755)
        os.seteuid(65534)
        try:
            found = found_by((*doctor_host.CHECKS, *doctor_database.CHECKS), _settings(HOOKLINE_DATA=name))
        finally:
            os.seteuid(0)
    assert found["data directory"].remedy == f"chown it to the service's user: {place}"
    failed = {check: finding.remedy for check, finding in found.items() if finding and finding.state == BROKEN}
    assert "let the service's user write the file and its directory" in failed.values(), found


def test_a_clock_is_judged_by_what_it_says_beyond_the_time_of_the_question() -> None:
    at = 1_640_563_200_000
    assert doctor_database.compared(at, at + 900, at + 1_000, "Redis'").state == GOOD
    assert doctor_database.compared(at, at - 1_500, at, "Redis'").state == GOOD
    behind = doctor_database.compared(at, at + 5_500, at + 500, "Redis'")
    assert (behind.state, behind.text) == (DOUBTFUL, "this clock is 5.0 s behind Redis'")
    ahead = doctor_database.compared(at, at - 90_000, at + 500, "Redis'")
    assert (ahead.state, ahead.text) == (BROKEN, "this clock is 90.0 s ahead of Redis'")


# --- Redis


@pytest.mark.sqlite_only
def test_redis_is_checked_from_its_address_to_its_memory(redis_here: backends.Running) -> None:
    settings = _settings(REDIS_URL=redis_here.url, REDIS_NAMESPACE="mine")
    found = found_by(doctor_redis.CHECKS, settings)
    assert {finding.state for finding in found.values()} == {GOOD}, found
    assert "keys begin with mine" in found["redis"].text
    with client_of(redis_here.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            found = found_by(doctor_redis.CHECKS, settings)
        finally:
            client.config_set("maxmemory-policy", "noeviction")
    assert found["redis memory"].state == DOUBTFUL
    assert found["redis memory"].remedy.startswith("CONFIG SET maxmemory-policy noeviction")


@pytest.mark.sqlite_only
def test_a_redis_that_is_away_or_asks_for_a_password_is_one_finding(redis_here: backends.Running) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        found = found_by(doctor_redis.CHECKS, _settings(REDIS_URL=f"redis://127.0.0.1:{port}/0"))
    assert found["redis"].remedy.startswith("start Redis")
    assert found["redis memory"] is None
    with client_of(redis_here.url) as client:
        client.config_set("requirepass", "of the tests")
        try:
            found = found_by(doctor_redis.CHECKS, _settings(REDIS_URL=redis_here.url))
            wrong = _settings(REDIS_URL=redis_here.url.replace("//", "//:wrong@"))
            refused = found_by(doctor_redis.CHECKS, wrong)
        finally:
            client.config_set("requirepass", "")
    assert found["redis"].remedy == "correct user and password in REDIS_URL"
    assert refused["redis"].remedy == "correct user and password in REDIS_URL"
    assert "wrong@" not in refused["redis"].text
    assert found_by(doctor_redis.CHECKS, _settings(REDIS_URL="http://x"))["redis"].remedy == "correct REDIS_URL"


@pytest.mark.sqlite_only
def test_without_redis_nothing_is_said_of_it() -> None:
    assert found_by(doctor_redis.CHECKS, _settings()) == {}


# --- the service


ALONE = tuple(check._replace(needs=None) for check in doctor_service.CHECKS)


def test_a_key_that_does_not_open_what_is_stored_is_broken(services: Services, settings: Settings) -> None:
    webhook(services)
    assert "opens the secrets of all 1 webhooks" in doctor_service.keys(settings).text
    other = Fernet.generate_key().decode()
    found = doctor_service.keys(replace(settings, secret_key=other))
    assert (found.state, "1 of 1 webhooks" in found.text) == (BROKEN, True)
    if settings.secret_key:
        assert doctor_service.keys(replace(settings, secret_key=f"{other},{settings.secret_key}")).state == GOOD


def test_what_is_owed_and_who_is_there_is_said(services: Services, settings: Settings) -> None:
    found = found_by(ALONE, settings)
    assert {name: finding.state for name, finding in found.items() if finding.state != GOOD} == {
        "administrator": DOUBTFUL,
        "processes": DOUBTFUL,
    }
    User.insert(id="root", password_hash="-", admin=True, created_at=0).execute()
    hook = webhook(services, enabled=False)
    delivery(hook, event("e", now_ms() - 600_000), now_ms() - 600_000)
    presence = Presence(WEB)
    presence.start()
    try:
        eventually(running_processes)
        found = found_by(ALONE, settings)
    finally:
        presence.stop()
    assert found["administrator"].text == "administrators: root"
    assert (found["processes"].state, found["processes"].remedy) == (BROKEN, "start hookline worker")
    assert found["scheduler"].state == DOUBTFUL
    assert found["deliveries"].text.startswith("1 owed, 0 given up; the oldest is 10 minutes old; one has been due for")
    assert found["webhooks"].text.startswith("1 disabled")


# --- this machine


@pytest.mark.sqlite_only
def test_the_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    path.write_text("x")
    path.chmod(0o640)
    settings = _settings(HOOKLINE_DATA=str(tmp_path))
    assert doctor_host.key_file(settings).remedy == f"chmod 600 {path}"
    path.chmod(0o600)
    assert doctor_host.key_file(settings).state == GOOD


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("networks", "named"),
    [
        ("", None),
        ("192.168.7.0/24", None),
        ("127.0.0.0/8", "this machine"),
        ("0.0.0.0/0", "this machine, the cloud's metadata, private networks"),
        ("169.254.0.0/16", "the cloud's metadata"),
    ],
)
def test_what_the_guard_lets_through_is_named(networks: str, named: str | None) -> None:
    found = doctor_host.guard(_settings(ALLOW_NETWORKS=networks))
    assert (found.state == DOUBTFUL, found.text.endswith(f"reach {named}")) == (named is not None, named is not None)


@pytest.mark.sqlite_only
def test_an_authority_that_has_ended_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    for days, state in ((-1, BROKEN), (3, DOUBTFUL), (300, GOOD)):
        path.write_bytes(_authority(datetime.now(UTC) + timedelta(days=days)))
        assert doctor_host.authorities(_settings(CA_BUNDLE=str(path))).state == state


def _authority(end: datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority")])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, end - timedelta(days=400), end)
    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


@pytest.mark.sqlite_only
def test_a_proxy_that_is_away_is_broken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        settings = _settings(OUTBOUND_PROXY=f"http://user:secret@127.0.0.1:{listening.getsockname()[1]}")
        found = found_by(doctor_host.CHECKS, settings)["proxy"]
        assert (found.state, "secret" in found.text) == (GOOD, False)
    assert found_by(doctor_host.CHECKS, settings)["proxy"].state == BROKEN


@pytest.mark.sqlite_only
def test_too_few_open_files_and_a_dashboard_in_the_clear_are_said() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1_000, before[1]))
    try:
        found = doctor_host.open_files(_settings(MAX_IN_FLIGHT="900"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert (found.state, "MAX_IN_FLIGHT=900" in found.text) == (DOUBTFUL, True)
    assert doctor_host.public_url(_settings(PUBLIC_URL="http://hooks.example.com")).state == DOUBTFUL
    assert doctor_host.public_url(_settings(PUBLIC_URL="http://localhost:8080")).state == GOOD
