"""What it costs to load the shipped catalogue, in this process.

``python -m tests.bench.loading --runs 7``: milliseconds of the processor, a run a line, the first
one without anything warm.
"""

from __future__ import annotations

import argparse
from time import process_time_ns as clock

from schemas.loading import load


def measure(runs: int) -> list[float]:
    """Milliseconds of the processor that each run took."""
    took = []
    for _ in range(runs):
        began = clock()
        load(environ={})
        took.append((clock() - began) / 1e6)
    return took


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="tests.bench.loading", description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    for milliseconds in measure(parser.parse_args().runs):
        print(f"{milliseconds:8.1f} ms")


if __name__ == "__main__":
    main()
