"""The second hop: cuts of all lanes in, results and alerts out.  Pure: no clock, no I/O.

Windows close in the order in which they fall due, over all signs; each waits only for the lanes of
the topics its sign reads.  So what is said does not depend on how the lanes were interleaved.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from agents.alerts import Alerts
from agents.dated import scales_of
from agents.derived import DerivedState
from agents.device_rows import DeviceRows
from agents.folded import FoldedState
from agents.gathered import Gathered
from agents.held import HeldAlerts
from agents.history import History
from agents.hops import Hops
from agents.incidents import IncidentState, hop_ms
from agents.judges import judges_of
from agents.marks import Mark, Schedule, WrittenMark
from agents.outputs import OfDevices, vital_results
from agents.plan import Plan, incidents_in_order, streams_of
from agents.related import Register
from agents.repeats import JudgedFacts
from agents.said import Said
from agents.shards import CITY
from schemas.overlays import by_incident, hops_of, switched_by
from schemas.signs import HistorySign, Sign
from streams.cuts import BEGINNING, Cut, CutName, GapError
from streams.frozen import HEAD, Frozen, SnapshotError, grouped, head, read_head, uncollected, under
from streams.heads import Flags
from streams.records import Lane, Output
from streams.timeline import AFTER_ALL, BEFORE_ALL, MINUTE_MS, to_ms
from streams.windows import Windows


class _Heard(NamedTuple):
    """What the task knows of a lane."""

    name: CutName
    watermark: int
    received: int
    ended_at: int | None


class _Assessed(NamedTuple):
    """One sign under assessment."""

    sign: Sign
    windows: Windows
    lateness_ms: int
    lanes: tuple[Lane, ...]
    state: FoldedState | DerivedState


class _Follower(NamedTuple):
    """What waits for signs, and for more lanes than they do: an incident, or alerts it suppresses.

    ``lateness_ms`` is how long after their ends windows are corrected.
    """

    lateness_ms: int
    lanes: tuple[Lane, ...]
    state: IncidentState | HeldAlerts


def _folded_states(plan: Plan) -> Iterator[FoldedState]:
    """The states of all signs that lanes fold, in their order; some gather their rows together."""
    together = plan.together()
    known: dict[str, Gathered] = {}
    for folded in plan.folded:
        leader = together[folded.sign.id]
        gathered = known.get(leader)
        if gathered is None:
            signs = sum(other == leader for other in together.values())
            judged = isinstance(folded.sign, HistorySign)
            gathered = known[leader] = JudgedFacts(folded) if judged else Gathered(folded, signs)
        yield FoldedState(folded, gathered)


class Assess:
    """The state of one shard, and its step.

    Parameters
    ----------
    plan, shard
        The compiled configuration, and which part of the places is judged here.
    lane
        The one whose devices are judged, where this is the part of a lane.
    """

    def __init__(self, plan: Plan, shard: int = CITY, lane: Lane | None = None) -> None:
        self.plan, self.shard, self.lane = plan, shard, lane
        self.alerts = Alerts(plan.configuration, plan.config)
        self.judges = judges_of(plan)
        self.results = 0
        self.forgiven: set[Lane] = set()
        self._of_devices = None if lane is None else DeviceRows(plan.config, lane)
        self._written = Schedule()
        self._heard = {
            lane: _Heard(BEGINNING, plan.since.get(lane, BEFORE_ALL), 0, None)
            for lane in plan.lanes
        }
        self._signs: list[_Assessed] = []
        self._folded: dict[str, FoldedState] = {}
        kinds = streams_of(plan.configuration)
        lateness: dict[str, int] = {}
        for folded, state in zip(plan.folded, _folded_states(plan), strict=True):
            name = folded.sign.id
            lateness[name] = state.lateness_ms
            lanes = plan.lanes_of(kinds[name])
            self._folded[name] = state
            self._signs.append(_Assessed(folded.sign, folded.windows, lateness[name], lanes, state))
        self._takers = {
            name: [self._folded[folded.sign.id] for folded in together]
            for name, together in plan.by_leader(plan.folded).items()
        }
        self._histories = {n: History() for sign, _ in plan.derived for n in sign.inputs}
        for sign, windows in plan.derived:
            inputs = sign.inputs
            lateness[sign.id] = max(lateness[name] for name in inputs)
            zone = plan.configuration.city.time_zone
            scales = {n: scales_of(plan.configuration.sign[n].levels, zone) for n in inputs}
            derived = DerivedState(
                sign, windows, zone, lateness[sign.id], self._histories, plan.hierarchies, scales
            )
            lanes = plan.lanes_of(kinds[sign.id])
            self._signs.append(_Assessed(sign, windows, lateness[sign.id], lanes, derived))
        for assessed in self._signs:
            # A correction says what the model said of the window when it was closed.
            if assessed.sign.id in self.judges and assessed.lateness_ms:
                self._histories.setdefault(assessed.sign.id, History())
        self._readers: dict[str, list[DerivedState]] = {
            name: [
                s.state
                for s in self._signs
                if isinstance(s.state, DerivedState) and name in s.state.sign.inputs
            ]
            for name in self._histories
        }
        self.incidents: dict[str, IncidentState] = {}
        self._held: dict[str, HeldAlerts] = {}
        self._rate_readers: dict[str, list[HeldAlerts]] = {}
        self._waiting: list[_Assessed | _Follower] = [*self._signs, *self._followers(kinds)]
        self._unread = {rank for rank, one in enumerate(self._signs) if self._is_unread(one.sign)}
        self._by_lanes: dict[tuple[Lane, ...], list[int]] = {}
        for rank, one in enumerate(self._waiting):
            self._by_lanes.setdefault(one.lanes, []).append(rank)
        self._pruned: list[int] = []
        self._marks = [BEFORE_ALL] * len(self._waiting)
        self._limits = [AFTER_ALL] * len(self._waiting)
        self._read_by = self._readings()
        overlays = plan.configuration.overlays
        self._hops = {
            assessed.sign.id: Hops(assessed.sign, overlays, self.incidents)
            for assessed in self._signs
            if hops_of(assessed.sign, overlays)
        }
        self._of_city = {
            name for name in self._hops if switched_by(plan.configuration.sign[name], overlays)
        }
        """Signs that the city's shard tells of all places: the others know no incidents."""

    def _followers(self, kinds: dict[str, set[str]]) -> Iterator[_Follower]:
        """Incidents in the order in which they read each other, then the alerts they suppress.

        Both are the city's: what they read lies on both sides of any border between shards.
        """
        if self.shard != CITY or self.lane is not None:
            return
        plan = self.plan
        register = Register(plan.configuration.relations)
        suppressed: dict[str, list[IncidentState]] = {}
        for incident in incidents_in_order(plan.configuration):
            signs = [plan.configuration.sign.get(name) for name in incident.inputs]
            hops = [hop_ms(sign.window) for sign in signs if sign is not None]
            read = (self.incidents.get(name) for name in incident.inputs)
            hops += [to_ms(other.spec.every_s) for other in read if other is not None]
            hidden = [sign.id for sign in signs if sign is not None and sign.hidden]
            state = IncidentState(incident, plan.config, hidden, max(hops), register)
            self.incidents[incident.id] = state
            for one in incident.suppresses:
                suppressed.setdefault(one.sign, []).append(state)
            yield _Follower(0, plan.lanes_of(kinds[incident.id]), state)
        changed = by_incident(plan.configuration.overlays, plan.configuration.incidents)
        for assessed in self._signs:
            sign = assessed.sign
            states = suppressed.get(sign.id, [])
            modes = {name: self.incidents[id] for name, id in changed.get(sign.id, ())}
            early = None if sign.alert is None else sign.alert.early
            if states or modes or early:
                awaited = [state.spec.id for state in (*states, *modes.values())]
                awaited += [early.rate] if early else []
                streams = kinds[sign.id].union(*(kinds[name] for name in awaited))
                rate_hop_ms = hop_ms(plan.configuration.sign[early.rate].window) if early else 0
                held = HeldAlerts(sign, assessed.windows, self.alerts, states, modes, rate_hop_ms)
                self._held[sign.id] = held
                if early:
                    self._rate_readers.setdefault(early.rate, []).append(held)
                yield _Follower(assessed.lateness_ms, plan.lanes_of(streams), held)

    def _is_unread(self, sign: Sign) -> bool:
        """Whether corrections of a sign are for nobody: it is not told, and only incidents read it,
        which judge what was said first.
        """
        return set(sign.keys) <= set(sign.hidden) and sign.id not in self._histories

    def _readings(self) -> list[list[int]]:
        """By rank, the ranks of what may fall due when that has said something."""
        ranks = {assessed.sign.id: rank for rank, assessed in enumerate(self._signs)}
        read_by: list[list[int]] = [[] for _ in self._waiting]
        for sign, _ in self.plan.derived:
            for name in sign.inputs:
                read_by[ranks[name]].append(ranks[sign.id])
        for rank, one in enumerate(self._waiting):
            if isinstance(one.state, IncidentState):
                ranks[one.state.spec.id] = rank
                for name in one.state.spec.inputs:
                    read_by[ranks[name]].append(rank)
            elif isinstance(one.state, HeldAlerts):
                read_by[ranks[one.state.sign.id]].append(rank)
        self._incident_readers: dict[str, list[IncidentState]] = {
            name: [s for s in self.incidents.values() if name in s.spec.inputs] for name in ranks
        }
        return read_by

    def step(self, cuts: list[Cut]) -> list[Output]:
        """Merge cuts, then close every window whose lanes have all passed it.

        Raises
        ------
        GapError
            A cut of a lane is missing, or rows of it are: the state is not whole.
        """
        for cut in cuts:
            self._receive(cut)
        return self._close_due()

    def heard(self, lane: Lane) -> CutName:
        """Name of the last cut of a lane that was taken."""
        return self._heard[lane].name

    def pass_over(self, cut: Cut) -> list[Output]:
        """Take a cut for its time alone: its rows stopped the task twice."""
        without = cut._replace(partials=[])
        self.forgiven.add(cut.lane)
        return self.step([without])

    def forgive(self) -> None:
        """Take the next cut of each lane, whatever it follows: what lies between is lost."""
        self.forgiven.update(self._heard)

    def _receive(self, cut: Cut) -> None:
        heard = self._heard[cut.lane]
        if cut.name <= heard.name:
            return
        if cut.lane in self.forgiven:
            self.forgiven.discard(cut.lane)
            rows = sum(partial.events for partial in cut.partials)
            heard = heard._replace(name=cut.previous, received=cut.announced - rows)
        if cut.previous != heard.name:
            raise GapError(
                f"{cut.lane}: the cut at offset {cut.name[0]} follows {cut.previous[0]}, "
                f"but the last one received is {heard.name[0]}: a partial is missing"
            )
        received = heard.received + sum(partial.events for partial in cut.partials)
        if received != cut.announced:
            raise GapError(f"{cut.lane}: {cut.announced} rows were announced, {received} came")
        for partial in cut.partials:
            for state in self._takers[partial.sign]:
                state.receive(partial, cut.lane if cut.local else None)
        self._heard[cut.lane] = _Heard(cut.name, cut.watermark, received, cut.ended_at)

    def watermark(self, lanes: tuple[Lane, ...]) -> int:
        """How far all of these lanes have come, int64 ms."""
        return min((self._heard[lane].watermark for lane in lanes), default=BEFORE_ALL)

    def _limit(self, lanes: tuple[Lane, ...]) -> int:
        """Where the records of ended lanes stop, the farthest of them; else `AFTER_ALL`."""
        ended = [self._heard[lane].ended_at for lane in lanes]
        return max((AFTER_ALL if at is None else at for at in ended), default=AFTER_ALL)

    def _close_due(self) -> list[Output]:
        outputs: list[Output] = []
        waiting = [(AFTER_ALL, rank, False) for rank in range(len(self._waiting))]
        marks, limits = self._marks, self._limits
        for lanes, ranks in self._by_lanes.items():
            time = self.watermark(lanes), self._limit(lanes)
            # A sign whose lanes have not gone on waits for what it waited for.
            if time != (marks[ranks[0]], limits[ranks[0]]):
                for rank in ranks:
                    marks[rank], limits[rank] = time
                    waiting[rank] = self._due(rank, *time)
        while waiting:
            due, rank, final = min(waiting)
            if due == AFTER_ALL:
                break
            one = self._waiting[rank]
            if isinstance(one, _Follower):
                outputs += self._follow(one, due, final=final)
            elif final:
                outputs += self._close_final(one, due - one.lateness_ms, limits[rank])
            else:
                outputs += self._close(one, due, limits[rank])
            # What one sign says gives work to itself and to those that read it alone.
            for at in (rank, *self._read_by[rank]):
                waiting[at] = self._due(at, marks[at], limits[at])
        for assessed, mark, limit in zip(self._signs, marks, limits, strict=False):
            if limit != AFTER_ALL and isinstance(assessed.state, FoldedState):
                assessed.state.skip(mark)
        self._prune(marks)
        return outputs if self._of_devices is None else outputs + self._of_devices.take()

    def _due(self, rank: int, mark: int, limit: int) -> tuple[int, int, bool]:
        """When a sign is due next, its rank, and whether for a correction; else `AFTER_ALL`."""
        state, lateness_ms = self._waiting[rank].state, self._waiting[rank].lateness_ms
        end = state.next_end(limit)
        final = AFTER_ALL if rank in self._unread else state.next_final() + lateness_ms
        first = min((end, rank, False), (final, rank, True))
        return first if first[0] <= mark else (AFTER_ALL, rank, False)

    def _close(self, assessed: _Assessed, end: int, limit: int) -> list[Output]:
        """What a window says; after ``limit``, where the log ends, it is not the key's newest.

        Such a window holds a part of what a whole one would.
        """
        hops = self._hops.get(assessed.sign.id)
        if hops is not None and not hops.is_regular(end):
            return self._close_between(assessed, hops, end, limit)
        said = assessed.state.close(end)
        if not len(said):
            return []
        sign, start = assessed.sign, assessed.windows.start(end)
        told = self._told(sign, said)
        self._take_models(sign.id, said, told, end)
        self._remember(assessed, end, said, final=False)
        for held in self._rate_readers.get(sign.id, ()):
            held.expect_rates(end, said)
        if sign.id in self._held:
            self._held[sign.id].expect(end, self._of_keys(sign, said))
        return self._say(sign, said.where(told), start, end, limit)

    def _say(self, sign: Sign, said: Said, start: int, end: int, limit: int) -> list[Output]:
        """The results of a window, and its alerts, if they wait for nothing."""
        outputs = self._results(sign, said, start, end, rev=0, newest=end <= limit)
        if sign.id not in self.plan.configuration.held:
            outputs += self.alerts.unshelve(sign.id, end)
            for row in self.alerts.concerned(sign.id, said, end):
                outputs += self.alerts.judge(sign.id, said.entry(row), start, end)
            outputs += self._note_judged(sign.id, end)
        return outputs

    def _close_between(self, assessed: _Assessed, hops: Hops, end: int, limit: int) -> list[Output]:
        """Say a window that is not of the regular hop, where an overlay is on.

        Models do not learn it, and neither incidents nor other signs hear of it: what they say is
        then that of the regular hop, and what switches a hop can not depend on it.
        """
        state, sign = assessed.state, assessed.sign
        assert isinstance(state, FoldedState)
        if not hops.may_say(end):
            state.pass_over(end)
            return []
        said = state.close(end)
        said = said.where(hops.says(said, end))
        if not len(said):
            return []
        if sign.id in self._held:
            self._held[sign.id].expect(end, self._of_keys(sign, said))
        said = said.where(self._told(sign, said))
        return self._say(sign, said, assessed.windows.start(end), end, limit)

    def _follow(self, one: _Follower, due: int, *, final: bool) -> list[Output]:
        """Judge an incident at a moment, or the alerts of a window that waited for it."""
        if isinstance(one.state, HeldAlerts):
            if final:
                return one.state.close_final(due - one.lateness_ms)
            return one.state.close(due) + self._note_judged(one.state.sign.id, due)
        outputs, said = one.state.close(due)
        for reader in self._incident_readers[one.state.spec.id]:
            reader.expect(one.state.spec.id, due, said)
        return outputs + self._note_judged(one.state.spec.id, due)

    def schedule(self, marks: Iterable[WrittenMark]) -> None:
        """Obey written marks where they stand, those already obeyed left out."""
        self._written.note(marks)

    def mark(self, rule: str, alert_id: str, mark: Mark, number: int | None = None) -> list[Output]:
        """Mark an alert of a sign or incident; nothing where none of that id stands here.

        Raises
        ------
        Refused
            The mark can not be put any more.
        """
        incident = self.incidents.get(rule)
        if incident is not None:
            return incident.mark(alert_id, mark, number)
        return self.alerts.mark(rule, alert_id, mark, number)

    def _note_judged(self, rule: str, end: int) -> list[Output]:
        """A window was judged: the marks that were put after it."""
        self.alerts.note_judged(rule, end)
        outputs: list[Output] = []
        for one in self._written.due(rule, end):
            outputs += self.mark(rule, one.alert_id, one.mark, one.number)
        return outputs

    def _take_models(self, sign: str, said: Said, told: Flags, end: int) -> None:
        """Let models say of the rows what they think, and learn them."""
        judge = self.judges.get(sign)
        if judge is None:
            return
        # A sign above may read what the model says of keys that another shard tells.
        if self._readers.get(sign) or self._incident_readers.get(sign) or sign in self._held:
            told = np.ones(len(said), np.bool_)
        elif self.plan.shards.count > 1:
            told = self._owned(said)
        for row in np.flatnonzero(told).tolist():
            model = judge.says(said.names[row], said.values[row], end)
            if model is not None:
                said.models[row] = model

    def _close_final(self, assessed: _Assessed, end: int, limit: int) -> list[Output]:
        hops, state = self._hops.get(assessed.sign.id), assessed.state
        between = hops is not None and not hops.is_regular(end)
        if hops is not None and between and not hops.may_say(end):
            assert isinstance(state, FoldedState)
            state.pass_over_final(end)
            return []
        sign, correction = assessed.sign, state.close_final(end)
        if hops is not None and between:
            correction = correction.take(np.flatnonzero(hops.says(correction.after, end)))
        after = correction.after
        if sign.id in self.judges and not between:
            # A correction says what the model said of the window when it was closed.
            first = self._histories[sign.id].at(end, final=False)
            for row, name in enumerate(after.names):
                model = first[name].model if name in first else None
                if model is not None:
                    after.models[row] = model
        if not between:
            self._remember(assessed, end, after, final=True)
        start = assessed.windows.start(end)
        told, newest = self._told(sign, after), self._newest(assessed, after, end, limit)
        outputs: list[Output] = []
        for flags, value in ((told & newest, True), (told & ~newest, False)):
            changed = after.where(flags)
            if len(changed):
                outputs += self._results(sign, changed, start, end, rev=1, newest=value)
        rows = np.flatnonzero(told)
        held = self._held.get(sign.id)
        if held is not None:
            rows = np.flatnonzero(self._has_key(sign, after))
        meets = self.alerts.may_meet(sign.id, after, end)
        pairs = [
            (correction.before.entry(row) if correction.told[row] else None, after.entry(row))
            for row in rows[meets[rows]].tolist()
        ]
        if held is not None and pairs:
            held.expect_final(end, pairs)
        if sign.id not in self.plan.configuration.held:
            for before, entry in pairs:
                outputs += self.alerts.judge_final(sign.id, before, entry, start, end)
        return outputs

    def _newest(self, assessed: _Assessed, said: Said, end: int, limit: int) -> Flags:
        """Of which rows no later window was said, in a log that goes to ``limit``."""
        newest = np.full(len(said), end <= limit)
        hops, bound = self._hops.get(assessed.sign.id), min(assessed.state.last_end, limit)
        later = assessed.windows.first_end_after(end)
        while later <= bound and newest.any():
            if hops is None or hops.is_regular(later):
                return np.zeros(len(said), np.bool_)
            if hops.may_say(later):
                newest &= ~hops.says(said, later)
            later = assessed.windows.first_end_after(later)
        return newest

    def _told(self, sign: Sign, said: Said) -> Flags:
        """Which rows this shard tells: of the sign's key levels, at its own places."""
        if self.lane is not None:
            return np.ones(len(said), np.bool_)
        flags = self._has_key(sign, said)
        if sign.id in self._of_city:
            return flags & (self.shard == CITY)
        return flags if self.plan.shards.count == 1 else flags & self._owned(said)

    def _has_key(self, sign: Sign, said: Said) -> Flags:
        """Which rows are of the sign's key levels, but for those that are hidden."""
        levels = set(sign.keys).difference(sign.hidden)
        if not levels:
            return np.zeros(len(said), np.bool_)
        return np.array([level in levels for level, _ in said.names], np.bool_)

    def _of_keys(self, sign: Sign, said: Said) -> Said:
        return said.where(self._has_key(sign, said))

    def _owned(self, said: Said) -> Flags:
        owner = self.plan.shards.of
        return np.array([owner(place) == self.shard for place in said.places], np.bool_)

    def _results(
        self, sign: Sign, said: Said, start: int, end: int, *, rev: int, newest: bool
    ) -> list[Output]:
        self.results += len(said)
        config, table = self.plan.config, self.alerts.labels[sign.id].at(end)
        if self._of_devices is not None:
            self._of_devices.note(start, end, rev, OfDevices(sign.id, sign.unit, said, table))
            return []
        where = (sign.id, sign.unit, said, start, end)
        return vital_results(*where, rev=rev, config=config, newest=newest, table=table)

    def _remember(self, assessed: _Assessed, end: int, said: Said, *, final: bool) -> None:
        if not final and len(said):
            for incident in self._incident_readers.get(assessed.sign.id, ()):
                incident.expect(assessed.sign.id, end, said)
        history = self._histories.get(assessed.sign.id)
        if history is None or not len(said):
            return
        readers = [r for r in self._readers[assessed.sign.id] if r.wants(end)]
        if readers:
            history.note(end, said, final=final)
            for reader in readers:
                reader.expect(end, final=final, data=bool(said.n.any()))
        elif not final and said.models:
            history.note(end, map(said.entry, sorted(said.models)))

    def _prune(self, marks: list[int]) -> None:
        # There are cuts every few seconds of event time: what is over can wait for a minute.
        minutes = [mark // MINUTE_MS for mark in marks]
        if minutes == self._pruned:
            return
        self._pruned = minutes
        keep = dict.fromkeys(self._histories, AFTER_ALL)
        asked = AFTER_ALL
        for one, mark in zip(self._waiting, marks, strict=True):
            if isinstance(one.state, HeldAlerts):
                asked = min(asked, mark - one.lateness_ms)
        for incident in self.incidents.values():
            incident.prune(asked)
        for assessed, mark in zip(self._signs, marks, strict=False):
            state = assessed.state
            if assessed.sign.id in keep:
                keep[assessed.sign.id] = min(keep[assessed.sign.id], mark - assessed.lateness_ms)
            if isinstance(state, FoldedState):
                state.prune(mark)
                continue
            for name in state.sign.inputs:
                reach = state.lateness_ms + 2 * state.formula.reach_ms
                keep[name] = min(keep[name], mark - reach)
        for name, before in keep.items():
            self._histories[name].prune(before)

    @property
    def alerts_raised(self) -> int:
        """Alerts and incidents that were raised, but for those that an incident suppressed."""
        return self.alerts.count + sum(one.count for one in self.incidents.values())

    @property
    def alerts_standing(self) -> int:
        """Alerts and incidents that stand."""
        return self.alerts.raised() + sum(one.raised() for one in self.incidents.values())

    def settled_by(self, lane: Lane, farthest: int) -> int:
        """How far a lane must come, int64 ms, until all is said that waits for it of what was heard
        up to ``farthest``: incidents, alerts that they suppress, and days of derived signs, with
        their corrections.
        """
        ends = [
            one.state.settles(farthest) + one.lateness_ms
            for one in self._waiting
            if lane in one.lanes and not isinstance(one.state, FoldedState)
        ]
        return max(ends, default=farthest)

    def open_windows(self) -> int:
        """Number of panes that windows still wait for or may be corrected in."""
        return sum(state.open_windows() for state in self._folded.values())

    def freeze(self, whole: bool = False) -> Frozen:
        """The whole state in parts, for :meth:`load` under the same configuration."""
        state = {
            "places": self.plan.shards.places,
            "results": self.results,
            "alerts": self.alerts.count,
            "judged": self.alerts.judged,
            "heard": [(*lane, *heard) for lane, heard in self._heard.items()],
            "folded": {name: folded.dump() for name, folded in self._folded.items()},
            "derived": {name: derived.dump() for name, derived in self._derived()},
        }
        parts: Frozen = {HEAD: head(self.plan.config, state)}
        for name, folded in self._folded.items():
            parts.update(under(name, folded.freeze(whole=whole)))
        for name, history in self._histories.items():
            parts.update(under(f"history/{name}", history.freeze(whole=whole)))
        for name, judge in self.judges.items():
            parts.update(under(f"judge/{name}", judge.judge.freeze(whole=whole)))
        parts.update(under("alerts", self.alerts.freeze(whole=whole)))
        for name, incident in self.incidents.items():
            parts.update(under(f"incident/{name}", incident.freeze(whole=whole)))
        for name, held in self._held.items():
            parts.update(under(f"held/{name}", held.freeze(whole=whole)))
        return parts

    def load(self, parts: Mapping[str, bytes]) -> None:
        """Take over a frozen state.

        Raises
        ------
        SnapshotError, ValueError
            It was made under another configuration, or with other shards or lanes.
        """
        state = read_head(f"assess/{self.shard}", parts, self.plan.config)
        if state["places"] != self.plan.shards.places:
            raise SnapshotError(
                f"assess/{self.shard}: the snapshot was made with other shards: keep them, or "
                "begin anew, on Kafka with another kafka.group and kafka.prefix"
            )
        self._require_room(state["heard"])
        with uncollected():
            self._load(state, grouped(parts))

    def _load(self, state: dict[str, Any], groups: dict[str, dict[str, bytes]]) -> None:
        self.results, self.alerts.count = state["results"], state["alerts"]
        self.alerts.judged = state["judged"]
        for topic, partition, (offset, tick), *rest in state["heard"]:
            self._heard[Lane(topic, partition)] = _Heard((offset, tick), *rest)
        for name, folded in self._folded.items():
            folded.load(state["folded"][name], groups.get(name, {}))
        for name, derived in self._derived():
            derived.load(state["derived"][name])
        histories = grouped(groups.get("history", {}))
        for name, history in self._histories.items():
            history.load(histories.get(name, {}))
        judges = grouped(groups.get("judge", {}))
        for name, judge in self.judges.items():
            judge.judge.load(judges.get(name, {}))
        self.alerts.load(groups.get("alerts", {}))
        incidents, waiting = grouped(groups.get("incident", {})), grouped(groups.get("held", {}))
        for name, incident in self.incidents.items():
            incident.load(incidents[name])
        for name, held in self._held.items():
            held.load(waiting.get(name, {}))

    def _derived(self) -> Iterator[tuple[str, DerivedState]]:
        for assessed in self._signs:
            if isinstance(assessed.state, DerivedState):
                yield assessed.sign.id, assessed.state

    def _require_room(self, heard: list[list[Any]]) -> None:
        """Refuse lanes that begin to count before what is closed already."""
        known = {Lane(topic, partition) for topic, partition, *_ in heard}
        reached = max((watermark for _, _, _, watermark, *_ in heard), default=BEFORE_ALL)
        for lane, since in self.plan.since.items():
            if lane not in known and since < reached:
                raise ValueError(
                    f"{lane} counts from {since} ms, but time has reached {reached} ms: "
                    "give the added partitions a later `since`"
                )
