"""Snapshots on a real topic: compacted, damaged, and written by more than one session."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import pytest
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from schemas.kafka import Kafka
from streams.kafka import snapshots
from streams.kafka.connection import client_settings
from streams.kafka.outbox import Outbox, OutboxError
from streams.kafka.reading import Reader, Row
from streams.kafka.snapshots import SnapshotTopic
from streams.kafka.topics import AwayError, ClusterError
from streams.snapshots import (
    CHUNK_BYTES,
    Restored,
    SnapshotReader,
    SnapshotWriter,
    chunk_key,
    digest_of,
    manifest_key,
)
from tests.kafka.broker import Broker

PATIENCE_S = 60.0
PARTITIONS = 3
TASK = "city.sensor.v1/2"
SOON = {
    "cleanup.policy": "compact",
    "segment.ms": "1000",
    "segment.bytes": str(1 << 20),
    "min.cleanable.dirty.ratio": "0.01",
    "max.compaction.lag.ms": "1000",
    "delete.retention.ms": "1000",
}

pytestmark = pytest.mark.kafka


class Fixture:
    """A topic of snapshots, and an outbox."""

    def __init__(self, broker: Broker, topic: SnapshotTopic, outbox: Outbox) -> None:
        self.broker, self.topic, self.outbox = broker, topic, outbox

    async def save(
        self, writer: SnapshotWriter, parts: dict[str, bytes | None], progress: int
    ) -> None:
        await self.topic.write(self.outbox, [writer.write(parts, (progress, 0), progress)])

    async def put(self, key: bytes, value: bytes | None) -> None:
        partition = self.topic.partition_of(TASK)
        await self.outbox.send_raw(self.topic.topic, key, value, partition)
        await self.outbox.flush()

    async def restored(self, task: str = TASK) -> Restored:
        return (await self.read([task]))[task]

    async def read(self, tasks: Collection[str]) -> dict[str, Restored]:
        return await asyncio.to_thread(self.topic.read, tasks)

    async def rows(self) -> list[Row]:
        def every() -> list[Row]:
            with Reader(client_settings(Kafka(broker=self.broker.url))) as reader:
                return list(reader.every(self.topic.topic))

        return await asyncio.to_thread(every)


@asynccontextmanager
async def opened(broker: Broker, name: str, **config: str) -> AsyncIterator[Fixture]:
    admin = AdminClient(broker.client())
    asked = NewTopic(name, num_partitions=PARTITIONS, config={"cleanup.policy": "compact"} | config)
    admin.create_topics([asked])[name].result(PATIENCE_S)
    settings = client_settings(Kafka(broker=broker.url))
    outbox = Outbox(settings)
    try:
        async with asyncio.timeout(2 * PATIENCE_S):
            yield Fixture(broker, SnapshotTopic(settings, name, PARTITIONS), outbox)
    finally:
        outbox.close()


def noise(seed: int, size: int = CHUNK_BYTES) -> bytes:
    return random.Random(seed).randbytes(size)


def flipped(data: bytes) -> bytes:
    changed = bytearray(data)
    changed[len(data) // 2] ^= 1
    return bytes(changed)


OLD = noise(0)
"""A chunk that does not change from one snapshot to the next."""


@pytest.mark.asyncio
async def test_two_snapshots_outlast_compaction(broker: Broker, prefix: str) -> None:
    async with opened(broker, prefix + "snapshots", **SOON) as kafka:
        writer, steady = SnapshotWriter(TASK, "5e55"), noise(0, 3 * CHUNK_BYTES // 2)
        written: list[dict[str, bytes]] = []
        for number in range(1, 21):
            parts = {"changing": noise(number), "steady": steady, "small": b"%d" % number}
            changed = {**parts, "steady": None if written else steady}
            await kafka.save(writer, changed, number)
            written.append(parts)
        await kafka.outbox.flush()
        before = len(await kafka.rows())
        first = {
            chunk_key(TASK, "5e55", n + 1, digest_of(written[n]["changing"])) for n in range(15)
        }
        for number in range(1000):
            # The segment that is written to is not compacted: a later record closes it.
            await kafka.topic.note_crash(kafka.outbox, TASK, 7, number)
            rows = await kafka.rows()
            if not first & {row.key for row in rows}:
                break
            await asyncio.sleep(0.1)
        assert len(rows) < before
        restored = await kafka.restored()
        assert (restored.number, restored.problems) == (20, ())
        assert restored.parts == written[-1]
        assert restored.crashes == {7: number}
        reader = SnapshotReader([TASK])
        for row in rows:
            if row.key != manifest_key(TASK, "5e55", 20):
                reader.feed(row.key, row.value)
        previous = reader.newest(TASK)
        assert previous is not None
        assert (previous.number, previous.parts, previous.problems) == (19, written[-2], ())


@pytest.mark.asyncio
@pytest.mark.parametrize("which", ["new", "old"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "delete"])
async def test_a_damaged_chunk_is_told_and_an_older_snapshot_taken(
    broker: Broker, prefix: str, damage: str, which: str
) -> None:
    async with opened(broker, prefix + "damaged") as kafka:
        writer = SnapshotWriter(TASK, "5e55")
        for number in (1, 2, 3):
            await kafka.save(writer, {"panes": OLD + b"%d" % number}, number)
        key = chunk_key(TASK, "5e55", 3, digest_of({"new": b"3", "old": OLD}[which]))
        stored = next(row.value for row in await kafka.rows() if row.key == key)
        assert stored is not None
        values = {"flip": flipped(stored), "truncate": stored[:-1], "delete": None}
        await kafka.put(key, values[damage])
        restored = await kafka.restored()
        assert (restored.number, restored.progress) == (2, (2, 0))
        assert restored.parts == {"panes": OLD + b"2"}
        what, instead = restored.problems
        number = {"new": 2, "old": 1}[which]
        assert what.startswith(
            f"{TASK}: snapshot 3 of session 5e55 is not whole: "
            f"chunk {number} of 2 of part 'panes' is "
        )
        assert instead == f"{TASK}: snapshot 2 of session 5e55 is used"


@pytest.mark.asyncio
async def test_damaged_manifests_are_told_and_passed_over(broker: Broker, prefix: str) -> None:
    async with opened(broker, prefix + "manifests") as kafka:
        writer = SnapshotWriter(TASK, "5e55")
        for number in (1, 2):
            await kafka.save(writer, {"panes": b"%d" % number}, number)
        manifests = {
            row.key: row.value for row in await kafka.rows() if b"manif" in (row.key or b"")
        }
        newest = manifest_key(TASK, "5e55", 2)
        await kafka.put(newest, None)
        await kafka.put(newest, flipped(manifests[newest] or b""))
        restored = await kafka.restored()
        assert (restored.number, restored.parts) == (1, {"panes": b"1"})
        assert "checksum" in restored.problems[0]
        older = manifest_key(TASK, "5e55", 1)
        await kafka.put(older, None)
        restored = await kafka.restored()
        assert (restored.number, restored.parts) == (0, {})
        assert restored.problems[-1] == f"{TASK}: no whole snapshot is left, so none is used"


@pytest.mark.asyncio
async def test_the_most_advanced_session_wins_and_clears_up(broker: Broker, prefix: str) -> None:
    async with opened(broker, prefix + "sessions") as kafka:
        zombie = SnapshotWriter(TASK, "zombie")
        await kafka.save(zombie, {"panes": noise(1), "same": noise(0)}, 10)
        owner = SnapshotWriter(TASK, "owner")
        owner.forget((await kafka.restored()).others)
        await kafka.save(owner, {"panes": noise(2), "same": noise(0)}, 11)
        await kafka.save(zombie, {"panes": noise(3), "same": None}, 12)
        ahead = await kafka.restored()
        assert (ahead.session, ahead.parts["panes"]) == ("zombie", noise(3))
        await kafka.save(owner, {"panes": noise(4), "same": None}, 14)  # forgets the zombie's first
        late = zombie.write({"panes": noise(5), "same": None}, (13, 0), 13)
        await kafka.topic.write(kafka.outbox, [late])
        restored = await kafka.restored()
        assert (restored.session, restored.progress, restored.problems) == ("owner", (14, 0), ())
        assert restored.parts == {"panes": noise(4), "same": noise(0)}
        assert late.manifest[0] in restored.others
        heir = SnapshotWriter(TASK, "heir")
        heir.forget(restored.others)
        await kafka.save(heir, {"panes": noise(6)}, 15)
        await kafka.save(heir, {"panes": noise(7)}, 16)
        await kafka.outbox.flush()
        last = await kafka.restored()
        assert last.parts == {"panes": noise(7)}
        assert all(key.startswith(f"{TASK}|heir|".encode()) for key in last.others)


@pytest.mark.asyncio
async def test_a_writer_that_fails_half_way_leaves_what_was(broker: Broker, prefix: str) -> None:
    async with opened(broker, prefix + "half", **{"max.message.bytes": "100000"}) as kafka:
        writer = SnapshotWriter(TASK, "5e55")
        await kafka.save(writer, {"panes": noise(1, 50_000)}, 1)
        with pytest.raises(OutboxError, match=r"max\.message\.bytes"):
            await kafka.save(writer, {"panes": noise(2, 50_000), "models": noise(3)}, 2)
        restored = await kafka.restored()
        assert (restored.number, restored.problems) == (1, ())
        assert restored.parts == {"panes": noise(1, 50_000)}


@pytest.mark.asyncio
async def test_tasks_are_written_and_read_together(broker: Broker, prefix: str) -> None:
    async with opened(broker, prefix + "tasks") as kafka:
        tasks = [f"assess/{number}" for number in range(8)]
        assert {kafka.topic.partition_of(task) for task in tasks} == set(range(PARTITIONS))
        assert await kafka.read(tasks) == {}
        assert await kafka.read([]) == {}
        written = {
            task: {"own": noise(number), "shared": noise(9)}
            for number, task in enumerate(tasks[1:])
        }
        batches = [SnapshotWriter(t, "5e55").write(p, (1,), 0) for t, p in written.items()]
        await kafka.topic.write(kafka.outbox, batches)
        found = await kafka.read(tasks)
        assert {task: restored.parts for task, restored in found.items()} == written
        placed = {(row.key or b"").partition(b"|")[0]: row.partition for row in await kafka.rows()}
        assert placed == {task.encode(): kafka.topic.partition_of(task) for task in written}


@pytest.mark.asyncio
async def test_crash_notes_are_kept_beside_snapshots(broker: Broker, prefix: str) -> None:
    async with opened(broker, prefix + "crashes") as kafka:
        await kafka.topic.note_crash(kafka.outbox, TASK, 41, 1)
        await kafka.topic.note_crash(kafka.outbox, TASK, 41, 2)
        noted = await kafka.restored()
        assert noted == Restored(crashes={41: 2})
        writer = SnapshotWriter(TASK, "5e55")
        writer.forget(noted.others)
        for number in (1, 2, 3):
            await kafka.save(writer, {"panes": b"%d" % number}, number)
        restored = await kafka.restored()
        assert (restored.parts, restored.crashes) == ({"panes": b"3"}, {41: 2})


def test_tasks_stay_in_their_partition() -> None:
    topic = SnapshotTopic({}, "snapshots", 16)
    assert [topic.partition_of(task) for task in (TASK, "assess/0", "assess/1")] == [12, 9, 6]


@pytest.mark.asyncio
async def test_reading_what_is_not_there_fails(
    own_broker: Broker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(own_broker, prefix + "away") as kafka:
        settings = client_settings(Kafka(broker=own_broker.url))
        unknown = SnapshotTopic(settings, prefix + "unknown", PARTITIONS)
        with pytest.raises(ClusterError, match="Unknown topic"):
            await asyncio.to_thread(unknown.read, [TASK])
        own_broker.kill()
        monkeypatch.setattr(snapshots, "_PATIENCE_S", 0.5)
        with pytest.raises(AwayError, match=own_broker.address):
            await kafka.read([TASK])
