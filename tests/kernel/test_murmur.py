"""The hash of keys against that of another client."""

from __future__ import annotations

from aiokafka.partitioner import murmur2 as known  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from ext.murmur import murmur2


@given(st.binary(max_size=40))
def test_keys_have_the_hash_that_kafkas_clients_give_them(key: bytes) -> None:
    assert murmur2(key) == known(key)
