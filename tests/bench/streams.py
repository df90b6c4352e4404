"""What stream clients cost: ``python -m tests.bench.streams``.

The engine runs under a load of 25,000 events a second, first alone, then with a gateway and its
clients: 500 that read a district each, and one that never reads.  Printed are the 99th percentile
from an event to its sign with and without them, whether the unread records stayed as many as they
were, from a result in its topic to the clients, and the memory of a client.

The one that never reads can not be told that it is cut: its connection must be reset, and the
gateway must tell of it in ``cityvitals_gateway_streams_cut_total``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from agents.outputs import VITALS
from streams.log_store import LogStore
from tests.bench.latencies import Latencies
from tests.bench.latency import Run, finished, show
from tests.bench.stages import embedded_stage
from tests.bench.stream_clients import name_of
from tests.gateway.running import Running

_LOOK_S = 0.005
CLIENTS, UPDATES, SLOWER, TOPIC_MS, CLIENT_KB = 500, 10_000, 1.2, 750, 1_000
"""Limits of a run: results a minute, p99 event-to-sign by that without clients, and what a client
waits and costs."""


class Topic:
    """When each result was in its topic, seen from another process than the gateway's."""

    def __init__(self, folder: Path) -> None:
        self._seen: list[tuple[bytes, float]] = []
        self._store = LogStore(folder)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        next_offset = self._store.end_offset(VITALS, 0)
        version = 0
        while not self._stop.wait(_LOOK_S):
            found = self._store.data_version()
            if found == version:
                continue
            version, at = found, time.time()
            while chunks := self._store.read(VITALS, 0, next_offset):
                for chunk in chunks:
                    next_offset = chunk.next_offset
                    self._seen += ((raw, at) for raw in chunk.values)

    def count(self, since: float, until: float) -> int:
        """Results that came between two times."""
        return sum(since <= at < until for _, at in self._seen)

    def stop(self) -> dict[str, float]:
        """End it; when each result was there first."""
        self._stop.set()
        self._thread.join()
        self._store.close()
        first: dict[str, float] = {}
        for raw, at in self._seen:
            first.setdefault(name_of(orjson.loads(raw)), at)
        return first


def rss_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    return int(status.partition("VmRSS:")[2].split()[0])


class Audience:
    """A gateway, and clients of it."""

    def __init__(self, folder: Path, clients: int) -> None:
        self.clients = clients
        self.gateway = Running("--data", folder, "--port", 0)
        self.gateway.wait_ready()
        self.topic = Topic(folder)
        time.sleep(5)
        self.before_kb = rss_kb(self.gateway.process.pid)
        self._clients = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.stream_clients"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        order = {"url": self.gateway.url, "token": self.gateway.token, "clients": clients}
        self._say(json.dumps(order))
        assert self._clients.stdout is not None
        self._clients.stdout.readline()
        self.began = time.time()

    def _say(self, line: str) -> None:
        assert self._clients.stdin is not None
        self._clients.stdin.write(f"{line}\n".encode())
        self._clients.stdin.flush()

    def figures(self, measured_s: float | None = None) -> dict[str, Any]:
        """End the clients; what they had, and what they cost.

        Parameters
        ----------
        measured_s
            The last so many seconds are those in which results are counted; all if not given.
        """
        ended = time.time()
        since = self.began if measured_s is None else ended - measured_s
        grown = rss_kb(self.gateway.process.pid) - self.before_kb
        metrics = self._metrics()
        self._say("end")
        assert self._clients.stdout is not None
        told = json.loads(self._clients.stdout.readline())
        self._clients.wait()
        updates = self.topic.count(since, ended)
        there = self.topic.stop()
        self.gateway.end()
        # What was said before a client was there came with everything, and is not counted.
        waits = Latencies(
            1000 * (at - there[name])
            for name, at in told.pop("had")
            if there.get(name, 0) > self.began
        )
        return {
            **told,
            "clients": self.clients,
            "updates_a_minute": round(60 * updates / (ended - since)),
            "cut": int(metrics["cityvitals_gateway_streams_cut_total"]),
            "kb_a_client": round(grown / self.clients),
            "topic_to_client_ms": waits.summary(),
        }

    def _metrics(self) -> dict[str, float]:
        with self.gateway.client() as client:
            lines = client.get("/metrics").text.splitlines()
        pairs = (line.split(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def stop(self) -> None:
        self._clients.kill()
        self._close_clients()
        self.gateway.end(9)

    def _close_clients(self) -> None:
        with self._clients:
            pass  # waits, and closes the pipes


def measure(
    rate: int, devices: int, seconds: float, warm_up: float, clients: int
) -> dict[str, Any]:
    """A run with so many clients."""
    with ExitStack() as held:
        home = Path(held.enter_context(TemporaryDirectory(prefix="cityvitals-streams-")))
        stage = held.enter_context(embedded_stage(home))
        told: dict[str, Any] = {}
        if clients:
            audience = Audience(home / "data", clients)
            held.callback(audience.stop)
            stage.processes["gateway"] = audience.gateway.process.pid
            stop = stage.stop

            def stop_both() -> None:
                if not told:
                    told.update(audience.figures(seconds - warm_up))
                stop()

            stage.stop = stop_both  # type: ignore[method-assign]
        found = finished(*Run(stage, rate, devices, seconds, warm_up).report())
        return {**found, "streams": told} if told else found


def misses(runs: dict[str, Any], wanted: int) -> list[str]:
    """The limits of the issue that a run does not hold."""
    streams = runs["with"]["streams"]
    p99 = [run.get("ms", {}).get("event_to_sign", {}).get("p99") for run in runs.values()]
    waits = streams["topic_to_client_ms"].get("p99")
    found = {
        f"fewer than {UPDATES:,} updates a minute": streams["updates_a_minute"] < UPDATES,
        "the engine did not keep up": None in p99,
        f"p99 event-to-sign above {SLOWER:g} times that without clients": (
            None not in p99 and p99[1] > SLOWER * p99[0]
        ),
        f"p99 from topic to client above {TOPIC_MS} ms": waits is None or waits > TOPIC_MS,
        f"more than {CLIENT_KB:,} kB a client": streams["kb_a_client"] > CLIENT_KB,
        "a client that reads was cut": streams["ended"] > 0,
        "the client that never reads was not cut": streams["deaf"] is None,
        "the gateway does not count the stream that it cut": streams["cut"] < 1,
        "not all clients": streams["clients"] < wanted,
    }
    return [text for text, missed in found.items() if missed]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--rate", type=int, default=25_000, help="events a second; 25000")
    parser.add_argument("--devices", type=int, default=240_000)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--warm-up", type=float, default=60)
    parser.add_argument("--json", action="store_true", help="one object, nothing else")
    args = parser.parse_args()
    runs = {}
    for name, clients in (("without", 0), ("with", args.clients)):
        runs[name] = measure(args.rate, args.devices, args.seconds, args.warm_up, clients)
        if not args.json:
            print(name, f"{clients:,} clients" if clients else "clients", end=": ")
            show(runs[name])
    missed = misses(runs, args.clients)
    if args.json:
        print(json.dumps({**runs, "misses": missed}))
        sys.exit(bool(missed))
    streams = runs["with"]["streams"]
    waits = streams["topic_to_client_ms"]
    print(
        f"{streams['clients']:,} clients, {streams['updates_a_minute']:,} updates a minute: "
        f"{streams['frames']:,} frames, "
        f"{streams['bytes'] / 1e6:,.0f} MB; from topic to client p50 {waits.get('p50')} ms, "
        f"p99 {waits.get('p99')} ms; "
        f"{streams['kb_a_client']:,} kB a client; cut {streams['cut']}, of those that read "
        f"{streams['ended']}; gaps {streams['gaps']}; "
        f"the one that never reads: {streams['deaf'] or 'not cut'}"
    )
    both = [run.get("ms", {}).get("event_to_sign", {}).get("p99") for run in runs.values()]
    if None not in both:
        print(f"p99 event-to-sign with clients to without: {both[1] / both[0]:.2f}")
    print("; ".join(missed) or "all limits are kept")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
