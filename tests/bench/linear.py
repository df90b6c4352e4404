"""Whether cost grows with the events and with the signs, and no faster.

``python -m tests.bench.linear``: one log profile (seed 1, one reading a device and minute, the
shipped catalogue) is drained by ``cityvitals replay`` at 1, 2, 4, 8 and 16 million events.  Then a
log of readings of one metric is drained under generated configurations of 1, 10, 30 and 100 signs
that all take every event.  Costs are ns of processor time an event, of the engine and the process
that feeds it, and of wall time.  The start, with the first reading of each device, is part of both:
so it is also printed what the events cost that a longer log has over the one before, and what each
further sign costs.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from schemas.loading import load
from tests.bench.backlog import TOPIC, prepare, run_command

EVENTS = (1_000_000, 2_000_000, 4_000_000, 8_000_000, 16_000_000)
SIGNS = (1, 10, 30, 100)
METRIC, METRICS = "rain", 4
"""Of the readings of the second log, and how many there are in the first one."""
_FUNCTIONS = ("mean", "sum", "max", "min", "count")
_LENGTHS_S = (60, 120, 300)
_SEEN = f"{TOPIC}.ndjson"


def signs(count: int) -> list[dict[str, Any]]:
    """So many signs that take every reading of the metric, of all lengths and functions.

    Every tenth one keeps sketches of quantiles.
    """
    return [_sign(number) for number in range(count)]


def _sign(number: int) -> dict[str, Any]:
    function: dict[str, Any] = {"function": _FUNCTIONS[number % len(_FUNCTIONS)]}
    if number % 10 == 9:
        function = {"function": "quantile", "q": 0.9}
    size_s = _LENGTHS_S[number % len(_LENGTHS_S)]
    return {
        "id": f"load.sign_{number:03}",
        "kind": "window",
        "domain": "load",
        "name": {"zh": f"负载{number}", "en": f"load {number}"},
        "unit": "mm" if function["function"] != "count" else "count",
        "source": "generated for a load test",
        "topic": "sensor",
        "match": {"metric": METRIC},
        "base": "station",
        "aggregate": function,
        "window": {"size_s": size_s, "hop_s": 60},
        "keys": ["district", "city"],
        "rollup": "merge",
        "coverage": {"by": "samples", "at_least": 1},
    }


def configured(path: Path, count: int) -> Path:
    """Write the shipped configuration with so many signs instead of its own."""
    content = load(environ={}).model_dump(mode="json", exclude_none=True)
    content |= {"signs": signs(count), "incidents": [], "overlays": []}
    path.write_text(json.dumps(content, ensure_ascii=False), "utf-8")
    return path


def drain(log: Path, config: Path | None = None) -> dict[str, float]:
    """Replay a log; events, and ns an event."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    options = [] if config is None else ["--config", str(config)]
    report = run_command(["replay", str(log), "--speed", "max", *options])
    wall_s, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    events = report["total"]["read"]
    if report["total"]["remainder"]:
        raise SystemExit(f"the accounting does not add up: {report['total']}")
    return {
        "events": events,
        "cpu_ns": round(cpu_s / events * 1e9),
        "wall_ns": round(wall_s / events * 1e9),
    }


def take(log: Path, part: Path, events: int, wanted: Callable[[bytes], bool] | None = None) -> Path:
    """Write a log of the first so many lines of another one, or of those that are wanted."""
    part.mkdir()
    with (log / _SEEN).open("rb") as lines, (part / _SEEN).open("wb") as out:
        out.writelines(islice(lines if wanted is None else filter(wanted, lines), events))
    return part


def added(rows: Sequence[dict[str, float]], size: str) -> Iterator[float]:
    """What each unit costs that a row has over the one before, ns of processor time an event.

    Examples
    --------
    >>> list(added([{"signs": 1, "cpu_ns": 500}, {"signs": 11, "cpu_ns": 600}], "signs"))
    [10.0]
    """
    for less, more in pairwise(rows):
        yield round((more["cpu_ns"] - less["cpu_ns"]) / (more[size] - less[size]), 1)


def added_events(rows: Sequence[dict[str, float]]) -> Iterator[float]:
    """What each event costs that a row has over the one before, ns of processor time.

    Examples
    --------
    >>> list(added_events([{"events": 10, "cpu_ns": 5}, {"events": 20, "cpu_ns": 4}]))
    [3.0]
    """
    for less, more in pairwise(rows):
        whole = more["cpu_ns"] * more["events"] - less["cpu_ns"] * less["events"]
        yield round(whole / (more["events"] - less["events"]), 1)


def by_events(home: Path, sizes: list[int], devices: int) -> Iterator[dict[str, float]]:
    """The cost at each number of events."""
    log = home / "log"
    prepare(log, max(sizes), devices)
    for events in sizes:
        yield drain(take(log, home / f"events-{events}", events))


def by_signs(
    home: Path, counts: list[int], events: int, devices: int
) -> Iterator[dict[str, float]]:
    """The cost under each number of signs."""
    whole, wanted = home / "whole", f'"metric":"{METRIC}"'.encode()
    prepare(whole, METRICS * events, METRICS * devices)
    log = take(whole, home / "one-metric", events, lambda line: wanted in line)
    for count in counts:
        found = drain(log, configured(home / f"signs-{count}.json", count))
        yield {"signs": count, **found}


def ratio(rows: Sequence[dict[str, float]]) -> float:
    """Processor time an event in the last row over that in the first."""
    return round(rows[-1]["cpu_ns"] / rows[0]["cpu_ns"], 2)


def show_events(rows: list[dict[str, float]]) -> None:
    """Print the table by events."""
    print(f"{'events':>12}{'ns an event':>13}{'wall ns':>10}{'ns of the added':>17}")
    for row, more in zip(rows, ["", *(f"{ns:,}" for ns in added_events(rows))], strict=True):
        print(f"{row['events']:12,}{row['cpu_ns']:13,}{row['wall_ns']:10,}{more:>17}")
    print(f"last to first: {ratio(rows)}")


def show_signs(rows: list[dict[str, float]]) -> None:
    """Print the table by signs."""
    columns = ("signs", "ns an event", "wall ns", "ns a sign", "ns a further sign")
    print(f"{columns[0]:>12}{columns[1]:>13}{columns[2]:>10}{columns[3]:>11}{columns[4]:>19}")
    for row, more in zip(rows, ["", *(f"{ns:,}" for ns in added(rows, "signs"))], strict=True):
        each = row["cpu_ns"] / row["signs"]
        print(f"{row['signs']:12}{row['cpu_ns']:13,}{row['wall_ns']:10,}{each:11,.0f}{more:>19}")
    print(f"last to first: {ratio(rows)} an event, {ratio_a_sign(rows)} an event and sign")


def ratio_a_sign(rows: Sequence[dict[str, float]]) -> float:
    """As `ratio`, of the time an event and sign."""
    first, last = (row["cpu_ns"] / row["signs"] for row in (rows[0], rows[-1]))
    return round(last / first, 3)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, nargs="*", default=list(EVENTS), metavar="N")
    parser.add_argument("--signs", type=int, nargs="*", default=list(SIGNS), metavar="N")
    parser.add_argument("--devices", type=int, default=100_000, help="of both logs; 100000")
    parser.add_argument(
        "--sign-events", type=int, default=1_000_000, help="of the log of one metric; 1000000"
    )
    parser.add_argument("--json", action="store_true", help="one object instead of tables")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="cityvitals-linear-") as name:
        home = Path(name)
        events = list(by_events(home, options.events, options.devices)) if options.events else []
        if events and not options.json:
            show_events(events)
        wanted = (options.signs, options.sign_events, options.devices)
        listed = list(by_signs(home, *wanted)) if options.signs else []
        if listed and not options.json:
            show_signs(listed)
    if options.json:
        found: dict[str, Any] = {"devices": options.devices}
        if events:
            found["by_events"] = {
                "runs": events,
                "added_ns": list(added_events(events)),
                "last_to_first": ratio(events),
            }
        if listed:
            found["by_signs"] = {
                "runs": listed,
                "further_sign_ns": list(added(listed, "signs")),
                "last_to_first": ratio(listed),
                "last_to_first_a_sign": ratio_a_sign(listed),
            }
        print(json.dumps(found))


if __name__ == "__main__":
    main()
