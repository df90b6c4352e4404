"""Names that a kernel numbers are those that a dictionary would."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ext.names import Names, count_names
from streams.cuts import Key, PackedKeys

encode = msgspec.msgpack.Encoder().encode
texts = st.text(max_size=3) | st.sampled_from(["x" * 31, "x" * 32, "水" * 90, "y" * 70_000])
lists = st.lists(st.lists(st.builds(Key, texts, texts, texts), max_size=40), max_size=5)


def numbered(names: Names, packed: bytes) -> tuple[list[int], list[bytes]]:
    out = np.full(count_names(packed), -1, np.int64)
    new = names.number(packed, out)
    return out.tolist(), new


@settings(deadline=None, max_examples=150)
@given(lists)
def test_numbers_are_those_of_a_dictionary(many: list[list[Key]]) -> None:
    names, known = Names(), dict[Key, int]()
    for keys in many:
        before = len(known)
        expected = [known.setdefault(key, len(known)) for key in keys]
        found, new = numbered(names, encode(keys))
        assert found == expected
        assert new == [encode(key) for key in list(known)[before:]]
        assert len(names) == len(known)


def test_many_names_stay_apart() -> None:
    names = Names()
    keys = [Key("device", f"d-{n}", "440111") for n in range(70_000)]
    assert numbered(names, encode(keys)) == (list(range(70_000)), list(map(encode, keys)))
    assert numbered(names, encode(keys[::-1])) == (list(range(70_000))[::-1], [])


@given(
    st.lists(
        st.lists(st.text(max_size=3), max_size=4)
        | st.integers(-5, 1 << 40)
        | st.none()
        | st.lists(st.binary(max_size=3), min_size=3, max_size=3),
        max_size=4,
    )
    | st.dictionaries(st.text(), st.text())
    | st.text()
)
def test_what_is_no_list_of_names_is_refused(junk: Any) -> None:
    packed, names = encode(junk), Names()
    try:
        keys = msgspec.convert(junk, list[Key], strict=True)
    except msgspec.ValidationError:
        with pytest.raises(ValueError, match="no list of names"):
            count_names(packed)
        with pytest.raises(ValueError, match="no list of names"):
            names.number(packed, np.empty(0, np.int64))
        assert len(names) == 0
    else:
        assert numbered(names, packed)[0] == [list(dict.fromkeys(keys)).index(k) for k in keys]


@given(lists, st.data())
def test_a_list_that_is_cut_off_or_goes_on_is_refused(
    many: list[list[Key]], data: st.DataObject
) -> None:
    whole = encode([key for keys in many for key in keys][:9])
    part = whole[: data.draw(st.integers(0, len(whole) - 1))]
    for other in (part, whole + b"\x00"):
        with pytest.raises(ValueError, match="no list of names"):
            count_names(other)


def test_names_go_to_as_many_places_as_there_are() -> None:
    names = Names()
    with pytest.raises(ValueError, match="another number"):
        names.number(encode([Key("a", "b", "c")]), np.empty(2, np.int64))
    assert len(names) == 0


def test_packed_keys_are_read_as_keys() -> None:
    keys = [Key("device", f"水-{n}", "4401") for n in range(20)]
    packed = PackedKeys.of(keys)
    assert list(packed) == keys
    assert packed[3:5] == keys[3:5]
    assert packed[-1] == keys[-1]
    with pytest.raises(ValueError, match="no list of names"):
        PackedKeys(encode([1]))
