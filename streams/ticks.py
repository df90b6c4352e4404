"""Which of the ticks in a log stand: those of the lane's owner at that place of the log.  Pure.

An owner claims a lane by a record in the same log before it writes ticks for it.  What a former
owner writes after that, because it was asleep and knows no better, stands behind the claim and
counts for nobody; what stands before the claim was known to the new owner when it began.
"""

from __future__ import annotations

from schemas.tick import Claim, Tick
from streams.records import Lane


class TickBook:
    """Reads claims and ticks in the order of their log.

    Examples
    --------
    >>> book = TickBook()
    >>> book.claim(Claim(topic="a", partition=0, generation=1, owner="x"))
    True
    >>> book.tick(Tick(topic="a", partition=0, next_offset=5, number=1, t=10, generation=0))
    False
    """

    def __init__(self) -> None:
        self._claims: dict[Lane, Claim] = {}
        self._ticks: dict[Lane, list[Tick]] = {}

    def claim(self, claim: Claim) -> bool:
        """Note a claim; whether it stands: the first one of a generation does."""
        lane = Lane(claim.topic, claim.partition)
        if claim.generation <= self.generation(lane):
            return False
        self._claims[lane] = claim
        return True

    def tick(self, tick: Tick) -> bool:
        """Note a tick; whether it stands: it is of the owner, new, and not before the last one.

        Ticks of generation 0 are recorded ones: they stand in lanes that nobody ever claimed.  One
        of a later generation than is known tells of a claim that the log has forgotten.
        """
        lane = Lane(tick.topic, tick.partition)
        if tick.generation > self.generation(lane):
            generation, owner = tick.generation, tick.owner
            self.claim(
                Claim(
                    topic=lane.topic, partition=lane.partition, generation=generation, owner=owner
                )
            )
        if (tick.generation, tick.owner) != (self.generation(lane), self.owner(lane)):
            return False
        if tick.number <= self.last(lane):
            return False
        ticks = self._ticks.setdefault(lane, [])
        if ticks and tick.next_offset < ticks[-1].next_offset:
            return False  # cuts are named in the order of their places
        ticks.append(tick)
        return True

    def generation(self, lane: Lane) -> int:
        """Number of the claim that stands; 0 where there was none."""
        claim = self._claims.get(lane)
        return 0 if claim is None else claim.generation

    def owner(self, lane: Lane) -> str:
        """Who claimed the lane last; empty where nobody did."""
        claim = self._claims.get(lane)
        return "" if claim is None else claim.owner

    def last(self, lane: Lane) -> int:
        """Number of the lane's last tick that stands."""
        ticks = self._ticks.get(lane)
        return ticks[-1].number if ticks else 0

    def after(self, lane: Lane, number: int) -> list[Tick]:
        """The ticks of a lane that stand, after the one of this number."""
        return [tick for tick in self._ticks.get(lane, ()) if tick.number > number]
