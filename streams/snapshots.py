"""Snapshots of tasks as records of one compacted topic: chunks, and manifests that name them.

Keys of its records::

    task|session|manifest|0, 1   the session's last two manifests, by turns
    task|session|0, 1-digest     a chunk of a part, for one of them, named by what it holds
    task|crash|offset            how often the record at this offset stopped a worker

A session writes under keys of its own alone, so a worker that was taken for dead can not damage
what its successor wrote.  Compaction keeps what the last two manifests of a session name; they
share no record, so that damage to one of them leaves the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Annotated, NamedTuple, TypeAlias

import msgspec
import zstandard

FORMAT = 1
CHUNK_BYTES = 512 << 10

_DIGEST_BYTES = 16
_BODY = 1 + _DIGEST_BYTES  # after the format and the checksum
_CRASH, _MANIFEST = "crash", "manifest"
_OFFSET_DIGITS = 19

KeyValue: TypeAlias = tuple[bytes, bytes | None]
"""A record; without a value it deletes what its key had."""

Digest: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]


class Chunk(NamedTuple):
    """What a manifest says of a chunk."""

    digest: Digest
    size: Annotated[int, msgspec.Meta(ge=1, le=CHUNK_BYTES)]
    """Bytes, uncompressed."""


class Manifest(msgspec.Struct, frozen=True):
    """What a snapshot consists of.

    Parameters
    ----------
    session
        Name of who wrote it.
    number
        Of the session's snapshots, from 1.
    progress
        How far the task had come; of two, the lexicographically greater is the later state.
    taken_ms
        int64 ms UTC, for people only.
    parts
        Chunks of each part, in order.
    """

    task: str
    session: str
    number: Annotated[int, msgspec.Meta(ge=1)]
    progress: tuple[int, ...]
    taken_ms: int
    parts: dict[str, tuple[Chunk, ...]]

    @property
    def key(self) -> bytes:
        return manifest_key(self.task, self.session, self.number)

    @property
    def digests(self) -> set[bytes]:
        return {chunk.digest for chunks in self.parts.values() for chunk in chunks}

    def __str__(self) -> str:
        return f"snapshot {self.number} of session {self.session}"


_decoder = msgspec.msgpack.Decoder(Manifest)


def manifest_key(task: str, session: str, number: int) -> bytes:
    """
    >>> manifest_key("assess/0", "5e55", 7)
    b'assess/0|5e55|manifest|1'
    """
    return f"{task}|{session}|{_MANIFEST}|{number % 2}".encode()


def chunk_key(task: str, session: str, number: int, digest: bytes) -> bytes:
    """
    >>> chunk_key("assess/0", "5e55", 7, bytes(16))
    b'assess/0|5e55|1-00000000000000000000000000000000'
    """
    return f"{task}|{session}|{number % 2}-{digest.hex()}".encode()


def crash_note(task: str, offset: int, count: int) -> KeyValue:
    """The record that says how often the record at an offset stopped a worker.

    >>> crash_note("assess/0", 41, 2)
    (b'assess/0|crash|41', b'2')
    """
    return f"{task}|{_CRASH}|{offset}".encode(), b"%d" % count


def encode_manifest(manifest: Manifest) -> bytes:
    """Format u8 | checksum | msgpack."""
    body = msgspec.msgpack.encode(manifest)
    return bytes([FORMAT]) + digest_of(body) + body


def decode_manifest(key: bytes, value: bytes) -> Manifest:
    """The manifest under a key.

    Raises
    ------
    ValueError
        It is damaged, of another format, or stands under another's key.
    """
    if not value or value[0] != FORMAT:
        format_ = value[0] if value else "unknown"
        raise ValueError(f"is of format {format_}; this build reads format {FORMAT}")
    if digest_of(value[_BODY:]) != value[1:_BODY]:
        raise ValueError("is damaged: its checksum does not match")
    try:
        manifest = _decoder.decode(value[_BODY:])
    except msgspec.DecodeError as error:
        raise ValueError(f"is no manifest: {error}") from error
    if manifest.key != key:
        raise ValueError(f"holds {manifest} of {manifest.task}")
    return manifest


def digest_of(data: bytes | memoryview) -> bytes:
    return blake2b(data, digest_size=_DIGEST_BYTES).digest()


class Records(NamedTuple):
    """What saves a snapshot, in three stages: each must be durable before the next is sent."""

    task: str
    chunks: list[KeyValue]
    manifest: KeyValue
    tombstones: list[KeyValue]

    @property
    def stages(self) -> tuple[list[KeyValue], list[KeyValue], list[KeyValue]]:
        return self.chunks, [self.manifest], self.tombstones

    @property
    def size(self) -> int:
        """Bytes of all values."""
        return sum(len(value or b"") for stage in self.stages for _, value in stage)


class SnapshotWriter:
    """Writes the snapshots of a task, sending what has changed since the last but one alone.

    It keeps the chunks of the last one, compressed, as the next one is to hold them anew.

    What `write` gave must be sent whole, and in order: a writer whose records were not all sent
    is not to be used again.

    Parameters
    ----------
    session
        A name that no other writer ever had.

    Examples
    --------
    >>> writer = SnapshotWriter("assess/0", "5e55")
    >>> len(writer.write({"panes": b"state", "models": b"old"}, (41, 0), 0).chunks)
    2
    >>> len(writer.write({"panes": None, "models": b"old"}, (42, 0), 0).chunks)
    2
    >>> len(writer.write({"panes": None, "models": b"new"}, (43, 0), 0).chunks)
    1
    """

    def __init__(self, task: str, session: str) -> None:
        for name in (task, session):
            if not name or "|" in name or name == _CRASH:
                raise ValueError(f"{name!r} can not be the name of a task or a session")
        self.task, self.session = task, session
        self.number = 0
        """Of the last snapshot; 0 before the first."""
        self._parts: dict[str, tuple[Chunk, ...]] = {}
        self._packed: dict[bytes, bytes] = {}
        self._written: tuple[set[bytes], set[bytes]] = (set(), set())
        self._others: set[bytes] = set()
        self._compressor = zstandard.ZstdCompressor(level=1)

    def forget(self, keys: Iterable[bytes]) -> None:
        """Delete these once two snapshots stand in their place."""
        self._others.update(keys)

    def write(
        self, parts: Mapping[str, bytes | None], progress: tuple[int, ...], taken_ms: int
    ) -> Records:
        """Records of the next snapshot.

        Parameters
        ----------
        parts
            By name; None stands for what the part was in the last snapshot.  A part that is not
            named is gone.
        progress, taken_ms
            See `Manifest`.

        Raises
        ------
        ValueError
            A part is None that the last snapshot does not have.
        """
        named = {
            name: self._same(name) if part is None else tuple(self._cut(part))
            for name, part in parts.items()
        }
        number = self.number + 1
        manifest = Manifest(self.task, self.session, number, progress, taken_ms, named)
        digests, written = manifest.digests, self._written[number % 2]
        chunks: list[KeyValue] = [
            (self._key(number, d), self._packed[d]) for d in sorted(digests - written)
        ]
        gone = [self._key(number, digest) for digest in written - digests]
        self.number, self._parts = number, named
        self._packed = {digest: self._packed[digest] for digest in digests}
        written.clear()
        written.update(digests)
        if number > 1:
            gone += self._others - self._own_keys()
            self._others = set()
        return Records(
            self.task,
            chunks,
            (manifest.key, encode_manifest(manifest)),
            # Backwards, "manifest" is before the digests: no manifest is left without chunks.
            [(key, None) for key in sorted(gone, reverse=True)],
        )

    def _same(self, name: str) -> tuple[Chunk, ...]:
        if name not in self._parts:
            raise ValueError(f"{self.task}: the last snapshot has no part {name!r} to be kept")
        return self._parts[name]

    def _cut(self, part: bytes) -> Iterator[Chunk]:
        view = memoryview(part)
        for at in range(0, len(part), CHUNK_BYTES):
            raw = view[at : at + CHUNK_BYTES]
            digest = digest_of(raw)
            if digest not in self._packed:
                self._packed[digest] = self._compressor.compress(raw)
            yield Chunk(digest, len(raw))

    def _key(self, number: int, digest: bytes) -> bytes:
        return chunk_key(self.task, self.session, number, digest)

    def _own_keys(self) -> set[bytes]:
        manifests = {manifest_key(self.task, self.session, number) for number in (0, 1)}
        return manifests | {self._key(n, d) for n in (0, 1) for d in self._written[n]}


@dataclass(frozen=True, slots=True)
class Restored:
    """What the topic has of a task.

    Parameters
    ----------
    parts, progress, session, number, taken_ms
        Of the most advanced snapshot that is whole; number 0 and no parts where none is.
    problems
        What was damaged or missing on the way, and what was taken instead, in plain sentences.
    others
        Keys that the next session's writer shall `forget`.
    crashes
        How often the record at an offset stopped a worker.
    """

    parts: dict[str, bytes] = field(default_factory=dict)
    progress: tuple[int, ...] = ()
    session: str = ""
    number: int = 0
    taken_ms: int = 0
    problems: tuple[str, ...] = ()
    others: frozenset[bytes] = frozenset()
    crashes: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Found:
    """The newest record of each key of a task."""

    chunks: dict[bytes, bytes] = field(default_factory=dict)
    manifests: dict[bytes, Manifest] = field(default_factory=dict)
    damaged: dict[bytes, str] = field(default_factory=dict)
    crashes: dict[int, int] = field(default_factory=dict)


class SnapshotReader:
    """Takes in the records of a partition, in order, and finds the snapshots of some tasks.

    Holds the newest record of each of their keys, still compressed.
    """

    def __init__(self, tasks: Iterable[str]) -> None:
        self._found = {task.encode(): _Found() for task in tasks}
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=CHUNK_BYTES)

    def feed(self, key: bytes | None, value: bytes | None) -> None:
        """Take in a record; what belongs to no task asked for is passed over."""
        task, *words = (key or b"").split(b"|")
        found = self._found.get(task)
        if key is None or found is None or not words:
            return
        if words[0] == _CRASH.encode():
            _note(found.crashes, words[1:], value)
        elif words[1:2] == [_MANIFEST.encode()]:
            _keep_manifest(found, key, value)
        elif value is None:
            found.chunks.pop(key, None)
        else:
            found.chunks[key] = value

    def newest(self, task: str) -> Restored | None:
        """The most advanced snapshot that is whole; None where there is nothing of the task."""
        found = self._found[task.encode()]
        others = frozenset((*found.chunks, *found.manifests, *found.damaged))
        if not others and not found.crashes:
            return None
        problems = [f"{task}: {problem}" for problem in found.damaged.values()]
        for manifest in sorted(found.manifests.values(), key=_rank, reverse=True):
            try:
                parts = self._assemble(manifest, found.chunks)
            except ValueError as error:
                problems.append(f"{task}: {manifest} is not whole: {error}")
                continue
            if problems:
                problems.append(f"{task}: {manifest} is used")
            return Restored(
                parts,
                manifest.progress,
                manifest.session,
                manifest.number,
                manifest.taken_ms,
                tuple(problems),
                others,
                found.crashes,
            )
        if problems:
            problems.append(f"{task}: no whole snapshot is left, so none is used")
        return Restored(problems=tuple(problems), others=others, crashes=found.crashes)

    def _assemble(self, manifest: Manifest, chunks: Mapping[bytes, bytes]) -> dict[str, bytes]:
        parts = {}
        for name, listed in manifest.parts.items():
            raw = []
            for number, chunk in enumerate(listed, 1):
                value = chunks.get(
                    chunk_key(manifest.task, manifest.session, manifest.number, chunk.digest)
                )
                try:
                    raw.append(self._unpack(value, chunk))
                except ValueError as error:
                    place = f"chunk {number} of {len(listed)} of part {name!r}"
                    raise ValueError(f"{place} {error}") from error
            parts[name] = b"".join(raw)
        return parts

    def _unpack(self, value: bytes | None, chunk: Chunk) -> bytes:
        if value is None:
            raise ValueError("is missing")
        try:
            # What the frame says of its size is what would be allocated.
            if zstandard.frame_content_size(value) != chunk.size:
                raise ValueError("is damaged: its size is not that which the manifest names")
            raw = self._decompressor.decompress(value, chunk.size, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise ValueError(f"is damaged: {error}") from error
        if digest_of(raw) != chunk.digest:
            raise ValueError("is damaged: its checksum does not match")
        return raw


def _rank(manifest: Manifest) -> tuple[tuple[int, ...], int, int, str]:
    return manifest.progress, manifest.taken_ms, manifest.number, manifest.session


def _keep_manifest(found: _Found, key: bytes, value: bytes | None) -> None:
    found.damaged.pop(key, None)
    if value is None:
        found.manifests.pop(key, None)
        return
    try:
        found.manifests[key] = decode_manifest(key, value)
    except ValueError as error:
        # What stood under the key before is kept: it may still be whole.
        found.damaged[key] = f"the manifest {key.decode(errors='replace')!r} {error}"


def _note(crashes: dict[int, int], words: list[bytes], value: bytes | None) -> None:
    offset = words[0] if len(words) == 1 else b""
    if not offset.isdigit() or len(offset) > _OFFSET_DIGITS:
        return
    if value is not None and value.isdigit() and len(value) <= _OFFSET_DIGITS:
        crashes[int(offset)] = int(value)
    else:
        crashes.pop(int(offset), None)
