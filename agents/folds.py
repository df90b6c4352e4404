"""Signs in one lane: where an event's rows go, and the panes they wait in.  Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from agents.plan import FoldedSign, StreamPlan
from agents.readers import Key, base_key
from schemas.signs import SampledSign
from streams.cuts import Partial, Row
from streams.frozen import Blocks, Frozen, grouped, load_blocks, under
from streams.stores import Row as StoreRow
from streams.stores import Store
from streams.timeline import BEFORE_ALL

_keys = msgspec.msgpack.Decoder(tuple[list[Key], list[str]]).decode


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


class Fold:
    """One sign in one lane: its store and the slots of its keys.

    Parameters
    ----------
    plan
        The compiled sign.
    store
        Where its rows wait; a new one of the sign's kind if not given.
    """

    def __init__(self, plan: FoldedSign, store: Store | None = None) -> None:
        self.plan = plan
        self.store: Store = plan.store() if store is None else store
        self.by_device = isinstance(plan.sign, SampledSign) and plan.sign.topic != "orders"
        self.slots: dict[tuple[str, ...], int] = {}
        self.keys: list[Key] = []
        self._devices: list[str] = []
        self._blocks = Blocks()

    def slot(self, key: Key, device: str = "") -> int:
        """The slot of a key; of each of its devices, where these are sampled."""
        name = (*key, device) if self.by_device else key
        slot = self.slots.get(name)
        if slot is None:
            slot = self.slots[name] = len(self.keys)
            self.keys.append(key)
            if self.by_device:
                self._devices.append(device)
        return slot

    def close_until(self, watermark: int, *, ending: bool) -> list[Partial]:
        """Partials of the panes that no later row of the lane can change."""
        partials = []
        for start, late, rows in self.store.close_until(watermark, ending=ending):
            merged: dict[Key, Any] = {}
            for slot, state in rows:
                key = self.keys[slot]
                known = merged.get(key)
                merged[key] = state if known is None else self.plan.family.merge(known, state)
            if merged:
                named = [Row(*key, state) for key, state in sorted(merged.items())]
                n = sum(row.state[0] for row in named if row.state[1] >= start)
                partials.append(Partial(self.plan.sign.id, start, late, n, named))
        return partials

    def freeze(self, *, whole: bool) -> Frozen:
        keys = self._blocks.freeze([self.keys, self._devices], whole=whole)
        return {**under("keys", keys), **under("store", self.store.freeze(whole=whole))}

    def load(self, store: int, parts: Mapping[str, bytes]) -> None:
        groups = grouped(parts)
        # The lists stay the same objects: what feeds the store may hold them.
        self.keys.clear()
        self._devices.clear()
        for keys, devices in load_blocks(groups.get("keys", {}), _keys):
            self.keys += keys
            self._devices += devices
        names: Iterable[tuple[str, ...]] = self.keys
        if self.by_device:
            names = ((*key, device) for key, device in zip(self.keys, self._devices, strict=True))
        self.slots = {name: slot for slot, name in enumerate(names)}
        self._blocks.loaded(len(self.keys))
        self.store.load(store, groups.get("store", {}))


class Router:
    """The signs of one stream in one lane: every event goes to those that take it.

    Parameters
    ----------
    plan
        The signs, and the fields that decide where an event's rows go.
    """

    def __init__(self, plan: StreamPlan) -> None:
        self.plan = plan
        self.folds = [Fold(sign) for sign in plan.signs]
        self._routes: dict[Any, Route] = {}
        self._route_key = plan.route_key

    def takers(self, event: Any) -> Route:
        """The stores, slots and measures of the signs that take events like this one."""
        name = self._route_key(event)
        route = self._routes.get(name)
        if route is None:
            route = self._routes[name] = self._find(event)
        return route

    def fold(self, event: Any, t: int, covered: int, watermark: int = BEFORE_ALL) -> bool:
        """Give the event's rows to their signs; whether any took it.

        Parameters
        ----------
        t, covered
            Event time, and the ms the event speaks for; int64.
        watermark
            The lane's, before the event: some signs count what is late when it comes.
        """
        taken = False
        for add, slot, measure, at_arrival, _ in self.takers(event):
            pair = measure(event)
            if pair is not None:
                at = watermark if at_arrival and t < watermark else t
                add((at, slot, pair[0], pair[1], covered))
                taken = True
        return taken

    def _find(self, event: Any) -> Route:
        device_field = self.plan.device
        device = getattr(event, device_field) if device_field else ""
        return [
            Taker(
                fold.store.add,
                fold.slot(key, device),
                fold.plan.measure,
                fold.plan.at_arrival,
                fold,
            )
            for fold in self.folds
            if fold.plan.matches(event)
            if (key := base_key(fold.plan.sign.base, device_field, event, fold.plan.dimension))
        ]

    def reset(self) -> None:
        """Forget where rows go: slots were loaded anew."""
        self._routes.clear()
