"""Marks on alerts that stand: acknowledged, shelved until a time.  Pure and in event time.

A mark stands beside the state of an episode and never changes it.  It takes effect after the last
window that its alert's rule has judged, and is a transition of the alert log, which replays obey:
where people's commands stood among the events, nothing else tells.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import NamedTuple

import msgspec

from agents.episodes import Episode
from agents.outputs import alert_transition
from schemas.alert import Alert, Transition
from schemas.command import Command, CommandKind
from schemas.refusal import Refused
from streams.log_types import Record
from streams.records import Output

REMEMBERED = 1_000
"""Ids of commands that are kept, to know one that comes again."""

_TRANSITIONS: dict[CommandKind, Transition] = {
    "ack": "acked",
    "unack": "unacked",
    "shelve": "shelved",
    "unshelve": "unshelved",
}


class Mark(NamedTuple):
    """What is decided: by whom and why, and of a shelve its limit, int64 ms UTC."""

    transition: Transition
    by: str | None
    note: str | None
    until: int | None = None


OVER = Mark("unshelved", None, None)
"""What a shelve ends with that has come to its limit."""


class WrittenMark(NamedTuple):
    """A person's mark as the alert log has it: transition ``number`` of the alert, at ``t``."""

    alert_id: str
    rule: str
    number: int
    t: int
    mark: Mark


def mark_of(command: Command) -> Mark:
    """What a command decides."""
    return Mark(_TRANSITIONS[command.kind], command.name, command.reason, command.until)


def put(episode: Episode, mark: Mark, end: int) -> list[Output]:
    """Mark a standing episode after the window that ends at ``end``; the transition that says so.

    Raises
    ------
    Refused
        The limit of a shelve lies in time that is judged already.
    """
    if mark.until is not None and mark.until <= end:
        hint = "is in time that is judged already: say a later one, in event time"
        raise Refused("out_of_bounds", "$.until", hint)
    if mark.transition in ("acked", "unacked"):
        episode.acked_level = episode.level if mark.transition == "acked" else 0
    else:
        episode.shelved_until = mark.until
    # What was said last is all that is known outside: the state has not changed since.
    alert = msgspec.structs.replace(
        msgspec.json.decode(episode.message, type=Alert),
        transition=mark.transition,
        t_update=end,
        acked=episode.acked_level > 0,
        shelved_until=episode.shelved_until,
        by=mark.by,
        note=mark.note,
    )
    return logged(episode, alert)


def logged(episode: Episode, alert: Alert) -> list[Output]:
    """The next transition of an episode."""
    episode.number += 1
    outputs = alert_transition(alert, episode.number)
    episode.message = outputs[0].value
    return outputs


def is_over(episode: Episode, end: int) -> bool:
    """Whether a shelve has come to its limit by the end of a window."""
    return episode.shelved_until is not None and episode.shelved_until <= end


def written_marks(records: Iterable[Record]) -> Iterator[WrittenMark]:
    """What people decided, as the alert log has it; what the engine decided it decides again."""
    for record in records:
        alert = msgspec.json.decode(record.value, type=Alert)
        by, note = alert.by, alert.note
        if by is None or note is None or by is msgspec.UNSET or note is msgspec.UNSET:
            continue
        number = int(dict(record.headers)["ce_id"].rpartition(b"/")[2])
        until = alert.shelved_until if alert.transition == "shelved" else None
        mark = Mark(alert.transition, by, note, until)
        yield WrittenMark(alert.alert_id, alert.rule, number, alert.t_update, mark)


class Schedule:
    """Written marks that wait for the window after which they were put.

    Examples
    --------
    >>> ahead, behind = (WrittenMark(name, "a.b", 2, t, OVER) for name, t in [("x", 20), ("y", 10)])
    >>> schedule = Schedule()
    >>> schedule.note([ahead, behind])
    >>> [[one.alert_id for one in schedule.due("a.b", end)] for end in (9, 10, 20)]
    [[], ['y'], ['x']]
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[WrittenMark]] = {}

    def note(self, marks: Iterable[WrittenMark]) -> None:
        """Take marks in the order of their log."""
        # By time, too: of two shards that stand in one log, the other may have been ahead.
        for one in sorted(marks, key=attrgetter("t")):
            self._waiting.setdefault(one.rule, deque()).append(one)

    def due(self, rule: str, end: int) -> Iterator[WrittenMark]:
        """Those of a rule that has judged the window which ends at ``end``."""
        waiting = self._waiting.get(rule)
        while waiting and waiting[0].t <= end:
            yield waiting.popleft()


class Taken:
    """Which commands were taken: each record once, and of those that were obeyed each id.

    Examples
    --------
    >>> taken = Taken()
    >>> taken.note(4, "a")
    >>> [taken.knows(*one) for one in [(4, "a"), (5, "a"), (5, "b")]]
    [True, True, False]
    """

    def __init__(self) -> None:
        self.next_offset = 0
        self._ids: deque[str] = deque(maxlen=REMEMBERED)

    def knows(self, offset: int, command_id: str) -> bool:
        """Whether a record of the control topic, or its command, was taken before."""
        return offset < self.next_offset or command_id in self._ids

    def note(self, offset: int, command_id: str | None = None) -> None:
        """A record was taken, and its command obeyed if its id is given."""
        self.next_offset = offset + 1
        if command_id is not None:
            self._ids.append(command_id)

    def dump(self) -> tuple[int, list[str]]:
        """Plain data for `load`."""
        return self.next_offset, list(self._ids)

    def load(self, data: tuple[int, list[str]]) -> None:
        self.next_offset = data[0]
        self._ids = deque(data[1], maxlen=REMEMBERED)
