"""The keys of one sign in the assess task, numbered: where each is, and since when it is heard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

import msgspec
import numpy as np

from agents.entries import KeyName
from agents.islands import Island, reaching
from streams.frozen import Blocks, Frozen, grouped, load_blocks, under
from streams.heads import Flags, Ints
from streams.timeline import AFTER_ALL, BEFORE_ALL

Places = tuple[tuple[int, str], ...]
"""``(start of the first pane, place)`` of a key, the newest last."""

_names = msgspec.msgpack.Decoder(tuple[list[tuple[str, str]]]).decode
_known = msgspec.msgpack.Decoder(
    tuple[bytes, bytes, bytes, bytes, dict[int, tuple[Island, ...]], dict[int, Places]]
).decode


class PlaceCodes:
    """Places as numbers that have the same order.

    >>> codes = PlaceCodes()
    >>> codes.of("4401") < codes.of("440111") < codes.of("4402"), codes.place(codes.of("440111"))
    (True, '440111')
    """

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._places: dict[int, str] = {}

    def of(self, place: str) -> int:
        code = self._codes.get(place)
        if code is None:
            code = 0
            for digit in place.ljust(15, "/"):  # the sign before "0"
                code = code * 11 + ord(digit) - ord("/")
            self._codes[place], self._places[code] = code, place
        return code

    def place(self, code: int) -> str:
        place = self._places.get(code)
        if place is None:
            digits, left = "", code
            while left:
                left, digit = divmod(left, 11)
                digits = chr(digit + ord("/")) + digits
            place = self._places[code] = digits.rstrip("/")
        return place

    def places(self, codes: Ints) -> list[str]:
        return list(map(self.place, codes.tolist()))


class KeyTable:
    """Keys by number.

    A key's *island* is the stretch of panes in which it was never silent for as long as it is
    remembered; of its islands the newest stands in the columns.

    Attributes
    ----------
    first, last
        Starts of the first and the last pane of the newest island, int64 ms.
    alive
        Whether it was heard of late.
    place
        Where it is, as a number of `PlaceCodes`.
    """

    def __init__(self, codes: PlaceCodes, pane_ms: int, forget_ms: int) -> None:
        self.codes, self.pane_ms, self.forget_ms = codes, pane_ms, forget_ms
        self.names: list[KeyName] = []
        self._texts = np.empty((2, 0), np.object_)
        """Name and place of each key."""
        self._numbers: dict[KeyName, int] = {}
        self._older: dict[int, tuple[Island, ...]] = {}
        self._moves: dict[int, Places] = {}
        self._order: Ints = np.zeros(0, np.int64)
        self._blocks = Blocks()
        self._frozen = 0
        self.first = self.last = self.place = np.zeros(0, np.int64)
        self.alive = np.zeros(0, np.bool_)

    def __len__(self) -> int:
        return len(self.names)

    def number(self, name: KeyName) -> int:
        """The number of a key, given to it if it has none."""
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self.names)
            self.names.append(name)
            if number >= len(self.first):
                self._widen(max(64, 2 * number))
            self._texts[0, number] = name
        return number

    def find(self, name: KeyName) -> int | None:
        """The number of a key, if it has one."""
        return self._numbers.get(name)

    def _widen(self, room: int) -> None:
        more = room - len(self.first)
        self.first = np.concatenate((self.first, np.full(more, AFTER_ALL)))
        self.last = np.concatenate((self.last, np.full(more, BEFORE_ALL)))
        self.place = np.concatenate((self.place, np.zeros(more, np.int64)))
        self.alive = np.concatenate((self.alive, np.zeros(more, np.bool_)))
        self._texts = np.concatenate((self._texts, np.empty((2, more), np.object_)), axis=1)

    @property
    def order(self) -> Ints:
        """All numbers in the order of the keys' names."""
        count = len(self.names)
        if len(self._order) < count:
            numbers = [*self._order.tolist(), *range(len(self._order), count)]
            numbers.sort(key=self.names.__getitem__)
            self._order = np.array(numbers, np.int64)
        return self._order

    def in_order(self, flags: Flags) -> Ints:
        """The numbers that are flagged, in the order of the keys' names."""
        order = self.order
        return order[flags[order]]

    def texts(self, numbers: Ints) -> tuple[list[KeyName], list[str]]:
        """Names of keys, and where they are."""
        names, places = self._texts[:, numbers].tolist()
        return names, places

    def hear(self, numbers: Ints, places: Ints, start: int, kept_from: int) -> None:
        """Note that keys were heard in a pane that is later than all before it.

        Parameters
        ----------
        kept_from
            The first pane, int64 ms, of which a correction can still ask where a key was.
        """
        last = self.last[numbers]
        known = last > BEFORE_ALL
        anew = ~known | (start - last - self.pane_ms > self.forget_ms)
        for number in numbers[anew & known].tolist():
            island = (int(self.first[number]), int(self.last[number]))
            asked = kept_from - self.forget_ms - self.pane_ms
            older = (each for each in self._older.get(number, ()) if each[1] >= asked)
            self._older[number] = (*older, island)
        self.first[numbers[anew]] = start
        self.last[numbers] = start
        other = self.place[numbers] != places
        self._texts[1, numbers[other]] = self.codes.places(places[other])
        moved = numbers[known & other]
        before = dict(zip(moved.tolist(), self.place[moved].tolist(), strict=True))
        self.place[numbers] = places
        for number, place in before.items():
            self._move(number, place, start, kept_from)
        self.alive[numbers] = True

    def _move(self, number: int, before: int, start: int, kept_from: int) -> None:
        """Note where the key is from a pane on, as far back as a correction can ask."""
        moves = self._moves.get(number, ((BEFORE_ALL, self.codes.place(before)),))
        moves = (*moves, (start, self.codes.place(int(self.place[number]))))
        while len(moves) > 1 and moves[1][0] < kept_from:
            moves = moves[1:]
        self._moves[number] = moves

    @property
    def any_alive(self) -> bool:
        """Whether any key was heard of late."""
        return bool(self.alive.any())

    def quieten(self, end: int) -> bool:
        """Let keys that were silent for too long by a window's end be alive no more; if any."""
        count = len(self.names)
        silent = self.alive[:count] & (end - self.last[:count] - self.pane_ms > self.forget_ms)
        self.alive[:count][silent] = False
        return bool(silent.any())

    def place_at(self, number: int, end: int) -> int:
        """Where the key's newest row before a window's end was."""
        moves = self._moves.get(number)
        if moves is None:
            return int(self.place[number])
        return self.codes.of(next(place for start, place in reversed(moves) if start < end))

    def places_at(self, numbers: Ints, end: int) -> Ints:
        """Where keys were before a window's end."""
        places = self.place[numbers]
        if self._moves:
            for i, number in enumerate(numbers.tolist()):
                if number in self._moves:
                    places[i] = self.place_at(number, end)
        return places

    def reaching(self, numbers: Ints, end: int) -> tuple[Flags, Ints]:
        """Of which keys an island reaches to a window's end, and where that one begins, ms."""
        first, last = self.first[numbers], self.last[numbers]
        found = (first < end) & (end - last - self.pane_ms <= self.forget_ms)
        if self._older:
            for i, number in enumerate(numbers.tolist()):
                older = self._older.get(number)
                if older is not None and first[i] >= end:
                    island = reaching(older, end, self.pane_ms, self.forget_ms)
                    found[i] = island is not None
                    first[i] = AFTER_ALL if island is None else island[0]
        return found, first

    def silent(self, before: int) -> Flags:
        """Keys that were last heard in a pane before that, int64 ms."""
        count = len(self.names)
        return (self.last[:count] < before) & ~self.alive[:count]

    def gone(self, before: int, used: Iterable[Ints]) -> Flags:
        """Keys that were last heard in a pane before that, int64 ms, and have no cell."""
        found = self.silent(before)
        for numbers in used:
            found[numbers] = False
        return found

    def drop(self, gone: Flags) -> Ints:
        """Forget keys; the new number of each old one, -1 of those that are gone."""
        kept = np.flatnonzero(~gone)
        renamed = np.full(len(self.names), -1, np.int64)
        renamed[kept] = np.arange(len(kept))
        self.names = [self.names[number] for number in kept.tolist()]
        self._numbers = {name: number for number, name in enumerate(self.names)}
        self.first, self.last, self.place = self.first[kept], self.last[kept], self.place[kept]
        self.alive = self.alive[kept]
        old = {number: new for new, number in enumerate(kept.tolist())}
        self._older = {old[n]: islands for n, islands in self._older.items() if n in old}
        self._moves = {old[n]: moves for n, moves in self._moves.items() if n in old}
        self._order = np.zeros(0, np.int64)
        self._texts = self._texts[:, kept]
        self._blocks.clear()
        return renamed

    def freeze(self, *, whole: bool, changed: bool) -> Frozen:
        """The names, and what is known of them, if that has changed."""
        parts = under("names", self._blocks.freeze([self.names], whole=whole))
        if self.names:
            changed = whole or changed or len(self.names) != self._frozen
            parts["known"] = partial(bytes, self._known()) if changed else None
        self._frozen = len(self.names)
        return parts

    def _known(self) -> bytes:
        count = len(self.names)
        columns = (self.first, self.last, self.place, self.alive)
        packed = [column[:count].tobytes() for column in columns]
        return msgspec.msgpack.encode((*packed, self._older, self._moves))

    def load(self, parts: Mapping[str, bytes]) -> None:
        """Take over a freeze in an empty table."""
        groups = grouped(parts)
        for (names,) in load_blocks(groups.get("names", {}), _names):
            for name in names:
                self.number(name)
        if "known" not in parts:
            return
        first, last, place, alive, self._older, self._moves = _known(parts["known"])
        count = len(first) // 8
        columns = (self.first, self.last, self.place)
        for column, packed in zip(columns, (first, last, place), strict=True):
            column[:count] = np.frombuffer(packed, np.int64)
        self.alive[:count] = np.frombuffer(alive, np.bool_)
        placed = np.flatnonzero(self.place)
        self._texts[1, placed] = self.codes.places(self.place[placed])
        self._blocks.loaded(len(self.names))
        self._frozen = len(self.names)
