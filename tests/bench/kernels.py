"""What the compiled kernels cost, ns an event, by the number of keys and of signs an event.

``python -m tests.bench.kernels``: each kernel through its public interface, in this process, on a
frozen workload (seed 1; load readings of about 200 bytes, keys drawn at random).  A repeat takes as
many events as ``--events``; the first one warms up, the median of the others is printed beside the
least and the greatest.  Nothing of a repeat but the kernel's own calls is timed, in time of the
processor.

gate             records in the producer's order of keys, read, found among the templates of as many
                 senders, de-duplicated and given to one sign
gate, shuffled   the same with the keys of each record in another order
scan             the kind of a record: a call a record
templates        a sender learned: a call a sender
repeats          an event noted in the memory of repeats: a call an event
panes            rows folded into panes, a slot a key
cells: merged    the cells of a closed pane merged into others under other numbers: by the cell
quantiles        rows folded into cells of quantiles, a slot a key
slopes           rows folded into cells of slopes, a slot a key
"""

from __future__ import annotations

import argparse
import json
from array import array
from collections.abc import Callable, Iterator
from math import inf
from random import Random
from statistics import median
from time import thread_time_ns as clock
from typing import Any, NamedTuple

import numpy as np

from ext.cells import Cells, Moments, Quantiles, Slopes
from ext.gate import DONE, Gate
from ext.panes import Panes
from ext.records import Values
from ext.rows import Rows
from ext.seen import Seen
from tests.bench.load import fleet_of

KEYS = (1_000, 100_000, 1_400_000)
SIGNS = (1, 3, 10, 30)
SIGNS_KEYS = 100_000
BEGIN, TURN_MS = 1_772_294_400_000, 60_000
LATENESS_MS = 300_000
_FIELDS = [
    ("t", 0, 0.0, 4e12, False),
    ("value", 1, -inf, inf, False),
    ("seq", 2, 0.0, 2.0**53, False),
    ("id", 3, 0.0, 64.0, False),
]
_OPEN = (-inf, inf, -inf, inf)
_STEPS, _VALUE = 1, 1
_BLOCK = 10_000

Repeat = Callable[[int], tuple[float, int]]
"""Does the nth repeat; ns, and the events (or senders, or cells) that they were for."""


class Cost(NamedTuple):
    """What a kernel costs, ns an event."""

    kernel: str
    keys: int
    signs: int
    ns: float
    least: float
    greatest: float


def timed(work: Callable[[], object]) -> int:
    """How long it takes, ns."""
    began = clock()
    work()
    return clock() - began


def cost_of(kernel: str, keys: int, signs: int, repeat: Repeat, repeats: int) -> Cost:
    """Warm up, then repeat.

    Examples
    --------
    >>> cost_of("none", 1, 1, lambda n: (100.0 * n, 10), repeats=3)
    Cost(kernel='none', keys=1, signs=1, ns=20.0, least=10.0, greatest=30.0)
    """
    each = []
    for number in range(repeats + 1):
        ns, count = repeat(number)
        each.append(ns / max(1, count))
    measured = [round(ns, 1) for ns in each[1:]]
    return Cost(kernel, keys, signs, median(measured), min(measured), max(measured))


class Bench:
    """A workload of so many keys.

    Parameters
    ----------
    events
        Of each repeat.
    """

    def __init__(self, keys: int, events: int) -> None:
        self.keys, self.events = keys, events
        self.fleet, self.rng = fleet_of(keys), Random(1)

    def drawn(self, number: int) -> Iterator[tuple[int, int]]:
        """Time and device of each event of the nth repeat, in the order of time."""
        first = BEGIN + (1 + number) * TURN_MS
        for i in range(self.events):
            yield first + i * TURN_MS // self.events, self.rng.randrange(self.keys)

    def records(self, number: int, *, shuffled: bool = False) -> tuple[list[bytes], array[int]]:
        """Records of the nth repeat, and their times."""
        values, times = [], array("q")
        for t, device in self.drawn(number):
            (value,) = self.fleet.readings(device, device + 1, number, t)
            values.append(self.shuffle(value) if shuffled else value)
            times.append(t)
        return values, times

    def shuffle(self, value: bytes) -> bytes:
        fields = list(json.loads(value).items())
        self.rng.shuffle(fields)
        return json.dumps(dict(fields), separators=(",", ":")).encode()

    def rows(self, number: int) -> Rows:
        """Rows of the nth repeat."""
        draw = self.rng.randrange
        return Rows((t, d, draw(10**8), 0, TURN_MS) for t, d in self.drawn(number))

    def taught(self, signs: int) -> tuple[Gate, Seen, list[Rows], int]:
        """A gate that knows every device, its memory, the rows of each sign; and ns of that."""
        seen, rows, ns = Seen(), [Rows() for _ in range(signs)], 0
        gate = Gate(_FIELDS, seen, 5_000, 60_000, LATENESS_MS, 86_400_000, seed=1)
        shape = gate.shape(
            b"i",
            folds=True,
            covered=TURN_MS,
            routes=[(each, _STEPS, _VALUE, 0, 0, 0, 0, _OPEN) for each in rows],
            arrivals=[],
            period=TURN_MS,
        )
        for first in range(0, self.keys, _BLOCK):
            devices = range(first, min(first + _BLOCK, self.keys))
            raws = self.fleet.readings(first, devices.stop, 0, BEGIN)
            slots = [[device] * signs for device in devices]
            began = clock()
            for raw, device, own in zip(raws, devices, slots, strict=True):
                gate.learn(raw, self.fleet.keys[device], shape, own)
            ns += clock() - began
        assert len(gate) == self.keys
        return gate, seen, rows, ns

    def gated(self, signs: int, *, shuffled: bool = False, panes: bool = False) -> Repeat:
        """The gate over records; with panes the rows of all signs are folded too."""
        gate, seen, rows, _ = self.taught(signs)
        folded = [Panes(TURN_MS, LATENESS_MS, Moments()) for _ in rows] if panes else []

        def repeat(number: int) -> tuple[float, int]:
            raws, times = self.records(number, shuffled=shuffled)
            values = Values.of(raws)
            began = clock()
            at, why = gate.run(values, times, 0, 1 << 62)
            for each, waiting in zip(folded, rows, strict=False):
                each.add(waiting)
            ns = clock() - began
            assert (at, why) == (len(values), DONE), (at, why)
            for waiting in rows:
                waiting.clear()
            for each in folded:
                each.close_until(times[-1])
            seen.forget(times[-1] - LATENESS_MS)
            return ns, at

        return repeat

    def scanned(self) -> Repeat:
        gate = Gate(_FIELDS, Seen(), 0, 0, 0, 0, seed=1)

        def repeat(number: int) -> tuple[float, int]:
            values, _ = self.records(number)
            return timed(lambda: [gate.kind_of(raw) for raw in values]), len(values)

        return repeat

    def learned(self) -> Repeat:
        return lambda number: (self.taught(1)[3], self.keys)

    def noted(self) -> Repeat:
        seen, keys = Seen(), self.fleet.keys

        def repeat(number: int) -> tuple[float, int]:
            events = [(keys[d], None, t, t, t - LATENESS_MS) for t, d in self.drawn(number)]
            ns = timed(lambda: [seen.admit(*event) for event in events])
            seen.forget(events[-1][2] - LATENESS_MS)
            return ns, len(events)

        return repeat

    def folded(self) -> Repeat:
        panes = Panes(TURN_MS, LATENESS_MS, Moments())

        def repeat(number: int) -> tuple[float, int]:
            rows = self.rows(number)
            ns = timed(lambda: panes.add(rows))
            panes.close_until(BEGIN + (2 + number) * TURN_MS)
            return ns, len(rows)

        return repeat

    def merged(self) -> Repeat:
        ids = np.arange(self.keys)[::-1].copy()
        places = np.zeros(self.keys, np.int64)

        def repeat(number: int) -> tuple[float, int]:
            cells, into = Moments(), Moments()
            cells.add(self.rows(number))
            ns = timed(lambda: into.merge(cells, ids, places))
            assert len(into) == len(cells)
            return ns, len(cells)

        return repeat

    def celled(self, kind: Cells) -> Repeat:
        def repeat(number: int) -> tuple[float, int]:
            rows = self.rows(number)
            cells = kind.fresh()
            return timed(lambda: cells.add(rows)), len(rows)

        return repeat

    def costs(self, repeats: int) -> Iterator[Cost]:
        """What each kernel costs at so many keys."""
        kernels: dict[str, Callable[[], Repeat]] = {
            "gate": lambda: self.gated(1),
            "gate, shuffled": lambda: self.gated(1, shuffled=True),
            "scan": self.scanned,
            "templates": self.learned,
            "repeats": self.noted,
            "panes": self.folded,
            "cells: merged": self.merged,
            "quantiles": lambda: self.celled(Quantiles()),
            "slopes": lambda: self.celled(Slopes()),
        }
        for name, make in kernels.items():
            yield cost_of(name, self.keys, 1, make(), repeats)

    def costs_by_signs(self, signs: tuple[int, ...], repeats: int) -> Iterator[Cost]:
        """The gate and the panes of all signs, by how many take each event."""
        for count in signs:
            made = self.gated(count, panes=True)
            yield cost_of("gate and panes", self.keys, count, made, repeats)


def measure(keys: list[int], signs: list[int], events: int, repeats: int) -> Iterator[Cost]:
    """All costs."""
    for count in keys:
        yield from Bench(count, events).costs(repeats)
    if signs:
        yield from Bench(min(SIGNS_KEYS, max(keys)), events).costs_by_signs(tuple(signs), repeats)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keys", type=int, nargs="+", default=list(KEYS), metavar="N")
    parser.add_argument(
        "--signs",
        type=int,
        nargs="*",
        default=list(SIGNS),
        metavar="N",
        help=f"signs an event, with {SIGNS_KEYS:,} keys or the most of --keys",
    )
    parser.add_argument("--events", type=int, default=200_000, help="of a repeat; 200000")
    parser.add_argument("--repeats", type=int, default=5, help="after one that warms up; 5")
    parser.add_argument("--json", action="store_true", help="one object instead of a table")
    options = parser.parse_args()
    sizes = (options.keys, options.signs, options.events, options.repeats)
    costs: list[dict[str, Any]] = []
    if not options.json:
        print(f"{'kernel':16}{'keys':>11}{'signs':>7}{'ns':>10}{'least':>10}{'greatest':>10}")
    for cost in measure(*sizes):
        costs.append(cost._asdict())
        if not options.json:
            figures = f"{cost.ns:10,.1f}{cost.least:10,.1f}{cost.greatest:10,.1f}"
            print(f"{cost.kernel:16}{cost.keys:11,}{cost.signs:7}{figures}", flush=True)
    if options.json:
        how = {"events": options.events, "repeats": options.repeats}
        print(json.dumps({**how, "unit": "ns an event", "costs": costs}))


if __name__ == "__main__":
    main()
