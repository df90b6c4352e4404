"""How long after an event its sign and its alert are there, at a given rate.

``python -m tests.bench.latency --embedded`` (or ``--kafka``: a worker and its broker on this
machine) runs the whole product with the shipped catalogue in real time, at 25,000 and at 250,000
events a second, while a load generator of its own process sends by a schedule that waits for
nobody: times count from when an event should have been sent (`tests.bench.schedule`).  What is
measured stands in `tests.bench.latencies`.  Printed are HdrHistogram percentiles in ms, whether the
unread records stayed as many as they were, and the share of a core that engine, broker and load
generator took; an engine that does not keep up has no percentiles, and says so.

The first part of a run is not measured: each device speaks for the first time then.  A city whose
1.4 million devices report once a minute:

    python -m tests.bench.latency --embedded --devices 1400000 --rate 23333 --seconds 600
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from agents.outputs import ALERT_LOG, VITALS_LOG
from tests.bench.latencies import Latencies, gaps_of, lag_of
from tests.bench.load import Order, fleet_of, lanes_of
from tests.bench.schedule import SITE_ROUND, Schedule, onsets
from tests.bench.signs_said import alert_latencies, sign_latencies, signs_of
from tests.bench.stages import TOPIC, Stage, cpu_s, embedded_stage, kafka_stage, peak_mb
from tests.kafka.fixtures import serving

FLOODS = 100
ALERT_S = 170.0
"""A flood is raised within this time: half a window of 120 s, a hop, the on-delay, the disorder."""
BOUND_S = 2.0
"""Over window and disorder, for the 99th percentile: of the issue."""
LATE_MS = 500.0
"""A load generator that is later than this in the median did not reach its rate."""
_LOOK_S = 0.5
_LEAD_S = 1.0
_SETTLE_S = 8.0


class Run:
    """One run at one rate.

    Parameters
    ----------
    warm_up
        s at the beginning that are not measured.
    """

    def __init__(
        self, stage: Stage, rate: int, devices: int, seconds: float, warm_up: float
    ) -> None:
        self.stage, self.rate, self.devices = stage, rate, devices
        self.seconds, self.warm_up = seconds, warm_up
        sites = min(FLOODS, devices // SITE_ROUND)
        last = max(warm_up, seconds - ALERT_S)
        self.floods = list(zip(range(sites), onsets(sites, warm_up, last), strict=True))
        self.lags: list[tuple[float, float]] = []

    def go(self) -> tuple[int, dict[str, Any]]:
        """Send all; when it began (int64 ms UTC), and the figures of the processes."""
        order = Order(
            **self.stage.target(),
            partitions=self.stage.plan.topics[TOPIC].topic.partitions,
            rate=self.rate,
            devices=self.devices,
            seconds=self.seconds,
            floods=self.floods,
        )
        command = [sys.executable, "-m", "tests.bench.load"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        ) as load:
            try:
                return self._drive(load, msgspec.json.encode(order))
            finally:
                load.kill()

    def _drive(self, load: subprocess.Popen[bytes], order: bytes) -> tuple[int, dict[str, Any]]:
        assert load.stdin is not None
        assert load.stdout is not None
        load.stdin.write(order + b"\n")
        load.stdin.flush()
        if load.stdout.readline() != b"ready\n":
            raise SystemExit("the load generator did not get ready")
        start_ms = round((time.time() + _LEAD_S) * 1000)
        load.stdin.write(f"{start_ms}\n".encode())
        load.stdin.flush()
        pids = {**self.stage.processes, "load": load.pid}
        self._look_until(start_ms / 1000 + self.warm_up)
        self.lags.clear()
        before, began = {part: cpu_s(pid) for part, pid in pids.items()}, time.time()
        self._look_until(start_ms / 1000 + self.seconds)
        after, seconds = {part: cpu_s(pid) for part, pid in pids.items()}, time.time() - began
        shares = {part: round((after[part] - before[part]) / seconds, 3) for part in pids}
        told = json.loads(load.stdout.readline())
        return start_ms, {"cores": shares, "load": told}

    def _look_until(self, until: float) -> None:
        began = time.time()
        while time.time() < until:
            self.lags.append((time.time() - began, self.stage.lag()))
            time.sleep(max(0.0, min(_LOOK_S, until - time.time())))

    def report(self) -> tuple[dict[str, Any], dict[str, Latencies]]:
        """Do it; the figures, and the histograms if the engine kept up."""
        start_ms, parts = self.go()
        lag = lag_of(self.lags, self.rate, self.seconds - self.warm_up)
        if not lag["grew"]:
            time.sleep(_SETTLE_S)
        peak = peak_mb(self.stage.processes["engine"])
        self.stage.stop()
        figures = {
            "rate": self.rate,
            "devices": self.devices,
            "seconds": self.seconds,
            "warm_up_s": self.warm_up,
            "sent": parts["load"]["sent"],
            "load_late_ms": parts["load"]["late_ms"],
            "kept_up": not lag["grew"],
            "lag": lag,
            "cores": parts["cores"],
            "engine_peak_mb": peak,
            "saved_every_s": gaps_of(self.stage.saves(), *self._span(start_ms)),
        }
        return figures, {} if lag["grew"] else self._measured(start_ms)

    def _span(self, start_ms: int) -> tuple[float, float]:
        """The measured time, ms UTC."""
        return start_ms + self.warm_up * 1000, start_ms + self.seconds * 1000

    def _measured(self, start_ms: int) -> dict[str, Latencies]:
        plan = self.stage.plan
        disorder_ms = plan.topics[TOPIC].disorder_ms
        partitions = plan.topics[TOPIC].topic.partitions
        lanes = lanes_of(fleet_of(self.devices), partitions)
        schedule = Schedule(start_ms, self.rate, lanes)
        signs = signs_of(plan, "sensor")
        results = self.stage.said(VITALS_LOG)
        pairs = list(sign_latencies(results, schedule, signs, disorder_ms, self._span(start_ms)))
        floods = {site: start_ms + round(s * 1000) for site, s in self.floods}
        alerts = list(alert_latencies(self.stage.said(ALERT_LOG), schedule, floods, disorder_ms))
        return {
            "event_to_sign": Latencies(first for first, _ in pairs),
            "over_the_end": Latencies(second for _, second in pairs),
            "event_to_alert": Latencies(first for first, _ in alerts),
            "over_due": Latencies(second for _, second in alerts),
        }


def measure(
    rates: list[int], devices: int, seconds: float, warm_up: float | None, *, kafka: bool
) -> Iterator[tuple[dict[str, Any], dict[str, Latencies]]]:
    """The figures of a run at each rate, and its histograms."""
    with ExitStack() as held:
        name = held.enter_context(TemporaryDirectory(prefix="cityvitals-latency-"))
        broker = held.enter_context(serving(Path(name) / "broker")) if kafka else None
        for number, rate in enumerate(rates):
            home = Path(name) / f"run-{number}"
            home.mkdir()
            warm = warm_up_of(rate, devices) if warm_up is None else warm_up
            if warm >= seconds:
                raise SystemExit(
                    f"--seconds {seconds:g} leaves nothing after the warm-up of {warm:g} s: "
                    "give more, or fewer --devices"
                )
            place = (
                embedded_stage(home)
                if broker is None
                else kafka_stage(home, broker, f"latency{number}.")
            )
            with place as stage:
                yield Run(stage, rate, devices, seconds, warm).report()


def warm_up_of(rate: int, devices: int) -> float:
    """A turn of all devices and a quarter, at least 20 s."""
    return max(20.0, round(1.25 * devices / rate))


def finished(figures: dict[str, Any], histograms: dict[str, Latencies]) -> dict[str, Any]:
    """The figures of a run with its percentiles, and what they come to."""
    found = {name: latencies.summary() for name, latencies in histograms.items()}
    verdict = _verdict(figures, found)
    late = figures["load_late_ms"]["p50"]
    if late > LATE_MS:
        verdict += f"; the load generator was late itself, by {late:,.0f} ms in the median"
    return {**figures, **({"ms": found} if found else {}), "verdict": verdict}


def _verdict(figures: dict[str, Any], found: dict[str, dict[str, float]]) -> str:
    if not figures["kept_up"]:
        return f"did not keep up: lag grew by {figures['lag']['slope_per_s']:,.0f} events/s"
    over = found["over_the_end"].get("p99")
    if over is None:
        return "kept up, but no window was closed within the measured time: give more --seconds"
    lag = figures["lag"]
    if not lag["flat"]:
        return (
            f"kept up, but was still behind after the warm-up, by {lag['first']:,} events: give "
            "more --warm-up"
        )
    where = "below" if over < BOUND_S * 1000 else "ABOVE"
    return f"kept up; p99 event-to-sign {where} window + disorder + {BOUND_S:g} s"


def show(found: dict[str, Any]) -> None:
    """Print a run."""
    lag, late = found["lag"], found["load_late_ms"]
    print(
        f"{found['rate']:,} events/s, {found['devices']:,} devices, {found['seconds']:g} s "
        f"(the first {found['warm_up_s']:g} s not measured): {found['verdict']}"
    )
    for name, row in found.get("ms", {}).items():
        figures = "  ".join(f"{key} {value:,}" for key, value in row.items())
        print(
            f"  {name.replace('_', ' '):15} {figures}  (ms)"
            if row["samples"]
            else f"  {name.replace('_', ' '):15} none within the measured time"
        )
    shares = "  ".join(f"{part} {share:.0%}" for part, share in found["cores"].items())
    print(
        f"  unread records  {lag['slope_per_s']:+,} a second, mean {lag['mean']:,}, max "
        f"{lag['max']:,}"
    )
    print(f"  of a core       {shares}  engine peak {found['engine_peak_mb']:,} MB")
    if found["saved_every_s"]:
        saved = found["saved_every_s"]
        print(f"  outputs saved   every {saved['median']:g} s, at most {saved['max']:g} s apart")
    print(
        f"  load generator  {found['sent']:,} events, late by p99 {late['p99']:,} ms, max "
        f"{late['max']:,} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rate",
        type=int,
        nargs="+",
        default=[25_000, 250_000],
        metavar="N",
        help="events a second, a run for each; 25000 and 250000 if not given",
    )
    parser.add_argument("--seconds", type=float, default=300, help="length of a run; 300")
    parser.add_argument("--devices", type=int, default=100_000, help="that speak in turn; 100000")
    parser.add_argument(
        "--warm-up",
        type=float,
        help="seconds at the beginning that are not measured; a turn of all devices and a quarter "
        "if not given, at least 20",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--kafka", action="store_true", help="a worker and its broker, here")
    where.add_argument("--embedded", action="store_true", help="the default")
    parser.add_argument("--out", type=Path, help="folder for the distributions (RATE-NAME.hgrm)")
    parser.add_argument("--json", action="store_true", help="one object instead of lines")
    options = parser.parse_args()
    sizes = (options.rate, options.devices, options.seconds, options.warm_up)
    runs = []
    for figures, histograms in measure(*sizes, kafka=options.kafka):
        runs.append(finished(figures, histograms))
        if options.out is not None:
            options.out.mkdir(parents=True, exist_ok=True)
            for name, latencies in histograms.items():
                if latencies.samples:
                    latencies.write(options.out / f"{figures['rate']}-{name}.hgrm")
        if not options.json:
            show(runs[-1])
    if options.json:
        where_run = "kafka" if options.kafka else "embedded"
        print(json.dumps({"where": where_run, "runs": runs}))


if __name__ == "__main__":
    main()
