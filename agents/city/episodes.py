"""Planted episodes: what is wrong in the city, where, and from when to when."""

from __future__ import annotations

from dataclasses import dataclass

from agents.city.draws import Floats, Ints
from agents.city.rhythm import minute_of

FLOOD_RISE, FLOOD_FALL = 35, 60
"""Minutes in which water on a road rises to its peak, and drains away."""

KINDS = (
    "storm",
    "waterlogging",
    "congestion",
    "pollution",
    "complaint_burst",
    "surge",
    "detour",
    "sensor_death",
    "drift",
    "stuck",
    "flapping",
)
"""Kinds of episodes, the faults of devices last."""


@dataclass(frozen=True, slots=True)
class Episode:
    """One planted episode, as the ground truth tells it.

    Attributes
    ----------
    kind
        One of `KINDS`.
    place
        Place code: a district (6 digits) or a street (9 digits).
    signal
        The metric, traffic sign or order category that shows it.
    start_ms, end_ms
        Its time [start, end), epoch milliseconds UTC.
    peak, unit
        Its strongest value: mm/h of rain, cm of water, lowest speed ratio, µg/m³ above the
        ordinary level, total drift, stuck value's age in minutes, minutes of silence, orders,
        how many times the ordinary inflow (surge) or flow (detour), the threshold around which
        a device flaps.
    devices
        The devices that show it, where they can be told. A plume also reaches the PM10, NO2 and
        CO devices of the same stations; a storm also slows the district's traffic; waterlogging
        also fills the district's manholes; congestion also fills the queues at its
        intersections.
    """

    kind: str
    place: str
    signal: str
    start_ms: int
    end_ms: int
    peak: float
    unit: str
    devices: tuple[str, ...] = ()

    @property
    def start(self) -> int:
        """First city minute."""
        return minute_of(self.start_ms)

    @property
    def end(self) -> int:
        """City minute after the last one."""
        return minute_of(self.end_ms)


@dataclass(frozen=True, slots=True)
class Plan:
    """An episode with the fleet's rows it acts on, and how strongly on each (0 to 1).

    `number` is its place among all that was planned for its day, whether chosen or not.
    """

    number: int
    episode: Episode
    rows: Ints
    weight: Floats
