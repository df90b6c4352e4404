"""What was written comes back, or something older that was written: never anything else."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.snapshots import (
    CHUNK_BYTES,
    FORMAT,
    KeyValue,
    Manifest,
    Restored,
    SnapshotReader,
    SnapshotWriter,
    chunk_key,
    crash_note,
    decode_manifest,
    digest_of,
    encode_manifest,
    manifest_key,
)

TASK, SESSION = "city.sensor.v1/2", "5e55"
_random = random.Random(1)
FULL = _random.randbytes(CHUNK_BYTES)
CONTENTS = (
    b"",
    b"a",
    b"b" * 100,
    FULL,
    FULL + b"rest",
    bytes(CHUNK_BYTES) + FULL + bytes(CHUNK_BYTES) + b"tail",
    _random.randbytes(50),
)
"""Parts of none, one and several chunks, some of which they share."""

States = list[dict[str, bytes]]
states: st.SearchStrategy[States] = st.lists(
    st.dictionaries(st.sampled_from(["panes", "models", "计数"]), st.sampled_from(CONTENTS)),
    min_size=1,
    max_size=6,
)
unhurried = settings(deadline=None, max_examples=60)


@dataclass
class Session:
    """A writer, what it wrote, and where each of its snapshots was complete in the log."""

    name: str = SESSION
    log: list[KeyValue] = field(default_factory=list)
    written: dict[tuple[int, ...], dict[str, bytes]] = field(default_factory=dict)
    complete: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """Progress of the snapshot whose manifest ends the log's first so many records."""

    def __post_init__(self) -> None:
        self.writer = SnapshotWriter(TASK, self.name)
        self._last: dict[str, bytes] = {}

    def write(self, parts: dict[str, bytes], progress: int) -> None:
        changed = {n: None if self._last.get(n) == p else p for n, p in parts.items()}
        records = self.writer.write(changed, (progress, 0), progress * 1000)
        self._last = parts
        self.log += [*records.chunks, records.manifest]
        self.written[progress, 0] = parts
        self.complete[len(self.log)] = (progress, 0)
        self.log += records.tombstones

    def write_all(self, history: States, begin: int = 1) -> None:
        for progress, parts in enumerate(history, begin):
            self.write(parts, progress)


def session_of(history: States) -> Session:
    session = Session()
    session.write_all(history)
    return session


def restore(log: Iterable[KeyValue]) -> Restored | None:
    reader = SnapshotReader([TASK])
    for key, value in log:
        reader.feed(key, value)
    return reader.newest(TASK)


def found(log: Iterable[KeyValue]) -> Restored:
    restored = restore(log)
    assert restored is not None
    return restored


def compacted(log: Iterable[KeyValue]) -> list[KeyValue]:
    """What is left of a log when nothing but the newest of each key is."""
    newest: dict[bytes, bytes | None] = {}
    for key, value in log:
        newest.pop(key, None)
        newest[key] = value
    return [(key, value) for key, value in newest.items() if value is not None]


def manifests(log: Iterable[KeyValue]) -> list[Manifest]:
    return [decode_manifest(k, v) for k, v in log if b"|manifest|" in k and v is not None]


@unhurried
@given(states)
def test_the_newest_comes_back(history: States) -> None:
    session = session_of(history)
    for log in (session.log, compacted(session.log)):
        restored = found(log)
        assert restored.parts == history[-1]
        assert (restored.session, restored.number) == (SESSION, len(history))
        assert (restored.progress, restored.taken_ms) == ((len(history), 0), len(history) * 1000)
        assert restored.problems == ()
        assert restored.crashes == {}
        assert restored.others == {key for key, _ in compacted(log)}


@unhurried
@given(states, st.data())
def test_a_crash_anywhere_leaves_the_last_complete_one(
    history: States, data: st.DataObject
) -> None:
    session = session_of(history)
    cut = data.draw(st.integers(0, len(session.log)), "cut")
    complete = [progress for at, progress in session.complete.items() if at <= cut]
    for log in (session.log[:cut], compacted(session.log[:cut])):
        restored = restore(log)
        if restored is None:
            assert cut == 0
            continue
        assert restored.problems == ()
        assert restored.progress == (complete[-1] if complete else ())
        assert restored.parts == (session.written[complete[-1]] if complete else {})


@unhurried
@given(states)
def test_a_compacted_topic_holds_two_snapshots_and_no_more(history: States) -> None:
    log = compacted(session_of(history).log)
    kept = manifests(log)
    numbers = range(max(1, len(history) - 1), len(history) + 1)
    assert sorted(manifest.number for manifest in kept) == list(numbers)
    chunks = {chunk_key(TASK, SESSION, m.number, digest) for m in kept for digest in m.digests}
    assert {key for key, _ in log} == chunks | {manifest.key for manifest in kept}
    if len(history) > 1:
        newest = manifest_key(TASK, SESSION, len(history))
        assert found((k, v) for k, v in log if k != newest).parts == history[-2]


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@settings(deadline=None, max_examples=300)
@given(states, st.booleans(), st.data())
def test_damage_never_loads(history: States, compact: bool, data: st.DataObject) -> None:
    session = session_of(history)
    log = compacted(session.log) if compact else session.log
    at = data.draw(st.integers(0, len(log) - 1), "record")
    key, value = log[at]
    kinds = ["remove", "flip the key"] + ["flip", "truncate"] * bool(value)
    kind = data.draw(st.sampled_from(kinds), "damage")
    if kind == "remove":
        after = [*log[:at], *log[at + 1 :]]
    elif kind == "flip the key":
        bit = data.draw(st.integers(0, 8 * len(key) - 1), "bit")
        after = [*log[:at], (flipped(key, bit), value), *log[at + 1 :]]
    else:
        assert value
        if kind == "flip":
            value = flipped(value, data.draw(st.integers(0, 8 * len(value) - 1), "bit"))
        else:
            value = value[: data.draw(st.integers(0, len(value) - 1), "length")]
        after = [*log[:at], (key, value), *log[at + 1 :]]
    check_that_the_rest_is_used(session, key, restore(after))


def check_that_the_rest_is_used(session: Session, hurt: bytes, restored: Restored | None) -> None:
    """One of the last two, which share no record."""
    last = [m for m in manifests(session.log) if m.number > session.writer.number - 2]
    unhurt = [
        m
        for m in last
        if hurt not in {m.key, *(chunk_key(TASK, SESSION, m.number, d) for d in m.digests)}
    ]
    assert len(unhurt) >= len(last) - 1
    if restored is None or not restored.number:
        assert not unhurt
        return
    assert session.written[restored.progress] == restored.parts
    assert restored.progress == (restored.number, 0)
    assert not unhurt or restored.number >= max(m.number for m in unhurt)
    if restored.number < session.writer.number:
        assert restored.problems or hurt == manifest_key(TASK, SESSION, session.writer.number)


@unhurried
@given(st.lists(st.tuples(states, st.floats(0, 1)), min_size=1, max_size=4), st.booleans())
def test_sessions_that_crash_and_follow_each_other(
    sessions: Sequence[tuple[States, float]], compact: bool
) -> None:
    log: list[KeyValue] = []
    best: tuple[int, ...] = ()
    parts: dict[str, bytes] = {}
    for number, (history, share) in enumerate(sessions):
        session = Session(f"session-{number}")
        restored = restore(log)
        if restored is not None:
            assert (restored.progress, restored.parts, restored.problems) == (best, parts, ())
            session.writer.forget(restored.others)
        session.write_all(history, begin=best[0] + 1 if best else 1)
        cut = round(share * len(session.log))
        log += session.log[:cut]
        if compact:
            log = compacted(log)
        for at, progress in session.complete.items():
            if at <= cut:
                best, parts = progress, session.written[progress]
    restored = restore(log)
    assert (restored.progress, restored.parts) == (best, parts) if restored else not best


def test_nothing_is_written_twice_for_one_manifest() -> None:
    writer = SnapshotWriter(TASK, SESSION)

    def keys(records: list[KeyValue]) -> set[bytes]:
        return {key for key, _ in records}

    def chunk(number: int, data: bytes) -> bytes:
        return chunk_key(TASK, SESSION, number, digest_of(data))

    first = writer.write({"a": FULL + b"1", "b": FULL, "c": b"1"}, (1,), 0)
    assert keys(first.chunks) == {chunk(1, FULL), chunk(1, b"1")}  # however often
    second = writer.write({"a": None, "b": FULL + b"2", "c": b""}, (2,), 0)
    assert keys(second.chunks) == {chunk(0, FULL), chunk(0, b"1"), chunk(0, b"2")}
    assert not second.tombstones
    third = writer.write({"b": None}, (3,), 0)
    assert keys(third.chunks) == {chunk(1, b"2")}  # the rest stands there from the first
    assert keys(third.tombstones) == {chunk(1, b"1")}
    fourth = writer.write({"b": None}, (4,), 0)
    assert not fourth.chunks
    assert keys(fourth.tombstones) == {chunk(0, b"1")}
    again = writer.write({"b": b"1"}, (5,), 0)
    assert keys(again.chunks) == {chunk(1, b"1")}
    assert again.size == sum(len(value or b"") for stage in again.stages for _, value in stage)


def test_others_are_forgotten_once_two_snapshots_stand() -> None:
    old = session_of([{"a": b"old"}, {"a": b"older"}])
    note = crash_note(TASK, 7, 1)
    restored = found([*old.log, note])
    new = Session("new")
    new.writer.forget(restored.others)
    new.write({"a": b"1"}, 3)
    assert {key for key, _ in compacted(old.log)} <= {
        key for key, _ in compacted(old.log + new.log)
    }
    new.write({"a": b"2"}, 4)
    left = compacted([*old.log, note, *new.log])
    assert left == [note, *compacted(new.log)]
    assert found(left).parts == {"a": b"2"}
    new.write({"a": b"3"}, 5)
    assert new.log[-1] == (chunk_key(TASK, "new", 1, digest_of(b"1")), None)


def test_tombstones_begin_with_manifests() -> None:
    old = session_of([{"a": FULL}, {"a": b"2"}])
    writer = SnapshotWriter(TASK, "new")
    writer.forget(found(old.log).others)
    writer.write({}, (3,), 0)
    keys = [key for key, _ in writer.write({}, (4,), 0).tombstones]
    assert [b"|manifest|" in key for key in keys] == [True, True, False, False]


def test_a_task_that_comes_back_to_its_session_loses_nothing() -> None:
    first = session_of([{"a": b"1", "b": FULL}, {"a": b"2", "b": FULL}, {"a": b"3", "b": FULL}])
    again = Session()
    again.writer.forget(found(first.log).others)
    for progress, part in enumerate((b"2", b"3", b"4"), 4):
        again.write({"a": part, "b": FULL}, progress)
        assert found(compacted(first.log + again.log)).parts == {"a": part, "b": FULL}
    assert {key for key, _ in compacted(first.log + again.log)} == {
        key for key, _ in compacted(again.log)
    }


def test_the_most_advanced_wins_whoever_wrote_last() -> None:
    owner, zombie = Session("owner"), Session("zombie")
    for progress in (2, 4, 6):
        zombie.write({"a": b"z%d" % progress}, progress - 1)
        owner.write({"a": b"o%d" % progress}, progress)
    for log in (zombie.log + owner.log, owner.log + zombie.log):
        restored = found(log)
        assert (restored.session, restored.parts) == ("owner", {"a": b"o6"})
    hurt = [(k, v) for k, v in owner.log if not k.endswith(digest_of(b"o6").hex().encode())]
    restored = found(hurt + zombie.log)
    assert (restored.session, restored.parts) == ("zombie", {"a": b"z6"})
    assert restored.problems == (
        f"{TASK}: snapshot 3 of session owner is not whole: chunk 1 of 1 of part 'a' is missing",
        f"{TASK}: snapshot 3 of session zombie is used",
    )


def test_tasks_of_a_partition_are_kept_apart() -> None:
    reader = SnapshotReader(["assess/0", "assess/1", "assess/2"])
    for task in ("assess/0", "assess/1", "assess/10"):
        records = SnapshotWriter(task, SESSION).write({"a": task.encode()}, (1,), 0)
        for key, value in (*records.chunks, records.manifest):
            reader.feed(key, value)
    reader.feed(None, b"of nobody")
    reader.feed(b"assess/2", b"not ours")
    assert [getattr(reader.newest(f"assess/{n}"), "parts", None) for n in range(3)] == [
        {"a": b"assess/0"},
        {"a": b"assess/1"},
        None,
    ]


def test_crash_notes_are_there_without_a_snapshot() -> None:
    notes = [crash_note(TASK, 41, 1), crash_note(TASK, 41, 2), crash_note(TASK, 7, 1)]
    assert found(notes) == Restored(crashes={41: 2, 7: 1})
    assert found([*notes, *session_of([{"a": b"1"}]).log]).crashes == {41: 2, 7: 1}
    assert found([*notes, (notes[0][0], None)]).crashes == {7: 1}


@pytest.mark.parametrize("offset", [b"", b"x", b"-1", b"9" * 5000, b"1|2"])
@pytest.mark.parametrize("count", [b"", b"x", b"9" * 5000, b"1"])
def test_illegible_crash_notes_count_as_none(offset: bytes, count: bytes) -> None:
    assert restore([(TASK.encode() + b"|crash|" + offset, count)]) is None
    assert restore([(TASK.encode() + b"|crash|5", b"many")]) is None


def with_chunk(value: bytes) -> Restored:
    """A snapshot whose only chunk, of 100 bytes, is replaced."""
    session = session_of([{"a": b"x" * 100}])
    (key, _), *rest = session.log
    return found([(key, value), *rest])


def streamed(data: bytes) -> bytes:
    """A frame that does not say how much is in it."""
    compressor = zstandard.ZstdCompressor(level=1).compressobj()
    return compressor.compress(data) + compressor.flush()


def lying(data: bytes, size: int) -> bytes:
    """A frame that says there is something else in it; RFC 8878, 3.1.1.1."""
    descriptor = 3 << 6 | 1 << 5  # eight bytes of content size, single segment
    frame = zstandard.ZstdCompressor(level=1).compress(data)
    blocks = frame[zstandard.frame_header_size(frame) :]
    return frame[:4] + bytes([descriptor]) + size.to_bytes(8, "little") + blocks


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (b"", "determining content size"),
        (b"no frame", "determining content size"),
        (zstandard.ZstdCompressor().compress(b"y" * 100), "its checksum"),
        (zstandard.ZstdCompressor().compress(b"x" * 101), "its size"),
        (zstandard.ZstdCompressor().compress(b"x" * 100) + b"more", "unused data"),
        (streamed(bytes(64 << 20)), "its size"),
        (lying(bytes(64 << 20), 1 << 50), "its size"),
        (lying(bytes(64 << 20), 100), "decompression error"),
    ],
    ids=["empty", "noise", "other", "longer", "tail", "no size", "huge", "bomb"],
)
def test_a_chunk_is_never_unpacked_beyond_its_size(value: bytes, told: str) -> None:
    restored = with_chunk(value)
    assert restored.number == 0
    assert restored.parts == {}
    first, second = restored.problems
    place = f"{TASK}: snapshot 1 of session {SESSION} is not whole: chunk 1 of 1 of part 'a'"
    assert first.startswith(f"{place} is damaged: ")
    assert told in first
    assert second == f"{TASK}: no whole snapshot is left, so none is used"


def test_manifests_that_are_not_ours_are_told_and_passed_over() -> None:
    session = session_of([{"a": b"1"}, {"a": b"2"}])
    key = manifest_key(TASK, SESSION, 2)
    good = Manifest(TASK, SESSION, 2, (2, 0), 2000, {})
    foreign = encode_manifest(msgspec.structs.replace(good, task="assess/0"))
    wrong = msgspec.msgpack.encode({"task": TASK})
    cases = {
        bytes([FORMAT + 1]) + encode_manifest(good)[1:]: f"is of format {FORMAT + 1}; this build",
        b"": "is of format unknown",
        bytes([FORMAT]): "is damaged: its checksum",
        foreign: f"holds snapshot 2 of session {SESSION} of assess/0",
        bytes([FORMAT]) + digest_of(wrong) + wrong: "is no manifest",
    }
    for value, told in cases.items():
        restored = found([(k, value if k == key else v) for k, v in session.log])
        assert (restored.number, restored.parts) == (1, {"a": b"1"})
        assert told in restored.problems[0]
        assert restored.problems[1] == f"{TASK}: snapshot 1 of session {SESSION} is used"
        assert key in restored.others


def test_what_is_mended_is_no_problem_any_more() -> None:
    session = session_of([{"a": b"1"}, {"a": b"2"}])
    damaged: list[KeyValue] = [(manifest_key(TASK, SESSION, 2), b"damaged")]
    assert found(damaged + session.log).problems == ()
    assert found(session.log + damaged).parts == {"a": b"2"}
    assert found(session.log + damaged).problems


def test_names_that_would_be_misread_are_refused() -> None:
    for task, session in (("a|b", SESSION), (TASK, "a|b"), ("", SESSION), (TASK, "crash")):
        with pytest.raises(ValueError, match="can not be the name"):
            SnapshotWriter(task, session)


def test_a_part_can_only_be_kept_that_is_there() -> None:
    writer = SnapshotWriter(TASK, SESSION)
    with pytest.raises(ValueError, match="no part 'a' to be kept"):
        writer.write({"a": None}, (1,), 0)
    writer.write({"a": b"1"}, (1,), 0)
    writer.write({}, (2,), 0)
    with pytest.raises(ValueError, match="no part 'a' to be kept"):
        writer.write({"a": None}, (3,), 0)
    assert writer.number == 2
