"""Print docs/queries.md: every query of Hookline with the plans of SQLite, PostgreSQL and MariaDB."""

import argparse
import contextlib
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.fernet import Fernet

from app.clock import now_ms
from app.database import connect
from app.models import database
from app.schema import migrate
from app.services import Services, open_services
from app.signing import new_secret
from config.settings import load_settings
from scripts import backends
from scripts.explain_calls import calls
from scripts.explain_owed import JOBS, LOGS, OWED, WEBHOOKS
from scripts.explain_rows import REJECTED, fill

KINDS = ("SQLite", "PostgreSQL", "MariaDB")
LARGE = ("webhook_log", "event", "delivery", "log_count", "log_stat", "rejected_event")
HEADER = """\
# Queries and their plans

Made by `scripts/explain > docs/queries.md`: it calls the functions that the API, the workers and the scheduler call,
notes the statements that reach the database, and asks each database how it runs them. INSERTs are left out. Each
statement stands where it first occurs; `?` is a parameter, and of a long list of them the beginning is shown.

The database holds {logs:,} logs of a month, as many events, {owed:,} deliveries, {webhooks:,} webhooks, {jobs:,} jobs
and {rejected:,} rejected events, and its statistics are fresh. One webhook has half of the logs. Of the deliveries half
are ordinary; a quarter is held, and a quarter ordered: most of these are owed to three webhooks.

{versions}.
"""


class Statement(NamedTuple):
    """A statement that ran, and how the database runs it."""

    sql: str
    plan: list[str]


Found = dict[str, dict[str, list[Statement]]]  # by part and call


def main() -> None:
    """Fill each database, and print the page."""
    parser = argparse.ArgumentParser(prog="scripts/explain", description="Print docs/queries.md.")
    parser.add_argument("--logs", type=int, default=LOGS, help="how many logs to plan for (default: %(default)s)")
    logs = parser.parse_args().logs
    found: dict[str, Found] = {}
    versions: list[str] = []
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        urls = {
            "SQLite": f"sqlite:///{directory}/hookline.db",
            "PostgreSQL": stack.enter_context(backends.postgres(durable=False)).url,
            "MariaDB": stack.enter_context(backends.mariadb(durable=False)).url,
        }
        for kind, url in urls.items():
            print(f"{kind} …", file=sys.stderr, flush=True)
            with _services(url, Path(directory)) as services:
                versions.append(f"{kind} {_version(kind)}")
                found[kind] = _explain_all(kind, services, logs)
    numbers = {"logs": logs, "owed": OWED, "webhooks": WEBHOOKS, "jobs": JOBS, "rejected": REJECTED}
    print(HEADER.format(**numbers, versions=", ".join(versions)))
    _print(found)


@contextlib.contextmanager
def _services(url: str, directory: Path) -> Iterator[Services]:
    connect(url)
    migrate()
    database.close()
    key = Fernet.generate_key().decode()
    services = open_services(
        load_settings({"HOOKLINE_DATA": str(directory), "DATABASE_URL": url, "HOOKLINE_SECRET_KEY": key})
    )
    try:
        yield services
    finally:
        services.close()
        database.close()


def _version(kind: str) -> str:
    sql = {"SQLite": "SELECT sqlite_version()", "PostgreSQL": "SHOW server_version", "MariaDB": "SELECT VERSION()"}[
        kind
    ]
    return re.split(r"[ -]", str(database.execute_sql(sql).fetchone()[0]))[0]


def _explain_all(kind: str, services: Services, logs: int) -> Found:
    now = now_ms()
    fill(now, services.vault.encrypt(new_secret()), logs)
    seen: set[str] = set()
    found: Found = {}
    for part, those in calls(services, now).items():
        for call in those:
            with _recording() as ran:
                call.run()
            fresh = {_shown(sql): (sql, parameters) for sql, parameters in ran if _is_wanted(sql)}
            statements = [Statement(text, _distinct(_plan(kind, *fresh[text]))) for text in fresh if text not in seen]
            seen |= fresh.keys()
            if statements:
                found.setdefault(part, {})[call.name] = statements
    return found


@contextlib.contextmanager
def _recording() -> Iterator[list[tuple[str, Any]]]:
    """Give a list that gets every statement with its parameters; of one for many rows, those of the first."""
    ran: list[tuple[str, Any]] = []
    engine: Any = database.obj
    run_each = engine.execute_each

    def execute_each(sql: str, rows: Any) -> None:
        ran.append((sql, rows[0]))
        run_each(sql, rows)

    def note(query: Any) -> None:
        ran.append((query.sql, query.params))

    engine.query_hooks.append(note)
    engine.execute_each = execute_each
    try:
        yield ran
    finally:
        engine.query_hooks.remove(note)
        del engine.execute_each


def _is_wanted(sql: str) -> bool:
    return re.match(r"\s*(SELECT|UPDATE|DELETE|WITH)\b", sql) is not None


def _shown(sql: str) -> str:
    """Return a statement as the page shows it, the same for all databases as far as they agree."""
    text = re.sub(r"\s+", " ", sql).strip().replace("`", '"').replace("%s", "?")
    text = re.sub(r"IN \(\?(, \?)*\)", "IN (?, …)", text)
    text = re.sub(r"(SELECT \? AS \w+)( UNION ALL SELECT \? AS \w+)*", r"\1 UNION ALL …", text)
    text = re.sub(r"(SELECT \* FROM \(.*? LIMIT \?\) AS \w+)( UNION ALL \1)+", r"\1 UNION ALL …", text)
    return re.sub(r'SELECT ("t1"."\w+", ){3,}"t1"."\w+"', 'SELECT "t1".…', text)


def _plan(kind: str, sql: str, parameters: Any) -> list[str]:
    if kind == "SQLite":
        return [str(row[3]) for row in database.execute_sql(f"EXPLAIN QUERY PLAN {sql}", parameters).fetchall()]
    if kind == "PostgreSQL":
        rows = database.execute_sql(f"EXPLAIN (COSTS OFF) {sql}", parameters).fetchall()
        return [_short(str(row[0])) for row in rows]
    cursor = database.execute_sql(f"EXPLAIN {sql}", parameters)
    names = [column[0] for column in cursor.description]
    return [_step(dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


def _distinct(lines: list[str]) -> list[str]:
    """Return a plan without the lines that repeat one of the two before them: those of a list of parameters as rows.

    Of the parts of a union, what differs in numbers alone is shown once.
    """
    if any(line.startswith(("UNION ALL", "Append", "<derived")) for line in lines):
        shapes = [re.sub(r"(t\d+)_\d+|<derived\d+>|, about [\d,]+ rows", r"\1", line) for line in lines]
        lines = [line for place, line in enumerate(lines) if shapes[place] not in shapes[:place]]
    kept: list[str] = []
    for line in lines:
        if line not in kept[-2:]:
            kept.append(line)
    return kept


def _short(line: str) -> str:
    """Return a line of a plan without parameters' values that are long, many, or new each time."""

    def shorten(quoted: re.Match[str]) -> str:
        is_long = len(quoted[1]) > 20 or (len(quoted[1]) > 9 and any(character.isdigit() for character in quoted[1]))
        return "'…'" if is_long or quoted[1].startswith("{") else quoted[0]

    return re.sub(r"'([^']*)'", shorten, line)


def _step(row: dict[str, Any]) -> str:
    """Return a row of MariaDB's EXPLAIN as a line."""
    if row["table"] is None:
        return str(row["Extra"])
    way = f"{row['table']}: {row['type']}" + (f" on {row['key']}" if row["key"] else "")
    rows = int(row["rows"] or 0)
    about = f", about {round(rows, 1 - len(str(rows))):,} rows" if rows > 1 else ""
    return way + about + (f" ({row['Extra']})" if row["Extra"] else "")


def _print(found: dict[str, Found]) -> None:
    """Print the statements of all databases side by side, and which of them read a large table from end to end."""
    whole: dict[str, list[str]] = {}
    for part, those in found["SQLite"].items():
        print(f"## {part}\n")
        for name in those:
            print(f"### {name}\n")
            per_kind = {kind: found[kind].get(part, {}).get(name, []) for kind in KINDS}
            _print_statements(per_kind)
            for kind, statements in per_kind.items():
                for statement in filter(_reads_all, statements):
                    whole.setdefault(f"{name}: `{statement.sql}`", []).append(kind)
    print("## Large tables read from end to end\n")
    print("\n".join([f"- {statement} ({', '.join(kinds)})" for statement, kinds in whole.items()] or ["None."]))


def _print_statements(per_kind: dict[str, list[Statement]]) -> None:
    texts = list(dict.fromkeys(statement.sql for statements in per_kind.values() for statement in statements))
    for text in texts:
        print(f"```sql\n{text}\n```\n\n```")
        for kind, statements in per_kind.items():
            for statement in statements:
                if statement.sql == text:
                    lines = [line.rstrip() for line in statement.plan] or ["(no plan)"]
                    print("\n".join([f"{kind:<11} {lines[0]}", *(f"{'':<11} {line}" for line in lines[1:])]))
        print("```\n")


def _reads_all(statement: Statement) -> bool:
    """Return whether the plan reads a large table from end to end."""
    found = re.findall(r'\b(?:FROM|JOIN|UPDATE) "?(\w+)"?(?: AS)? "?(\w+)"?', statement.sql)
    names = {alias: table for table, alias in found}
    for line in statement.plan:
        read = re.search(r"^SCAN (\w+)$|Seq Scan on (\w+)|^(\w+): ALL", line.strip())
        name = next(filter(None, read.groups()), "") if read else ""
        if names.get(name, name) in LARGE:
            return True
    return False


if __name__ == "__main__":
    main()
