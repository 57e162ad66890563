"""The database, for `hookline doctor`."""

import re
import shutil
import time
from pathlib import Path

from app.clock import now_ms
from app.database import connect, unavailable, write_transaction
from app.doctor import Check, Finding, broken, doubtful, good
from app.models import Counter, database
from app.schema import state
from app.settings_view import masked_url
from config.settings import Settings

# What it is tested with; older ones lack something that is used.
OLDEST = {"SQLite": (3, 35), "PostgreSQL": (12,), "MariaDB": (10, 6), "MySQL": (8, 0, 17)}
SKEW_MS = 2_000  # between machines; leases and signs of life allow for some seconds
WRONG_SKEW_MS = 60_000  # receivers refuse signatures whose time is five minutes off
LITTLE_SPACE = 1024**3
NO_SPACE = 100 * 1024**2

# What drivers say -> what to do
_REMEDIES = (
    ("driver is missing", "install the driver"),
    ("password|authentication|access denied|no pg_hba", "correct user and password in DATABASE_URL"),
    ("does not exist|unknown database", "make the database and give the user all rights on it, or correct its name"),
    ("refused|can't connect|timed? ?out|no route|unreachable", "start the server, or correct host and port"),
    ("name or service|translate host|resolution|getaddrinfo", "correct the host in DATABASE_URL, or the machine's DNS"),
    ("readonly|read-only|permission|unable to open", "let the service's user write the file and its directory"),
    ("too many|connection slots", "raise the server's limit of connections, or run fewer processes"),
    ("certificate|ssl|tls", "correct the options of TLS in DATABASE_URL, such as sslmode and sslrootcert"),
    ("malformed|not a database|corrupt", "restore the file from a backup"),
)  # fmt: skip


def reached(settings: Settings) -> Finding | None:
    """Check that the database answers, and is of a version that is known to do."""
    if (path := file_of(settings)) is not None and not path.exists():
        return doubtful(f"there is no {path} yet", "hookline release makes it, and so does hookline serve")
    begun = time.monotonic()
    try:
        connect(settings.database_url)
        with unavailable():
            product = str(database.product())
    except Exception as error:
        text = " ".join(str(error).split()).removeprefix("DATABASE_URL: ")
        return broken(text, remedy_for(text))
    took_ms = (time.monotonic() - begun) * 1000
    name, _, number = product.partition(" ")
    found = tuple(int(part) for part in re.findall("[0-9]+", number)[:3])
    if found < (oldest := OLDEST[name]):
        return broken(f"{product} is too old", f"upgrade it to {'.'.join(map(str, oldest))} or later")
    return good(f"{product} at {masked_url(settings.database_url)}, {took_ms:.0f} ms")


def remedy_for(text: str) -> str:
    """Return what to do where opening the database failed with `text`. Pure."""
    found = (remedy for pattern, remedy in _REMEDIES if re.search(pattern, text, re.I))
    return next(found, "correct DATABASE_URL, or see what the server's log says")


def migrated(_: Settings) -> Finding:
    """Check that the tables are this version's."""
    found = state()
    if found.unknown:
        return broken(f"the tables are of a newer version: {', '.join(found.unknown)}", "upgrade Hookline here")
    if found.missing:
        return broken(f"missing: {', '.join(found.missing)}", "run hookline release")
    return good("the tables are up to date")


def writable(_: Settings) -> Finding:
    """Check that rows can be written; what is written is taken back."""
    with write_transaction(), database.atomic() as attempt:
        Counter.insert(name="doctor", value=1).execute()
        attempt.rollback()
    return good("a row can be written")


def on_disk(settings: Settings) -> Finding | None:
    """Check SQLite's journal, the place for its file, and who can read it."""
    path = file_of(settings)
    if path is None:
        return None
    with unavailable():
        [mode] = database.execute_sql("PRAGMA journal_mode").fetchone()
    if mode != "wal":
        return broken(f"{path} is in the mode {mode}, not wal", "put it on a local disk: others can't do WAL")
    free = shutil.disk_usage(path.parent).free
    shown = f"{free / 1024**3:.1f} GiB are free at {path.parent}"
    if free < LITTLE_SPACE:
        make = broken if free < NO_SPACE else doubtful
        return make(shown, "make room, or lower LOG_RETENTION_DAYS")
    if path.stat().st_mode & 0o002:
        return doubtful(f"every user of this machine can change {path}", f"chmod o-rwx {path}")
    return good(f"WAL; {shown}")


def clock(settings: Settings) -> Finding | None:
    """Check this machine's clock against the database's."""
    if file_of(settings) is not None:
        return None
    before = now_ms()
    with unavailable():
        [theirs] = database.execute_sql(f"SELECT {database.clock_ms}").fetchone()
    return compared(before, int(theirs), now_ms(), "the database's")


def compared(before: int, theirs: int, after: int, whose: str) -> Finding:
    """Judge a clock that said `theirs` between `before` and `after` by ours, all in milliseconds. Pure."""
    skew = theirs - after if theirs > after else min(theirs - before, 0)
    if abs(skew) < SKEW_MS:
        return good(f"this clock and {whose} agree")
    make = broken if abs(skew) >= WRONG_SKEW_MS else doubtful
    text = f"this clock is {abs(skew) / 1000:.1f} s {'ahead of' if skew < 0 else 'behind'} {whose}"
    return make(text, "have both machines set theirs by NTP (timedatectl set-ntp true)")


def file_of(settings: Settings) -> Path | None:
    """Return the file of an SQLite database, None for a server's."""
    url = settings.database_url
    return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:") else None


CHECKS = (
    Check("database", reached, "correct DATABASE_URL, or start the server"),
    Check("tables", migrated, "run hookline release", needs="database"),
    Check("writing", writable, "give the database's user the right to write; has the disk room?", needs="tables"),
    Check("disk", on_disk, "see the file and its directory", needs="database"),
    Check("clock", clock, "see the database's log", needs="database"),
)
