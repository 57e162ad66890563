"""A webhook's health: what a batch of attempts says, and what that changes. Pure, but for the last."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.attempts import Attempt
from app.clock import now_ms
from app.database import write_transaction
from app.health import (
    DAY_MS,
    FAILING_AFTER,
    GONE_REASON,
    LONGEST_PROBE_MS,
    OPEN_AFTER,
    Limits,
    State,
    Tally,
    count_failures,
    end_failures,
    failing_webhooks,
    judge,
    probe_delay_ms,
    states,
    tally,
)
from app.operational import Disabled, Failing
from app.registry import lock_webhooks
from app.services import Services
from tests import rows
from tests.test_outbox import NOW
from tests.test_recording import attempt

LIMITS = Limits((5_000, 60_000, 3_600_000), 5 * DAY_MS)
HEALTHY = State("w", True, 0, None, None, 0, None, None)

outcomes = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([200, 500, 410, None])), max_size=30)


def made(outcomes: Sequence[tuple[str, int | None]]) -> list[Attempt]:
    return [attempt(webhook_id, status) for webhook_id, status in outcomes]


def counted(failures: int, new: int, **columns: object) -> tuple[State, Tally]:
    """Return a webhook whose row counts `failures`, the last `new` of them just now."""
    state = HEALTHY._replace(failures=failures, failing_since=NOW, **columns)  # type: ignore[arg-type]
    return state, Tally("w", False, made([("w", 500)] * new))


class TestTally:
    """What attempts say, in their order."""

    @given(outcomes)
    def test_failures_count_from_the_last_success_on(self, outcomes: list[tuple[str, int | None]]) -> None:
        for seen in tally(made(outcomes)):
            of_it = [status for webhook_id, status in outcomes if webhook_id == seen.webhook_id]
            ended = [place for place, status in enumerate(of_it) if status == 200]
            assert seen.has_succeeded == bool(ended)
            assert len(seen.failed) == len(of_it) - (ended[-1] + 1 if ended else 0)

    @given(outcomes)
    def test_every_webhook_is_there_once_in_the_order_of_the_ids(self, outcomes: list[tuple[str, int | None]]) -> None:
        assert [seen.webhook_id for seen in tally(made(outcomes))] == sorted({name for name, _ in outcomes})

    @given(outcomes, st.integers(0, 30))
    def test_however_attempts_fall_into_batches_the_count_is_the_same(
        self, outcomes: list[tuple[str, int | None]], place: int
    ) -> None:
        count: dict[str, int] = {}
        for batch in (outcomes[:place], outcomes[place:]):
            for seen in tally(made(batch)):
                count[seen.webhook_id] = (not seen.has_succeeded) * count.get(seen.webhook_id, 0) + len(seen.failed)
        assert count == {seen.webhook_id: len(seen.failed) for seen in tally(made(outcomes))}


class TestJudge:
    """What changes with failures that have just been counted."""

    @given(st.lists(st.integers(1, 12), min_size=1, max_size=12))
    def test_failing_is_told_when_the_fifth_is_counted_and_only_then(self, batches: list[int]) -> None:
        told, total = [], 0
        for new in batches:
            state, seen = counted(total + new, new)
            found = [each for each in judge(state, seen, LIMITS, NOW)[1] if isinstance(each.detail, Failing)]
            told += [total + new for _ in found]
            total += new
        reached = [sum(batches[: place + 1]) for place in range(len(batches))]
        assert told == [each for each in reached if each >= FAILING_AFTER][:1]

    @given(st.integers(1, 30), st.integers(1, 30))
    def test_the_circuit_opens_from_the_tenth_on(self, earlier: int, new: int) -> None:
        changes, _ = judge(*counted(earlier + new, new), LIMITS, NOW)
        assert ("circuit_until" in changes) == (earlier + new >= OPEN_AFTER)

    def test_an_open_circuit_is_not_opened_again(self) -> None:
        assert judge(*counted(20, 3, circuit_until=NOW + 1), LIMITS, NOW) == ({}, [])

    def test_a_probe_that_failed_puts_the_next_off_and_is_none_any_more(self) -> None:
        state, seen = counted(12, 2, circuit_until=NOW, failed_probes=1)
        state = state._replace(probe=seen.failed[1].due.id)
        changes, told = judge(state, seen, LIMITS, NOW)
        assert changes == {
            "circuit_until": NOW + LONGEST_PROBE_MS, "failed_probes": 2, "probe": None, "backlog": True
        }  # fmt: skip
        assert told == []

    def test_410_disables_and_says_why(self) -> None:
        changes, [told] = judge(
            HEALTHY._replace(failures=1, failing_since=NOW), tally(made([("w", 410)]))[0], LIMITS, NOW
        )
        assert changes == {"enabled": False, "disabled_reason": GONE_REASON, "backlog": True}
        assert told.detail == Disabled(reason=GONE_REASON)
        assert (told.health.enabled, told.health.disabled_reason) == (False, GONE_REASON)

    @pytest.mark.parametrize(("days", "said"), [(5.0, "5"), (0.5, "0.5"), (30.0, "30")])
    def test_silence_disables_and_says_for_how_long(self, days: float, said: str) -> None:
        limits = LIMITS._replace(disable_after_ms=int(days * DAY_MS))
        state, seen = counted(3, 1)
        assert judge(state, seen, limits, NOW + limits.disable_after_ms - 1) == ({}, [])
        changes, _ = judge(state, seen, limits, NOW + limits.disable_after_ms)
        assert changes["disabled_reason"] == f"no delivery has succeeded for {said} days"

    def test_a_disabled_webhook_is_not_disabled_again(self) -> None:
        state, seen = counted(3, 1, enabled=False)
        assert judge(state, seen, LIMITS, NOW + 9 * DAY_MS) == ({}, [])

    def test_the_fifth_the_tenth_and_the_end_may_come_at_once(self) -> None:
        state, seen = counted(12, 12)
        changes, told = judge(state, seen, LIMITS, NOW + 5 * DAY_MS)
        assert [type(each.detail) for each in told] == [Failing, Disabled]
        assert (changes["enabled"], changes["failed_probes"]) == (False, 0)


@given(st.lists(st.integers(1, 10**8), min_size=1, max_size=10), st.integers(0, 50))
def test_probes_follow_the_schedule_to_its_end_but_never_far_apart(schedule_ms: list[int], failed: int) -> None:
    delay = probe_delay_ms(schedule_ms, failed)
    assert delay == min([*schedule_ms, *[schedule_ms[-1]] * 50][failed], LONGEST_PROBE_MS)


def test_the_rows_say_which_webhooks_fail_and_since_when(services: Services) -> None:
    failing, healthy = rows.webhook(services, "p"), rows.webhook(services, "p")
    seen = tally([attempt(failing, at=NOW + 3), attempt(failing, at=NOW + 1)])
    with write_transaction():
        lock_webhooks([failing, healthy])
        assert count_failures(seen, LIMITS, NOW) == []
    assert failing_webhooks() == {failing: NOW + 3}
    assert [(each.id, each.failures) for each in states([healthy, failing])] == [(failing, 2), (healthy, 0)]
    with write_transaction():
        assert end_failures([failing, healthy], now_ms()) == []
    assert failing_webhooks() == {}
    assert states([]) == []
