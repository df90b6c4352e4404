"""Parts of a state: what a store keeps of freezes is what was there, whenever it is encoded."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams import frozen
from streams.frozen import (
    FORMAT,
    HEAD,
    Blocks,
    SnapshotError,
    decode_rows,
    encode_rows,
    head,
    load_blocks,
    read_head,
)
from tests.kept import Parts, encoded, kept

TURN = st.sampled_from(["append", "append", "clear", "freeze", "whole", "load"])


def columns_in(parts: Parts) -> tuple[list[int], list[str]]:
    numbers, names = list[int](), list[str]()
    # A store may give them in any order, such as that of their names.
    for more_numbers, more_names in load_blocks(dict(sorted(parts.items(), reverse=True))):
        numbers += more_numbers
        names += more_names
    return numbers, names


@settings(deadline=None)
@given(st.lists(st.tuples(TURN, st.integers(0, 20)), max_size=30), st.booleans())
def test_blocks_hold_the_columns_they_were_taken_of(
    turns: list[tuple[str, int]], copied: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frozen, "BLOCK", 3)
        blocks, numbers, names, parts = Blocks(), list[int](), list[str](), Parts()
        for turn, count in turns:
            if turn == "append":
                numbers += range(count)
                names += map(str, range(count))
            elif turn == "clear":
                # Columns that are only appended to are left to those who still read them.
                if copied:
                    numbers.clear()
                    names.clear()
                else:
                    numbers, names = [], []
                blocks.clear()
            elif turn == "load":
                numbers, names = columns_in(parts)
                blocks = Blocks()
                blocks.loaded(len(numbers))
            else:
                freeze = blocks.freeze_copy if copied else blocks.freeze
                taken = freeze([numbers, names], whole=turn == "whole")
                parts, expected = kept(parts, taken), (list(numbers), list(names))
                if copied:
                    numbers.clear()
                else:
                    numbers += [-1, -2]
                    names += ["x", "y"]
                assert kept(parts, taken) == parts
                assert columns_in(parts) == expected
                numbers[:], names[:] = expected


def test_full_blocks_are_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen, "BLOCK", 4)
    blocks, rows = Blocks(), list(range(6))
    assert None not in blocks.freeze([rows]).values()
    assert list(blocks.freeze([rows]).values()) == [None, None]
    rows += range(4)
    assert [part is None for part in blocks.freeze([rows]).values()] == [True, False, False]
    assert None not in blocks.freeze([rows], whole=True).values()
    blocks.clear()
    assert None not in blocks.freeze_copy([rows[:2]]).values()


@given(st.lists(st.lists(st.integers() | st.text(), max_size=3), max_size=9), st.integers(1, 4))
def test_rows_come_back(rows: list[Any], size: int) -> None:
    rows = [[x if isinstance(x, str) else x % 2**64 for x in row] for row in rows]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frozen, "_ROWS", size)
        part = encode_rows(iter(rows))
    assert list(decode_rows(part)) == rows


def test_a_head_tells_what_it_is_of() -> None:
    parts = encoded({HEAD: head("2026+x", {"next_offset": 7})})
    assert read_head("sensor/0", parts, "2026+x")["next_offset"] == 7
    with pytest.raises(SnapshotError, match=r"made under configuration 2026\+x, this one is 2027"):
        read_head("sensor/0", parts, "2027+y")
    older = {HEAD: msgspec.msgpack.encode({"format": 1, "config": "2026+x", "state": {}})}
    told = f"snapshot of sensor/0 has layout 1, this build writes {FORMAT}"
    with pytest.raises(SnapshotError, match=told):
        read_head("sensor/0", older, "2026+x")
