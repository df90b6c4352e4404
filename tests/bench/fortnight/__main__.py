"""A fortnight of a city in which each of the 104 signs and 20 incidents is driven to its levels.

``python -m tests.bench.fortnight``: one event log, its truth, and the shipped catalogue as a whole
on it.  What is planted stands in ``planted``, what that means for other incidents in ``side``, what
lies around it in ``background``, and how it is held against what was said in ``truth``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from agents.plan import compile_plan
from schemas.devices import Register
from schemas.registers import save_register, save_relations
from schemas.related import Relations
from tests.bench.fortnight import live
from tests.bench.fortnight.background import background
from tests.bench.fortnight.log import Log
from tests.bench.fortnight.planted import INCIDENTS, SignTruth, Story, plant
from tests.bench.fortnight.run import Heard, run
from tests.bench.fortnight.side import sides_of
from tests.bench.fortnight.truth import rows_of, said_by, strays
from tests.rules.driven_all import CATALOGUE

SECRET = b"callers of a planted city"
LINE_S = 30
SHORT = (
    "care.sos",
    "ce.bridge_overload",
    "engine.alert_rate",
    "fire.alarms",
    "meteo.official_warning",
)
"""One of each kind: a window, an incident, a live one, a state of devices, a warning."""


def measure(
    days: int,
    baseline_weeks: int,
    only: frozenset[str] | None = None,
    *,
    fast: bool = True,
    folder: Path | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Plant, feed and compare; the report, as plain values for JSON.

    Parameters
    ----------
    only
        Signs and incidents of which the stories are told; all of them if None.
    fast
        Whether the background has signs that are told every minute or more often.
    folder
        Where the logs and the register go and stay; a temporary one if None.
    """
    began = time.perf_counter()
    stories = plant(days, only)
    with TemporaryDirectory() as made:
        kept = folder or Path(made)
        kept.mkdir(parents=True, exist_ok=True)
        log = _log(stories, baseline_weeks, days, fast=fast)
        lines = log.write(kept)
        register = Register([row for story in stories for row in story.devices])
        save_register(register, kept / "register.csv")
        sides = [side for side in sides_of(stories) if only is None or side.incident in only]
        told_by = [(story._replace(events=()), said_by(story)) for story in stories]
        heard, invalid = Heard(_keys(stories)), _invalid(stories)
        stories = [story for story, _ in told_by]
        relations = Relations([row for story in stories for row in story.relations])
        save_relations(relations, kept / "relations.csv")
        configuration = CATALOGUE.with_register(register).with_relations(relations)
        plan = compile_plan(configuration, SECRET)
        with _told(lines, progress=progress) as told:
            pipeline = run(plan, kept, heard, told)
        rows = rows_of(stories, heard.results, heard.alerts, sides)
        rows += live.rows(Path(made) / "live", only)
    stray = strays(told_by, heard.alerts)
    total = pipeline.total()
    return {
        "days": days,
        "baseline_weeks": baseline_weeks,
        "stories": len(stories),
        "events": total.read,
        "accounting": {**asdict(total), "remainder": total.remainder},
        "planted_faults": {
            "late": log.late,
            "broken": log.broken + invalid,
            "repeated": log.repeated,
        },
        "outputs": heard.outputs,
        "config": plan.config,
        "seconds": round(time.perf_counter() - began, 1),
        "rows": [row._asdict() | {"equal": not row.differs} for row in rows],
        "signs": sum(row.rule not in INCIDENTS for row in rows),
        "incidents": sum(row.rule in INCIDENTS for row in rows),
        "equal": sum(not row.differs for row in rows),
        "stray_alerts": stray,
    }


def _invalid(stories: list[Story]) -> int:
    """Readings out of their metric's range: those that drive the share of valid ones."""
    found = 0
    for story in stories:
        if story.rule == "iot.valid_rate":
            for _, _, said in story.events:
                metric = CATALOGUE.known_metrics[said["metric"]]
                found += not metric.minimum <= said["value"] <= metric.maximum
    return found


@contextmanager
def _told(lines: int, *, progress: bool) -> Iterator[Callable[[int], None]]:
    """A bar on standard error; without a terminal a line now and then."""
    if progress and not sys.stderr.isatty():
        yield _Lines(lines)
        return
    with Progress(console=Console(stderr=True), disable=not progress) as bar:
        task = bar.add_task("两周 fortnight", total=lines)
        yield lambda fed: bar.advance(task, fed)


class _Lines:
    """Says every half a minute how many lines were fed."""

    def __init__(self, total: int) -> None:
        self._total, self._fed, self._last = total, 0, time.monotonic()

    def __call__(self, fed: int) -> None:
        self._fed += fed
        if time.monotonic() - self._last >= LINE_S:
            self._last = time.monotonic()
            print(f"{self._fed:,} of {self._total:,} events", file=sys.stderr, flush=True)


def _log(stories: list[Story], baseline_weeks: int, days: int, *, fast: bool) -> Log:
    log = Log({topic.kind: topic.name for topic in CATALOGUE.topics}, seed=7)
    for story in stories:
        log.plant(story.events)
    log.surround(background(stories, baseline_weeks, days, fast=fast))
    return log


def _keys(stories: list[Story]) -> list[tuple[str, str, str]]:
    return [
        (story.rule, *key)
        for story in stories
        if isinstance(story.truth, SignTruth)
        for key in story.truth.keys
    ]


def show(report: dict[str, Any], console: Console) -> None:
    """A row for each sign and incident, and what differs below it."""
    table = Table("sign or incident", "levels", "places", "episodes", "also", "")
    for row in report["rows"]:
        levels = "".join(map(str, row["seen"])) + "/" + "".join(map(str, row["levels"]))
        places = f"{row['places_seen']}/{row['places']}"
        episodes = f"{row['episodes_seen']}/{row['episodes']}"
        told = "equal" if row["equal"] else "differs"
        table.add_row(row["rule"], levels, places, episodes, str(row["also"]), told)
    console.print(table)
    for row in report["rows"]:
        for fault in row["differs"]:
            console.print(f"{row['rule']}: {fault}", highlight=False, markup=False)
    for stray in report["stray_alerts"]:
        console.print(f"stray: {stray}", highlight=False, markup=False)
    for refused in _refused(report):
        console.print(refused, highlight=False, markup=False)
    console.print(
        f"{report['equal']} of {len(report['rows'])} equal ({report['signs']} signs, "
        f"{report['incidents']} incidents); {len(report['stray_alerts'])} alerts where nothing was "
        f"planted; {report['events']:,} events, remainder {report['accounting']['remainder']}, "
        f"{report['outputs']:,} records said in {report['seconds']:,} s",
        highlight=False,
    )


def is_right(report: dict[str, Any]) -> bool:
    return report["equal"] == len(report["rows"]) and not report["stray_alerts"] + _refused(report)


def _refused(report: dict[str, Any]) -> list[str]:
    """Records that were refused and are not those that were broken on purpose."""
    found, broken = report["accounting"]["rejected"], report["planted_faults"]["broken"]
    return (
        [] if found == broken else [f"{found:,} records refused, of which {broken:,} were broken"]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--baseline-weeks", type=int, default=4)
    parser.add_argument("--only", nargs="+", metavar="RULE", help="signs and incidents, by id")
    parser.add_argument("--short", action="store_true", help="one of each kind, in a day")
    parser.add_argument("--out", type=Path, help="keep the logs and the register in this folder")
    parser.add_argument("--json", action="store_true", help="one object instead of a table")
    options = parser.parse_args()
    only = frozenset(SHORT if options.short else options.only or ()) or None
    days, weeks = (1, 0) if options.short else (options.days, options.baseline_weeks)
    report = measure(days, weeks, only, fast=not options.short, folder=options.out, progress=True)
    if options.json:
        print(json.dumps(report, ensure_ascii=False))
    else:
        show(report, Console(width=None if sys.stdout.isatty() else 120))
    sys.exit(0 if is_right(report) else 1)


if __name__ == "__main__":
    main()
