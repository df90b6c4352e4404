"""The three signs of the engine itself: of processing time, so driven by a clock that is set."""

from __future__ import annotations

import json
from itertools import groupby, pairwise
from pathlib import Path

from agents.outputs import VITALS_LOG
from tests.bench.fortnight.truth import Row
from tests.rules.driven_all import CATALOGUE
from tests.rules.driven_live import DAY, FLOODS, LAGS, RATES, SHARES, STEPS, plan_of, run

Value = tuple[float | None, int | None]


def wanted_of(sign: str) -> list[Value]:
    """Values and levels one after the other, each once, as their rules have them."""
    if sign == "engine.lag":
        return list(zip(LAGS, (0, 1, 2, 3, 4, 0), strict=True))
    if sign == "engine.alert_rate":
        return [*((float(rate), level) for level, rate in enumerate(RATES)), (0.0, 0)]
    # The share of a day's ten minutes with more than ten alerts; null where no day is known.
    nothing: Value = (None, None)
    rising: list[Value] = []
    for floods in range(1, FLOODS + 1):
        level = max(level for since, level in SHARES.items() if since <= floods)
        rising.append((100 * floods / DAY, level))
    return [nothing, (0.0, 0), *rising, nothing]


def row_of(sign: str, folder: Path) -> Row:
    """What an engine in that folder says of the sign, held against what it shall."""
    results = [
        json.loads(output.value)
        for output in run(plan_of(CATALOGUE, sign), sign, folder)
        if output.topic == VITALS_LOG
    ]
    told = [(r["value"], r["level"]) for r in results if r["vital"] == sign]
    said = [value for value, _ in groupby(told)]
    wanted = wanted_of(sign)
    differs = [] if said == wanted else [f"{said}, not {wanted}"]
    seen, levels = ({n for _, n in found if n is not None} for found in (said, wanted))
    episodes = [_episodes(found) for found in (said, wanted)]
    right = int(not differs)
    return Row(sign, sorted(seen), sorted(levels), right, 1, *episodes, 0, differs)


def _episodes(values: list[Value]) -> int:
    """How often the level leaves 0."""
    levels = [level or 0 for _, level in values]
    return sum(before == 0 < after for before, after in pairwise(levels))


def rows(folder: Path, only: frozenset[str] | None = None) -> list[Row]:
    """A row for each of them."""
    return [row_of(sign, folder / sign) for sign in STEPS if only is None or sign in only]
