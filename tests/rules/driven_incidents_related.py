"""Scenarios of incidents whose facts lie elsewhere: by river, supply zone, neighbours and distance.

Each says what becomes of it with its rows of the table of relations; without them nothing does, or
less.
"""

from __future__ import annotations

from typing import NamedTuple

from schemas.related import POSITION, Relation
from tests.rules.driven_incidents_hazards import FUMES, OUTAGE, STOP, gas
from tests.rules.driven_incidents_people import GRIDLOCK
from tests.rules.driven_incidents_tools import HOUR, Scene, Step, at, drives, sensor
from tests.rules.driven_incidents_water import (
    BURST,
    BURST_CALLS,
    STREET,
    WATER,
    nodes,
    river,
)
from tests.rules.incident_runs import GRID, Event, call, reading

CLEARED = "cleared"
CLEARING = "clearing"
RAISED = "raised"
UP = "escalated"

ELSEWHERE = "440111007001001"
"""A grid of another street of the district."""
FAR_STREET = ELSEWHERE[:9]


class Case(NamedTuple):
    """A scene, its relations, and the key elsewhere that evidence names, with its relation."""

    scene: Scene
    relations: list[Relation]
    cause: tuple[str, str, str]
    """Sign, key and relation."""
    without: list[Step]
    """What becomes of it where the table has no rows."""


def position(key: str, east_m: float) -> Relation:
    """So far to the east of a place in Guangzhou: 0.001 degrees are 102.3 m there."""
    return Relation(POSITION, key, "", round(113.2644 + east_m / 102_300, 7), 23.1291)


# --- a supply zone --------------------------------------------------------------------------------

ZONE_BURST = Case(
    BURST._replace(
        events=[*nodes("p0", "p1", place=ELSEWHERE, site="s7"), *BURST_CALLS],
        story=[
            Step("06:14", RAISED, 2, ("pressure", "water_or_orders")),
            # Pressure counts until 06:25.
            Step("06:25", CLEARING, 2),
            Step("06:35", CLEARED, 2),
        ],
        child=None,
    ),
    [
        Relation("supply_zone", "supply_zone:Z3", to)
        for to in ("device:p0", "device:p1", f"street:{STREET}")
    ],
    ("supply.node_drop", "p0", "supply_zone"),
    [],
)
"""The gauges of the zone stand in another street than those who call."""

# --- a river --------------------------------------------------------------------------------------

OUTFALL = {"medium": "effluent", "site": "out", "place": ELSEWHERE}
RIVER = Case(
    Scene(
        "ce.black_odour",
        [
            *river("02:00", 7.0, 0.1),
            *river("06:00", 1.5, None),
            reading(at("07:00"), "cod", 20.0, "cod", **OUTFALL),
            reading(at("09:00"), "cod", 60.0, "cod", **OUTFALL),
            *(event for t in ("12:00", "12:01", "12:02") for event in river(t, 6.0, 0.1)),
        ],
        "1 14:20",
        [
            Step("09:05", RAISED, 2, ("oxygen", "source")),
            # The outfall's hour is over at 10:00: it counts for a day.
            Step("1 10:00", CLEARING, 2),
            Step("1 10:10", CLEARED, 2),
        ],
        key="s0",
        devices=(sensor("cod", "cod", limit=50.0, place=ELSEWHERE, medium="effluent", site="out"),),
        step_ms=HOUR,
    ),
    [Relation("upstream", "station:s0", "site:out")],
    ("waterenv.outfall_ratio", "out", "upstream"),
    [],
)
"""The outfall lies upstream, in another street."""

COMMUNITY = ELSEWHERE[:12]
RIVER_CALLS = Case(
    RIVER.scene._replace(
        events=[
            *river("02:00", 7.0, 0.1),
            *river("06:00", 1.5, None),
            call(at("08:50:10"), "河涌污染", "a", system="12345", place=COMMUNITY),
            call(at("08:51:10"), "河涌污染", "b", system="12345", place=COMMUNITY),
            *(event for t in ("12:00", "12:01", "12:02") for event in river(t, 6.0, 0.1)),
        ],
        until="3 14:20",
        story=[
            Step("09:00", RAISED, 2, ("oxygen", "source")),
            # The reading of 06:00 leaves the four hours at 10:00; the calls are told until 08:45.
            Step("1 10:00", CLEARING, 2),
            Step("1 10:10", CLEARED, 2),
        ],
        devices=(),
    ),
    [
        Relation("river", "river:R1", "station:s0"),
        Relation("river", "river:R1", f"community:{COMMUNITY}"),
    ],
    ("hotline.callers_24h", "", "river"),
    [],
)
"""Those who live along the river call, far from its station."""

# --- neighbours -----------------------------------------------------------------------------------

NEXT = [Relation("neighbour", "segment:r0", f"segment:{other}") for other in ("ra", "rb")]


def slow(*segments: str) -> list[Event]:
    """Each between two others, as slow as 0.3 of what is free from 06:20 to 06:40."""
    return [
        (t, topic, {**said, "source_id": segment, "place": ELSEWHERE})
        for segment in segments
        for t, topic, said in drives({"06:15": 60, "06:20": 18, "06:40": 60}, "06:50")
    ]


NEIGHBOURS = Case(
    Scene(
        "ce.flooded_road_blocked",
        [*WATER, *drives({"06:15": 60}, "06:50"), *slow("ra", "rb")],
        "07:20",
        [
            # All five readings of five minutes are slow.
            Step("06:25", RAISED, 3, ("water", "slow")),
            # Four of five are 0.44 at 06:41, within the deadband: three are 0.58 at 06:42.
            Step("06:56", CLEARING, 3),
            Step("07:06", CLEARED, 3),
        ],
        key="r0",
        others=("ce.waterlogging",),
    ),
    NEXT,
    ("traffic.speed_ratio", "ra", "neighbour"),
    [],
)
"""A road that nobody drives slowly, between two that are jammed."""

# --- within a distance ----------------------------------------------------------------------------


def elsewhere(events: list[Event]) -> list[Event]:
    return [(t, topic, {**said, "place": ELSEWHERE, "site": "s7"}) for t, topic, said in events]


LEAKS = [*gas("g0", {"06:10": 22, "06:20": 0}), *elsewhere(gas("g1", {"06:12": 12, "06:20": 0}))]
HERE = [position(f"grid:{GRID}", 0), position("device:g0", 10)]
RADIUS = Case(
    Scene(
        "ce.gas_leak",
        LEAKS,
        "06:50",
        [
            Step("06:12:10", RAISED, 3, ("leak", "second")),
            Step("06:35:30", CLEARING, 3),
            Step("06:45:30", CLEARED, 3),
        ],
    ),
    [*HERE, position("device:g1", 190)],
    ("lifeline.gas_leak", "g1", "within 200 m"),
    [],
)
"""The second instrument is 190 m away, in the grid next to it."""
TOO_FAR = [*HERE, position("device:g1", 210)]

TANKER = Case(
    Scene(
        "ce.hazchem_vehicle",
        [*STOP, *elsewhere(FUMES)],
        "06:40",
        [
            Step("06:16", RAISED, 3, ("stop", "gas")),
            Step("06:26", CLEARING, 3),
            Step("06:36", CLEARED, 3),
        ],
    ),
    [position(f"grid:{GRID}", 0), position("site:s7", 450)],
    ("hazchem.lel", "s7", "within 500 m"),
    [],
)

CASES = {
    "the gauges of a supply zone": ZONE_BURST,
    "an outfall upstream": RIVER,
    "calls along a river": RIVER_CALLS,
    "both neighbours of a segment": NEIGHBOURS,
    "an instrument within 200 m": RADIUS,
    "fumes within 500 m": TANKER,
}


def red(scene: Scene, relation: str, thing: str, key: str) -> Scene:
    """The same where the register lists the key: all three conditions make red and not orange."""
    return scene._replace(
        story=[step._replace(level=4) if step.level == 3 else step for step in scene.story],
        relations=(Relation(relation, f"{relation}:{thing}", key),),
    )


RED = {
    "burst at a hospital": red(BURST, "critical", "hospital-1", f"street:{STREET}"),
    "outage at pumps": red(OUTAGE, "critical", "pumps-4", f"grid:{GRID}"),
    "gridlock of ambulances": red(GRIDLOCK, "ambulance_route", "A2", f"street:{STREET}"),
}
"""By what stands where they happen."""
