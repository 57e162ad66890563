"""`hookline webhook`: every field there and back, and the actions."""

import json
from pathlib import Path

import pytest
from hookline_client import Client, NotFound

from tests.certificates import authority, issued
from tests.commands.conftest import Run, ok, one_line, parsed
from tests.receiver import Receiver

pytestmark = pytest.mark.sqlite_only

NEW = ("webhook", "create", "--trigger", "NODE_CREATED", "--url", "http://127.0.0.1:9/x")


def test_create_prints_the_id_of_a_webhook_with_every_field(run: Run, client: Client, tmp_path: Path) -> None:
    pair = issued(authority(), "hookline")
    (tmp_path / "pair.pem").write_text(pair.pem + pair.key_pem)
    result = run(
        *NEW, "--trigger", "NODE_DELETED", "--repo", "p:r", "--pattern", "/a.*",
        "--header", "X-Plain: 1", "--header-env", "Authorization=CI_AUTH", "--token-stdin",
        "--timeout", "2.5", "--retry-schedule", "5s, 5m", "--rate-limit", "10", "--rate-burst", "2",
        "--ordering", "resource", "--signing", "v1a", "--client-certificate", str(tmp_path / "pair.pem"), "--disabled",
        stdin="a long token\n", CI_AUTH="Bearer abcdefgh",
    )  # fmt: skip
    row = client.get(ok(result).strip())
    assert (row.triggers, row.association_type, row.association_id) == (("NODE_CREATED", "NODE_DELETED"), "REPO", "p:r")
    assert (row.resource_key_pattern, row.timeout, row.retry_schedule) == ("/a.*", 2.5, ("5s", "5m"))
    assert (row.rate_limit, row.rate_burst, row.ordering, row.signing) == (10, 2, "resource", "v1a")
    assert (row.headers, row.token) == ({"X-Plain": "1", "Authorization": "****efgh"}, "****oken")
    assert row.client_certificate_subject is not None
    assert not row.enabled
    client.delete(row.id)


def test_create_names_all_that_is_missing(run: Run) -> None:
    result = run("webhook", "create")
    assert result.exit_code == 2
    assert "Missing --url, --trigger, one of --system, --project and --repo." in result.stderr


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--system", "--project", "p"), "--system goes with neither"),
        (("--repo", "r"), "Give --repo PROJECT:REPO"),
        (("--project", "p", "--repo", "q:r"), "--repo names another project"),
        (("--system", "--header", "no colon"), "--header takes NAME: VALUE"),
        (("--system", "--header-env", "X"), "--header-env takes NAME=VARIABLE"),
        (("--system", "--no-token", "--token-stdin"), "Give one of --token-stdin"),
    ],
)
def test_options_that_say_nothing_are_wrong_uses(run: Run, options: tuple[str, ...], reason: str) -> None:
    result = run(*NEW, *options)
    assert result.exit_code == 2
    assert reason in result.stderr


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--system", "--pattern", "("), "resourceKeyPattern"),
        (("--system", "--header-env", "X=NOT_THERE"), "the environment variable NOT_THERE is not set"),
        (("--system", "--filter", "{"), "--filter is not JSON"),
        (("--system", "--client-certificate", "no/such.pem"), "no/such.pem: No such file or directory"),
        (("--system", "--token-stdin"), "standard input holds no line with a token"),
    ],
)
def test_what_is_refused_is_one_line(run: Run, options: tuple[str, ...], reason: str) -> None:
    assert reason in one_line(run(*NEW, *options))


def test_update_changes_what_is_given_and_one_header_at_a_time(run: Run, client: Client, webhook: str) -> None:
    client.update(webhook, headers={"X-Old": "1", "Authorization": "Bearer abcdefgh"}, token="a long token")
    ok(run("webhook", "update", webhook, "--header", "x-old: 2", "--header", "X-New: 3", "--no-token"))
    row = client.get(webhook)
    assert row.headers == {"x-old": "2", "X-New": "3", "Authorization": "****efgh"}
    assert row.token is None
    shown = parsed(run("webhook", "update", webhook, "--header", "X-New:", "--pattern", "/b", "--json"))
    assert shown["headers"] == {"x-old": "2", "Authorization": "****efgh"}
    assert shown["resourceKeyPattern"] == "/b"
    ok(run("webhook", "update", webhook, "--no-headers"))
    assert client.get(webhook).headers == {}


def test_update_of_nothing_is_a_wrong_use(run: Run, webhook: str) -> None:
    assert run("webhook", "update", webhook).exit_code == 2


def test_list_shows_states_and_places(run: Run, client: Client, webhook: str) -> None:
    place = client.get(webhook).association_id
    assert place is not None
    [row] = parsed(run("webhook", "list", "--project", place, "--json"))
    assert row == client.get(webhook).raw
    header, line = ok(run("webhook", "list", "--project", place)).splitlines()
    assert header.split() == ["id", "state", "for", "triggers", "url"]
    assert line.split() == [webhook, "enabled", place, "NODE_CREATED", row["url"]]
    ok(run("webhook", "disable", webhook))
    assert webhook in ok(run("webhook", "list", "--disabled"))
    assert webhook not in ok(run("webhook", "list", "--failing"))
    ok(run("webhook", "enable", webhook, "--drop-pending"))
    assert client.get(webhook).enabled


def test_show_is_names_and_values_or_what_the_server_said(run: Run, client: Client, webhook: str) -> None:
    assert parsed(run("webhook", "show", webhook, "--json")) == client.get(webhook).raw
    assert f"id                {webhook}\n" in ok(run("webhook", "show", webhook))


def test_test_shows_the_log_and_ends_with_1_where_it_failed(run: Run, hook: Receiver, webhook: str) -> None:
    shown = ok(run("webhook", "test", webhook))
    assert "WEBHOOK_TEST" in shown
    assert "--- request" in shown
    hook.answer(500)
    failed = run("webhook", "test", webhook, "--json")
    assert failed.exit_code == 1
    assert json.loads(failed.stdout)["responseStatus"] == 500


def test_rotating_prints_the_new_secret_and_the_one_before(run: Run, client: Client, webhook: str) -> None:
    before = client.secret(webhook)
    new, old = ok(run("webhook", "rotate-secret", webhook, "--overlap-hours", "2")).splitlines()
    assert (new, old) == (client.secret(webhook), before)
    assert ok(run("webhook", "secret", webhook)).splitlines() == [new, old]
    own = "whsec_" + "A" * 32
    assert ok(run("webhook", "rotate-secret", webhook, "--secret-stdin", stdin=own + "\n")).splitlines()[0] == own


def test_delete_asks_or_is_told(run: Run, client: Client, hook: Receiver) -> None:
    made = client.create(url=hook.url, triggers=["NODE_CREATED"], association_type="SYSTEM")
    assert "give --yes" in one_line(run("webhook", "delete", made))
    assert client.get(made).id == made
    ok(run("webhook", "delete", made, "--yes"))
    with pytest.raises(NotFound):
        client.get(made)
    assert "HTTP 404" in one_line(run("webhook", "show", made))


def test_formats_filters_and_templates_are_set_and_taken_away(run: Run, client: Client, webhook: str) -> None:
    template = '{"text": {{ event.type | tojson }}}'
    options = ("--payload-format", "template", "--payload-template", template, "--filter", '{"type": "NODE_CREATED"}')
    ok(run("webhook", "update", webhook, *options))
    row = client.get(webhook)
    assert (row.payload_format, row.payload_template, row.filter) == ("template", template, {"type": "NODE_CREATED"})
    ok(run("webhook", "update", webhook, "--payload-format", "default", "--payload-template", "", "--filter", "{}"))
    row = client.get(webhook)
    assert (row.payload_format, row.payload_template, row.filter) == ("default", None, None)


def test_preview_shows_what_would_be_sent(run: Run, tmp_path: Path) -> None:
    (tmp_path / "card").write_text('{"text": {{ event.type | tojson }}}')
    options = ("--payload-format", "template", "--payload-template", f"@{tmp_path / 'card'}")
    result = run("webhook", "preview", "--event-type", "NODE_DELETED", *options, "--filter", '{"type": "X"}')
    assert json.loads(ok(result)) == {"text": "NODE_DELETED"}
    assert result.stderr == "Content-Type: application/json\nThe filter does not match.\n"
    event = {"type": "NODE_CREATED", "projectId": "p", "repoName": "r", "resourceKey": "/a"}
    shown = parsed(run("webhook", "preview", "--event", json.dumps(event), "--json"))
    assert json.loads(shown["body"])["eventType"] == "NODE_CREATED"


def test_ready_templates_are_listed_and_printed(run: Run) -> None:
    assert "slack" in ok(run("webhook", "templates"))
    assert "{{" in ok(run("webhook", "templates", "--source", "slack"))
    assert "no template" in one_line(run("webhook", "templates", "--source", "x"))
