"""What signs said at past window ends, kept for the derived signs that read it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from agents.entries import Entry, KeyName

Entries = dict[KeyName, Entry]


class History:
    """Entries of one sign by window end: as first said, and as corrected by late events."""

    def __init__(self) -> None:
        self._first: dict[int, Entries] = {}
        self._final: dict[int, Entries] = {}

    def note(self, end: int, entries: Iterable[Entry], *, final: bool = False) -> None:
        kept = (self._final if final else self._first).setdefault(end, {})
        kept.update((e.name, e) for e in entries)

    def at(self, end: int, *, final: bool) -> Entries:
        """Entries at an end; with ``final``, corrections stand over what was said first."""
        first = self._first.get(end, {})
        changed = self._final.get(end) if final else None
        return {**first, **changed} if changed else first

    def prune(self, before: int) -> None:
        """Drop ends below ``before`` (ms)."""
        for entries in (self._first, self._final):
            for end in [end for end in entries if end < before]:
                del entries[end]

    def dump(self) -> list[Any]:
        return [
            [[end, [list(e) for e in entries.values()]] for end, entries in view.items()]
            for view in (self._first, self._final)
        ]

    def load(self, data: list[Any]) -> None:
        self._first, self._final = (
            {end: {e.name: e for e in map(Entry._make, entries)} for end, entries in view}
            for view in data
        )
