"""``cityvitals worker``: a part of the engine on Apache Kafka."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from agents.commands.exits import ENVIRONMENT, FINDING, Fault, complain, guarded
from agents.commands.options import PORT, Json, Port
from agents.commands.stopping import STOP

if TYPE_CHECKING:
    from agents.cluster import Cluster
    from streams.records import Lane, Output

_STATUS_S = 10.0


@guarded
def worker(
    config: Annotated[
        Path,
        typer.Option(
            "--config",
            help="YAML file, or folder of them, with a `kafka:` section; where it has no signs of "
            "its own, the shipped catalogue stands for them.",
            metavar="PATH",
        ),
    ],
    as_json: Json = False,
    host: Annotated[
        str, typer.Option("--host", help="Address on which metrics are served.", metavar="HOST")
    ] = "127.0.0.1",
    port: Port = PORT,
) -> None:
    """Run the engine on Apache Kafka; start more workers to share its lanes.

    Workers of one group divide the partitions of the input topics among them, and take over those
    of one that ends. The state is in Kafka: a worker keeps nothing on its disk. SIGTERM ends it
    with a last snapshot; after anything worse it goes on from the one before.

    Prints alerts of the city and its districts; with --json each result and each transition of an
    alert, and at the end one object with the accounting of the lanes it owned.

    **Examples**

    - `cityvitals topics create --config kafka.yaml && cityvitals worker --config kafka.yaml`

    - `CITYVITALS__KAFKA__BROKER=kafka://broker:9092 cityvitals worker --config kafka.yaml`
    """
    STOP.install()

    from agents.caller_keys import key_of
    from agents.commands.displays import Pipe
    from agents.commands.topics import require_topics
    from agents.metrics import Metrics
    from agents.outputs import ALERT_LOG, DEVICE_VITALS, VITALS_LOG
    from agents.plan import compile_plan
    from agents.worker import group_of, run_worker
    from schemas.loading import load

    configuration = load(config)
    plan = compile_plan(configuration, key_of(configuration))
    kafka = plan.configuration.kafka
    require_topics(plan, config)
    metrics = Metrics()
    metrics.name_run(broker=kafka.broker, group=group_of(kafka), config=plan.config)
    try:
        address = metrics.serve(port, host)
    except OSError as error:
        raise Fault(ENVIRONMENT, f"metrics: {host}:{port}: {error}") from error
    lines = _Lines(Pipe(STOP), plan.configuration.city.time_zone, as_json=as_json)
    complain(f"broker   {kafka.broker}  group {group_of(kafka)}\nmetrics  {address}")
    try:
        with worker_faults():
            summary = run_worker(
                plan,
                metrics,
                lines.begin,
                lines.attend,
                lines.publish,
                (VITALS_LOG, DEVICE_VITALS, ALERT_LOG) if as_json else (ALERT_LOG,),
                complain,
                STOP.event,
            )
    finally:
        metrics.stop()
    lines.end(summary)


@contextmanager
def worker_faults() -> Iterator[None]:
    """What ends a worker, in words for those who start it again."""
    from agents.cluster import GapInLogError
    from agents.commands.kafka_options import cluster_faults
    from streams.cuts import GapError
    from streams.kafka.outbox import OutboxError
    from streams.kafka.tick_log import FencedError
    from streams.kafka.transport import LogTruncatedError

    try:
        with cluster_faults():
            yield
    except (FencedError, GapInLogError, OutboxError) as error:
        again = (
            "Nothing was saved after the last snapshot: start the worker again, it goes on there."
        )
        raise Fault(FINDING, f"{error}. {again}") from error
    except GapError as error:
        why = "were records of the partials topic deleted? Its retention is told by"
        raise Fault(FINDING, f"{error}: {why} `cityvitals topics verify`") from error
    except LogTruncatedError as error:
        raise Fault(ENVIRONMENT, str(error)) from error


class _Lines:
    """What a worker tells: alerts, or everything as JSON, on standard output; status beside it."""

    def __init__(self, pipe: Any, zone: str, *, as_json: bool) -> None:
        self.pipe, self.zone, self.as_json = pipe, zone, as_json
        self._cluster: Cluster | None = None

    def begin(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def publish(self, outputs: list[Output]) -> None:
        """Take outputs that are durable."""
        from agents.commands.displays import coarse_alert_lines

        if self.as_json:
            self.pipe.write(b"".join(output.value + b"\n" for output in outputs))
        else:
            lines = coarse_alert_lines(outputs, self.zone)
            if lines:
                self.pipe.write("".join(f"{line}\n" for line in lines).encode())

    async def attend(self) -> None:
        """Tell the status now and then."""
        assert self._cluster is not None
        read, at = self._read(), time.monotonic()
        while True:
            await asyncio.sleep(_STATUS_S)
            total, now, reads = self._cluster.total(), time.monotonic(), self._read()
            # A lane that has just come brings what its owner before read.
            rate = sum(reads[lane] - read.get(lane, reads[lane]) for lane in reads) / (now - at)
            read, at = reads, now
            complain(
                f"已读 read {total.read:,} ({rate:,.0f}/s)  拒收 rejected {total.rejected:,}  "
                f"重复 duplicate {total.duplicate:,}  迟到 late {total.late:,}  "
                f"余数 remainder {total.remainder}  积压 lag {self._cluster.lag():,}  "
                f"任务 tasks {len(self._cluster.tasks)}"
            )

    def _read(self) -> dict[Lane, int]:
        assert self._cluster is not None
        return {lane: intake.accounting.read for lane, intake in self._cluster.lanes.items()}

    def end(self, summary: dict[str, Any]) -> None:
        """Tell what the run came to."""
        if self.as_json:
            self.pipe.write(orjson.dumps(summary) + b"\n")
        else:
            total = summary["total"]
            complain(
                f"已读 read {total['read']:,}  采纳 accepted {total['accepted']:,}  "
                f"余数 remainder {total['remainder']}  结果 results {summary['vitals']:,}  "
                f"报警 alerts {summary['alerts']:,}"
            )
