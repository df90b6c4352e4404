"""The first hop: records of one lane in, partials out.  Pure: no clock, no I/O.

Every event is checked, counted in exactly one bin and folded into panes at the base key of each
sign that takes it.  The watermark moves record by record, and panes are cut at the very record
that moves it past their end, so the cuts do not depend on how the log was chopped into chunks.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from agents.arrivals import Arrivals
from agents.folds import Room, Route, Router
from agents.gates import Teacher
from agents.hotline.desk import Desk
from agents.outputs import dead_letter, lane_accounting, late_event
from agents.own_signs import OwnSigns
from agents.plan import Plan, TopicPlan
from ext.gate import CUT, DONE, UNKNOWN, Gate
from ext.records import Values
from schemas.refusal import Refused
from schemas.shaping import decoder_of, legible_of
from streams.accounting import Accounting
from streams.cuts import BEGINNING, Cut, CutName, Partial
from streams.frozen import (
    HEAD,
    Frozen,
    SnapshotError,
    grouped,
    head,
    read_head,
    under,
)
from streams.heads import heads_of
from streams.identity import LATE, NEW, REPEAT, Seen
from streams.records import Chunk, Lane, Output
from streams.timeline import BEFORE_ALL, DAY_MS, MINUTE_MS, floor_to
from streams.watermark import Watermark


class IntakeStep(NamedTuple):
    """What a lane sends after one chunk or tick."""

    cuts: list[Cut]
    outputs: list[Output]


class StepError(Exception):
    """The core raised at one record: the shell stops, and quarantines it at the second time."""

    def __init__(self, lane: Lane, offset: int) -> None:
        super().__init__(f"{lane} offset {offset}: the engine failed at this record")
        self.lane, self.offset = lane, offset


FUTURE_MS = DAY_MS
"""An event further ahead of its record is refused: its pane would stay open till then."""

REDRIVE_HEADER = "x-redrive"
"""Says how often a record was taken back from the dead letters."""


def attempt_of(chunk: Chunk) -> int:
    """How often the records of a chunk have been tried, this time included."""
    return 1 + int(dict(chunk.headers).get(REDRIVE_HEADER, b"0"))


class Intake:
    """The state of one lane, and its step.

    Parameters
    ----------
    plan, lane
        The compiled configuration, and which input partition this is.
    """

    def __init__(self, plan: Plan, lane: Lane) -> None:
        self.lane = lane
        self.config = plan.config
        self.shards = plan.shards
        self.plan: TopicPlan = plan.topics[lane.topic]
        self.watermark = Watermark(self.plan.disorder_ms, self.plan.skew_ms)
        self.accounting = Accounting()
        self.next_offset = 0
        self.ticks = 0
        self.ended = False
        self.resumes = False
        """Whether records before the next one are lost."""
        self.announced = [0] * self.shards.count
        self._seen = Seen()
        self._previous: CutName = BEGINNING
        streams = self.plan.streams
        self.room = Room(self.plan.topic.most_keys)
        self._events = Router(streams[self.plan.topic.kind], self.room)
        self._arrivals = (
            Arrivals(plan, streams["arrivals"], self.plan.skew_ms, self.room)
            if streams.get("arrivals") and streams["arrivals"].signs
            else None
        )
        self.desk = Desk(plan, streams["orders"]) if "orders" in streams else None
        self._teacher = Teacher(self.plan, self._seen, self._events, self._arrivals)
        self._gate = self._teacher.gate
        self._folds = [
            *self._events.folds,
            *(self._arrivals.router.folds if self._arrivals else ()),
            *(self.desk.folds if self.desk else ()),
        ]
        if self.desk is None:
            for fold in self._folds:
                fold.note_silence()
        self._shared = plan.by_leader(plan.folded)
        self.own = OwnSigns(plan, lane) if plan.finished.get(lane.topic) else None
        # A topic without signs is cut by the minute all the same: it forgets as it goes.
        self._panes = sorted({f.store.pane_ms for f in self._folds} or {MINUTE_MS})
        self._next_cut = BEFORE_ALL
        # Looked up once: the hot path is a few µs an event.
        reader = self.plan.reader
        self._decode = decoder_of(
            reader.kind, self.plan.topic.record, self.plan.metrics, self.plan.signals.level
        )
        self._legible = legible_of(reader.kind, self.plan.topic.record)
        self._time, self._identity = reader.time, reader.identity
        self._covered = reader.covered
        self._lateness_ms, self._disorder_ms = self.plan.lateness_ms, self.plan.disorder_ms
        if lane in plan.since:
            self._begin_at(plan.since[lane])

    def _begin_at(self, since: int) -> None:
        """Begin as a lane that has said nothing until then: windows before it did not wait."""
        self.watermark.value = since
        for fold in self._folds:
            fold.close_until(since, ending=False)
        self.room.cut_at = since
        self._next_cut = min(floor_to(since, pane) + pane for pane in self._panes)

    def accounts(self) -> Output:
        """The accounting as it stands, for whoever watches the lane."""
        where = (self.lane, self.next_offset, self.ticks, self.watermark.value)
        return lane_accounting(*where, self.accounting)

    def step(self, chunk: Chunk, quarantine: frozenset[int] = frozenset()) -> IntakeStep:
        """Take in a chunk; records below ``next_offset`` were delivered before and are skipped.

        Raises
        ------
        StepError
            The core failed at a record; the state is then half applied and must not be saved.
        """
        result = IntakeStep([], [])
        offsets, values = chunk.offsets, Values.of(chunk.values)
        logged = chunk.timestamps
        if not isinstance(logged, array):
            logged = array("q", logged)
        at = bisect_left(offsets, self.next_offset)
        offset = self.next_offset
        try:
            attempt = attempt_of(chunk)
            while at < len(offsets):
                offset, why = offsets[at], UNKNOWN
                if self._gate is not None and not quarantine:
                    at, why = self._run_gate(result, self._gate, chunk, values, logged, at)
                if why == CUT:
                    offset = offsets[at - 1]
                    self._cut(result, (offset, 0))
                if why in (DONE, CUT):
                    continue
                offset, raw = offsets[at], values[at] or b""
                met = self._may_meet(why, quarantine) and self._teacher.meet(raw, logged[at])
                if met and self._gate is not None:
                    continue
                if offset in quarantine:
                    refused = Refused("crashed", "byte 0", "stopped a worker twice")
                    self._reject(result, offset, logged[at], raw, refused, attempt)
                else:
                    self._take(result, offset, logged[at], raw, attempt, learn=why == UNKNOWN)
                self.next_offset = offset + 1
                at += 1
        except Exception as error:
            raise StepError(self.lane, offset) from error
        if self._gate is not None:
            self.accounting.count(*self._gate.take_counts())
        self.next_offset = max(self.next_offset, chunk.next_offset)
        return result

    def _may_meet(self, why: int, quarantine: frozenset[int]) -> bool:
        return why == UNKNOWN and not quarantine and self.room.left >= len(self._folds)

    def _run_gate(
        self,
        result: IntakeStep,
        gate: Gate,
        chunk: Chunk,
        values: Values,
        logged: array[int],
        first: int,
    ) -> tuple[int, int]:
        """Let the gate take what it can; where it stopped, and why."""
        gate.watermark = self.watermark.value
        at, why = gate.run(values, logged, first, self._next_cut)
        if at > first:
            self.ended = False
            self.next_offset = chunk.offsets[at - 1] + 1
            self.watermark.value = gate.watermark
            for i, t, watermark in gate.take_lates():
                late = (chunk.offsets[i], t, watermark - t, chunk.timestamps[i])
                result.outputs.append(late_event(self.lane, *late))
        return at, why

    def _take(
        self,
        result: IntakeStep,
        offset: int,
        logged: int,
        raw: bytes,
        attempt: int,
        *,
        learn: bool = False,
    ) -> None:
        try:
            event: Any = self._decode(raw)
        except Refused as refused:
            self._reject(result, offset, logged, raw, refused, attempt)
            return
        t, identity = self._time(event), self._identity(event)
        if t > logged + FUTURE_MS:
            ahead = Refused("bad_time", "$.t", "is over a day ahead: set the device's clock")
            self._reject(result, offset, logged, raw, ahead, attempt)
            return
        if self.room.left < len(self._folds) and self._is_beyond(event, t, logged):
            hint = "is new, and the partition is full: raise most_keys of the topic, then redrive"
            self._reject(result, offset, logged, raw, Refused("too_many_keys", "$", hint), attempt)
            return
        counts, watermark = self.accounting, self.watermark.value
        counts.read += 1
        if self.ended:
            self.ended = False
        admission = self._seen.admit(identity, t, watermark - self._lateness_ms)
        taught = learn and admission is NEW and self._gate is not None
        route = self._events.takers(event) if taught and self._covered(event) is not None else None
        if admission is REPEAT:
            counts.duplicate += 1
        elif admission is LATE:
            counts.late += 1
            result.outputs.append(late_event(self.lane, offset, t, watermark - t, logged))
        elif self._fold(event, t, watermark, route):
            counts.accepted += 1
            if t < watermark:
                counts.accepted_late += 1
        else:
            counts.filtered += 1
        if self._arrivals is not None and admission is not REPEAT:
            self._arrivals.note(event, t, logged, watermark)
        if taught:
            self._teacher.teach(raw, event, route or [])
        if t - self._disorder_ms > watermark and (
            self.watermark.observe(t, logged) >= self._next_cut
        ):
            self._cut(result, (offset, 0))

    def _is_beyond(self, event: Any, t: int, logged: int) -> bool:
        """Whether there is no room for the keys of an event; those of orders are not limited."""
        if self.desk is not None:
            return False
        new = self._events.new_keys(event) if self._covered(event) is not None else 0
        if self._arrivals is not None:
            new += self._arrivals.new_keys(event, t, logged)
        return new > max(0, self.room.left)

    def _reject(
        self,
        result: IntakeStep,
        offset: int,
        logged: int,
        raw: bytes,
        refused: Refused,
        attempt: int,
    ) -> None:
        self.accounting.read += 1
        self.accounting.rejected += 1
        if self._arrivals is not None:
            self._arrivals.note_refused(self._legible(raw), self.watermark.value)
        letter = dead_letter(self.lane, offset, logged, len(raw), refused, attempt)
        result.outputs.append(letter)

    def _fold(self, event: Any, t: int, watermark: int, route: Route | None) -> bool:
        covered = self._covered(event)
        if covered is None:
            return False
        if self.desk is None:
            return self._events.fold(event, t, covered, route=route)
        fact, kept = self.desk.read(event, t)
        return self._events.fold(fact, t, covered, watermark) or kept

    def tick(
        self, t: int, *, ends: bool = False, before: int | None = None, number: int | None = None
    ) -> IntakeStep:
        """Obey a written statement that no earlier event is waited for: ``t`` in int64 ms.

        It stands before the record at ``before``, or before the next one, and has the ``number``
        after the last one, if nothing else is said.  With ``ends`` it is the one that ends a log.
        """
        self.ticks = self.ticks + 1 if number is None else number
        if before is None:
            before = self.next_offset
        self.next_offset = max(self.next_offset, before)
        self.ended = ends
        result = IntakeStep([], [])
        ended_at = self.watermark.value if ends else None
        if self.watermark.tick(t) >= self._next_cut:
            self._cut(result, (before - 1, self.ticks), ended_at)
        return result

    def _cut(self, result: IntakeStep, name: CutName, ended_at: int | None = None) -> None:
        """Cut all panes that are over: finish what is the lane's own, one cut for each shard."""
        watermark, ending = self.watermark.value, ended_at is not None
        folds = [fold for fold in self._folds if fold.slots or self.desk is not None]
        turned = [fold.turn(watermark) for fold in folds]
        partials = [p for f in folds for p in f.close_until(watermark, ending=ending)]
        self.room.cut_at = watermark
        if self.own is not None:
            own, partials = self.own.split(partials)
            said = (name, self._previous, watermark, own, ended_at, self.resumes)
            result.outputs.extend(self.own.finish(*said))
        for shard, mine in enumerate(self._by_shard(partials)):
            self.announced[shard] += sum(p.events for p in mine)
            announced = self.announced[shard]
            told = (name, self._previous, watermark, announced, mine, ended_at, shard)
            result.cuts.append(Cut(self.lane, *told, self.resumes, local=True))
        self.resumes = False
        self._previous = name
        self._next_cut = min(floor_to(watermark, pane) + pane for pane in self._panes)
        self._seen.forget(watermark - self.plan.lateness_ms)
        if any(turned):
            self._drop_keys()
        if self.desk is not None and not ending:
            self.desk.forget(watermark)

    def _drop_keys(self) -> None:
        """Forget the keys that are silent, when they are a quarter of all: senders that stay are
        then learnt anew.
        """
        gone = [fold.gone() for fold in self._folds]
        keys, silent = sum(map(len, gone)), sum(int(flags.sum()) for flags in gone)
        if not silent or 4 * silent < keys:
            return
        for fold, flags in zip(self._folds, gone, strict=True):
            fold.drop(flags)
        self._forget_slots()

    def _forget_slots(self) -> None:
        """Slots have other numbers: forget where the rows of senders go."""
        if self._arrivals is not None:
            self._arrivals.reset()
        self._teacher.forget()

    def _by_shard(self, partials: list[Partial]) -> list[list[Partial]]:
        if self.shards.count == 1:
            return [partials]
        cuts: list[list[Partial]] = [[] for _ in range(self.shards.count)]
        for partial in partials:
            ids = np.full((len(cuts), len(partial.keys)), -1, np.int64)
            for id in heads_of(partial.cells).id.tolist():
                level, key, place = partial.keys[id]
                for shared in self._shared[partial.sign]:
                    # Where the register puts a key it would be missed, though it speaks elsewhere.
                    known = shared.expected.get((level, key))
                    places = (place,) if known is None else {place, *known.places}
                    for shard in self.shards.wanted_by(shared.sign.id, *places):
                        ids[shard, id] = id
            for shard, cut in enumerate(cuts):
                cells = partial.cells.fresh()
                cells.merge(partial.cells, ids[shard])
                cut.append(partial._replace(cells=cells))
        return cuts

    def open_panes(self) -> int:
        """Number of panes with rows that wait for the watermark."""
        return sum(fold.store.open_panes() for fold in self._folds)

    def freeze(self, whole: bool = False) -> Frozen:
        """The whole state in parts, for :meth:`load` under the same configuration."""
        state = {
            "next_offset": self.next_offset,
            "ticks": self.ticks,
            "ended": self.ended,
            "resumes": self.resumes,
            "announced": self.announced,
            "watermark": self.watermark.value,
            "accounting": self.accounting.dump(),
            "previous": self._previous,
            "next_cut": self._next_cut,
            "cut_at": self.room.cut_at,
            "seen": self._seen.dump(),
            "desk": None if self.desk is None else self.desk.dump(),
            "folds": {fold.plan.sign.id: fold.dump() for fold in self._folds},
        }
        parts: Frozen = {HEAD: head(self.config, state)}
        parts.update(under("seen", self._seen.freeze(whole=whole)))
        if self.own is not None:
            parts.update(under("own", self.own.freeze(whole=whole)))
        if self.desk is not None:
            parts.update(under("orders", self.desk.freeze(whole=whole)))
        for fold in self._folds:
            parts.update(under(fold.plan.sign.id, fold.freeze(whole=whole)))
        return parts

    def load(self, parts: Mapping[str, bytes]) -> None:
        """Take over a frozen state; SnapshotError where it is of another configuration."""
        state = read_head(str(self.lane), parts, self.config)
        self.next_offset, self.ticks = state["next_offset"], state["ticks"]
        self.ended, self.resumes = state["ended"], state["resumes"]
        if len(state["announced"]) != self.shards.count:
            raise SnapshotError(
                f"{self.lane}: the snapshot was made with {len(state['announced']) - 1} shards, "
                f"now there are {self.shards.count - 1}: keep them, or begin anew, on Kafka with "
                "another kafka.group and kafka.prefix"
            )
        self.announced, self.watermark.value = state["announced"], state["watermark"]
        self.accounting = Accounting(*state["accounting"])
        offset, tick = state["previous"]
        self._previous = (offset, tick)
        self._next_cut = state["next_cut"]
        groups = grouped(parts)
        self._seen.load(state["seen"], groups.get("seen", {}))
        if self.own is not None:
            self.own.load(groups.get("own", {}))
        if self.desk is not None:
            self.desk.load(state["desk"], groups.get("orders", {}))
        self.room.cut_at = state["cut_at"]
        for fold in self._folds:
            name = fold.plan.sign.id
            fold.load(state["folds"][name], groups.get(name, {}))
        self._forget_slots()
