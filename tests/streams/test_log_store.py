from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from streams.log_store import LogStore
from streams.log_types import NEVER, InUse, UnknownTopic
from streams.partitioning import partition_of
from streams.records import Chunk, Lane, Output
from streams.retention import trim

SENSOR = "city.sensor.v1"
VITALS = "city.vitals.v1"
ALERT_LOG = "city.alert-log.v1"


class Clock:
    """A clock that stands still until it is set."""

    now = 1_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[LogStore]:
    store = LogStore(tmp_path / "data", clock)
    store.create_topic(SENSOR, 4)
    store.create_topic(VITALS, 2, compacted=True)
    yield store
    store.close()


def append(store: LogStore, count: int, partition: int = 0, topic: str = SENSOR) -> int:
    with store.transaction() as tx:
        first = store.end_offset(topic, partition)
        values = [b"v%d" % n for n in range(first, first + count)]
        return tx.append(topic, partition, range(count), [b"k"] * count, values)


def offsets(chunks: list[Chunk]) -> list[list[int]]:
    return [list(chunk.offsets) for chunk in chunks]


def test_only_the_owner_of_the_file_may_read_it(store: LogStore) -> None:
    append(store, 1)
    assert store.path.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in store.path.iterdir()} == {0o600}
    assert store.size_bytes() > 0


def test_an_existing_folder_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    LogStore(tmp_path).close()
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "city.db").stat().st_mode & 0o777 == 0o600


def test_batches_come_back_cut_at_the_offset(store: LogStore) -> None:
    assert [append(store, 3), append(store, 4), append(store, 2)] == [0, 3, 7]
    assert offsets(store.read(SENSOR, 0, 0)) == [[0, 1, 2], [3, 4, 5, 6], [7, 8]]
    assert offsets(store.read(SENSOR, 0, 5)) == [[5, 6], [7, 8]]
    assert store.read(SENSOR, 0, 5)[0].values == [b"v5", b"v6"]
    assert store.read(SENSOR, 0, 9) == []
    assert (store.first_offset(SENSOR, 0), store.end_offset(SENSOR, 0)) == (0, 9)
    assert (store.first_offset(SENSOR, 1), store.end_offset(SENSOR, 1)) == (0, 0)
    assert store.end_offsets() == {Lane(SENSOR, 0): 9}


def test_a_read_keeps_its_limits_but_gives_one_batch_at_least(store: LogStore) -> None:
    for _ in range(5):
        append(store, 3)
    assert offsets(store.read(SENSOR, 0, 0, max_records=7)) == [[0, 1, 2], [3, 4, 5]]
    # A cut batch counts for what is left of it.
    assert offsets(store.read(SENSOR, 0, 2, max_records=7)) == [[2], [3, 4, 5], [6, 7, 8]]
    assert offsets(store.read(SENSOR, 0, 1, max_records=1)) == [[1, 2]]
    assert offsets(store.read(SENSOR, 0, 3, max_bytes=1)) == [[3, 4, 5]]


def test_topics_are_created_once(store: LogStore) -> None:
    store.create_topic(SENSOR, 4, retain_ms=5)
    assert store.topic(SENSOR).retain_ms == 5
    assert [topic.name for topic in store.topics()] == [SENSOR, VITALS]
    with pytest.raises(ValueError, match="has 4 partitions and can not be given 8"):
        store.create_topic(SENSOR, 8)
    with pytest.raises(ValueError, match="not compacted"):
        store.create_topic(SENSOR, 4, compacted=True)
    with pytest.raises(ValueError, match="at least one partition"):
        store.create_topic("empty", 0)
    with pytest.raises(UnknownTopic, match=r"no topic city\.traffic\.v1: create it"):
        append(store, 1, topic="city.traffic.v1")
    with pytest.raises(ValueError, match="has 4 partitions, none is 4"):
        append(store, 1, partition=4)
    assert store.partitions(SENSOR) == 4


def test_a_transaction_is_whole_or_nothing(store: LogStore) -> None:
    append(store, 2)
    with suppress(ZeroDivisionError), store.transaction() as tx:
        tx.append(SENSOR, 0, [1], [None], [b"lost"])
        tx.save_snapshot("intake", b"lost")
        tx.commit("vitals", {Lane(SENSOR, 0): 1})
        tx.set_meta("seed", b"lost")
        raise ZeroDivisionError
    assert store.end_offset(SENSOR, 0) == 2
    assert store.snapshots() == {}
    assert store.committed("vitals", Lane(SENSOR, 0)) is None
    assert store.meta("seed") is None
    assert append(store, 1) == 2, "offsets have no gap"
    with pytest.raises(RuntimeError, match="is over"):
        tx.set_meta("seed", b"late")


def test_offsets_snapshots_and_meta_commit_together(store: LogStore, tmp_path: Path) -> None:
    with store.transaction() as tx:
        tx.commit("vitals", {Lane(SENSOR, 0): 7, Lane(SENSOR, 3): 1})
        tx.save_snapshot("intake/0", b"one")
        tx.save_snapshot("assess", b"two")
        tx.set_meta("seed", b"42")
    with store.transaction() as tx:
        tx.commit("vitals", {Lane(SENSOR, 0): 9})
        tx.drop_snapshot("assess")
    assert store.committed("vitals", Lane(SENSOR, 0)) == 9
    assert store.committed("vitals", Lane(SENSOR, 3)) == 1
    assert store.committed("other", Lane(SENSOR, 0)) is None
    assert store.snapshots() == {"intake/0": b"one"}
    assert store.snapshot("intake/0") == b"one"
    assert store.snapshot("assess") is None
    assert store.meta("seed") == b"42"


def test_a_task_is_kept_in_parts(store: LogStore) -> None:
    with store.transaction() as tx:
        assert tx.save_task("assess/1", {"head": b"one", "pane/5": b"two"}) == 6
        assert tx.save_task("assess/10", {"head": b"ten"}) == 3
    with store.transaction() as tx:
        assert tx.save_task("assess/1", {"head": b"1", "pane/5": None, "pane/6": b"six"}) == 7
    parts = {"head": b"1", "pane/5": b"two", "pane/6": b"six"}
    assert store.saved_tasks() == {"assess/1": parts, "assess/10": {"head": b"ten"}}
    with store.transaction() as tx:
        tx.save_task("assess/1", {"head": None})
        tx.save_task("assess/10", {})
    assert store.saved_tasks() == {"assess/1": {"head": b"1"}}


def test_a_part_can_not_stand_as_it_never_was(store: LogStore) -> None:
    with (
        pytest.raises(ValueError, match=r"assess/0\|pane/5 was never saved"),
        store.transaction() as tx,
    ):
        tx.save_task("assess/0", {"head": b"one", "pane/5": None})
    assert store.saved_tasks() == {}


def test_a_damaged_snapshot_is_told(store: LogStore) -> None:
    with store.transaction() as tx:
        tx.save_snapshot("intake/0", b"state")
    with sqlite3.connect(store.path / "city.db") as db:
        db.execute("UPDATE snapshots SET data = ?", (b"stale",))
    db.close()
    for read in (lambda: store.snapshot("intake/0"), store.snapshots):
        with pytest.raises(ValueError, match="snapshot intake/0 is damaged"):
            read()


def out(topic: str, key: bytes, value: bytes, id_: bytes, time_: int = 5) -> Output:
    return Output(topic, key, value, (("ce_id", id_),), time_)


def test_outputs_go_by_key_and_keep_their_ids(store: LogStore) -> None:
    store.create_topic(ALERT_LOG, 3)
    sent = [out(ALERT_LOG, b"alert-%d" % (n % 7), b"%d" % n, b"id%d" % n) for n in range(40)]
    with store.transaction() as tx:
        tx.send(sent)
        tx.send([])
    found = []
    for partition in range(3):
        records = store.records(ALERT_LOG, partition, 0)
        assert [record.offset for record in records] == list(range(len(records)))
        for record in records:
            assert record.key is not None
            assert partition_of(record.key, 3) == partition
            found.append(
                Output(ALERT_LOG, record.key, record.value, record.headers, record.timestamp)
            )
        mine = [output for output in sent if partition_of(output.key, 3) == partition]
        assert found[-len(mine) :] == mine, "in the order they were sent"
        assert [r.value for r in store.records(ALERT_LOG, partition, 2)] == [
            output.value for output in mine[2:]
        ]
    assert len(found) == 40


def test_a_compacted_topic_keeps_the_newest_of_each_key(store: LogStore) -> None:
    keys = (b"aqi|city|4401", b"aqi|district|440111", b"noise|city|4401")
    for round_ in range(3):
        with store.transaction() as tx:
            tx.send([out(VITALS, key, b"%d" % round_, b"%d" % round_) for key in keys])
    newest = list(store.latest(VITALS))
    assert [(row.key, row.value, row.headers) for row in newest] == [
        (key, b"2", (("ce_id", b"2"),)) for key in keys
    ]
    assert [row.key for row in store.latest(VITALS, b"aqi|")] == list(keys[:2])
    assert list(store.latest(VITALS, b"rain")) == []
    ends = [store.end_offset(VITALS, partition) for partition in range(2)]
    assert sum(ends) == 9
    # As a log it has gaps, and gives each key once.
    for partition in range(2):
        mine = [key for key in keys if partition_of(key, 2) == partition]
        chunks = store.read(VITALS, partition, 0)
        if not mine:
            assert chunks == []
            continue
        (chunk,) = chunks
        assert list(chunk.keys) == mine
        assert chunk.next_offset == ends[partition]
        assert store.first_offset(VITALS, partition) == ends[partition] - len(mine)
        assert len(store.read(VITALS, partition, 0, max_records=1)[0]) == 1
        assert len(store.read(VITALS, partition, 0, max_bytes=0)[0]) == 1
        assert store.records(VITALS, partition, 0)[0].headers == (("ce_id", b"2"),)
    with pytest.raises(ValueError, match="needs a key"), store.transaction() as tx:
        tx.append(VITALS, 0, [0], [None], [b""])


def test_one_process_owns_the_log(store: LogStore) -> None:
    store.own()
    store.own()
    other = LogStore(store.path)
    with pytest.raises(InUse, match=f"in use by process {os.getpid()}: stop that process"):
        other.own()
    store.close()
    other.own()
    other.close()
    other.close()


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    LogStore(tmp_path).close()
    db = sqlite3.connect(tmp_path / "city.db")
    db.execute("PRAGMA user_version = 9")
    db.close()
    with pytest.raises(ValueError, match="format 9"):
        LogStore(tmp_path)


def test_a_poller_sees_every_commit(store: LogStore) -> None:
    before = store.data_version()
    assert store.data_version() == before
    append(store, 1)
    assert (own := store.data_version()) != before
    other = LogStore(store.path)
    append(other, 1)
    other.close()
    assert store.data_version() != own


def test_listeners_are_woken_after_the_commit(store: LogStore) -> None:
    seen: list[int] = []

    def wake() -> None:
        seen.append(store.end_offset(SENSOR, 0))

    store.listen(wake)
    append(store, 2)
    with store.transaction() as tx:
        tx.set_meta("seed", b"")
    assert seen == [2], "once an append, and nothing for what is no append"
    store.unlisten(wake)
    store.unlisten(wake)
    append(store, 2)
    assert seen == [2]


def test_readers_see_nothing_of_an_open_transaction(store: LogStore) -> None:
    with store.transaction() as tx:
        tx.append(SENSOR, 0, [1], [None], [b"v"])
        assert store.end_offset(SENSOR, 0) == 0
        assert store.read(SENSOR, 0, 0) == []
    assert store.end_offset(SENSOR, 0) == 1


def test_threads_of_one_process_share_a_store(store: LogStore) -> None:
    threads = [
        threading.Thread(target=lambda: [append(store, 3) for _ in range(50)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    chunks = store.read(SENSOR, 0, 0)
    assert [n for chunk in chunks for n in chunk.offsets] == list(range(600))


def test_a_full_disk_leaves_the_store_usable(store: LogStore) -> None:
    append(store, 1)
    ((pages,),) = store._writer.execute("PRAGMA page_count").fetchall()
    store._writer.execute(f"PRAGMA max_page_count = {pages + 2}")

    def overflow() -> None:
        with store.transaction() as tx:
            tx.commit("vitals", {Lane(SENSOR, 0): 1})
            tx.append(SENSOR, 0, [1], [None], [bytes(1 << 20)])

    with pytest.raises(sqlite3.OperationalError, match="full"):
        overflow()
    assert store.committed("vitals", Lane(SENSOR, 0)) is None
    assert store.end_offset(SENSOR, 0) == 1
    store._writer.execute("PRAGMA max_page_count = 1000000")
    assert append(store, 1) == 1


class TestTrim:
    def test_old_batches_go_and_offsets_stay(self, store: LogStore, clock: Clock) -> None:
        for _ in range(4):
            append(store, 5)
            clock.now += 100
        assert trim(store, clock.now, 250, 1 << 30, {}) == 2
        assert (store.first_offset(SENSOR, 0), store.end_offset(SENSOR, 0)) == (10, 20)
        assert offsets(store.read(SENSOR, 0, 0)) == [[*range(10, 15)], [*range(15, 20)]]
        assert trim(store, clock.now + 9999, 250, 1 << 30, {}) == 2
        assert store.first_offset(SENSOR, 0) == 20
        assert append(store, 1) == 20

    def test_what_a_snapshot_needs_is_kept(self, store: LogStore, clock: Clock) -> None:
        for _ in range(4):
            append(store, 5)
            append(store, 5, partition=1)
        # Offset 7 is inside the second batch.
        keep = {Lane(SENSOR, 0): 7}
        assert trim(store, clock.now + 9999, 0, 0, keep) == 1 + 4
        assert store.first_offset(SENSOR, 0) == 5
        assert trim(store, clock.now, 9999, 0, keep) == 0, "not for want of space either"
        assert trim(store, clock.now, 9999, 0, {Lane(SENSOR, 0): 10}) == 1

    def test_the_oldest_go_first_until_the_rest_fits(self, store: LogStore, clock: Clock) -> None:
        for number in range(6):
            with store.transaction() as tx:
                tx.append(SENSOR, number % 2, [0], [None], [bytes(1000)])
            clock.now += 1
        assert trim(store, clock.now, 9999, 3500, {}) == 3
        assert store.first_offset(SENSOR, 0) == 2
        assert store.first_offset(SENSOR, 1) == 1

    def test_a_topic_may_have_its_own_retention(self, store: LogStore, clock: Clock) -> None:
        store.create_topic("short", 1, retain_ms=10)
        store.create_topic("for-good", 1, retain_ms=NEVER)
        for topic in ("short", "for-good", SENSOR):
            append(store, 1, topic=topic)
        with store.transaction() as tx:
            tx.send([out(VITALS, b"k", b"v", b"1")])
        clock.now += 20
        assert trim(store, clock.now, 100, 1 << 30, {}) == 1
        assert store.first_offset("short", 0) == 1
        assert trim(store, clock.now + 9999, 0, 0, {}) == 1
        assert offsets(store.read("for-good", 0, 0)) == [[0]]
        assert len(list(store.latest(VITALS))) == 1

    def test_many_batches_go_in_short_transactions(self, store: LogStore, clock: Clock) -> None:
        with store.transaction() as tx:
            for _ in range(200):
                tx.append(SENSOR, 0, [0], [None], [b""])
        assert trim(store, clock.now + 1, 0, 0, {}) == 200


APPEND = """
import sys
from pathlib import Path
from streams.log_store import LogStore
store = LogStore(Path(sys.argv[1]))
store.create_topic("city.sensor.v1", 4)
print("ready", flush=True)
for number in range(int(sys.argv[2])):
    with store.transaction() as tx:
        values = [b"%s/%d/%d" % (sys.argv[3].encode(), number, n) for n in range(3)]
        tx.append("city.sensor.v1", 0, [0, 0, 0], [b"k"] * 3, values)
        tx.commit(sys.argv[3], {("city.sensor.v1", 0): number + 1})
store.close()
"""


def process(path: Path, batches: int, name: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", APPEND, str(path), str(batches), name]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def every_record(store: LogStore) -> list[bytes]:
    values: list[bytes] = []
    while chunks := store.read(SENSOR, 0, len(values)):
        for chunk in chunks:
            assert chunk.offsets == range(len(values), len(values) + len(chunk)), "no gap"
            values += chunk.values
    return values


def test_two_processes_append_at_once_and_lose_nothing(tmp_path: Path) -> None:
    # Both make the file as well: neither must find it half made.
    path = tmp_path / "data"
    workers = [process(path, 150, name) for name in ("a", "b")]
    for worker in workers:
        worker.communicate(timeout=60)
        assert worker.returncode == 0
    store = LogStore(path)
    values = every_record(store)
    assert len(values) == store.end_offset(SENSOR, 0) == 900
    for name in (b"a", b"b"):
        mine = [value for value in values if value.startswith(name)]
        assert mine == [b"%s/%d/%d" % (name, m, n) for m in range(150) for n in range(3)]
    store.close()


def test_a_killed_process_leaves_whole_transactions(tmp_path: Path) -> None:
    for turn in range(3):
        with process(tmp_path, 1_000_000, f"turn{turn}") as worker:
            assert worker.stdout
            worker.stdout.readline()
            time.sleep(0.1 + 0.05 * turn)
            worker.send_signal(signal.SIGKILL)
            worker.wait()
        store = LogStore(tmp_path)
        values = every_record(store)
        assert len(values) == store.end_offset(SENSOR, 0)
        mine = [value for value in values if value.startswith(b"turn%d/" % turn)]
        done = store.committed(f"turn{turn}", Lane(SENSOR, 0)) or 0
        assert len(mine) == 3 * done > 0
        store.own()
        store.close()
