"""What the pages call the fields, choices and states of webhooks, in the language of the page."""

import re

from app import webhook_list
from app.delivery_fields import duration_text
from app.health import GONE_REASON, SILENT_REASON
from app.permissions import PROJECT, REPO, SYSTEM
from app.signing import V1, V1A
from app.ui.texts import gettext
from config.settings import Settings

Options = list[tuple[str, str]]

_SILENT = re.compile(re.escape(SILENT_REASON).replace(re.escape("{days}"), "(.+)"))


def labels() -> dict[str, str]:
    """Return what the fields are called, by their names in the API."""
    return {
        "url": gettext("URL"),
        "token": gettext("Token"),
        "headers": gettext("Headers"),
        "triggers": gettext("Triggers"),
        "associationType": gettext("Association"),
        "associationId": gettext("Project or repository"),
        "resourceKeyPattern": gettext("Resource key pattern"),
        "filter": gettext("Event filter"),
        "payloadFormat": gettext("Format"),
        "payloadTemplate": gettext("Template"),
        "enabled": gettext("Enabled"),
        "timeout": gettext("Time-out"),
        "retrySchedule": gettext("Retry schedule"),
        "rateLimit": gettext("Rate limit"),
        "rateBurst": gettext("Burst"),
        "ordering": gettext("Order"),
        "signing": gettext("Signature"),
        "clientCertificate": gettext("Client certificate"),
    }


def association_kinds(*, with_system: bool) -> Options:
    """Return the association types, and what they are called."""
    kinds = [
        (REPO, gettext("A repository")),
        (PROJECT, gettext("A project and its repositories")),
        (SYSTEM, gettext("All projects (SYSTEM)")),
    ]
    return kinds if with_system else kinds[:-1]


def signings() -> Options:
    """Return the schemes of signatures, and what they are called."""
    return [(V1, gettext("HMAC with a shared secret (v1)")), (V1A, gettext("ed25519 key pair (v1a)"))]


def orderings() -> Options:
    """Return the orders, and what they are called."""
    return [
        ("none", gettext("None: each delivery as soon as it can be made")),
        ("resource", gettext("Deliveries of one resource, one after the other")),
        ("webhook", gettext("All deliveries, one after the other")),
    ]


def formats() -> Options:
    """Return the payload formats, and what they are called."""
    return [
        ("default", gettext("The event's own payload")),
        ("cloudevents", gettext("CloudEvents 1.0, structured JSON")),
        *ready(),
        ("template", gettext("A template of your own")),
    ]


def ready() -> Options:
    """Return the formats that come with a template, and what they are called."""
    return [
        ("slack", gettext("Slack: incoming webhook")),
        ("dingtalk", gettext("DingTalk: custom robot")),
        ("wecom", gettext("WeCom: group robot")),
        ("feishu", gettext("Feishu and Lark: custom bot")),
        ("teams", gettext("Microsoft Teams: workflow")),
    ]


def states() -> dict[str, tuple[str, str]]:
    """Return the states that a webhook is in: what they are called, and the kind of their badges."""
    return {
        webhook_list.ENABLED: (gettext("enabled"), "good"),
        webhook_list.DISABLED: (gettext("disabled"), "idle"),
        webhook_list.FAILING: (gettext("failing"), "bad"),
        webhook_list.OPEN: (gettext("circuit open"), "bad"),
        webhook_list.BACKLOG: (gettext("backlog"), "busy"),
    }


def disabled_reason(reason: str | None) -> str | None:
    """Return why the service disabled a webhook."""
    silent = _SILENT.fullmatch(reason or "")
    if silent is not None:
        return gettext("no delivery has succeeded for %s days") % silent[1]
    return gettext("the receiver answered 410 Gone") if reason == GONE_REASON else reason


def default_schedule(settings: Settings) -> str:
    """Return the retry schedule of webhooks that have none of their own."""
    return ", ".join(map(duration_text, settings.retry_schedule_ms))
