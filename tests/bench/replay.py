"""How many generated readings a second an embedded replay takes, end to end.

``python -m tests.bench.replay --readings 2000000``: the real commands, files to results, one
process.  The workload is frozen: seed 1, 20,000 devices at 800 sites, one reading a minute each.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

COMMAND = [sys.executable, "-c", "from agents.commands import main; main()"]


def measure(readings: int, folder: Path) -> dict[str, object]:
    """Generate, replay at full speed, and give the figures of the closing object."""
    log = folder / "log"
    generate = [*COMMAND, "generate", str(log), "--readings", str(readings), "--seed", "1"]
    subprocess.run(generate, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    began = time.perf_counter()
    replay = [*COMMAND, "replay", str(log), "--speed", "max", "--json"]
    with subprocess.Popen(
        replay, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        last = ""
        for line in process.stdout:
            last = line
    report = json.loads(last)
    return {
        "readings": readings,
        "wall_s": round(time.perf_counter() - began, 2),
        "events_per_s": report["events_per_s"],
        "peak_rss_mb": round(report["peak_rss_bytes"] / 1e6),
        "results": report["vitals"],
        "remainder": report["total"]["remainder"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readings", type=int, default=2_000_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    for _ in range(options.runs):
        with TemporaryDirectory() as folder:
            print(measure(options.readings, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
