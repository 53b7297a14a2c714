"""When a message that could not be delivered is tried again, and when it is given up."""

from __future__ import annotations

from random import Random

MOST_ATTEMPTS = 10
FIRST_RETRY_S, MOST_RETRY_S = 5.0, 900.0
MOST_WAITING = 200
"""Messages that wait for one channel; what comes beyond is given up at once."""


def retry_s(attempts: int, rng: Random) -> float | None:
    """Seconds until the next attempt after so many have failed; None when it is given up.

    Doubled each time, and between half of it and all of it, so that what failed together does not come
    again together. With ten attempts the last one is 18 to 36 minutes after the first.
    """
    if attempts >= MOST_ATTEMPTS:
        return None
    whole = min(FIRST_RETRY_S * 2.0 ** (attempts - 1), MOST_RETRY_S)
    return whole * (0.5 + 0.5 * rng.random())
