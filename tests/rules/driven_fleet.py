"""Signs of many devices: fleets that are heard or not, flooded sites, roads, emergency rooms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from schemas.devices import Device, Register
from schemas.signs import Sign
from tests.rules.driven import phases
from tests.rules.driven_events import (
    MORNING,
    PLACE,
    Driven,
    Event,
    Phases,
    course,
    every,
    measured,
    observed,
)

FLEET = 100
PERIOD_S = 300
DAY_MS = 86_400_000


def fleet(metric: str) -> Driven:
    """A hundred registered devices, of which so many speak: a per cent each."""
    rows = [
        Device(f"d{n}", "sensor", metric, "tests", PLACE, "s0", period_s=PERIOD_S)
        for n in range(FLEET)
    ]

    def drive(sign: Any, found: Phases) -> Iterator[Event]:
        for t, value, _ in every(found, PERIOD_S):
            for n in range(min(FLEET, round(value))):
                yield measured(metric, t + n, 1.0, device=f"d{n}")

    def long(sign: Sign) -> Phases:
        """A device is missed after three of its periods."""
        assert sign.alert is not None
        assert sign.window.hop_s is not None
        values = [value for _, _, value in phases(sign, MORNING)]
        delays_s = sign.alert.on_delay_s + sign.alert.off_delay_s
        return course(MORNING, 4 * PERIOD_S + delays_s + 2 * sign.window.hop_s, values)

    return Driven(drive, long, Register(rows))


HUMIDITY = Device("d-humidity", "sensor", "humidity", "tests", PLACE, "s0", period_s=9)


def validity(sign: Any, found: Phases) -> Iterator[Event]:
    """A hundred readings in a quarter of an hour, of which so many are sound.

    Of the others one half has a bad mark, and the other half is refused: no humidity is 200 %.
    """
    for n, (t, value, _) in enumerate(every(found, 9)):
        step = n * 37 % 100
        if step + 1 <= value:
            yield measured("humidity", t, 50.0)
        elif step % 2:
            yield measured("humidity", t, 50.0, q="bad")
        else:
            yield measured("humidity", t, 200.0)


def lateness(sign: Any, found: Phases) -> Iterator[Event]:
    """Nine of ten readings come at once, and the tenth so late."""
    for n, (t, value, _) in enumerate(every(found, 2)):
        late_ms = round(1000 * value) if n % 10 == 0 else 0
        yield measured("humidity", t, 50.0, t_ingest=t + late_ms)


def points(sign: Any, found: Phases) -> Iterator[Event]:
    """A dozen underpasses: 20 cm close one of them to a lane, 12 cm are seen and not counted."""
    for t, value, _ in every(found, 30):
        for n in range(12):
            depth = 20.0 if n < value else 12.0
            yield measured("water_depth", t + n, depth, device=f"d{n}", site=f"s{n}")


def counted(length_s: float, *values: float) -> Any:
    return lambda sign: course(MORNING, length_s, values)


SPEEDS = {2.0: 42.0, 4.5: 28.5, 6.5: 22.5, 8.25: 15.75, 9.25: 6.75}
"""Index, and the km/h of a road of 60 that make it: at 28.5 it takes 52.5 % of the time too much,
and from 50 % to 60 % the index goes from 4 to 6 (GB/T 33171-2016)."""


def congestion(sign: Any, found: Phases) -> Iterator[Event]:
    for t, value, _ in every(found, 40):
        speed = SPEEDS[value]
        yield observed("segment_flow", t, speed_kmh=speed, free_flow_kmh=60, link_len_m=1000)


ARRIVALS = 200
"""In a quarter of an hour: four of the model's deviations, a twentieth of 800 an hour, are 160."""
BASELINE_DAYS = 4


def emergencies(sign: Any, found: Phases) -> Iterator[Event]:
    """Four ordinary working days, and then so many times as many arrive."""
    ordinary = [(found[0][0] - BASELINE_DAYS * DAY_MS, found[0][0], 1.0)]
    for t, value, _ in every([*ordinary, *found], 900):
        yield measured("er_arrival", t, float(round(ARRIVALS * value)))


DRIVEN: dict[str, Driven] = {
    "iot.online_rate": fleet("air_temperature"),
    "iot.video_online": fleet("camera_state"),
    # Of a record that is refused the register alone knows the platform.
    "iot.valid_rate": Driven(validity, register=Register([HUMIDITY]), refused=True),
    "iot.lateness_p95": Driven(lateness),
    "drain.points": Driven(points, counted(720, 0, 1, 3, 5, 10, 0)),
    "traffic.tpi": Driven(congestion),
    "med.er_arrivals": Driven(
        emergencies, lambda sign: phases(sign, MORNING + BASELINE_DAYS * DAY_MS)
    ),
}
