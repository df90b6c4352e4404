"""This engine in the comparison: ``cityvitals worker`` on a configuration that says the job."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from agents.outputs import DEVICE_VITALS, VITALS_LOG
from agents.worker import group_of
from schemas.configuration import Configuration
from schemas.device_vital import rows_of
from schemas.loading import load
from streams.accounting import Accounting
from tests.bench.backlog import TOPIC, WORKERS
from tests.bench.engines import CannotRunError, Place, Run, Watch, values
from tests.bench.job import Job
from tests.faults.kafka_faults import Site
from tests.kafka.broker import Broker

_POLL_S = 0.25
_NOT_YET = {
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
}
"""What a broker says of a group while it makes up its mind who knows it."""
CONFIGURATION = Path(__file__).with_name("compare.yaml")


def configured(broker: str, prefix: str, group: str, job: Job) -> Configuration:
    """The job as signs, for recorded events on a broker."""
    kafka = {
        "broker": broker,
        "prefix": prefix,
        "group": group,
        "silence_s": 0.0,
        "retention_s": 31_622_400.0,
    }
    content = load(CONFIGURATION, environ={}).model_dump(mode="json") | {"kafka": kafka}
    for sign in content["signs"]:
        if sign["window"]["size_s"] == 60 and not job.device_hops:
            sign["keys"].remove("device")
    return Configuration.model_validate(content)


def source_of(topics: str) -> str:
    """The topic that a run reads."""
    return topics + TOPIC


def run(place: Place) -> Run:
    """Let workers that have never run, one a core, drain the topic."""
    assert place.broker is not None
    said = configured(place.broker.url, place.topics, place.group, place.job)
    site = Site(place.broker, place.folder, said, as_json=False)
    site.create_topics()
    names = [f"worker-{number}" for number in range(WORKERS)]
    try:
        for name in names:
            site.start(name)
        watch = Watch(place.broker, *site.workers.values())
        _await_drained(site, watch, place.timeout_s)
        found = watch.run()
        codes = {name: site.stop(name) for name in names}
    finally:
        site.close()
    for name, code in codes.items():
        if code:
            raise CannotRunError(f"{name} ended with {code}: {_last_line(site, name, 'err')}")
    total = Accounting()
    for lane in site.accounts().values():
        total.add(lane)
    found.told = {"read": total.read, "malformed": total.rejected, "late": total.late}
    found.results = [place.folder / "results.csv"]
    _write_results(place.broker, place.topics, found.results[0])
    return found


def _await_drained(site: Site, watch: Watch, timeout_s: float) -> None:
    """Wait until all there is, partials included, is committed."""
    kafka = site.configuration.kafka
    lanes = [TopicPartition(kafka.prefix + lane.topic, lane.partition) for lane in site.lanes()]
    # One that only asks, so that the engine has the cores for itself.
    asking = Consumer({**site.settings, "group.id": group_of(kafka), "enable.auto.commit": False})
    try:
        while not _drained(asking, lanes):
            watch.look()
            for name, worker in site.workers.items():
                if worker.poll() is not None:
                    raise CannotRunError(f"{name} ended: {_last_line(site, name, 'err')}")
            if watch.seconds() > timeout_s:
                raise CannotRunError(f"did not end within {timeout_s:.0f} s")
            time.sleep(_POLL_S)
    finally:
        asking.close()


def _drained(asking: Consumer, lanes: list[TopicPartition]) -> bool:
    def ends() -> list[int]:
        return [asking.get_watermark_offsets(lane, timeout=30)[1] for lane in lanes]

    before = ends()
    try:
        done = [at.offset for at in asking.committed(lanes, timeout=30)]
    except KafkaException as error:
        if error.args[0].code() not in _NOT_YET:
            raise
        return False
    behind = any(offset < end for offset, end in zip(done, before, strict=True) if end)
    return not behind and ends() == before


def _last_line(site: Site, name: str, stream: str) -> str:
    lines = (site.folder / f"{name}.{stream}").read_text("utf-8").rstrip().splitlines()
    return lines[-1] if lines else ""


# -- results


class _Result(msgspec.Struct):
    vital: str
    key_level: str
    key: str
    t_start: int
    value: float | None
    n: int
    reason: str | None
    rev: int


_decode = msgspec.json.Decoder(_Result).decode
_decode_devices = msgspec.json.Decoder(dict[str, Any]).decode


def rows(topic: str, value: bytes) -> Iterator[str]:
    """The rows of a record of results, as lines of CSV (`tests.bench.job.OWN_COLUMNS`).

    Places stand in a topic of a row a record, devices in one of many.
    """
    found: Iterable[_Result] = (
        (msgspec.convert(row, _Result) for row in rows_of(_decode_devices(value)))
        if topic.endswith(DEVICE_VITALS)
        else (_decode(value),)
    )
    for r in found:
        number = "" if r.value is None else repr(r.value)
        warming = "true" if r.reason == "warming" else "false"
        yield f"{r.vital},{r.key_level},{r.key},{r.t_start},{r.n},{number},{r.rev},{warming}"


def _write_results(broker: Broker, prefix: str, path: Path) -> None:
    topics = [prefix + name for name in (VITALS_LOG, DEVICE_VITALS)]
    with path.open("w", encoding="utf-8") as file:
        for topic, found in values(broker, topics):
            file.writelines(f"{row}\n" for value in found for row in rows(topic, value))
