"""Event logs: NDJSON files, one a topic, named ``TOPIC[.PARTITION].ndjson[.gz|.zst]``."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Generator, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple, Self

import msgspec
import zstandard

SUFFIXES = (".ndjson", ".ndjson.gz", ".ndjson.zst")
LINE_LIMIT = 16 << 20

_BLOCK = 1 << 20
_ZSTD_BLOCK = 4 << 10  # compressed; a block unpacks to at most 128 KiB for each 4 bytes
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LAST_MS = 253_402_300_799_999  # the end of year 9999


def topic_of(path: Path) -> tuple[str, int | None]:
    """Topic of an event log, and its partition if the name has one.

    Raises
    ------
    ValueError
        If the name is not that of an event log.

    Examples
    --------
    >>> topic_of(Path("logs/city.sensor.v1.3.ndjson.gz"))
    ('city.sensor.v1', 3)
    """
    for suffix in SUFFIXES:
        topic = path.name.removesuffix(suffix)
        if topic and topic != path.name:
            stem, _, last = topic.rpartition(".")
            if stem and last.isascii() and last.isdigit():
                return stem, int(last)
            return topic, None
    raise ValueError(
        f"{path}: not the name of an event log; name it TOPIC[.PARTITION] and one of "
        f"{', '.join(SUFFIXES)}"
    )


class Head(NamedTuple):
    """What the log needs to know of a line: Kafka key, and log timestamp in int64 ms UTC."""

    key: bytes | None
    timestamp: int | None


class _Fields(msgspec.Struct, gc=False):
    device: Any = None
    source_id: Any = None
    order_id: Any = None
    id: Any = None
    t_ingest: Any = None
    t_end: Any = None
    t: Any = None


_fields = msgspec.json.Decoder(_Fields)
_ILLEGIBLE = Head(None, None)


def head(line: bytes) -> Head:
    """Key and timestamp of an event, without checking it; never raises.

    The key is ``device`` (reading), ``source_id`` (observation), ``order_id`` (work order) or
    ``id`` (call, external), whichever comes first, and empty where an event has none. The
    timestamp is ``t_ingest``, else ``t_end``, else ``t``. What can not be read is None.

    Examples
    --------
    >>> head(b'{"device":"aq-7","id":"e1","t":"2026-03-02T06:00:00+08:00","value":12.5}')
    Head(key=b'aq-7', timestamp=1772402400000)
    >>> head(b'{"kind":"call","t":1772402400000}'), head(b'{"device":')
    (Head(key=b'', timestamp=1772402400000), Head(key=None, timestamp=None))
    """
    try:
        fields = _fields.decode(line)
        key = fields.device or fields.source_id or fields.order_id or fields.id or ""
        encoded = key.encode() if type(key) is str else str(key).encode()
    except (ValueError, RecursionError):
        return _ILLEGIBLE
    time = fields.t_ingest
    if time is None:
        time = fields.t if fields.t_end is None else fields.t_end
    return Head(encoded, _milliseconds(time))


def _milliseconds(time: object) -> int | None:
    if type(time) is str:
        return _parsed(time)
    return time if type(time) is int and 0 <= time <= _LAST_MS else None


@lru_cache(maxsize=1 << 12)  # many devices report at the same second
def _parsed(time: str) -> int | None:
    try:
        moment = msgspec.convert(time, datetime)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return _milliseconds((moment - _EPOCH) // _MILLISECOND)


class Lines(Iterator[bytes]):
    """Lines of an event log without their line ends; blank ones are left out.

    Attributes
    ----------
    number
        Number of the line last given, from 1.
    blanks
        Blank lines left out so far.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = 0
        self.blanks = 0
        self._lines = self._read()

    def __next__(self) -> bytes:
        return next(self._lines)

    def close(self) -> None:
        """Close the file before its end is reached."""
        self._lines.close()

    def _read(self) -> Generator[bytes, None, None]:
        rest = b""
        try:
            for block in _blocks(self.path):
                *whole, tail = block.split(b"\n")
                if not whole:
                    rest += tail
                else:
                    whole[0] = rest + whole[0]
                    yield from self._kept(whole)
                    rest = tail
                if len(rest) > LINE_LIMIT:
                    raise self._error(
                        f"line longer than {LINE_LIMIT >> 20} MiB; is this an NDJSON file?"
                    )
        except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
            raise self._error(f"the compressed file is cut short or damaged: {error}") from error
        if rest:
            yield from self._kept([rest])

    def _kept(self, lines: list[bytes]) -> Iterator[bytes]:
        for line in lines:
            self.number += 1
            if line and not line.isspace():
                yield line
            else:
                self.blanks += 1

    def _error(self, fault: str) -> ValueError:
        return ValueError(f"{self.path}:{self.number + 1}: {fault}")


def read_lines(path: Path) -> Lines:
    """Read an event log line by line, unpacked by its suffix, in bounded memory.

    Raises
    ------
    ValueError
        From the iterator, naming file and line: a line longer than 16 MiB, or a compressed
        file that is damaged or cut short.
    """
    return Lines(path)


def _blocks(path: Path) -> Iterator[bytes]:
    if path.suffix == ".zst":
        yield from _zstd_blocks(path)
        return
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def _zstd_blocks(path: Path) -> Iterator[bytes]:
    # The library's stream reader ends without an error where a file is cut inside a frame.
    decompressor = zstandard.ZstdDecompressor()
    frame = None
    with path.open("rb") as file:
        while packed := file.read(_ZSTD_BLOCK):
            while packed:
                frame = frame or decompressor.decompressobj()
                if block := frame.decompress(packed):
                    yield block
                packed = frame.unused_data if frame.eof else b""
                if frame.eof:
                    frame = None
    if frame:
        raise EOFError("it ends inside a frame")


class Writer:
    """Writes one event log; the same lines give the same bytes.

    Parameters
    ----------
    folder
        Made if it is missing. The file is readable by its owner only, for hotline text is
        personal (rule R9); a file of that name is replaced.
    suffix
        One of `SUFFIXES`.
    partition
        Goes into the name, for a log of one partition.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with Writer(Path(folder), "city.sensor.v1", ".ndjson.gz") as log:
    ...         log.write(b'{"device":"aq-7"}')
    ...     log.path.name, list(read_lines(log.path))
    ('city.sensor.v1.ndjson.gz', [b'{"device":"aq-7"}'])
    """

    def __init__(
        self, folder: Path, topic: str, suffix: str = ".ndjson", partition: int | None = None
    ) -> None:
        if suffix not in SUFFIXES:
            raise ValueError(f"unknown suffix {suffix!r}; use one of {', '.join(SUFFIXES)}")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = topic if partition is None else f"{topic}.{partition}"
        self.path = folder / f"{name}{suffix}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        self._file: IO[bytes] = os.fdopen(os.open(self.path, flags, 0o600), "wb", _BLOCK)
        self._packed: Any = self._file
        if suffix.endswith(".gz"):
            # Neither name nor time of writing goes into the bytes.
            self._packed = gzip.GzipFile("", "wb", fileobj=self._file, mtime=0)
        elif suffix.endswith(".zst"):
            compressor = zstandard.ZstdCompressor(write_checksum=True)
            self._packed = compressor.stream_writer(self._file, closefd=False)

    def write(self, line: bytes) -> None:
        """Append one line, given without its end."""
        if b"\n" in line:
            raise ValueError(f"{self.path}: a line of an event log can not hold a line feed")
        self._packed.write(line + b"\n")

    def close(self) -> None:
        """Finish the file; closing twice does nothing."""
        if not self._file.closed:
            try:
                self._packed.close()
            finally:
                self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
