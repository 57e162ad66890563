"""Identifiers whose order is the order of time."""

import re
import uuid

import pytest

from app.clock import now_ms
from app.ids import first_id_at, id_at, new_id


def stamp(made: str) -> int:
    return int(made[:12], 16)


@pytest.mark.parametrize("made", [new_id(), id_at(now_ms()), id_at(1)])
def test_it_is_a_uuid_of_version_7_in_32_digits(made: str) -> None:
    assert re.fullmatch("[0-9a-f]{32}", made)
    assert uuid.UUID(made).version == 7
    assert uuid.UUID(made).variant == uuid.RFC_4122


def test_new_ids_rise_strictly_and_carry_the_time() -> None:
    before = now_ms()
    made = [new_id() for _ in range(2_000)]
    assert made == sorted(set(made))
    assert before - 1 <= stamp(made[0]) <= stamp(made[-1]) <= now_ms() + 1


def test_ids_of_a_past_moment_carry_it_and_differ() -> None:
    at = 1_640_534_400_123
    made = {id_at(at) for _ in range(1_000)}
    assert len(made) == 1_000
    assert {stamp(each) for each in made} == {at}


def test_no_id_of_a_moment_is_below_the_first_or_above_the_next_moments_first() -> None:
    at = 1_640_534_400_123
    assert first_id_at(at) <= id_at(at) < first_id_at(at + 1) <= id_at(at + 1)


def test_the_first_id_of_a_time_before_the_epoch_is_the_smallest() -> None:
    assert first_id_at(-5) == first_id_at(0) == "0" * 32
