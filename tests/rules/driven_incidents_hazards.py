"""Scenarios of incidents of gas, fire, dust, power, bridges and dangerous goods."""

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
from tests.rules.incident_runs import MINUTE, Event, call, observation, reading

CLEARED = "cleared"
CLEARING = "clearing"
RAISED = "raised"
UP = "escalated"
DOWN = "deescalated"

# --- gas -----------------------------------------------------------------------------------------


def gas(device: str, values: dict[str, float]) -> list[Event]:
    return says("gas_lel", {"06:05": 0, **values}, "06:50", 30, device, site_type="gas_well")


GAS_CALL = call(at("06:14:20"), "燃气异味", "a")
LEAK = Scene(
    "ce.gas_leak",
    [
        *gas("g0", {"06:10": 22, "06:20": 0}),
        *gas("g1", {"06:12": 12, "06:20": 0}),
        GAS_CALL,
    ],
    "06:50",
    [
        # The most of a minute is told every ten seconds.
        Step("06:12:10", RAISED, 3, ("leak", "second")),
        Step("06:15", UP, 4, ("leak", "second", "citizens")),
        # The reading of 06:19:30 is in the minute that ends at 06:20:30: a quarter of an hour.
        Step("06:35:30", CLEARING, 4),
        Step("06:45:30", CLEARED, 4),
    ],
    child=("lifeline.gas_leak", "g0"),
)
BLAST = Scene(
    "ce.gas_leak",
    gas("g0", {"06:10": 52, "06:20": 0}),
    "06:50",
    [
        Step("06:10:10", RAISED, 4, ("leak",)),
        # One condition is not enough when it is below 50 again.
        Step("06:20:40", CLEARING, 4),
        Step("06:30:40", CLEARED, 4),
    ],
    child=("lifeline.gas_leak", "g0"),
)
PIPE = Scene(
    "ce.gas_leak",
    [
        *gas("g0", {"06:10": 22, "06:20": 0}),
        *says("pipe_pressure", {"06:05": 0.4, "06:12": 0.3}, "06:20", 60, "p0", medium="gas"),
    ],
    "06:50",
    [
        # A mean of 0.35 is 12.5 % off the 0.4 that it shall be.
        Step("06:12:30", RAISED, 3, ("leak", "second")),
        Step("06:35:30", CLEARING, 3),
        Step("06:45:30", CLEARED, 3),
    ],
    devices=(sensor("p0", "pipe_pressure", limit=0.4, medium="gas"),),
)

# --- fire ----------------------------------------------------------------------------------------


def smoke(device: str, since: str, until: str) -> list[Event]:
    return [
        reading(at(since), "smoke_alarm", 1.0, device),
        reading(at(until), "smoke_alarm", 0.0, device),
    ]


def hot(t: str) -> list[Event]:
    return [
        reading(at("06:05"), "heat_temperature", 20.0, "h0"),
        reading(at(t), "heat_temperature", 56.0, "h0"),
    ]


FIRE = Scene(
    "ce.fire_confirmed",
    [
        *smoke("f0", "06:10:02", "06:15:02"),
        *hot("06:11:05"),
        call(at("06:11:30"), "火警", "a"),
    ],
    "06:30",
    [
        Step("06:11:10", RAISED, 3, ("smoke", "second")),
        Step("06:12", UP, 4, ("smoke", "second", "human")),
        # The heat of the minute that ends at 06:12, and the call of that, count for three more.
        Step("06:15", CLEARING, 4),
        Step("06:25", CLEARED, 4),
    ],
    key="s0",
    child=("fire.alarms", "s0"),
)
TWO_DETECTORS = Scene(
    "ce.fire_confirmed",
    [
        *smoke("f0", "06:10:02", "06:15:02"),
        *smoke("f1", "06:10:03", "06:15:03"),
        *hot("06:10:35"),
    ],
    "06:35",
    [
        Step("06:10:10", RAISED, 3, ("smoke", "second")),
        Step("06:10:40", UP, 4, ("smoke", "second")),
        # Three minutes after 06:15, when two detectors last said that there is smoke.
        Step("06:18", CLEARING, 4),
        Step("06:28", CLEARED, 4),
    ],
    key="s0",
    child=("fire.alarms", "s0"),
)
SEEN = Scene(
    "ce.fire_confirmed",
    [
        *smoke("f0", "06:10:02", "06:12:02"),
        reading(at("06:10:30"), "ai_event", 1.0, "cam", cls="flame", conf=0.9),
    ],
    "06:30",
    [
        Step("06:11", RAISED, 3, ("smoke", "human")),
        Step("06:14", CLEARING, 3),
        Step("06:24", CLEARED, 3),
    ],
    key="s0",
    child=("fire.alarms", "s0"),
)

# --- before a fire -------------------------------------------------------------------------------

CABLE = [
    reading(at("05:50"), "cable_temperature", 30.0, "c0"),
    reading(at("06:10"), "cable_temperature", 72.0, "c0"),
    reading(at("06:15"), "cable_temperature", 30.0, "c0"),
]
PRECURSOR = Scene(
    "ce.electrical_fire_risk",
    [
        *says("residual_current", {"05:50": 50, "06:00": 320, "06:30": 50}, "07:35", 300, "r0"),
        *CABLE,
        reading(at("06:15"), "ev_temperature", 30.0, "e0"),
        reading(at("06:20:05"), "ev_temperature", 72.0, "e0"),
    ],
    "07:35",
    [
        Step("06:11", RAISED, 2, ("residual", "cable")),
        Step("06:21", UP, 3, ("residual", "cable", "charging")),
        # An hour after each: the cable of 06:15, the charger of 06:21, the current of 06:30.
        Step("07:21", CLEARING, 3),
        Step("07:31", CLEARED, 3),
    ],
    key="s0",
    child=("fire.residual_current", "s0"),
)

# --- dust ----------------------------------------------------------------------------------------


def dust(until: str, end: str) -> list[Event]:
    """The mean of a quarter of an hour is yellow while two of its three readings are at 400."""
    values = {"05:00": 50.0, "06:00": 400.0, until: 50.0}
    return says("pm10", values, end, 300, "d0", site_type="construction")


def wind(until: str) -> list[Event]:
    return says("wind_speed", {"05:50": 2.0}, until, 600, "w0", site="mast")


def dust_calls(*times: str) -> list[Event]:
    """Two callers each."""
    return [call(at(t) + n, "扬尘污染", f"caller {n}") for t in times for n in (1, 2)]


SOURCE = Scene(
    "ce.air_point_source",
    [*dust("06:30", "08:00"), *wind("08:00"), *dust_calls("06:12")],
    "08:00",
    [
        # 50, 400 and 400 are 283.
        Step("06:10", RAISED, 1, ("excess", "wind")),
        Step("06:15", UP, 2, ("excess", "wind", "citizens")),
        # Two of three until 06:35, and one is 167; the hour has six of twelve.
        # The calls leave the hour that ends at 07:15, and count five minutes longer.
        Step("07:25", DOWN, 1),
        Step("07:35", CLEARING, 1),
        Step("07:45", CLEARED, 1),
    ],
    child=("air.dust_site", "s0"),
)
LONG_SOURCE = Scene(
    "ce.air_point_source",
    [
        *dust("09:20", "11:00"),
        *wind("11:00"),
        *dust_calls("06:01", "06:50", "07:40", "08:30", "09:00"),
    ],
    "11:00",
    [
        Step("06:10", RAISED, 2, ("excess", "wind", "citizens")),
        # It has stood for three hours.
        Step("09:10", UP, 3, ("excess", "wind", "citizens")),
        # The last calls are in the hour that ends at 10:00, which counts five minutes longer.
        Step("10:15", DOWN, 1),
        # Seven of twelve readings of the hour that ends at 09:45 are at 400: 254.
        Step("10:45", CLEARING, 1),
        Step("10:55", CLEARED, 1),
    ],
    child=("air.dust_site", "s0"),
    step_ms=HOUR,
)

# --- power ---------------------------------------------------------------------------------------

FLEET = tuple(sensor(f"t{n}", "humidity") for n in range(20))


def fleet(silent: int) -> list[Event]:
    """Twenty devices, of which so many say nothing between 06:09:30 and 06:20:30."""
    return [
        reading(t + n, "humidity", 50.0, f"t{n}")
        for t in range(at("06:00:30"), at("06:40:30"), MINUTE)
        for n in range(20)
        if n >= silent or not at("06:09:30") < t < at("06:20:30")
    ]


CHARGERS = [
    reading(t + n, "ev_connector_state", 0.0 if n < 6 and off else 1.0, f"c{n}", site="station")
    for t in range(at("06:00:10"), at("06:40:10"), MINUTE)
    for off in (at("06:15:10") <= t < at("06:20:10"),)
    for n in range(10)
]
"""Six of ten are off for five minutes."""
OUTAGE = Scene(
    "ce.power_cascade",
    [
        *fleet(5),
        *CHARGERS,
        call(at("06:17:10"), "停电", "a"),
        call(at("06:17:40"), "停电", "b"),
    ],
    "06:40",
    [
        # A quarter of them is silent for three of their minutes since 06:12:30.
        Step("06:16", RAISED, 2, ("silence", "charging")),
        Step("06:18", UP, 3, ("silence", "charging", "report")),
        # Both calls in five minutes until 06:22; the devices of 06:20 count for five minutes.
        Step("06:25", CLEARING, 3),
        Step("06:35", CLEARED, 3),
    ],
    child=("energy.ev_offline_rate", "station"),
    devices=FLEET,
)

# --- a bridge ------------------------------------------------------------------------------------

BRIDGE = (
    sensor("s", "strain", limit=400.0),
    sensor("v", "acceleration_rms", limit=40.0),
)


def lorry(t: str, tons: float = 55.0) -> Event:
    return reading(at(t), "axle_weight", tons, "wim", site_type="bridge")


CALM = [
    reading(at("05:55"), "strain", 100.0, "s"),
    reading(at("05:55"), "acceleration_rms", 5.0, "v"),
]
OVERLOAD = Scene(
    "ce.bridge_overload",
    [
        *CALM,
        lorry("06:10:10"),
        reading(at("06:10:20"), "strain", -340.0, "s"),
        reading(at("06:11:10"), "acceleration_rms", 34.0, "v"),
        lorry("06:13:10"),
        reading(at("06:13:20"), "strain", 420.0, "s"),
    ],
    "06:40",
    [
        Step("06:11", RAISED, 2, ("load", "strain")),
        Step("06:12", UP, 3, ("load", "strain", "vibration")),
        Step("06:14", UP, 4, ("load", "strain", "vibration")),
        # Strain beyond its limit is in the ten minutes that end at 06:24, and counts for two more.
        Step("06:26", CLEARING, 4),
        Step("06:36", CLEARED, 4),
    ],
    key="s0",
    child=("lifeline.bridge_strain", "s0"),
    devices=BRIDGE,
)

# --- dangerous goods -----------------------------------------------------------------------------

STOP = [observation(at("06:10:10"), "vehicle_event", "v0", cls="hazchem_stopped")]
JAM = drives({"05:55": 60, "06:00": 12, "06:09": 60}, "06:20")
FUMES = says("gas_lel", {"06:05": 0, "06:15:05": 12, "06:16": 0}, "06:20", 30, site_type="hazchem")
TANKER = Scene(
    "ce.hazchem_vehicle",
    [*STOP, *JAM, *FUMES],
    "06:40",
    [
        Step("06:11", RAISED, 2, ("stop", "jam")),
        Step("06:16", UP, 4, ("stop", "gas", "jam")),
        # A quarter of an hour after each: the stop of 06:11 must be.
        Step("06:26", CLEARING, 4),
        Step("06:36", CLEARED, 4),
    ],
)
FUMING = TANKER._replace(
    events=[*STOP, *FUMES],
    story=[
        Step("06:16", RAISED, 3, ("stop", "gas")),
        Step("06:26", CLEARING, 3),
        Step("06:36", CLEARED, 3),
    ],
)

SCENES = {
    "leak": LEAK,
    "blast": BLAST,
    "pipe": PIPE,
    "fire": FIRE,
    "two detectors": TWO_DETECTORS,
    "seen": SEEN,
    "precursor": PRECURSOR,
    "source": SOURCE,
    "long source": LONG_SOURCE,
    "outage": OUTAGE,
    "overload": OVERLOAD,
    "tanker": TANKER,
    "fuming": FUMING,
}
TOO_LITTLE = {
    "one well": LEAK._replace(events=gas("g0", {"06:10": 22, "06:20": 0})),
    "two wells that are not at 20": LEAK._replace(
        events=[*gas("g0", {"06:10": 19}), *gas("g1", {"06:10": 19}), GAS_CALL]
    ),
    "one detector": FIRE._replace(events=smoke("f0", "06:10:02", "06:15:02")),
    "smoke and a call about gas": FIRE._replace(
        events=[
            *smoke("f0", "06:10:02", "06:15:02"),
            call(at("06:11:30"), "燃气异味", "a"),
        ]
    ),
    "heat and a call": FIRE._replace(events=[*hot("06:11:05"), call(at("06:11:30"), "火警", "a")]),
    "a hot cable alone": PRECURSOR._replace(events=CABLE),
    "dust alone": SOURCE._replace(events=dust("06:30", "07:00")),
    "wind and calls": SOURCE._replace(events=[*wind("07:00"), *dust_calls("06:12")]),
    "chargers alone": OUTAGE._replace(events=[*fleet(3), *CHARGERS]),
    "a lorry alone": OVERLOAD._replace(
        events=[*CALM, lorry("06:10:10"), reading(at("06:10:20"), "strain", 300.0, "s")]
    ),
    "strain and a light lorry": OVERLOAD._replace(
        events=[*CALM, lorry("06:10:10", 48.0), reading(at("06:10:20"), "strain", 340.0, "s")]
    ),
    "a tanker alone": TANKER._replace(events=STOP),
    "gas and a jam": TANKER._replace(events=[*JAM, *FUMES]),
}
