"""De-duplication: what a lane admits, before and after it was frozen and loaded."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams import frozen
from streams.identity import LATE, NEW, REPEAT, Admission, Identity, Seen
from tests.kept import Parts, encoded, kept

MINUTE = 60_000


class PlainSeen:
    """Every event that was new, for good."""

    def __init__(self) -> None:
        self.times: dict[Identity, int] = {}

    def admit(self, identity: Identity | None, t: int, oldest: int) -> Admission:
        if identity is not None and self.times.get(identity, oldest - 1) >= oldest:
            return REPEAT
        if t < oldest:
            return LATE
        if identity is not None:
            self.times[identity] = t
        return NEW


def arrivals(rng: Random, count: int) -> list[tuple[Identity | None, int, int]]:
    """``(identity, t, oldest)`` in the order of a lane: few identities, times that jump about."""
    found: list[tuple[Identity | None, int, int]] = []
    oldest = 0
    for _ in range(count):
        oldest += rng.choice((0, 0, 0, 1, 9_000, 70_000))
        t = oldest + rng.choice((-1, 0, 1, 5_000, 59_999, 60_000, 200_000))
        sender = f"s{rng.randrange(6)}".encode()
        stated = t - rng.choice((0, 0, 0, 0, 0, 0, 0, 0, 0, 30_000))
        identity = rng.choice(
            (None, Identity(b"i", sender), Identity(sender, None, stated, rng.choice((-1, 7))))
        )
        found.append((identity, t, oldest))
    return found


def loaded(roams: bool, parts: Parts) -> Seen:
    seen = Seen()
    seen.load(roams, parts)
    return seen


@settings(deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from([1, 3, frozen.BLOCK]))
def test_what_is_kept_admits_as_if_unbroken(rng: Any, block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frozen, "BLOCK", block)
        seen, unbroken, plain, parts = Seen(), Seen(), PlainSeen(), Parts()
        for identity, t, oldest in arrivals(rng, 60):
            expected = plain.admit(identity, t, oldest)
            assert seen.admit(identity, t, oldest) is expected
            assert unbroken.admit(identity, t, oldest) is expected
            if rng.randrange(3) == 0:
                seen.forget(oldest)
                unbroken.forget(oldest)
            if rng.randrange(4) == 0:
                parts = kept(parts, seen.freeze(whole=rng.randrange(4) == 0))
                assert encoded(unbroken.freeze(whole=True)) == parts
                seen = loaded(seen.dump(), parts)
                assert encoded(seen.freeze(whole=True)) == parts
                assert set(seen.freeze().values()) <= {None}
                assert len(seen) == len(unbroken)


def test_what_was_noted_later_is_not_in_an_earlier_freeze() -> None:
    seen = Seen()
    seen.admit(Identity(b"a", None, 10), 10, oldest=0)
    early = seen.freeze()
    at_once = encoded(early)
    for t in (11, MINUTE, 3 * MINUTE):
        seen.admit(Identity(b"a", None, t), t, oldest=0)
    seen.forget(10 * MINUTE)
    assert encoded(early) == at_once
    assert len(loaded(False, at_once)) == 1


def test_minutes_that_are_over_are_not_named_any_more() -> None:
    seen, parts = Seen(), Parts()
    for minute in range(9):
        seen.admit(Identity(b"a", None, minute * MINUTE), minute * MINUTE, oldest=0)
        parts = kept(parts, seen.freeze())
    assert sorted(parts) == [f"{minute}/0" for minute in range(9)]
    seen.forget(7 * MINUTE)
    assert kept(parts, seen.freeze()) == {name: parts[name] for name in ("7/0", "8/0")}
    assert len(seen) == 2
