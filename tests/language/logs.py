"""Logs in the record shapes that Theodolite and OSPBench publish, made from a seed.

``python -m tests.language.logs theodolite-uc4 FOLDER --groups 3`` writes what ``cityvitals replay
FOLDER --config schemas/examples/theodolite-uc4.yaml`` reads.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

START = 1_645_564_920_000
"""Int64 ms UTC, a full minute."""
SECOND = 1_000
VALUE = 10.0
"""W, of every record of Theodolite's load generator."""
CHILDREN = 4
"""Of each group."""

LANES = (1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3)
"""Lanes of the 12 measuring points of OSPBench."""
FIRST_MINUTE = datetime(2017, 3, 15, 14, 41)


def power(sensors: int, seconds: int, seed: int | None = None) -> Iterator[dict[str, Any]]:
    """Records of Theodolite, one a second of each sensor: of 10 W each, or random from a seed."""
    rng = Random(seed)
    for second in range(seconds):
        for n in range(sensors):
            value = VALUE if seed is None else round(rng.uniform(0, 2_000), 3)
            at = START + second * SECOND
            yield {"identifier": f"s_{n}", "timestamp": at, "valueInW": value}


def path_of(sensor: int, groups: int) -> str:
    """The groups that hold a sensor, the root first: four children each, 4^groups sensors.

    >>> path_of(7, 2), path_of(63, 3)
    ('group_lvl_0/g_1_1', 'group_lvl_0/g_1_3/g_2_15')
    """
    inner = (f"g_{lvl}_{sensor // CHILDREN ** (groups - lvl)}" for lvl in range(1, groups))
    return "/".join(["group_lvl_0", *inner])


def register(groups: int) -> str:
    """The register of Theodolite's hierarchy."""
    rows = [
        f"s_{n},sensor,active_power,0000,1,{path_of(n, groups)}" for n in range(CHILDREN**groups)
    ]
    return "\n".join(["device,topic,kind,place,period_s,part_of:group", *rows, ""])


def point(n: int) -> str:
    """The id of a measuring point."""
    return f"au/1/5/u/{n % 10}/RWS01_MONIBAS_{1000 + n:04}hrl_1"


Measured = dict[str, Any]


def traffic(minutes: int, seed: int) -> Iterator[tuple[str, str, Measured]]:
    """``(topic, key, record)`` of OSPBench: flow and speed of each lane, one a minute."""
    rng = Random(seed)
    for minute in range(minutes):
        stamp = f"{FIRST_MINUTE + timedelta(minutes=minute)}.0"
        for n, lanes in enumerate(LANES):
            for lane in range(1, lanes + 1):
                key = f"{point(n)}/lane{lane}"
                where = {"lat": round(51.4 + n / 100, 5), "long": round(5.4 + n / 100, 5)}
                told = {"accuracy": 100, "timestamp": stamp, "num_lanes": lanes}
                flow = {"flow": 60 * rng.randint(5, 40), "period": 60}
                yield "ndwflow", key, {**where, **flow, **told}
                yield "ndwspeed", key, {**where, "speed": rng.randint(73, 126), **told}


def line(key: str, record: Measured) -> str:
    """A line as it stands in OSPBench's files."""
    return f"{key}= {json.dumps(record, separators=(',', ':'))}"


def write(what: str, folder: Path, options: argparse.Namespace) -> None:
    """Write the logs of one benchmark, and the register where it has one."""
    folder.mkdir(parents=True, exist_ok=True)
    lines: dict[str, list[str]] = {}
    if what == "ospbench":
        for topic, key, record in traffic(options.minutes, options.seed or 0):
            lines.setdefault(topic, []).append(line(key, record))
    else:
        uc4 = what == "theodolite-uc4"
        sensors = CHILDREN**options.groups if uc4 else options.sensors
        records = power(sensors, 60 * options.minutes, options.seed)
        lines["input"] = [json.dumps(r, separators=(",", ":")) for r in records]
        if uc4:
            (folder / "register.csv").write_text(register(options.groups))
    for topic, written in lines.items():
        (folder / f"{topic}.ndjson").write_text("\n".join([*written, ""]))
        print(f"{folder / topic}.ndjson: {len(written):,} records")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("theodolite-uc2", "theodolite-uc4", "ospbench"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=int, default=5, help="of event time (5)")
    parser.add_argument("--sensors", type=int, default=10, help="of UC2 (10)")
    parser.add_argument("--groups", type=int, default=3, help="levels of groups of UC4 (3)")
    parser.add_argument("--seed", type=int, help="random values of Theodolite; 10 W without it")
    options = parser.parse_args()
    write(options.what, options.folder, options)


if __name__ == "__main__":
    main()
