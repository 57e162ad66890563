"""What a worker remembers of the deliveries that it has let go."""

from workers.in_hand import Departures


def test_what_left_after_a_moment_has_left_since_and_what_left_before_has_not() -> None:
    departures = Departures()
    departures.note(["a"])
    since = departures.ask()
    departures.note(["b", "c"])
    assert [name for name in "abcd" if departures.has_left(name, since)] == ["b", "c"]


def test_one_that_leaves_again_has_left_since() -> None:
    departures = Departures()
    departures.note(["a"])
    since = departures.ask()
    departures.note(["a"])
    assert departures.has_left("a", since)


def test_once_nobody_is_to_ask_any_more_nothing_is_remembered() -> None:
    departures = Departures()
    since = departures.ask()
    departures.note(["a"])
    departures.done(since)
    assert not departures.has_left("a", 0)


def test_what_is_still_to_be_asked_about_is_remembered() -> None:
    departures = Departures()
    early = departures.ask()
    departures.note(["a"])
    late = departures.ask()
    departures.done(late)
    assert departures.has_left("a", early)
    departures.done(early)
    assert not departures.has_left("a", early)
