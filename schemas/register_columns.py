"""What stands in each column of the register's file, and what is wrong with it, for people."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import msgspec

from schemas.devices import KINDS, NOISE_ZONES, Kinds
from schemas.places import normalise
from schemas.spelling import guess
from schemas.times import epoch_ms

DEEPEST_WELL_M = 100.0
"""Proposal: beyond it a depth is in another unit."""
LONGEST_PERIOD_S = 2_678_400.0
"""31 days, as in a reading's own ``period_s``."""
LONGEST_GUESS = 40
"""Characters of a word that are looked at: likeness takes the product of the lengths in time."""

_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,3})?", re.ASCII)
_SIGNED = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,3})?", re.ASCII)
_ROUNDED = re.compile(r"[0-9]([.,][0-9]+)?[Ee]\+[0-9]+", re.ASCII)


def fault_of_kind(kind: str, topic: str | None, kinds: Kinds) -> str | None:
    """What is wrong with a kind, given its topic where that is known."""
    names = [topic] if topic else list(kinds)
    if any(kind in kinds[name] for name in names):
        return None
    if not kind:
        return "is empty: name the metric, or the kind of observation"
    for name, known_kinds in kinds.items():
        if kind in known_kinds:
            return f"{kind} is of the topic {name}, not of {topic}"
    what = "kind of observation" if names == ["traffic"] else "metric"
    known = [known for name in names for known in kinds[name]]
    return f"unknown {what}{likely(kind, known) or ': use one of ' + ', '.join(known)}"


def likely(word: str, known: Iterable[str]) -> str:
    """A question for a person who may have meant a known word, however long theirs is."""
    return guess(word[:LONGEST_GUESS], known)


def _text(most: int) -> Callable[[str], str]:
    def make(text: str) -> str:
        if len(text) > most:
            raise ValueError(f"has {len(text)} characters: events have at most {most}")
        return text

    return make


def _device(text: str) -> str:
    if not text:
        raise ValueError("is empty: name the device as its events do")
    return _text(64)(text)


def _word(choices: Iterable[str]) -> Callable[[str], str]:
    # The words themselves, so that all rows share them.
    words = {word: word for word in choices}
    listed = ", ".join(word or "nothing" for word in words)

    def make(text: str) -> str:
        if text not in words:
            raise ValueError(f"expected one of {listed}{likely(text, words) if text else ''}")
        return words[text]

    return make


def _place(text: str) -> str:
    if _ROUNDED.fullmatch(text):
        raise ValueError("was rounded by a spreadsheet: export the column as text")
    return normalise(text)


def _time(text: str) -> int:
    try:
        moment = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        moment = None
    if moment is None or moment.tzinfo is None:
        example = "2026-05-22T06:41:30+08:00"
        raise ValueError(f"expected a time with its offset, such as {example}, or nothing")
    return epoch_ms(moment)


def _since(text: str) -> int:
    return _time(text) if text else 0


def _until(text: str) -> int | None:
    return _time(text) if text else None


def _decimal(least: float, most: float, unit: str) -> Callable[[str], float | None]:
    def make(text: str) -> float | None:
        if not text:
            return None
        if not _DECIMAL.fullmatch(text) or not least <= float(text) <= most:
            raise ValueError(
                f"expected {unit} from {least:g} to {most:,g} with at most 3 decimals, or nothing"
            )
        return float(text)

    return make


def _limit(text: str) -> float | None:
    if not text:
        return None
    if not _SIGNED.fullmatch(text):
        raise ValueError(
            "expected a number in the unit of the kind with at most 9 digits and 3 decimals, or "
            "nothing"
        )
    return float(text) + 0.0


MAKE: dict[str, Callable[[str], Any]] = {
    "device": _device,
    "topic": _word(KINDS),
    "kind": str,
    "platform": _text(64),
    "place": _place,
    "site": _text(64),
    "site_type": _text(32),
    "period_s": _decimal(0, LONGEST_PERIOD_S, "seconds"),
    "since": _since,
    "until": _until,
    "well_depth_m": _decimal(0.001, DEEPEST_WELL_M, "metres"),
    "noise_zone": _word(NOISE_ZONES),
    "medium": _text(32),
    "limit": _limit,
}
"""What each column's text becomes; raises ValueError with words for people."""
