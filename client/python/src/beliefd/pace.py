"""How the attempts of one call follow each other."""
from __future__ import annotations

import time

from .errors import BeliefError

FIRST, LAST = 0.005, 0.2  # seconds between attempts


class Attempts:
    """Paces attempts until a deadline, as time.monotonic() has it: the second at once, each later one after longer."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._pause = 0.0

    def wait(self, reason: BeliefError) -> None:
        """Before the next attempt; raises the reason when there is no time for one."""
        left = self._deadline - time.monotonic()
        if left <= self._pause:
            time.sleep(max(left, 0.0))
            raise reason
        time.sleep(self._pause)
        self._pause = min(max(2 * self._pause, FIRST), LAST)
