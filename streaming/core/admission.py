"""How many viewers may come in a second, and from where, and when the others are to come again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from streaming.core.overload import OverloadState
from streaming.core.token_bucket import TokenBucket

if TYPE_CHECKING:
    import random

PER_S = 100.0
BURST = 200.0
"""A process takes a tenth of a second for the sign-ins of ten; a ward of 200 comes back at once."""
RESERVE = 50.0
"""So many more, at once, of addresses from which few come."""
ADDRESS_PER_S = 10.0
ADDRESS_BURST = 20.0
"""More of one address have what the others leave: a ward behind one proxy, or a flood."""
WRONG_PER_S = 10.0
WRONG_BURST = 200.0
"""Wrong credentials of one address: each takes time of the one thread that signs everybody in. A ward whose
sessions have all ended comes at once."""
MAX_ADDRESSES = 4096
"""That are remembered; beyond, the one that was seen least lately begins anew."""
SHEDDING_PER_S = 5.0
"""How many may come in a second while the process sheds load: those whose network is not known yet cost it
most. In an emergency nobody may."""
_JITTER_S = 0.5
_LONGEST_S = 60.0


class Admission:
    """A token for each viewer; those who find none are told of a time of their own, so that they come spread.

    An address from which few come may take any token. One from which many come takes what is beyond the
    reserve, and stands in another line: however many come from it, they neither keep the others out nor make
    them wait. Pure: time comes as `now`, and the jitter from `rng`.
    """

    def __init__(
        self,
        *,
        now: float,
        rng: random.Random,
        per_s: float = PER_S,
        burst: float = BURST,
        reserve: float = RESERVE,
    ) -> None:
        self.refused = 0
        self._bucket = TokenBucket(per_s, burst + reserve, now)
        self._shedding = TokenBucket(SHEDDING_PER_S, 2.0, now)
        self._reserve = reserve
        self._rng = rng
        self._per_s = per_s
        self._few, self._many = _Line(now), _Line(now)
        self._addresses: dict[str, _Address] = {}
        """The one seen last stands last."""

    def retry_after_s(
        self, address: str, now: float, *, overload: OverloadState = OverloadState.NORMAL
    ) -> float | None:
        """None for who may come in; else the seconds after which there is a place."""
        is_one_of_few = self._at(address, now).share.take(1.0, now)
        may_take = is_one_of_few or self._bucket.left(now) >= self._reserve + 1.0
        if may_take and self._is_open(overload, now) and self._bucket.take(1.0, now):
            return None
        self.refused += 1
        line = self._few if is_one_of_few else self._many
        per_s = self._per_s if overload is OverloadState.NORMAL else SHEDDING_PER_S
        return line.next_in_s(now, per_s) + self._rng.uniform(0.0, _JITTER_S)

    def _is_open(self, overload: OverloadState, now: float) -> bool:
        """Whether the state of the process lets one more in."""
        if overload is OverloadState.SHEDDING:
            return self._shedding.take(1.0, now)
        return overload is OverloadState.NORMAL

    def give_back(self) -> None:
        """Who was let in turned out to be nobody: who is must not wait for that."""
        self._bucket.give_back(1.0)
        self._shedding.give_back(1.0)

    def was_wrong(self, address: str, now: float) -> None:
        """Credentials from this address were wrong."""
        self._at(address, now).wrong.take(1.0, now)

    def is_guessing(self, address: str, now: float) -> bool:
        """Whether so many credentials from this address were wrong that none are looked at for now."""
        return self._at(address, now).wrong.left(now) < 1.0

    def _at(self, address: str, now: float) -> _Address:
        known = self._addresses.pop(address, None)
        if known is None:
            known = _Address(
                TokenBucket(ADDRESS_PER_S, ADDRESS_BURST, now), TokenBucket(WRONG_PER_S, WRONG_BURST, now)
            )
            if len(self._addresses) >= MAX_ADDRESSES:
                del self._addresses[next(iter(self._addresses))]
        self._addresses[address] = known
        return known


@dataclass(slots=True)
class _Address:
    share: TokenBucket
    wrong: TokenBucket


class _Line:
    """Those who were sent away, each promised a place behind the last one."""

    def __init__(self, now: float) -> None:
        self._promised_until = now

    def next_in_s(self, now: float, per_s: float) -> float:
        """In how many seconds the next place is free."""
        self._promised_until = min(max(self._promised_until, now) + 1 / per_s, now + _LONGEST_S)
        return self._promised_until - now
