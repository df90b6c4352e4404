"""Scenarios of incidents of water: floods, sewers, pipes, rivers, slopes, gauges."""

from __future__ import annotations

from tests.rules.driven_incidents_tools import (
    HOUR,
    Scene,
    Step,
    at,
    drives,
    dry,
    says,
    sensor,
)
from tests.rules.incident_runs import GRID, MINUTE, Event, call, observation, reading, warning

CLEARED = "cleared"
CLEARING = "clearing"
RAISED = "raised"
UP = "escalated"
DOWN = "deescalated"

# --- waterlogging --------------------------------------------------------------------------------

WET = [warning(at("06:00"), "rain", 2, at("07:00"))]

FLOOD = Scene(
    "ce.waterlogging",
    [
        *WET,
        *says("water_depth", {"06:05": 0, "06:10": 16, "06:20": 26, "06:30": 5}, "06:45", 30),
        call(at("06:16:10"), "内涝积水", "a"),
        call(at("06:16:20"), "内涝积水", "b"),
        call(at("06:25:10"), "人员被困", "a"),
    ],
    "06:45",
    [
        # Three of four readings in two minutes are 16 at 06:11:30, and they were so for two
        # minutes at 06:13:30.
        Step("06:13:30", RAISED, 2, ("rain", "depth")),
        Step("06:17", UP, 3, ("rain", "depth", "citizens")),
        Step("06:26", UP, 4, ("rain", "depth", "citizens")),
        # At 06:31 the median is 15.5, within the deadband of 2.
        Step("06:31:30", CLEARING, 4),
        Step("06:41:30", CLEARED, 4),
    ],
    child=("drain.depth", "s0"),
)
DEEP = Scene(
    "ce.waterlogging",
    [
        *says("water_depth", {"06:05": 0, "06:10": 16, "06:20": 26, "06:25": 42}, "06:30", 30),
        *says("water_depth", {"06:30": 5}, "06:45", 30),
    ],
    "06:45",
    [
        # Alone it is nothing at 16 cm, and orange at 25 whatever it rains.
        Step("06:21:30", RAISED, 3, ("depth",)),
        Step("06:26:30", UP, 4, ("depth",)),
        # Between 42 and 5 the median is 23.5 at 06:31.
        Step("06:31:30", CLEARING, 4),
        Step("06:41:30", CLEARED, 4),
    ],
    child=("drain.depth", "s0"),
)
TUNNEL = Scene(
    "ce.waterlogging",
    says("water_depth", {"06:05": 0, "06:10": 26, "06:20": 5}, "06:35", 30, site_type="tunnel"),
    "06:35",
    [
        # It is not so for two minutes yet, and is red at 25 where people drive in.
        Step("06:11:30", RAISED, 4, ()),
        # Between 26 and 5 the median is 15.5: beyond the deadband of 25, and not enough alone.
        Step("06:21", CLEARING, 4),
        Step("06:31", CLEARED, 4),
    ],
)

# --- a flooded road ------------------------------------------------------------------------------

WATER = [
    *WET,
    *says("water_depth", {"06:05": 0, "06:10": 16, "06:30": 5}, "06:45", 30),
]
"""Waterlogging from 06:13:30 to 06:41:30: it is told for the last time at 06:41."""


def queue(ratio: float, since: str, until: str) -> list[Event]:
    return [
        observation(t, "intersection", "x0", queue_m=100 * ratio, link_len_m=100)
        for t in range(at(since), at(until), MINUTE)
    ]


BLOCKED = Scene(
    "ce.flooded_road_blocked",
    [
        *WATER,
        *drives({"06:15": 60, "06:20": 18}, "06:50"),
        observation(at("06:27:30"), "incident", "i0", event_id="e0"),
        *queue(0.8, "06:26", "06:40"),
    ],
    "07:10",
    [
        # All five readings of five minutes are slow: four of them are 0.44.
        Step("06:25", RAISED, 3, ("water", "slow")),
        # The first accident of the street, in the minute that ends at 06:28.
        Step("06:28", UP, 4, ("water", "slow", "report")),
        # It counts for a quarter of an hour; ten minutes without it bring the level down.
        Step("06:53", DOWN, 3),
        # The water counts for a quarter of an hour after 06:41; it must be.
        Step("06:56", CLEARING, 3),
        Step("07:06", CLEARED, 3),
    ],
    key="r0",
    child=("traffic.queue_ratio", "x0"),
    others=("ce.waterlogging",),
)
STANDSTILL = Scene(
    "ce.flooded_road_blocked",
    [*WATER, *drives({"06:15": 60, "06:20": 5, "06:26": 26}, "06:50")],
    "07:10",
    [
        # Four slow ones of five are 0.27, and five are 0.08.
        Step("06:24", RAISED, 3, ("water", "slow")),
        Step("06:25", UP, 4, ("water", "slow")),
        # Four of 5 and one of 26 are 0.15, no standstill; 0.43 is within the deadband of 0.4.
        Step("06:37", DOWN, 3),
        Step("06:56", CLEARING, 3),
        Step("07:06", CLEARED, 3),
    ],
    key="r0",
    others=("ce.waterlogging",),
)
NO_FLOOD = [
    *drives({"06:15": 60, "06:20": 5}, "06:50"),
    observation(at("06:27:30"), "incident", "i0", event_id="e0"),
]

# --- a sewer that runs over ----------------------------------------------------------------------

WELL = (sensor("d0", "manhole_level", well_depth_m=5.0, period_s=300.0),)
FULL = says("manhole_level", {"05:50": 1.0, "06:00": 4.8, "06:30": 1.0}, "06:50", 300)
SMELL = call(at("06:20:10"), "污水冒溢", "a")
SEWER = Scene(
    "ce.sewer_overflow_dry",
    [*dry("-1 06:00", "06:50"), *FULL, SMELL],
    "06:50",
    [
        # 96 % at 06:10, when both readings of ten minutes are so, and for five minutes at 06:15.
        Step("06:15", RAISED, 2, ("full", "dry")),
        Step("06:21", UP, 3, ("full", "dry", "citizens")),
        # Half of the way to 20 %.
        Step("06:35", CLEARING, 3),
        Step("06:45", CLEARED, 3),
    ],
    child=("drain.manhole_fill", "s0"),
    devices=WELL,
    step_ms=HOUR,
)
WET_SEWER = [
    *says("rain", {"-1 06:00": 0.5}, "06:50", 3600, "rg", period_s=3600.0),
    *FULL,
    SMELL,
]

# --- a water main --------------------------------------------------------------------------------

ZONE = {"medium": "water"}
STREET = GRID[:9]


def nodes(*nodes: str, **more: str) -> list[Event]:
    """Gauges whose pressure is halved at 06:10: by 50 % against five minutes ago until 06:15."""
    said = {**ZONE, **more}
    return [
        event
        for node in nodes
        for event in says(
            "pipe_pressure", {"06:00": 0.3, "06:10": 0.15, "06:25": 0.3}, "06:45", 60, node, **said
        )
    ]


USUAL = [
    event
    for day in (-6, -5, -4, -3)
    for event in says("pipe_flow", {f"{day} 06:00": 100}, f"{day} 07:00", 300, "f0", **ZONE)
]
"""Four working days: twelve values that are at least a quarter of an hour apart are needed."""
FLOW = says("pipe_flow", {"06:00": 100, "06:15": 200, "06:20": 100}, "06:45", 300, "f0", **ZONE)
BURST_CALLS = [
    call(at("06:12:10"), "水管爆裂", "a"),
    call(at("06:13:10"), "停水", "b"),
    call(at("06:13:20"), "水管爆裂", "b"),
]
"""Two callers about one of the classes from 06:14 on."""
BURST = Scene(
    "ce.pipe_burst",
    [*USUAL, *FLOW, *nodes("p0", "p1"), *BURST_CALLS],
    "06:45",
    [
        # The calls, with the pressure of 06:11 to 06:15.
        Step("06:14", RAISED, 2, ("pressure", "water_or_orders")),
        Step("06:20", UP, 3, ("pressure", "flow", "water_or_orders")),
        # Pressure counts until 06:25, the flow of 06:20 until 06:30, calls until 06:32.
        Step("06:30", CLEARING, 3),
        Step("06:40", CLEARED, 3),
    ],
    key=STREET,
    child=("supply.pressure", "s0"),
    step_ms=HOUR,
)

# --- a river -------------------------------------------------------------------------------------


def river(t: str, oxygen: float, ammonia: float | None) -> list[Event]:
    said = [reading(at(t), "do", oxygen, "do", medium="surface_water")]
    if ammonia is not None:
        said.append(reading(at(t), "nh3n", ammonia, "nh", medium="surface_water"))
    return said


FOUL = [
    reading(at("07:00"), "cod", 20.0, "cod", medium="effluent", site="out"),
    reading(at("09:00"), "cod", 60.0, "cod", medium="effluent", site="out"),
]
RIVER = Scene(
    "ce.black_odour",
    [
        *river("02:00", 7.0, 0.1),
        *river("06:00", 1.5, None),
        *river("08:00", 1.5, 9.0),
        *FOUL,
        *river("12:30", 0.1, 16.0),
        *(event for t in ("14:00", "14:01", "14:02") for event in river(t, 6.0, 0.1)),
    ],
    "1 14:20",
    [
        # Every value is the median of four hours, told each quarter of one.
        Step("08:15", RAISED, 2, ("oxygen", "ammonia")),
        Step("09:05", UP, 3, ("oxygen", "ammonia", "source")),
        # The readings of 08:00 are the last to leave the four hours.
        Step("12:45", UP, 4, ("oxygen", "ammonia", "source")),
        # From 14:15 on the river is well again; the three conditions count for a day.
        Step("14:25", DOWN, 3),
        # The outfall's hour is over at 10:00.
        Step("1 10:10", DOWN, 2),
        Step("1 14:00", CLEARING, 2),
        Step("1 14:10", CLEARED, 2),
    ],
    key="s0",
    child=("waterenv.do", "s0"),
    devices=(sensor("cod", "cod", limit=50.0, medium="effluent", site="out"),),
    step_ms=HOUR,
)

# --- a slope -------------------------------------------------------------------------------------

RAIN = says("rain", {"-1 22:00": 0.0, "00:00": 6.0}, "1 00:00", 3600, "rg", period_s=3600.0)
SLOPE = Scene(
    "ce.landslide",
    [
        *RAIN,
        reading(at("-1 22:00"), "displacement", 0.0, "d0"),
        # 0.25 mm an hour, 6 a day; a day has its 24 readings with that of 23:00.
        *(reading(at("00:00") + n * HOUR, "displacement", n / 4, "d0") for n in range(24)),
        call(at("23:20:30"), "房屋开裂", "a"),
        # A reading that is 300 too high at the end of 24 hours: 300 * 11.5 / 1150 an hour.
        reading(at("1 00:00"), "displacement", 300.0, "d0"),
        reading(at("1 00:10"), "displacement", -1000.0, "d0"),
    ],
    "2 00:30",
    [
        Step("23:05", RAISED, 2, ("rain", "move")),
        Step("23:25", UP, 3, ("rain", "move", "report")),
        Step("1 00:05", UP, 4, ("rain", "move", "report")),
        # It moves back; what was counts for a day.
        Step("1 00:25", DOWN, 3),
        Step("1 23:35", DOWN, 2),
        Step("2 00:10", CLEARING, 2),
        Step("2 00:20", CLEARED, 2),
    ],
    key="s0",
    child=("geo.displacement", "s0"),
    step_ms=HOUR,
)

# --- a gauge that is not well --------------------------------------------------------------------

SHOUTS = says("water_depth", {"08:30": 0, "09:00": 18, "09:20": 0}, "10:10", 60, "wg")
GAUGE = Scene(
    "ce.sensor_fault",
    [*dry("06:00", "10:10"), *SHOUTS],
    "10:10",
    [
        # At 09:01 the median of two minutes is 9.
        Step("09:05", RAISED, 1, ("odd", "dry", "quiet")),
        # At 09:21 it is 9 again; that of 09:20 counts for half an hour.
        Step("09:50", CLEARING, 1),
        Step("10:00", CLEARED, 1),
    ],
    key="wg",
)
A_CALL = [*GAUGE.events, call(at("08:50"), "内涝积水", "a")]
NO_WATER = [*GAUGE.events, *(call(at(t), "停水", "a") for t in ("08:55", "09:10"))]
"""Told from 08:56 to 09:05 and from 09:11 to 09:20, and counts for half an hour."""

SCENES = {
    "flood": FLOOD,
    "deep": DEEP,
    "tunnel": TUNNEL,
    "blocked": BLOCKED,
    "standstill": STANDSTILL,
    "sewer": SEWER,
    "burst": BURST,
    "river": RIVER,
    "slope": SLOPE,
    "gauge": GAUGE,
}
TOO_LITTLE = {
    "a flood without rain": FLOOD._replace(
        events=says("water_depth", {"06:05": 0, "06:10": 16}, "06:40", 30)
    ),
    "a standstill without water": BLOCKED._replace(events=NO_FLOOD),
    "a sewer in the rain": SEWER._replace(events=WET_SEWER),
    "two nodes alone": BURST._replace(events=[*FLOW, *nodes("p0", "p1")]),
    "one node, and calls": BURST._replace(events=[*FLOW, *nodes("p0"), *BURST_CALLS]),
    "two nodes of two streets, and calls": BURST._replace(
        events=[*nodes("p0"), *nodes("p1", place=f"{GRID[:6]}099003012"), *BURST_CALLS]
    ),
    "calls from another street": BURST._replace(
        events=[
            *nodes("p0", "p1"),
            *(call(at(f"06:12:{n}0"), "停水", f"c{n}", place=f"{GRID[:6]}099003") for n in (1, 2)),
        ]
    ),
    "two nodes, and water on a road where it rains": BURST._replace(
        events=[
            *nodes("p0", "p1"),
            *says("water_depth", {"05:50": 0, "06:00": 6}, "06:40", 30, "wg", site="road"),
            *says("rain", {"03:00": 1.5}, "06:40", 3600, "rg", period_s=3600.0),
        ]
    ),
    "a river without oxygen alone": RIVER._replace(
        events=[*river("02:00", 7.0, 0.1), *river("06:00", 1.5, 7.9)]
    ),
    "a wet slope": SLOPE._replace(events=RAIN),
    "a gauge when somebody calls": GAUGE._replace(events=A_CALL),
    "a gauge when somebody has no water": GAUGE._replace(events=NO_WATER),
}
