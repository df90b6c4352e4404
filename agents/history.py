"""What signs said at past window ends, kept for the derived signs that read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from agents.entries import Entry, KeyName
from streams.frozen import Frozen, decode_rows, encode_rows, grouped

Entries = dict[KeyName, Entry]


class History:
    """Entries of one sign by window end: as first said, and as corrected by late events."""

    def __init__(self) -> None:
        self._first: dict[int, Entries] = {}
        self._final: dict[int, Entries] = {}
        self._changed: set[tuple[str, int]] = set()

    def note(self, end: int, entries: Iterable[Entry], *, final: bool = False) -> None:
        kept = (self._final if final else self._first).setdefault(end, {})
        kept.update((e.name, e) for e in entries)
        self._changed.add(("final" if final else "first", end))

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

    def freeze(self, *, whole: bool = False) -> Frozen:
        """Parts by window end."""
        parts: Frozen = {}
        for view, ends in self._views():
            for end, entries in ends.items():
                changed = whole or (view, end) in self._changed
                kept = list(entries.values())
                parts[f"{view}/{end}"] = partial(encode_rows, kept) if changed else None
        self._changed.clear()
        return parts

    def load(self, parts: Mapping[str, bytes]) -> None:
        groups = grouped(parts)
        for view, ends in self._views():
            for end, part in groups.get(view, {}).items():
                entries = map(Entry._make, decode_rows(part))
                ends[int(end)] = {entry.name: entry for entry in entries}

    def _views(self) -> tuple[tuple[str, dict[int, Entries]], ...]:
        return ("first", self._first), ("final", self._final)
