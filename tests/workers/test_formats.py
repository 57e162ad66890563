"""What a worker sends in a webhook's format, and what becomes of deliveries whose template fails."""

import json
from typing import Any

from app.clock import now_ms
from app.models import Delivery
from app.recovery import resend
from app.sweep import sweep
from tests.receiver import Receiver
from tests.server import eventually
from tests.workers.conftest import ADMIN, Desk
from tests.workers.test_deliveries import Running, either
from workers.serve import worker

FAILING = "{% if event.resourceKey == '/1' %}{{ payload.nope + 1 }}{% endif %}{{ event.resourceKey }}"


@either
def test_a_delivery_whose_template_fails_is_an_error_and_the_others_go_out(
    desk: Desk, receiver: Receiver, running: Running
) -> None:
    webhook_id = desk.register(receiver.url)
    desk.update(webhook_id, payloadFormat="template", payloadTemplate=FAILING)
    desk.publish(3)
    with running(desk.services):
        eventually(lambda: len(desk.logs()) == 3)
        assert sorted(arrived.body for arrived in receiver.received) == [b"/0", b"/2"]
        [dead] = Delivery.select()
        assert (dead.state, dead.attempt) == ("DEAD", 1)
        [failed] = [log for log in desk.logs() if log.status == "ERROR"]
        assert failed.error == (
            "the payload could not be built: the template failed in line 1: what is missing is not a number"
        )
        assert sorted(str(log.request_payload) for log in desk.logs()) == ["/0", "/2", "None"]


def test_a_delivery_that_is_resent_is_built_again(desk: Desk, receiver: Receiver) -> None:
    webhook_id = desk.register(receiver.url)
    desk.update(webhook_id, payloadFormat="template", payloadTemplate="{{ 1 / 0 }}", ordering="resource")
    desk.publish()
    with worker(desk.services):
        eventually(lambda: [row.state for row in Delivery.select()] == ["DEAD"])
        desk.update(webhook_id, payloadFormat="cloudevents")
        resend(ADMIN, Delivery.get().id, now_ms())
        sweep(desk.services.broker, now_ms())
        [arrived] = receiver.wait_for(1)
        eventually(lambda: len(desk.logs()) == 2)
    sent: Any = json.loads(arrived.body)
    assert arrived.headers["content-type"] == "application/cloudevents+json; charset=UTF-8"
    assert (sent["type"], sent["subject"], sent["projectid"], sent["reponame"]) == (
        "hookline.NODE_CREATED",
        "/0",
        "p",
        "r",
    )
    assert sent["data"]["node"]["fullPath"] == "/0"
    assert desk.logs()[-1].request_payload == arrived.body.decode()
