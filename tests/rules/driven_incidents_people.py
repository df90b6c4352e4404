"""Scenarios of incidents of people: crowds, heat, orders, noise, roads, warnings."""

from __future__ import annotations

from tests.rules.driven_incidents_tools import (
    HOUR,
    Scene,
    Step,
    at,
    drives,
    says,
    sensor,
)
from tests.rules.incident_runs import DISTRICT, GRID, MINUTE, Event, call, observation, reading
from tests.rules.incident_runs import warning as official

CLEARED = "cleared"
CLEARING = "clearing"
RAISED = "raised"
UP = "escalated"
DOWN = "deescalated"
STREET, COMMUNITY = GRID[:9], GRID[:12]

# --- a road that is full -------------------------------------------------------------------------

SLOW = drives({"05:40": 60, "06:00": 15, "06:40": 60}, "06:45", 40)
"""A quarter of 60 km/h is an index of 8.3: at the latest at 06:15, when all readings are so."""
ACCIDENTS = [observation(at("06:20:30"), "incident", "i0", event_id="e0")]
FULL_HUB = [
    observation(at("06:10"), "transit_hub", "h0", persons=50, capacity=100),
    observation(at("06:25:10"), "transit_hub", "h0", persons=95, capacity=100),
]
GRIDLOCK = Scene(
    "ce.gridlock",
    [*SLOW, *ACCIDENTS, *FULL_HUB],
    "07:20",
    [
        Step("06:21", RAISED, 2, ("congestion", "cause")),
        # Told at 06:25:30.
        Step("06:26", UP, 3, ("congestion", "cause", "venue")),
        # Each counts for half an hour: the accident of 06:21 until 06:51, the hub of 06:26 until
        # 06:56, and the road, which is slow until 06:40, for longer.
        Step("06:56", CLEARING, 3),
        Step("07:06", CLEARED, 3),
    ],
    key=STREET,
    child=("traffic.tpi", STREET),
)

# --- a crowd -------------------------------------------------------------------------------------

HALL = (sensor("n0", "person_count", limit=1000.0),)


def crowd(density: float) -> list[Event]:
    return says("crowd_density", {"06:05": 1.0, "06:10": density, "06:20": 1.0}, "06:35", 30)


COMING = [
    event
    for n, t in enumerate(range(at("06:00"), at("06:20"), MINUTE))
    for event in (
        reading(t, "person_in", 10.0 if n >= 10 else 2.0, "in"),
        reading(t, "person_out", 2.0, "out"),
    )
]
"""Eight a minute more come than go from 06:10 on."""
FULL_HALL = [reading(at("06:05"), "person_count", 500.0, "n0")]
FULL_HALL += [reading(at("06:12:05"), "person_count", 1050.0, "n0")]
CRUSH = Scene(
    "ce.crowd_crush_risk",
    [*crowd(4.2), *COMING, *FULL_HALL],
    "06:35",
    [
        Step("06:12:30", RAISED, 3, ("density", "load_or_call")),
        # The five minutes' net inflow is more than none from 06:10:30 on, for five minutes then.
        Step("06:15:30", UP, 4, ("density", "inflow", "load_or_call")),
        # One of the two readings of a minute is 4.2 until 06:20:30.
        Step("06:20:40", CLEARING, 4),
        Step("06:30:40", CLEARED, 4),
    ],
    key="s0",
    child=("crowd.density", "s0"),
    devices=HALL,
)
TIGHT = Scene(
    "ce.crowd_crush_risk",
    crowd(5.4),
    "06:35",
    [
        # 0.95 of the way from 1.0 to 5.4 is 5.2 when one of two readings is so.
        Step("06:10:10", RAISED, 4, ("density",)),
        Step("06:20:40", CLEARING, 4),
        Step("06:30:40", CLEARED, 4),
    ],
    key="s0",
    child=("crowd.density", "s0"),
)

# --- heat ----------------------------------------------------------------------------------------

HOT = [official(at("06:00:10"), "heat", 3, at("08:00"))]
HELP = [reading(at(t), "sos", 1.0, "b0", site_type="elder") for t in ("05:00", "06:10:01")]
HELP += [reading(at(f"06:10:0{n}"), "sos", 1.0, f"b{n}", site_type="elder") for n in (2, 3)]
LOAD = [reading(at("06:30"), "transformer_load", 50.0, "t0")]
LOAD += [reading(at("07:00"), "transformer_load", 105.0, "t0")]
HEAT = Scene(
    "ce.heat_health",
    [*HOT, *HELP, *LOAD],
    "1 07:30",
    [
        # Three calls for help within five minutes are red.
        Step("06:15", RAISED, 2, ("heat", "people")),
        Step("07:05", UP, 3, ("heat", "people", "power")),
        # A day after the last moment of each: 06:15, 07:15, 08:00.
        Step("1 06:25", DOWN, 2),
        Step("1 07:15", CLEARING, 2),
        Step("1 07:25", CLEARED, 2),
    ],
    key=DISTRICT,
    step_ms=HOUR,
)

# --- a hot spot ----------------------------------------------------------------------------------


def many(callers: str, since: str = "06:01") -> list[Event]:
    """Orders of a class, a minute apart."""
    return [call(at(since) + n * MINUTE, "占道经营", caller) for n, caller in enumerate(callers)]


ELSEWHERE = f"{STREET}900001"
STREET_ORDERS = [
    # Of a day of the street 105 orders are known, of which 38 repeat one: of its grid and class.
    call(at("-1 05:00"), "路灯", "w", place=ELSEWHERE),
    *(call(at("06:20") + n, f"x{n}", f"c{n}", place=ELSEWHERE) for n in range(65)),
    *(call(at("06:30") + n, "x", "same", place=ELSEWHERE) for n in range(35)),
]
URGENT = [
    call(at(t), f"u{n}", "u", place=ELSEWHERE, urgency="urgent")
    for n, t in enumerate(("05:30", "08:00:30"))
]
HOT_SPOT = Scene(
    "ce.citizen_hotspot",
    [*many("abcab"), *STREET_ORDERS, *URGENT],
    "1 06:35",
    [
        Step("06:15", RAISED, 1, ("orders",)),
        Step("07:00", UP, 2, ("orders", "repeat")),
        Step("08:05", UP, 3, ("orders", "repeat")),
        # Urgent within a quarter of an hour until 08:15.
        Step("08:30", DOWN, 2),
        # A day with the first of five orders is over at 06:00.
        Step("1 06:15", CLEARING, 2),
        Step("1 06:25", CLEARED, 2),
    ],
    key=f"占道经营*{COMMUNITY}",
    step_ms=HOUR,
)


def usual() -> list[Event]:
    """Four orders in a quarter of an hour at this time of four working days, of one caller."""
    return [
        call(t, "占道经营", "usual", place=ELSEWHERE)
        for day in (-6, -5, -4, -3)
        for t in range(at(f"{day} 04:00"), at(f"{day} 08:00"), 225_000)
    ]


BURST = Scene(
    "ce.citizen_hotspot",
    # Sixteen are four times as many.
    [*usual(), *(call(at("06:00") + n * 56_000, "占道经营", f"c{n % 4}") for n in range(16))],
    "1 06:35",
    [
        Step("06:15", RAISED, 1, ("orders",)),
        Step("1 06:15", CLEARING, 1),
        Step("1 06:25", CLEARED, 1),
    ],
    key=f"占道经营*{COMMUNITY}",
    step_ms=HOUR,
)

# --- noise at night ------------------------------------------------------------------------------

ZONE = (sensor("d0", "laeq", noise_zone="2"),)
"""50 dB at night."""
NOISE = says("laeq", {"22:30": 40, "23:00": 62, "23:40": 40}, "1 00:40", 60)
LOUD_NIGHT = Scene(
    "ce.night_noise",
    [*NOISE, call(at("23:20:30"), "噪声扰民", "a")],
    "1 00:40",
    [
        Step("23:21", RAISED, 1, ("noise", "citizens")),
        # The call counts for an hour.
        Step("1 00:21", CLEARING, 1),
        Step("1 00:31", CLEARED, 1),
    ],
    devices=ZONE,
)
LOUD_MORNING = Scene(
    "ce.night_noise",
    [
        # Nights are told as a whole, when they are over.
        *says("laeq", {"21:00": 52}, "1 05:00", 3600, period_s=3600.0),
        *says("laeq", {"1 05:00": 62}, "1 05:40", 60),
        call(at("1 05:20:30"), "夜间施工", "a"),
    ],
    "1 06:35",
    [
        Step("1 05:21", RAISED, 1, ("noise", "citizens")),
        Step("1 06:21", CLEARING, 1),
        Step("1 06:31", CLEARED, 1),
    ],
    child=("noise.night_excess", "s0"),
    devices=ZONE,
)

# --- a mode of the city --------------------------------------------------------------------------

STORM = Scene(
    "ce.storm_mode",
    [official(at("06:00:10"), "typhoon", 3, at("06:59:30"))],
    "07:15",
    [
        Step("06:01", RAISED, 1, ("warning",)),
        Step("07:00", CLEARING, 1),
        Step("07:10", CLEARED, 1),
    ],
    key=DISTRICT,
)
IN_THE_CITY = [official(at("06:00:10"), "typhoon", 3, at("06:59:30"), "4401")]

SCENES = {
    "gridlock": GRIDLOCK,
    "crush": CRUSH,
    "tight": TIGHT,
    "heat": HEAT,
    "hot spot": HOT_SPOT,
    "order burst": BURST,
    "loud night": LOUD_NIGHT,
    "loud morning": LOUD_MORNING,
    "storm": STORM,
}
TOO_LITTLE = {
    "slow traffic alone": GRIDLOCK._replace(events=SLOW),
    "an accident alone": GRIDLOCK._replace(
        events=[*drives({"05:40": 60}, "06:45", 40), *ACCIDENTS]
    ),
    "a dense crowd alone": CRUSH._replace(events=crowd(4.2)),
    "a full hall that fills": CRUSH._replace(events=[*crowd(3.5), *COMING, *FULL_HALL]),
    "heat alone": HEAT._replace(events=HOT, until="08:00"),
    "five orders of two callers": HOT_SPOT._replace(events=many("ababa"), until="07:00"),
    "four orders of three callers": HOT_SPOT._replace(events=many("abca"), until="07:00"),
    "noise and no call": LOUD_NIGHT._replace(events=NOISE),
    "a call and no noise": LOUD_NIGHT._replace(
        events=[
            *says("laeq", {"22:30": 40, "23:00": 54}, "1 00:00", 60),
            call(at("23:20:30"), "噪声扰民", "a"),
        ]
    ),
    "a yellow warning": STORM._replace(
        events=[official(at("06:00:10"), "typhoon", 2, at("06:59:30"))]
    ),
    "a warning for a city of which nothing is heard": STORM._replace(events=IN_THE_CITY),
}
