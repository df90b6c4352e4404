from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.chunk_codec import FORMAT, decode, decode_headers, encode, join
from streams.records import Chunk

int64 = st.integers(-(2**63), 2**63 - 1)
headers = st.lists(st.tuples(st.text(max_size=8), st.binary(max_size=8)), max_size=3).map(tuple)
records = st.lists(
    st.tuples(int64, st.none() | st.binary(max_size=20), st.binary(max_size=40), headers),
    min_size=1,
    max_size=20,
)


@settings(deadline=None)
@given(records, headers, st.data())
def test_a_batch_comes_back_from_any_offset(
    batch: list[tuple[int, bytes | None, bytes, tuple[tuple[str, bytes], ...]]],
    common: tuple[tuple[str, bytes], ...],
    data: st.DataObject,
) -> None:
    times, keys, values, _ = map(list, zip(*batch, strict=True))
    blob = encode(times, keys, values, common)
    skip = data.draw(st.integers(0, len(batch) - 1))
    chunk = decode(blob, "t", 3, 100, 100 + skip)
    assert (chunk.topic, chunk.partition, chunk.headers) == ("t", 3, common)
    assert chunk.offsets == range(100 + skip, 100 + len(batch))
    assert chunk.next_offset == 100 + len(batch)
    assert list(chunk.timestamps) == times[skip:]
    assert chunk.keys == keys[skip:]
    assert chunk.values == values[skip:]
    assert decode_headers(blob) == (common,) * len(batch)


@settings(deadline=None)
@given(records)
def test_headers_by_record_are_kept(
    batch: list[tuple[int, bytes | None, bytes, tuple[tuple[str, bytes], ...]]],
) -> None:
    times, keys, values, each = map(list, zip(*batch, strict=True))
    blob = encode(times, keys, values, each, per_record=True)
    assert list(decode_headers(blob)) == each
    assert decode(blob, "t", 0, 0).headers == ()
    assert decode(blob, "t", 0, 0).values == values


@settings(deadline=None)
@given(records, st.data())
def test_any_changed_byte_is_found(
    batch: list[tuple[int, bytes | None, bytes, tuple[tuple[str, bytes], ...]]],
    data: st.DataObject,
) -> None:
    times, keys, values, each = map(list, zip(*batch, strict=True))
    blob = bytearray(encode(times, keys, values, each, per_record=True))
    at = data.draw(st.integers(0, len(blob) - 1))
    blob[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError, match=r"damaged batch|of format"):
        decode(bytes(blob), "t", 0, 0)


@settings(deadline=None)
@given(records, st.data())
def test_a_cut_is_found(
    batch: list[tuple[int, bytes | None, bytes, tuple[tuple[str, bytes], ...]]],
    data: st.DataObject,
) -> None:
    times, keys, values, _ = map(list, zip(*batch, strict=True))
    blob = encode(times, keys, values)
    with pytest.raises(ValueError, match="damaged batch"):
        decode(blob[: data.draw(st.integers(0, len(blob) - 1))], "t", 0, 0)


def test_faults_are_named() -> None:
    blob = encode([1], [None], [b"v"])
    with pytest.raises(ValueError, match="ends at offset 8, below 9"):
        decode(blob, "t", 0, 7, 9)
    with pytest.raises(ValueError, match=f"this build reads format {FORMAT}"):
        decode(b"\xff" + blob[1:], "t", 0, 0)
    with pytest.raises(ValueError, match="at least one"):
        encode([], [], [])
    with pytest.raises(ValueError, match="2 timestamps, 1 keys, 1 values"):
        encode([1, 2], [None], [b""])
    with pytest.raises(ValueError, match="0 headers for 1 records"):
        encode([1], [None], [b""], per_record=True)


def test_only_neighbours_without_a_gap_are_joined() -> None:
    def chunk(first: int, *values: bytes, headers: tuple[tuple[str, bytes], ...] = ()) -> Chunk:
        offsets = range(first, first + len(values))
        return Chunk("t", 0, offsets, [0] * len(values), [None] * len(values), values, headers)

    given_ = [
        chunk(0, b"a"),
        chunk(1, b"b", b"c"),
        chunk(4, b"e"),
        chunk(5, b"f", headers=(("h", b""),)),
    ]
    joined = list(join(given_))
    assert [item.offsets for item in joined] == [range(3), range(4, 5), range(5, 6)]
    assert joined[0].values == [b"a", b"b", b"c"]
    assert joined[2].headers == (("h", b""),)
    assert list(join([])) == []
