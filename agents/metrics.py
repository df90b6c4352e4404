"""What the engine tells Prometheus.

Counts are read from the engine when they are scraped, so the hot path pays nothing for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Gauge, Histogram, Info, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agents.intake import Intake
from agents.judge import Judge
from streams.accounting import BINS
from streams.records import Lane
from streams.spent import Spent
from streams.timeline import BEFORE_ALL

_MODEL_COUNTS = {
    "flagged": "Values that were anomalies, and so were not learned",
    "learned": "Values that were learned",
    "probes": "Outliers planted before models, once an hour and model",
    "probes_found": "Planted outliers that the model saw",
}

LOOPBACK = "127.0.0.1"
PORT = 9464
"""Where metrics are served unless the port is taken."""


class Watched(Protocol):
    """An engine, as far as its metrics are concerned."""

    @property
    def lanes(self) -> Mapping[Lane, Intake]: ...

    @property
    def results(self) -> int: ...

    @property
    def alerts_standing(self) -> int: ...

    @property
    def open_panes(self) -> int: ...

    @property
    def lost(self) -> int: ...

    @property
    def judges(self) -> Iterable[Judge]: ...

    @property
    def spent(self) -> Spent: ...

    def end_offset(self, lane: Lane) -> int | None: ...


class _EngineCollector(Collector):
    """Counts of lanes and windows, taken from the engine's state."""

    def __init__(self, engine: Watched) -> None:
        self.engine = engine

    def collect(self) -> Iterable[Metric]:
        yield from self._events()
        yield from self._progress()
        yield from self._models()
        yield from self._orders()
        yield _gauge("open_windows", "Panes that wait or can be corrected", self.engine.open_panes)
        yield _gauge(
            "alerts_standing", "Alerts that are raised or clearing", self.engine.alerts_standing
        )
        results = CounterMetricFamily("cityvitals_results", "Results sent, corrections included")
        results.add_metric([], self.engine.results)
        yield results
        lost = CounterMetricFamily(
            "cityvitals_lost_records", "Records deleted from the log before they were read"
        )
        lost.add_metric([], self.engine.lost)
        yield lost
        stages = CounterMetricFamily(
            "cityvitals_cpu_seconds", "Processor time by stage of the work", labels=["stage"]
        )
        for stage, seconds in self.engine.spent.seconds().items():
            stages.add_metric([stage], seconds)
        yield stages

    def _events(self) -> Iterator[Metric]:
        labels = ["topic", "partition"]
        read = CounterMetricFamily("cityvitals_events_read", "Events read", labels=labels)
        binned = CounterMetricFamily(
            "cityvitals_events", "Events by the one bin they went to", labels=[*labels, "bin"]
        )
        room = GaugeMetricFamily(
            "cityvitals_keys_left",
            "Keys that signs may still take up; records that need more are refused",
            labels=labels,
        )
        rest = GaugeMetricFamily(
            "cityvitals_events_remainder", "Events in no bin: always 0", labels=labels
        )
        for lane, intake in self.engine.lanes.items():
            where = [lane.topic, str(lane.partition)]
            read.add_metric(where, intake.accounting.read)
            rest.add_metric(where, _remainder(intake))
            room.add_metric(where, max(0, intake.room.left))
            for name in BINS:
                binned.add_metric([*where, name], getattr(intake.accounting, name))
        yield from (read, binned, rest, room)

    def _models(self) -> Iterator[Metric]:
        labels = ["sign", "detector"]
        values = CounterMetricFamily(
            "cityvitals_model_values",
            "Values given to models by what became of them",
            labels=[*labels, "outcome"],
        )
        counted = {
            name: CounterMetricFamily(f"cityvitals_model_{name}", text, labels=labels)
            for name, text in _MODEL_COUNTS.items()
        }
        live = GaugeMetricFamily("cityvitals_models", "Models by sign", labels=labels)
        blind = GaugeMetricFamily(
            "cityvitals_models_blind",
            "Models that did not see the outlier planted before them last",
            labels=labels,
        )
        for where, judges in self._judges_by_sign().items():

            def total(name: str, judges: list[Judge] = judges) -> int:
                return sum(getattr(judge.counters, name) for judge in judges)

            for outcome in ("scored", "warming", "skipped", "failures"):
                values.add_metric([*where, outcome], total(outcome))
            for name, family in counted.items():
                family.add_metric(where, total(name))
            live.add_metric(where, sum(map(len, judges)))
            blind.add_metric(where, sum(len(judge.blind()) for judge in judges))
        yield from (values, *counted.values(), live, blind)

    def _judges_by_sign(self) -> dict[tuple[str, str], list[Judge]]:
        """Each shard has models of its own."""
        found: dict[tuple[str, str], list[Judge]] = {}
        for judge in self.engine.judges:
            found.setdefault((judge.sign, judge.name), []).append(judge)
        return found

    def _orders(self) -> Iterator[Metric]:
        labels = ["topic", "partition"]
        flagged = CounterMetricFamily(
            "cityvitals_order_steps_flagged",
            "Steps of orders that were not as they should be",
            labels=[*labels, "flag"],
        )
        expired = CounterMetricFamily(
            "cityvitals_orders_expired", "Orders forgotten while they were open", labels=labels
        )
        opened = GaugeMetricFamily("cityvitals_orders_open", "Orders that are open", labels=labels)
        for lane, intake in self.engine.lanes.items():
            if intake.desk is None:
                continue
            where, orders = [lane.topic, str(lane.partition)], intake.desk.orders
            for flag, count in orders.counts.items():
                flagged.add_metric([*where, flag], count)
            expired.add_metric(where, orders.expired)
            opened.add_metric(where, orders.open_count)
        yield from (flagged, expired, opened)

    def _progress(self) -> Iterator[Metric]:
        labels = ["topic", "partition"]
        lag = GaugeMetricFamily(
            "cityvitals_lag_events", "Records in the log not applied yet", labels=labels
        )
        delay = GaugeMetricFamily(
            "cityvitals_watermark_delay_seconds",
            "How far a lane's watermark is behind the farthest one",
            labels=labels,
        )
        lanes = self.engine.lanes
        farthest = max((i.watermark.value for i in lanes.values()), default=BEFORE_ALL)
        for lane, intake in lanes.items():
            where = [lane.topic, str(lane.partition)]
            end = self.engine.end_offset(lane)
            if end is not None:
                lag.add_metric(where, max(0, end - intake.next_offset))
            if intake.watermark.value > BEFORE_ALL:
                delay.add_metric(where, (farthest - intake.watermark.value) / 1000)
        yield from (lag, delay)


def _remainder(intake: Intake) -> int:
    """Events in no bin; one that is between being read and its bin just now is not meant."""
    return min((intake.accounting.remainder for _ in range(10)), key=abs)


def _gauge(name: str, text: str, value: float) -> Metric:
    gauge = GaugeMetricFamily(f"cityvitals_{name}", text)
    gauge.add_metric([], value)
    return gauge


class Metrics:
    """The registry of one engine and its server on loopback."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.address: str | None = None
        self._server: WSGIServer | None = None
        self._snapshot_seconds = Histogram(
            "cityvitals_snapshot_seconds",
            "Time to save outputs, snapshot and offsets",
            buckets=(0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
            registry=self.registry,
        )
        self._snapshot_pause = Histogram(
            "cityvitals_snapshot_pause_seconds",
            "Time in which work stood still while the state was copied",
            buckets=(0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1),
            registry=self.registry,
        )
        self._restore_seconds = Histogram(
            "cityvitals_restore_seconds",
            "Time to load the state of lanes that were assigned",
            buckets=(0.01, 0.05, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=self.registry,
        )
        self._snapshot_bytes = Gauge(
            "cityvitals_snapshot_bytes",
            "Size of the last snapshot by part",
            ["part"],
            registry=self.registry,
        )

    def name_run(self, **labels: str) -> None:
        """Say whose metrics these are: another run may answer at the address that was meant."""
        Info("cityvitals_run", "Whose metrics these are", registry=self.registry).info(labels)

    def watch(self, engine: Watched) -> None:
        """Report the state of an engine from now on."""
        self.registry.register(_EngineCollector(engine))

    def note_snapshot(
        self, seconds: float, sizes: Mapping[str, int], paused: float | None = None
    ) -> None:
        """Note what a snapshot took: in all, and of the time in which nothing else was done."""
        self._snapshot_seconds.observe(seconds)
        if paused is not None:
            self._snapshot_pause.observe(paused)
        for part, size in sizes.items():
            self._snapshot_bytes.labels(part).set(size)

    def note_restore(self, seconds: float) -> None:
        """Note a change of the lanes owned, and how long loading their state took."""
        self._restore_seconds.observe(seconds)

    def serve(self, port: int = PORT, host: str = LOOPBACK) -> str:
        """Serve ``/metrics``; on loopback another port is taken where this one is in use."""
        try:
            server, _ = start_http_server(port, addr=host, registry=self.registry)
        except OSError:
            if host != LOOPBACK:
                raise
            server, _ = start_http_server(0, addr=host, registry=self.registry)
        self._server = server
        self.address = f"http://{host}:{server.server_port}/metrics"
        return self.address

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
