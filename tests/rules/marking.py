"""A person who acknowledges and shelves alerts while a city goes on, and the rule for what follows.

What marks may do is told here from the transitions alone, as somebody reads the alert log.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

from agents.commanding import bytes_of, command_of
from agents.control import CONTROL_LANE
from agents.marks import WrittenMark, written_marks
from agents.outputs import ALERT_LOG, DEAD_LETTER
from agents.pipeline import Pipeline
from agents.plan import Plan
from schemas.command import CommandKind
from streams.log_types import Record
from streams.records import Chunk, Output

MARKS = ("acked", "unacked", "shelved", "unshelved")
KINDS: tuple[CommandKind, ...] = ("ack", "ack", "unack", "shelve", "shelve", "unshelve")


class Person:
    """Decides something about an alert that stands, as far as it was told of."""

    def __init__(self, rng: Random) -> None:
        self.rng, self.given = rng, 0
        self.standing: dict[str, dict[str, Any]] = {}

    def look(self, outputs: Iterable[Output]) -> None:
        for alert in alerts_in(outputs):
            if alert["state"] == "cleared":
                self.standing.pop(alert["alert_id"], None)
            else:
                self.standing[alert["alert_id"]] = alert

    def decide(self) -> bytes | None:
        """The bytes of a command."""
        if not self.standing:
            return None
        rng = self.rng
        alert = self.standing[rng.choice(sorted(self.standing))]
        kind = rng.choice(KINDS)
        minutes = rng.choice((1, 2, 5, 30)) if kind == "shelve" else None
        self.given += 1
        words = f"duty {self.given % 3}", f"故障 {self.given}"
        now = alert["t_update"] + rng.choice((0, 30_000, 300_000))
        return bytes_of(command_of(kind, alert, *words, minutes, now, f"c{self.given}"))


def commands(raws: Sequence[bytes], first: int = 0) -> Chunk:
    """Records of the control topic."""
    offsets = range(first, first + len(raws))
    return Chunk(*CONTROL_LANE, offsets, [1_772_400_000_000] * len(raws), [None] * len(raws), raws)


def taken(pipeline: Pipeline, chunk: Chunk) -> list[Output]:
    """What a pipeline says of events or of commands."""
    return pipeline.command(chunk) if chunk.lane == CONTROL_LANE else pipeline.step(chunk)


def lived(plan: Plan, chunks: Iterable[Chunk], rng: Random) -> tuple[list[Chunk], list[Output]]:
    """A run in which a person decides now and then: what was taken, in order, and what was said."""
    pipeline, person = Pipeline(plan), Person(rng)
    order, outputs = list[Chunk](), list[Output]()
    for chunk in chunks:
        before = person.given
        decided = [person.decide() for _ in range(rng.choice((0, 1, 4)))]
        raws = [raw for raw in decided if raw is not None]
        for one in (chunk, commands(raws, before)) if raws else (chunk,):
            order.append(one)
            said = taken(pipeline, one)
            person.look(said)
            outputs += said
    return order, outputs + pipeline.end()


def alerts_in(outputs: Iterable[Output]) -> list[dict[str, Any]]:
    return [json.loads(o.value) for o in outputs if o.topic == ALERT_LOG]


def records(outputs: Iterable[Output]) -> list[Record]:
    """The alert log."""
    logged = (o for o in outputs if o.topic == ALERT_LOG)
    return [Record(n, o.timestamp, o.key, o.value, o.headers) for n, o in enumerate(logged)]


def written(outputs: Iterable[Output]) -> list[WrittenMark]:
    return list(written_marks(records(outputs)))


def of_events(outputs: Iterable[Output]) -> list[Output]:
    """What a replay of the events says: not that commands were refused."""
    head = f"{CONTROL_LANE}/".encode()
    return [o for o in outputs if o.topic != DEAD_LETTER or not o.key.startswith(head)]


def assert_marked_by_rule(alerts: Iterable[dict[str, Any]]) -> None:
    """What each transition says of marks, by those before it of the same alert.

    An acknowledgement holds up to the level at which it was given; a shelve to its limit; both are
    the person's words in the transition that they make, and no other.
    """
    acked: dict[str, int] = {}
    shelved: dict[str, int | None] = {}
    for alert in alerts:
        name, said = alert["alert_id"], alert["transition"]
        if said in ("acked", "unacked"):
            acked[name] = alert["level"] if said == "acked" else 0
        elif alert["level"] > acked.get(name, 0):
            acked[name] = 0
        if said == "shelved":
            shelved[name] = alert["shelved_until"]
            assert alert["shelved_until"] > alert["t_update"]
        elif said == "unshelved":
            over = shelved.get(name)
            if alert["by"] is None:
                assert over is not None
                assert over <= alert["t_update"]
            shelved[name] = None
        assert alert["acked"] == (acked.get(name, 0) > 0)
        assert alert["shelved_until"] == shelved.get(name)
        assert alert["shelved_until"] is None or alert["shelved_until"] > alert["t_update"]
        assert ("by" in alert) == ("note" in alert) == (said in MARKS)


def without_marks(alerts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The transitions as they would be if nobody had decided anything."""
    return [
        alert | {"acked": False, "shelved_until": None}
        for alert in alerts
        if alert["transition"] not in MARKS
    ]
