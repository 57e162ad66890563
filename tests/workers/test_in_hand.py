"""What a worker remembers of the deliveries that it has let go."""

from workers.in_hand import Departures


def test_what_left_after_a_moment_has_left_since_and_what_left_before_has_not() -> None:
    departures = Departures()
    departures.note(["a"])
    since = departures.now
    departures.note(["b", "c"])
    assert [name for name in "abcd" if departures.has_left(name, since)] == ["b", "c"]


def test_one_that_leaves_again_has_left_since() -> None:
    departures = Departures()
    departures.note(["a"])
    since = departures.now
    departures.note(["a"])
    assert departures.has_left("a", since)


def test_what_left_up_to_a_moment_is_forgotten_and_later_ones_are_not() -> None:
    departures = Departures()
    departures.note(["a"])
    since = departures.now
    departures.note(["b"])
    departures.forget(since)
    assert not departures.has_left("a", 0)
    assert departures.has_left("b", 0)
