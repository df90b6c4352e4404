"""Commands of the control topic: read, and taken to who judges the alert.  Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from agents.intake import attempt_of
from agents.outputs import CONTROL, dead_letter
from agents.plan import Plan
from agents.shards import CITY
from schemas.command import Command, read_command
from schemas.refusal import Refused
from streams.partials import PassedOn
from streams.records import Chunk, Lane, Output

CONTROL_LANE = Lane(CONTROL, 0)
"""The only partition: commands take effect in the order in which they were given."""


class Received(NamedTuple):
    """A record of the control topic: where it stands, and what it says or why it says nothing."""

    offset: int
    logged: int
    raw: bytes
    attempt: int
    said: Command | Refused

    @property
    def passed_on(self) -> PassedOn:
        """As it is passed on to a shard."""
        return PassedOn(self.offset, self.logged, self.attempt, self.raw)

    def letter(self, refused: Refused) -> Output:
        """Tell that it was not obeyed."""
        where = (CONTROL_LANE, self.offset, self.logged, len(self.raw))
        return dead_letter(*where, refused, self.attempt)


def received(chunk: Chunk, first: int, quarantine: frozenset[int]) -> Iterator[Received]:
    """The records of a chunk from an offset on; those in quarantine are refused unread."""
    attempt = attempt_of(chunk)
    for offset, logged, raw in zip(chunk.offsets, chunk.timestamps, chunk.values, strict=True):
        if offset < first:
            continue
        said: Command | Refused
        if offset in quarantine:
            said = Refused("crashed", "byte 0", "stopped a worker twice")
        else:
            said = _read(raw or b"")
        yield Received(offset, logged, raw or b"", attempt, said)


def taken_over(passed: PassedOn) -> Received:
    """A record that was passed on, as it stood in the control topic."""
    return Received(passed.offset, passed.logged, passed.body, passed.attempt, _read(passed.body))


def _read(raw: bytes) -> Command | Refused:
    try:
        return read_command(raw)
    except Refused as refused:
        return refused


def owner_of(plan: Plan, command: Command) -> int:
    """The shard that judges the alert which a command names."""
    configuration = plan.configuration
    of_city = command.rule in configuration.held or any(
        incident.id == command.rule for incident in configuration.incidents
    )
    return CITY if of_city or command.place is None else plan.shards.of(command.place)


def unknown() -> Refused:
    """The refusal of a command whose alert nobody has."""
    hint = "names no alert that stands: it is over, or its rule or place is another"
    return Refused("no_such_alert", "$.alert_id", hint)


def of_lane() -> Refused:
    """The refusal, on Kafka, of a command whose alert may be that of a device."""
    hint = "names no alert that stands, or one of a device that its partition judges by itself"
    return Refused("alert_of_lane", "$.alert_id", f"{hint}: workers do not mark those")
