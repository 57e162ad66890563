"""`hookline event`, `delivery`, `job` and `trigger`: from the event to what became of it."""

import json

import pytest
from hookline_client import Client, Job

from app.commands.job import await_job
from app.commands.places import Place
from app.commands.trigger import sample
from app.event_examples import example_of
from app.event_types import PUBLISHABLE_TYPES
from tests.commands.conftest import Run, ok, one_line, parsed
from tests.receiver import Receiver
from tests.server import eventually

pytestmark = pytest.mark.sqlite_only


def place_of(client: Client, webhook: str) -> str:
    place = client.get(webhook).association_id
    assert place is not None
    return place


@pytest.fixture
def project(client: Client, webhook: str) -> str:
    return place_of(client, webhook)


@pytest.fixture
def dead(client: Client, hook: Receiver, webhook: str, project: str) -> str:
    """The id of a delivery that was given up."""
    client.update(webhook, retry_schedule=["1s"])
    hook.answer(500, 500)
    client.publish({"type": "NODE_CREATED", "projectId": project, "repoName": "r", "resourceKey": "/a"})
    eventually(lambda: [row for row in client.iter_deliveries(webhook) if row.state == "DEAD"])
    return next(client.iter_deliveries(webhook)).delivery_id


# --- trigger


def test_trigger_publishes_a_sample_and_shows_what_became_of_it(
    run: Run, client: Client, webhook: str, project: str
) -> None:
    result = run("trigger", "node_created", "--repo", f"{project}:r", "--data", "node.size=5", "--wait", "--json")
    shown = parsed(result)
    assert (shown["projectId"], shown["repoName"]) == (project, "r")
    [delivery] = [each for each in shown["deliveries"] if each["webHookId"] == webhook]
    assert (delivery["state"], delivery["attempts"]) == ("SUCCESS", 1)
    assert json.loads(shown["payload"])["node"]["size"] == 5
    assert "is accepted" in result.stderr


def test_trigger_with_wait_fails_where_a_delivery_does(run: Run, hook: Receiver, project: str) -> None:
    hook.answer(500)
    result = run("trigger", "NODE_CREATED", "--project", project, "--wait", "5")
    assert result.exit_code == 1
    assert "the receiver answered 500" in result.stdout


def test_trigger_can_just_show_the_event(run: Run, project: str, client: Client) -> None:
    made = parsed(run("trigger", "NODE_CREATED", "--project", project, "--by", "amy", "--dry-run"))
    assert (made["projectId"], made["userId"]) == (project, "amy")
    assert list(client.iter_events(project_id=project)) == []


@pytest.mark.parametrize("text", ["size", "=5", "node.=5", "node.size.x=5"])
def test_data_that_names_no_part_is_a_wrong_use(run: Run, text: str) -> None:
    assert run("trigger", "NODE_CREATED", "--dry-run", "--data", text).exit_code == 2


def test_an_unknown_type_is_what_the_server_says(run: Run) -> None:
    assert "type" in one_line(run("trigger", "NOTHING_HAPPENED"))


@pytest.mark.parametrize("event_type", sorted(PUBLISHABLE_TYPES))
def test_a_sample_for_another_place_names_the_old_one_nowhere(event_type: str) -> None:
    made = json.dumps(sample(event_type, Place("other-project", "other-repo"), {"resourceKey": "/k", "userId": "amy"}))
    assert not any(f'"{name}"' in made for name in ("shop", "android", "ci-bot"))
    assert sample(event_type, None, {}) == example_of(event_type)


# --- event


def test_event_list_and_show(run: Run, client: Client, project: str, webhook: str) -> None:
    event_id = parsed(run("trigger", "NODE_CREATED", "--project", project, "--json", "--wait"))["id"]
    assert [row["id"] for row in parsed(run("event", "list", "--project", project, "--json"))] == [event_id]
    assert parsed(run("event", "list", "--project", project, "--since", "10m", "--until", "9m", "--json")) == []
    assert event_id in ok(run("event", "list", "--project", project, "--type", "NODE_CREATED"))
    shown = ok(run("event", "show", event_id))
    assert '"eventType": "NODE_CREATED"' in shown
    assert "SUCCESS" in shown


def test_event_types_lists_those_of_the_server(run: Run) -> None:
    assert "NODE_CREATED" in ok(run("event", "types"))
    assert parsed(run("event", "types", "NODE_CREATED"))["type"] == "NODE_CREATED"
    assert run("event", "types", "X").exit_code == 2


def test_replay_waits_for_its_job(run: Run, client: Client, project: str, webhook: str) -> None:
    client.update(webhook, enabled=False)
    client.publish({"type": "NODE_CREATED", "projectId": project, "repoName": "r", "resourceKey": "/a"})
    client.update(webhook, enabled=True, pending="drop")
    job = parsed(run("event", "replay", webhook, "--since", "1h", "--wait", "--json"))
    assert (job["kind"], job["state"], job["done"]) == ("REPLAY", "SUCCEEDED", 1)


def test_replay_needs_a_start(run: Run, webhook: str) -> None:
    assert run("event", "replay", webhook).exit_code == 2


# --- delivery, job


def test_delivery_list_and_show(run: Run, webhook: str, dead: str) -> None:
    assert [row["deliveryId"] for row in parsed(run("delivery", "list", webhook, "--state", "dead", "--json"))] == [
        dead
    ]
    assert f"{dead}  DEAD" in ok(run("delivery", "list", webhook))
    assert "lastErrorMsg" in ok(run("delivery", "show", dead))


def test_resend_sends_one_again(run: Run, client: Client, dead: str) -> None:
    parsed(run("delivery", "resend", dead, "--json"))
    eventually(lambda: client.delivery(dead).state == "SUCCESS")


def test_resend_failed_is_a_job_that_can_be_waited_for(run: Run, client: Client, webhook: str, dead: str) -> None:
    started = run("delivery", "resend-failed", webhook, "--state", "DEAD", "--key", "mine", "--json")
    job = parsed(started)
    assert f"hookline job wait {job['id']}" in started.stderr
    ended = parsed(run("job", "wait", job["id"], "--json"))
    assert (ended["id"], ended["state"], ended["done"]) == (job["id"], "SUCCEEDED", 1)
    assert [row["id"] for row in parsed(run("job", "list", webhook, "--json"))] == [job["id"]]
    assert "SUCCEEDED" in ok(run("job", "show", job["id"]))
    assert "HTTP 400" in one_line(run("job", "cancel", job["id"]))


def test_a_job_that_is_left_goes_on(client: Client, webhook: str, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await_job(client, Job(id="j", kind="RESEND", state="RUNNING"), interrupt)
    assert "The job goes on. See to it with: hookline job wait j" in capsys.readouterr().err
