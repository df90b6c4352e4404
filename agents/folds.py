"""Signs in one lane: where an event's rows go, and the panes they wait in.  Pure."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec
import numpy as np

from agents.heard import Heard
from agents.measures import extremes_of, of_value
from agents.plan import FoldedSign, StreamPlan
from agents.readers import base_key, samples_of
from schemas.signs import SampledSign, WindowSign
from schemas.words import BY
from streams.cuts import Key, Partial
from streams.frozen import Blocks, Frozen, decode_packed, grouped, load_blocks, under
from streams.heads import Flags, heads_of
from streams.stores import PaneStore, SampledStore, Store
from streams.stores import Row as StoreRow
from streams.timeline import BEFORE_ALL

_keys = msgspec.msgpack.Decoder(tuple[list[Key]]).decode


_MOST_KINDS = 1 << 12


_LIMIT = -1
"""What a row covers that states a limit of the values of the row before it."""


def _shared_out(covered: int, samples: int) -> Sequence[int]:
    """The ms of each of many samples: their mean counts as each of them would.

    >>> _shared_out(1000, 3)
    [333, 333, 334]
    """
    cuts = (covered * i // samples for i in range(samples + 1))
    return [end - start for start, end in pairwise(cuts)]


class Taker(NamedTuple):
    """A sign that takes events of one kind: where their rows go, and what it measures.

    ``at_arrival`` where what is late counts when it comes.
    """

    add: Callable[[StoreRow], None]
    slot: int
    measure: Callable[[Any], Any]
    at_arrival: bool
    fold: Fold


Route = list[Taker]


def thing_of(key: Key, device: str) -> str:
    """What is at one place at a time: a device, or what it says of one thing that divides keys.

    >>> thing_of(Key("grid", "440111001001001", "440111001001001"), "bus-7")
    'bus-7'
    >>> thing_of(Key("cls*street", "smoke*440111001", "440111001"), "camera-9")
    'smoke*camera-9'
    """
    divided = key.key.rpartition(BY)[0] if BY in key.level else ""
    return f"{divided}{BY}{device}" if divided else device


class Room:
    """What the signs of one lane share: how many more keys they may have, and how far it was cut.

    Attributes
    ----------
    left
        Keys that there is still room for.
    cut_at
        The watermark of the lane's last cut, int64 ms: signs without a key take no part in cuts.
    """

    def __init__(self, keys: int) -> None:
        self.left = keys
        self.cut_at = BEFORE_ALL


_Based = tuple[str, str | None, list["Fold"]]
"""Signs of one base and dimension: their rows go to the same key."""


class Fold:
    """One sign in one lane: its store and the slots of its keys.

    Parameters
    ----------
    plan
        The compiled sign.
    store
        Where its rows wait; a new one of the sign's kind if not given.
    room
        What its keys are taken off.
    """

    def __init__(
        self, plan: FoldedSign, store: Store | None = None, room: Room | None = None
    ) -> None:
        self.plan = plan
        self.room = Room(0) if room is None else room
        self.store: Store = plan.store() if store is None else store
        self.by_device = isinstance(plan.sign, SampledSign) and plan.sign.topic != "orders"
        self.stated = isinstance(plan.sign, WindowSign) and plan.measure is of_value
        self.slots: dict[tuple[str, ...], int] = {}
        self.keys: list[Key] = []
        self._key_of = array("q")
        """The number of each slot's key: a key is sampled from several devices."""
        self._numbers: dict[Key, int] = {}
        self._things: dict[str, int] = {}
        """The numbers of what moves, and so has several slots."""
        self._devices: list[str] = []
        self._heard: Heard | None = None
        self._blocks = (Blocks(), Blocks(), Blocks())

    def slot(self, key: Key, device: str = "") -> int:
        """The slot of a key; of each of its devices, where these are sampled."""
        name = (*key, device) if self.by_device else key
        slot = self.slots.get(name)
        if slot is None:
            if not self.slots and self.room.cut_at > BEFORE_ALL:
                self.store.close_until(self.room.cut_at, self._key_of)
                self.turn(self.room.cut_at)
            slot = self.slots[name] = len(self.slots)
            self.room.left -= 1
            if self.by_device:
                self._devices.append(device)
                self._key_of.append(self._number(key))
                self._note_thing(key, device)
            else:
                self.keys.append(key)
        return slot

    def has(self, key: Key, device: str) -> bool:
        """Whether a key has a slot."""
        return ((*key, device) if self.by_device else key) in self.slots

    def _number(self, key: Key) -> int:
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.keys)
            self.keys.append(key)
        return number

    def _note_thing(self, key: Key, device: str) -> None:
        """Tell the store what the newest slot is of, if it may be elsewhere next."""
        if isinstance(self.store, SampledStore) and self.store.things is not None:
            name = thing_of(key, device)
            self.store.things.append(self._things.setdefault(name, len(self._things)))

    def _note_things(self) -> None:
        """Tell the store anew what its slots are of."""
        if isinstance(self.store, SampledStore) and self.store.things is not None:
            self.store.things = array("q")
            self._things.clear()
            for number, device in zip(self._key_of, self._devices, strict=True):
                self._note_thing(self.keys[number], device)

    def close_until(self, watermark: int, *, ending: bool) -> list[Partial]:
        """Partials of the panes that no later row of the lane can change."""
        partials = []
        for start, late, cells in self.store.close_until(watermark, self._key_of, ending=ending):
            if len(cells):
                if self._heard is not None and not self.by_device:
                    self._heard.note(heads_of(cells).id)
                n = cells.count_rows(since=start)
                partials.append(Partial(self.plan.sign.id, start, late, n, self.keys, cells))
        return partials

    def note_silence(self) -> None:
        """From the beginning on, note which keys are silent, so that they can be dropped."""
        self._heard = Heard(self.plan.forget_ms)

    def turn(self, watermark: int) -> bool:
        """Whether it is time to look for silent keys, by a watermark in int64 ms."""
        return self._heard is not None and self._heard.turn(watermark)

    @property
    def _forgetful(self) -> PaneStore | SampledStore:
        """The store, whose keys may be forgotten; those of orders are not."""
        assert isinstance(self.store, PaneStore | SampledStore)
        return self.store

    def gone(self) -> Flags:
        """Slots that no row waits for, and that were silent for as long as the sign remembers."""
        used = self._forgetful.used(len(self.slots))
        if self._heard is not None and not self.by_device:
            used |= self._heard.flags(len(self.slots))
        return ~used

    def drop(self, gone: Flags) -> None:
        """Forget these slots; the others are numbered anew, in the same order."""
        kept = np.flatnonzero(~gone)
        renamed = np.full(len(gone), -1, np.int64)
        renamed[kept] = np.arange(len(kept))
        self.room.left += len(gone) - len(kept)
        names, slots = list(self.slots), kept.tolist()
        self.slots = {names[slot]: new for new, slot in enumerate(slots)}
        # Partials that were cut before go on to name theirs in the old list.
        if self.by_device:
            self._devices = [self._devices[slot] for slot in slots]
            of_slots = np.frombuffer(self._key_of, np.int64)[kept]
            numbers, of_kept = np.unique(of_slots, return_inverse=True)
            self._key_of = array("q", of_kept.astype(np.int64).tobytes())
            self.keys = [self.keys[number] for number in numbers.tolist()]
            self._numbers = {key: number for number, key in enumerate(self.keys)}
            self._note_things()
        else:
            self.keys = [self.keys[slot] for slot in slots]
            if self._heard is not None:
                self._heard.keep(kept)
        self._forgetful.rename(renamed)
        for blocks in self._blocks:
            blocks.clear()

    def freeze(self, *, whole: bool) -> Frozen:
        keys, devices, numbers = self._blocks
        parts = under("keys", keys.freeze([self.keys], whole=whole))
        if self.by_device:
            parts.update(under("devices", devices.freeze([self._devices], whole=whole)))
            packed = numbers.freeze_packed(len(self._key_of), self._packed, whole=whole)
            parts.update(under("numbers", packed))
        if self._heard is not None and self._heard.any:
            changed = whole or self._heard.changed
            parts["heard"] = partial(bytes, self._heard.packed()) if changed else None
            self._heard.changed = False
        return {**parts, **under("store", self.store.freeze(whole=whole))}

    def _packed(self, first: int, end: int) -> bytes:
        return self._key_of[first:end].tobytes()

    def dump(self) -> tuple[int, int]:
        """What stands beside the parts of `freeze`."""
        return self.store.dump(), BEFORE_ALL if self._heard is None else self._heard.period

    def load(self, state: tuple[int, int], parts: Mapping[str, bytes]) -> None:
        (store, period), groups = state, grouped(parts)
        # The lists stay the same objects: what feeds the store may hold them.
        self.keys.clear()
        self._devices.clear()
        for (keys,) in load_blocks(groups.get("keys", {}), _keys):
            self.keys += keys
        names: Iterable[tuple[str, ...]] = self.keys
        if self.by_device:
            for (devices,) in load_blocks(groups.get("devices", {})):
                self._devices += devices
            self._key_of = array("q")
            self._key_of.frombytes(decode_packed(groups.get("numbers", {})))
            self._numbers = {key: number for number, key in enumerate(self.keys)}
            pairs = zip(self._key_of, self._devices, strict=True)
            names = ((*self.keys[number], device) for number, device in pairs)
            self._note_things()
        self.room.left += len(self.slots)
        self.slots = {name: slot for slot, name in enumerate(names)}
        self.room.left -= len(self.slots)
        for blocks, count in zip(
            self._blocks, (len(self.keys), *[len(self._devices)] * 2), strict=True
        ):
            blocks.loaded(count)
        if self._heard is not None:
            self._heard.load(period, parts.get("heard", b""))
        self.store.load(store, groups.get("store", {}))


class Router:
    """The signs of one stream in one lane: every event goes to those that take it.

    Parameters
    ----------
    plan
        The signs, and the fields that decide where an event's rows go.
    room
        What the keys of all of them are taken off.
    """

    def __init__(self, plan: StreamPlan, room: Room | None = None) -> None:
        self.plan = plan
        self.folds = [Fold(sign, room=room) for sign in plan.folds]
        self._kinds: dict[Any, list[_Based]] = {}

    def takers(self, event: Any) -> Route:
        """The stores, slots and measures of the signs that take events like this one."""
        device_field = self.plan.device
        device = getattr(event, device_field) if device_field else ""
        found: Route = []
        for base, dimension, folds in self._folds_of(event):
            key = base_key(base, device_field, event, dimension)
            for fold in folds:
                plan = fold.plan
                slot = fold.slot(key, device)
                found.append(Taker(fold.store.add, slot, plan.measure, plan.at_arrival, fold))
        return found

    def slots(self, event: Any) -> list[int]:
        """The slots of the signs that take events like this one, in the order of `takers`."""
        device_field = self.plan.device
        device = getattr(event, device_field) if device_field else ""
        return [
            fold.slot(key, device)
            for base, dimension, folds in self._folds_of(event)
            for key in (base_key(base, device_field, event, dimension),)
            for fold in folds
        ]

    def new_keys(self, event: Any) -> int:
        """How many keys an event would add."""
        device_field = self.plan.device
        device = getattr(event, device_field) if device_field else ""
        return sum(
            not fold.has(key, device)
            for base, dimension, folds in self._folds_of(event)
            for key in (base_key(base, device_field, event, dimension),)
            for fold in folds
        )

    def _folds_of(self, event: Any) -> list[_Based]:
        """The signs that match the event: events of one kind have the same."""
        kind = self.plan.kind_of(event)
        found = self._kinds.get(kind)
        if found is None:
            if len(self._kinds) >= _MOST_KINDS:
                self._kinds.clear()
            groups: dict[tuple[str, str | None], list[Fold]] = {}
            for fold in self.folds:
                if fold.plan.matches(event):
                    groups.setdefault((fold.plan.sign.base, fold.plan.dimension), []).append(fold)
            found = self._kinds[kind] = [(*base, folds) for base, folds in groups.items()]
        return found

    def fold(
        self,
        event: Any,
        t: int,
        covered: int,
        watermark: int = BEFORE_ALL,
        route: Route | None = None,
    ) -> bool:
        """Give the event's rows to their signs; whether any took it.

        Parameters
        ----------
        route
            The signs that take it, if they are known.
        t, covered
            Event time, and the ms the event speaks for; int64.
        watermark
            The lane's, before the event: some signs count what is late when it comes.
        """
        taken, samples, stated = False, samples_of(event), extremes_of(event)
        parts = (covered,) if samples == 1 else _shared_out(covered, samples)
        for add, slot, measure, at_arrival, fold in self.takers(event) if route is None else route:
            pair = measure(event)
            if pair is not None:
                at = watermark if at_arrival and t < watermark else t
                for part in parts:
                    add((at, slot, pair[0], pair[1], part))
                if stated and fold.stated:
                    for value in stated:
                        add((at, slot, value, 0, _LIMIT))
                taken = True
        return taken
