from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import zstandard
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given, settings
from hypothesis import strategies as st

from streams import event_logs
from streams.event_logs import SUFFIXES, Head, Writer, head, read_lines, topic_of
from streams.partitioning import partition_of


@settings(deadline=None)
@given(st.binary(max_size=40), st.integers(1, 64))
def test_keys_are_placed_as_kafka_places_them(key: bytes, partitions: int) -> None:
    everything = list(range(partitions))
    assert partition_of(key, partitions) == DefaultPartitioner()(key, everything, everything)


def test_a_missing_key_has_one_place() -> None:
    assert {partition_of(None, count) for count in range(1, 20)} == {0}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_lines_come_back_and_blank_ones_are_counted(tmp_path: Path, suffix: str) -> None:
    lines = [b'{"n":%d}' % n for n in range(50_000)]
    with Writer(tmp_path / "new", "city.sensor.v1", suffix, partition=2) as log:
        for line in lines:
            log.write(line)
        log.write(b"")
        log.write(b" \r")
    read = read_lines(log.path)
    assert list(read) == lines
    assert (read.number, read.blanks) == (50_002, 2)
    assert topic_of(log.path) == ("city.sensor.v1", 2)
    assert log.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_lines_give_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    written = []
    for name in ("a", "b"):
        with Writer(tmp_path / name, "city.sensor.v1", suffix) as log:
            log.write(b"{}")
        log.close()
        written.append(log.path.read_bytes())
    assert written[0] == written[1]
    if suffix.endswith(".gz"):
        assert written[0][4:8] == bytes(4), "no time of writing"


def test_the_last_line_may_lack_its_end_and_files_may_have_many_frames(tmp_path: Path) -> None:
    plain = tmp_path / "a.ndjson"
    plain.write_bytes(b"1\n\n2")
    assert list(read_lines(plain)) == [b"1", b"2"]
    packed = tmp_path / "a.ndjson.zst"
    packed.write_bytes(b"".join(map(zstandard.ZstdCompressor().compress, (b"1\n", b"2\n3"))))
    assert list(read_lines(packed)) == [b"1", b"2", b"3"]
    packed = tmp_path / "a.ndjson.gz"
    packed.write_bytes(gzip.compress(b"1\n") + gzip.compress(b"2\n3"))
    assert list(read_lines(packed)) == [b"1", b"2", b"3"]
    (tmp_path / "b.ndjson").touch()
    assert list(read_lines(tmp_path / "b.ndjson")) == []


@pytest.mark.parametrize("suffix", SUFFIXES[1:])
def test_a_file_cut_short_is_told_with_its_line(tmp_path: Path, suffix: str) -> None:
    with Writer(tmp_path, "t", suffix) as log:
        for n in range(100_000):
            log.write(b'{"n":%d}' % (n * 7919 % 100_003))
    log.path.write_bytes(log.path.read_bytes()[:-9])
    read = read_lines(log.path)
    with pytest.raises(ValueError, match=r"t\.ndjson.*:\d+: the compressed file is cut short"):
        list(read)


@pytest.mark.parametrize("suffix", SUFFIXES[1:])
def test_a_file_that_is_not_compressed_is_told(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    path.write_bytes(b'{"device":"aq-7"}\n')
    with pytest.raises(ValueError, match=r":1: the compressed file is cut short or damaged"):
        list(read_lines(path))


def test_an_endless_line_is_refused_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_logs, "_BLOCK", 64)
    monkeypatch.setattr(event_logs, "LINE_LIMIT", 1 << 20)
    path = tmp_path / "t.ndjson"
    path.write_bytes(b"ok\n" + b"x" * (1 << 20) + b"\n" + b"x" * ((1 << 20) + 100))
    read = read_lines(path)
    assert next(read) == b"ok"
    assert len(next(read)) == 1 << 20
    with pytest.raises(ValueError, match=r"t\.ndjson:3: line longer than 1 MiB"):
        next(read)


def test_reading_may_stop_early(tmp_path: Path) -> None:
    path = tmp_path / "t.ndjson"
    path.write_bytes(b"1\n2\n")
    read = read_lines(path)
    assert next(read) == b"1"
    read.close()
    assert list(read) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("city.sensor.v1.ndjson", ("city.sensor.v1", None)),
        ("city.sensor.v1.0.ndjson.gz", ("city.sensor.v1", 0)),
        ("events.12.ndjson.zst", ("events", 12)),
        ("12.ndjson", ("12", None)),
    ],
)
def test_topics_are_read_from_names(name: str, expected: tuple[str, int | None]) -> None:
    assert topic_of(Path("somewhere.3") / name) == expected


@pytest.mark.parametrize("name", ["a.json", ".ndjson", "a.ndjson.bz2", "ndjson"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not the name of an event log"):
        topic_of(Path(name))


def test_the_writer_refuses_what_it_could_not_read_back(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown suffix"):
        Writer(tmp_path, "t", ".gz")
    with Writer(tmp_path, "t") as log, pytest.raises(ValueError, match="line feed"):
        log.write(b"1\n2")


AT = 1_772_402_400_000


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"device":"aq-7","source_id":"x","t":1772402400000}', Head(b"aq-7", AT)),
        (b'{"source_id":"s1","kind":"parking","t":1,"t_end":1772402400000}', Head(b"s1", AT)),
        (b'{"order_id":"o-1","id":"e","t":2,"t_end":3,"t_ingest":1772402400000}', Head(b"o-1", AT)),
        (b'{"id":"w-1","t":"2026-03-01T22:00:00Z"}', Head(b"w-1", AT)),
        (b'{"kind":"call","t":"2026-03-02T06:00:00.0009+08:00"}', Head(b"", AT)),
        (b'{"device":7,"t":null}', Head(b"7", None)),
        (b'{"device":"a","t":"2026-03-02T06:00:00"}', Head(b"a", None)),  # naive
        (b'{"device":"a","t":1.5}', Head(b"a", None)),
        (b'{"device":"a","t":true}', Head(b"a", None)),
        (b'{"device":"a","t":-1}', Head(b"a", None)),
        (b'{"device":"a","t":99999999999999999999999}', Head(b"a", None)),
        (b'{"device":"a","t":"yesterday"}', Head(b"a", None)),
        ('{"device":"测-1","t":1}'.encode(), Head("测-1".encode(), 1)),
        (b'{"device":"\\u0061","t":1}', Head(b"a", 1)),
        (b'{"device":', Head(None, None)),
        (b"[1]", Head(None, None)),
        (b"", Head(None, None)),
        (b'{"device":"\xff"}', Head(None, None)),
        (b'{"x":' + b"[" * 100_000, Head(None, None)),
    ],
)
def test_the_head_of_a_line(line: bytes, expected: Head) -> None:
    assert head(line) == expected


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_the_head_of_anything_is_no_error(line: bytes) -> None:
    assert isinstance(head(line), Head)
