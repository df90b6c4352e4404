"""Pathway: the topic read once (``mode="static"``), grouped by its own engine, results to Kafka.

Windows are groups by device and pane, from which all others are made; its decoder is its own. It
knows no watermark by partition: events are taken however late they are, and results follow when
all is read. It commits no offsets in this mode. Records that are no readings become error rows,
which are filtered.
"""

from __future__ import annotations

import json
import sys

import pathway as pw

LEVELS = {"grid": 15, "street": 9, "district": 6, "city": 4}
PANE_MS = 10_000


class Reading(pw.Schema):
    device: str | None
    value: float | None
    t: int | None
    place: str | None


def merged(table: pw.Table) -> dict:
    return {
        "n": pw.reducers.sum(table.n),
        "total": pw.reducers.sum(table.total),
        "low": pw.reducers.min(table.low),
        "high": pw.reducers.max(table.high),
    }


def rows(level: str, window_s: int, table: pw.Table) -> pw.Table:
    columns = (table.key, table.start, table.n, table.total, table.low, table.high)
    line = pw.apply_with_type(
        lambda *cells: ",".join((level, str(window_s), *map(str, cells))), str, *columns
    )
    return table.select(line=line)


def main() -> None:
    asked = json.loads(sys.argv[1])
    settings = {"bootstrap.servers": asked["servers"], "group.id": asked["group"]}
    source = pw.io.kafka.read(
        {**settings, "auto.offset.reset": "earliest", "queued.min.messages": "200000"},
        asked["input"],
        schema=Reading,
        format="json",
        mode="static",
    )
    whole = source.filter(
        source.device.is_not_none()
        & source.value.is_not_none()
        & source.t.is_not_none()
        & source.place.is_not_none()
    )
    readings = whole.select(
        key=pw.unwrap(whole.device),
        place=pw.unwrap(whole.place),
        value=pw.unwrap(whole.value),
        start=pw.unwrap(whole.t) // PANE_MS * PANE_MS,
    )
    devices = readings.groupby(readings.key, readings.place, readings.start).reduce(
        readings.key,
        readings.place,
        readings.start,
        n=pw.reducers.count(),
        total=pw.reducers.sum(readings.value),
        low=pw.reducers.min(readings.value),
        high=pw.reducers.max(readings.value),
    )
    found = {"device": devices}
    for level, digits in LEVELS.items():
        placed = devices.with_columns(key=devices.place.str.slice(0, digits))
        found[level] = placed.groupby(placed.key, placed.start).reduce(
            placed.key, placed.start, **merged(placed)
        )
    parts = []
    for level, tumbling in found.items():
        parts.append(rows(level, 10, tumbling))
        if level == "device" and not asked["device_hops"]:
            continue
        starts = pw.apply_with_type(
            lambda start: tuple(start - PANE_MS * back for back in range(6)),
            tuple[int, ...],
            tumbling.start,
        )
        spread = tumbling.with_columns(start=starts).flatten(pw.this.start)
        hopping = spread.groupby(spread.key, spread.start).reduce(
            spread.key, spread.start, **merged(spread)
        )
        parts.append(rows(level, 60, hopping))
    lines = parts[0].concat_reindex(*parts[1:])
    pw.io.kafka.write(
        lines,
        {"bootstrap.servers": asked["servers"], "compression.type": "lz4", "linger.ms": "50"},
        asked["output"],
        format="plaintext",
        value=lines.line,
    )
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)


if __name__ == "__main__":
    main()
