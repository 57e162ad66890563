"""The service by what is in its database, for `hookline doctor`."""

from app.clock import now_ms
from app.database import unavailable
from app.doctor import Check, Finding, broken, doubtful, good
from app.errors import OperatorError
from app.models import User, Webhook
from app.presence import missing_roles, running_processes, scheduler_lease
from app.service_state import service_state
from app.vault import Vault, open_vault
from config.settings import Settings

MOST_TRIED = 1_000  # webhooks whose secrets are tried, the newest
LATE_MS = 60_000


def keys(settings: Settings) -> Finding:
    """Check that the key opens what is stored."""
    if not settings.secret_key and not (settings.data_dir / "secret.key").exists():
        return good("there is no key yet; the service makes it when it starts")
    vault = open_vault(settings.secret_key, settings.data_dir)
    there = Webhook.select(Webhook.secret).where(Webhook.deleted_at.is_null()).order_by(Webhook.id.desc())
    with unavailable():
        sealed = [secret for (secret,) in there.limit(MOST_TRIED).tuples()]
    shut = sum(not _opens(vault, secret) for secret in sealed)
    if shut:
        source = "HOOKLINE_SECRET_KEY" if settings.secret_key else f"{settings.data_dir / 'secret.key'}"
        text = f"{source} does not open the secrets of {shut} of {len(sealed)} webhooks"
        return broken(text, "give the key that they were stored with too, after a comma; else make the webhooks anew")
    return good(
        f"the key opens the secrets of all {len(sealed)} webhooks" if sealed else "there is nothing to open yet"
    )


def _opens(vault: Vault, sealed: str) -> bool:
    try:
        vault.decrypt(sealed)
    except OperatorError:
        return False
    return True


def administrator(_: Settings) -> Finding:
    """Check that someone may do everything."""
    with unavailable():
        names = [name for (name,) in User.select(User.id).where(User.admin).order_by(User.id).limit(4).tuples()]
    if not names:
        return doubtful(
            "there is no administrator", "hookline release makes the first, hookline user create --admin others"
        )
    return good(f"administrators: {', '.join(names[:3])}{' …' if names[3:] else ''}")


def processes(_: Settings) -> Finding:
    """Check that the service runs, in one version."""
    alive = [process for process in running_processes() if process.is_alive]
    if not alive:
        return doubtful("no process of the service is running", "start hookline serve, or web, worker and scheduler")
    if missing := missing_roles(alive):
        return broken(f"no {' and no '.join(missing)} is running", f"start hookline {missing[0]}")
    versions = sorted({process.version for process in alive})
    if versions[1:]:
        return doubtful(f"processes of several versions run: {', '.join(versions)}", "restart the older ones")
    return good(f"{len(alive)} running, of version {versions[0]}")


def scheduler(_: Settings) -> Finding | None:
    """Check that a scheduler is at work."""
    if not any(process.is_alive for process in running_processes()):
        return None
    lease = scheduler_lease()
    if lease is None or not lease.is_held:
        return doubtful("no scheduler has the lead: retries wait", "look at it again in a minute, then at its log")
    return good(f"process {lease.pid} on {lease.host} leads")


def deliveries(_: Settings) -> Finding:
    """Check that what is owed is being sent."""
    found = service_state(now_ms())
    owed = found.outstanding.owed
    shown = f"{owed.number:,}{' or more' if owed.is_cut else ''} owed, {found.outstanding.dead.number:,} given up"
    if owed.oldest_at is not None:
        shown += f"; the oldest is {_age(now_ms() - owed.oldest_at)} old"
    if found.overdue_ms > LATE_MS:
        return doubtful(
            f"{shown}; one has been due for {_age(found.overdue_ms)}", "is a worker running, and does it keep up?"
        )
    return good(shown)


def webhooks(_: Settings) -> Finding:
    """Tell how many webhooks are in trouble: that is their receivers' part."""
    found = service_state(now_ms()).webhooks
    with unavailable():
        disabled = (
            Webhook.select(Webhook.id).where(~Webhook.enabled, Webhook.deleted_at.is_null()).limit(10_000).count()
        )
    return good(f"{disabled:,} disabled, {found['circuit_open']:,} with an open circuit, {found['failing']:,} failing")


def _age(ms: int) -> str:
    for length, unit in ((86_400_000, "days"), (3_600_000, "hours"), (60_000, "minutes")):
        if ms >= 2 * length:
            return f"{ms // length} {unit}"
    return f"{max(ms, 0) // 1000} s"


_SEE = "see the log"
CHECKS = (
    Check("keys", keys, "correct HOOKLINE_SECRET_KEY", needs="tables"),
    Check("administrator", administrator, _SEE, needs="tables"),
    Check("processes", processes, _SEE, needs="tables"),
    Check("scheduler", scheduler, _SEE, needs="tables"),
    Check("deliveries", deliveries, _SEE, needs="tables"),
    Check("webhooks", webhooks, _SEE, needs="tables"),
)
