"""The garbage collector of a process that handles events."""

import gc


def spare_the_collector() -> None:
    """Have the garbage collector look less often, and never at what lives as long as the process.

    Rows and requests hold no reference cycles, so nearly all its work is in vain; it took 5 to 7 % of the time. Call
    it when everything is loaded.
    """
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
