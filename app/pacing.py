"""When requests to a webhook with a rate limit may start: slots, reserved ahead. Pure.

This is the generic cell rate algorithm (ITU-T I.371) with reservations. All that is kept of a webhook is one time: when
its next slot falls due. Slots fall due an interval apart; after idleness up to a burst of them are due already.

Times are whole microseconds. Rounding costs a microsecond a call at most, not one a slot, and never makes more of them:
no window of time holds more than `rate * its length + burst` slots.
"""

from typing import NamedTuple

SECOND_US = 1_000_000

# A slot is reserved at most so long ahead. A next one that is due later than that was reserved by a clock that has been
# set back since.
MAX_HORIZON_MS = 60_000
FURTHEST_US = MAX_HORIZON_MS * 1000 + SECOND_US


class Wish(NamedTuple):
    """What a caller would like of a webhook: up to `wanted` slots that start within `horizon_ms`, a minute at most.

    `rate` is in requests a second, a whole number from 1 on; `burst`, from 1 on, is how many may start at once.
    """

    rate: int
    burst: int
    wanted: int
    horizon_ms: int = 0

    @property
    def horizon_us(self) -> int:
        """How far ahead a slot may start."""
        return min(self.horizon_ms, MAX_HORIZON_MS) * 1000

    @property
    def saved_us(self) -> int:
        """How much unused time counts: that of a burst, less the slot that is due anyway."""
        return (self.burst - 1) * SECOND_US // self.rate


class Reservation(NamedTuple):
    """`granted` slots, of which the first fell due `first_us` from now, in the past where that is negative."""

    first_us: int
    granted: int


def default_burst(rate: int) -> int:
    """Return the burst of a webhook that names none: a tenth of a second's requests, at least one."""
    return max(1, rate // 10)


def reserve(next_us: int, now_us: int, wish: Wish) -> Reservation:
    """Return what is granted of `wish` where the next slot falls due at `next_us`, 0 where nothing is known of it.

    `due_after` gives the `next_us` of the following call.
    """
    known_us = now_us if next_us > now_us + FURTHEST_US else next_us
    first_us = max(known_us, now_us - wish.saved_us) - now_us
    room_us = wish.horizon_us - first_us
    fitting = max(0, -(-(room_us + 1) * wish.rate // SECOND_US))
    return Reservation(first_us, min(wish.wanted, fitting))


def due_after(reservation: Reservation, now_us: int, rate: int) -> int:
    """Return when the slot after those of `reservation` falls due."""
    return now_us + reservation.first_us - (-reservation.granted * SECOND_US // rate)


def delays_ms(reservation: Reservation, rate: int) -> list[int]:
    """Return how long each slot of `reservation` is to be waited for, in ms, rounded up; 0 is at once."""
    due_us = (reservation.first_us + slot * SECOND_US // rate for slot in range(reservation.granted))
    return [max(0, -(-due // 1000)) for due in due_us]
