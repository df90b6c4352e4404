"""R9: free text and callers of hotline events end at intake.

Every byte that a run writes beside the input topics is searched for what citizens said and who
they are: outputs, dead letters, snapshots, offsets, metrics.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import zstandard
from prometheus_client import generate_latest

from agents.city import City
from agents.engine import Engine
from agents.metrics import Metrics
from agents.plan import compile_plan
from agents.recordings import Emitted, append
from schemas.loading import load
from streams.event_logs import partition_of
from streams.log_store import LogStore

INPUTS = {"city.sensor.v1", "city.traffic.v1", "city.hotline.v1", "city.external.v1"}
PLANTED = b"0000777788889999"


def hotline_log() -> tuple[list[Emitted], set[bytes]]:
    """An hour of hotline events, some of them broken around an identifier; and all secrets."""
    records, secrets = [], {PLANTED}
    city = City(5, scale=0.5)
    for minute in range(60):
        for e in city.minute(minute):
            if e.topic != "city.hotline.v1":
                continue
            value = e.value
            try:
                event = orjson.loads(value)
            except orjson.JSONDecodeError:
                event = {}
            secrets.update(str(event[f]).encode() for f in ("text", "caller") if event.get(f))
            place = partition_of(e.key, 4)
            records.append(Emitted(e.arrival_ms, e.topic, place, e.key, value))
            if event and minute % 5 == 0:
                broken = orjson.dumps(
                    {**event, "status": PLANTED.decode(), "text": PLANTED.decode()}
                )
                unknown = orjson.dumps({**event, PLANTED.decode(): 1})
                cut = orjson.dumps({"text": PLANTED.decode(), **event})[:-9]
                late = orjson.dumps({**event, "t": 1_000_000_000_000, "id": PLANTED.decode()})
                for bad in (broken, unknown, cut, late):
                    records.append(Emitted(e.arrival_ms, e.topic, place, e.key, bad))
    return records, secrets


def run(folder: Path, records: list[Emitted]) -> tuple[bytes, Engine]:
    """Run an engine over the log; what its metrics say."""
    store = LogStore(folder)
    engine = Engine(compile_plan(load(None)), store, Metrics())
    engine.open()
    with store.transaction() as tx:
        append(tx, records)

    async def take() -> None:
        for partition in range(4):
            for chunk in store.read("city.hotline.v1", partition, 0):
                await engine.take(chunk)
        await engine.checkpoint()

    asyncio.run(take())
    return generate_latest(engine.metrics.registry), engine


def test_no_text_or_caller_leaves_intake(tmp_path: Path) -> None:
    records, secrets = hotline_log()
    assert len(secrets) > 20
    written, engine = run(tmp_path, records)
    store = engine.store
    assert engine.pipeline.total().rejected > 10
    assert engine.pipeline.total().late > 0
    unpack = zstandard.ZstdDecompressor()
    for part in store.snapshots().values():
        written += unpack.decompress(part)
    for topic in store.topics():
        if topic.name in INPUTS:
            continue
        for partition in range(topic.partitions):
            if topic.compacted:
                written += b"".join(r.key + r.value for r in store.latest(topic.name))
            else:
                found = store.every_record(topic.name, partition)
                written += b"".join(
                    (r.key or b"") + r.value + repr(r.headers).encode() for r in found
                )
    store.close()
    assert len(written) > 10_000
    assert not [secret for secret in secrets if secret in written]


def test_the_log_is_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    store = LogStore(folder)
    store.create_topic("city.hotline.v1", 4)
    store.close()
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / "city.db").stat().st_mode & 0o077 == 0
