"""What the pages of recovery call states, reasons and jobs, in the language of the page."""

from collections.abc import Collection

from app import models
from app.job_request import FAILED, REPLAY, RESEND
from app.jobs import CANCELLED, DELETED, DISABLED, PENDING, RUNNING, SUCCEEDED, UNEXPECTED
from app.jobs import FAILED as JOB_FAILED
from app.models import DEAD, HELD, WAITING
from app.recovery_list import RETRYING
from app.ui.texts import gettext
from app.ui.webhook_words import Options

Badge = tuple[str, str]  # a word, and the kind of its badge


def states() -> dict[str, Badge]:
    """Return what the states of deliveries are called."""
    return {
        DEAD: (gettext("given up"), "bad"),
        RETRYING: (gettext("waits for a retry"), "busy"),
        HELD: (gettext("held"), "busy"),
        models.PENDING: (gettext("pending"), "busy"),
        WAITING: (gettext("waits its turn"), "busy"),
    }


def held_reasons() -> dict[str, str]:
    """Return why deliveries are held; see app.delivery_status.held_reason."""
    return {
        "disabled": gettext("the webhook is disabled"),
        "circuit": gettext("the circuit is open"),
        "backlog": gettext("others come before it"),
    }


def resend_choices() -> Options:
    """Return the states of deliveries that a job sends again."""
    return [
        (DEAD, gettext("Those that were given up")),
        (FAILED, gettext("Those that have failed and wait for a retry, or are held since")),
    ]


def resend_states(shown: Collection[str]) -> list[str]:
    """Return the states that a job has to be asked for, to send those in the states `shown` again. Pure."""
    return [state for state, parts in ((DEAD, {DEAD}), (FAILED, {RETRYING, HELD})) if parts & set(shown)]


def job_kinds() -> dict[str, str]:
    """Return what jobs do."""
    return {RESEND: gettext("Send again"), REPLAY: gettext("Replay what is missing")}


def job_states() -> dict[str, Badge]:
    """Return what the states of jobs are called."""
    return {
        PENDING: (gettext("about to begin"), "busy"),
        RUNNING: (gettext("running"), "busy"),
        SUCCEEDED: (gettext("done"), "good"),
        CANCELLED: (gettext("cancelled"), "idle"),
        JOB_FAILED: (gettext("failed"), "bad"),
    }


def job_errors() -> dict[str, str]:
    """Return what jobs stop for, by what their rows say."""
    return {
        DELETED: gettext("The webhook was deleted."),
        DISABLED: gettext("The webhook was disabled. Enable it, and begin again."),
        UNEXPECTED: gettext("Something went wrong on our side. It is in the log of the service."),
    }
