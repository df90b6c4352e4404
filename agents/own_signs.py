"""Signs that a lane finishes by itself, for the devices that report to it.  Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from agents.assess import Assess
from agents.plan import FoldedSign, Plan
from schemas.places import LEVELS, at_level, level_of
from streams.cuts import Cut, CutName, Key, Partial
from streams.frozen import Frozen
from streams.records import Lane, Output

_TOLD = "told"


class _Placed:
    """The places of a sign's devices, numbered; devices and places come at the end."""

    def __init__(self, level: str) -> None:
        self.level = level
        self.devices: Sequence[Key] = ()
        self.ids = np.zeros(0, np.int64)
        self.keys: list[Key] = []
        self._numbers: dict[str, int] = {}

    def extend(self, devices: Sequence[Key]) -> None:
        """Number the places of the devices that are new."""
        self.devices = devices
        new = [self._number(devices[i].place) for i in range(len(self.ids), len(devices))]
        if new:
            self.ids = np.concatenate((self.ids, np.array(new, np.int64)))

    def _number(self, place: str) -> int:
        known = at_level(place, self.level) or place
        number = self._numbers.get(known)
        if number is None:
            number = self._numbers[known] = len(self.keys)
            self.keys.append(Key(level_of(known), known, known))
        return number


class OwnSigns:
    """The assessment of one lane's own devices.

    Parameters
    ----------
    plan, lane
        The compiled configuration, and which input partition this is.
    """

    def __init__(self, plan: Plan, lane: Lane) -> None:
        self.lane = lane
        self.assess = Assess(plan.of_lane(lane), lane=lane)
        self._own = plan.by_leader(plan.finished[lane.topic])
        self._shared = plan.by_leader(plan.folded)
        self._placed: dict[str, _Placed] = {}
        self._announced = 0

    def split(self, partials: list[Partial]) -> tuple[list[Partial], list[Partial]]:
        """What the lane finishes, and what goes on to the shards: of its own the places alone."""
        own = [partial for partial in partials if partial.sign in self._own]
        shared = [
            self._at_places(partial, self._shared[partial.sign])
            if partial.sign in self._own
            else partial
            for partial in partials
            if partial.sign in self._shared
        ]
        return own, shared

    def _at_places(self, partial: Partial, shared: list[FoldedSign]) -> Partial:
        """The cells of devices, merged to the finest places that the signs have."""
        placed = self._placed.get(partial.sign)
        if placed is None or placed.devices is not partial.keys:
            placed = self._placed[partial.sign] = _Placed(
                max((key for folded in shared for key in folded.sign.keys), key=LEVELS.index)
            )
        placed.extend(partial.keys)
        cells = partial.cells.fresh()
        cells.merge(partial.cells, placed.ids)
        return partial._replace(keys=placed.keys, cells=cells)

    def finish(
        self,
        name: CutName,
        previous: CutName,
        watermark: int,
        own: list[Partial],
        ended_at: int | None,
        resumes: bool,
    ) -> list[Output]:
        """Close the windows that the lane has passed; what they say.

        Parameters
        ----------
        name, previous, watermark, ended_at, resumes
            As in the lane's cuts.
        own
            Partials of devices.
        """
        if resumes:
            self.assess.forgiven.add(self.lane)
        self._announced += sum(partial.events for partial in own)
        told = (name, previous, watermark, self._announced, own, ended_at)
        return self.assess.step([Cut(self.lane, *told, local=True)])

    def freeze(self, *, whole: bool = False) -> Frozen:
        told = msgspec.msgpack.encode([self._announced, bool(self.assess.forgiven)])
        return {**self.assess.freeze(whole), _TOLD: lambda: told}

    def load(self, parts: Mapping[str, bytes]) -> None:
        self._placed.clear()
        self._announced, forgiven = msgspec.msgpack.decode(parts[_TOLD])
        self.assess.load({name: part for name, part in parts.items() if name != _TOLD})
        if forgiven:
            self.assess.forgiven.add(self.lane)
