"""Events that come in over HTTP: each line is checked as intake would, and answered.

Nothing of a line is repeated in its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agents.recordings import Emitted
from agents.shapes import HeadOf, head_of, shapes_of
from schemas.configuration import Configuration
from schemas.refusal import Refused
from schemas.shaping import Decode, decoder_of
from schemas.spelling import guess
from streams.partitioning import partition_of

MOST_LINES = 50_000

Answer = dict[str, Any]


class UnknownInputError(LookupError):
    """A topic that is no input."""


class Door:
    """Checks events of the configuration's input topics.

    Parameters
    ----------
    partitions
        How many a topic has.
    """

    def __init__(self, configuration: Configuration, partitions: Callable[[str], int]) -> None:
        self._partitions = partitions
        shapes = shapes_of(configuration.topics)
        self._ways: Mapping[str, tuple[Decode, HeadOf]] = {
            topic.name: (
                decoder_of(topic.kind, topic.record, configuration.known_metrics),
                head_of(topic.name, shapes),
            )
            for topic in configuration.topics
        }

    def require(self, topic: str) -> None:
        """Refuse what is no input topic."""
        if topic not in self._ways:
            known = ", ".join(self._ways)
            near = guess(topic, self._ways) or ";"
            raise UnknownInputError(f"{topic} is no input topic{near} there are {known}")

    def check(self, topic: str, body: bytes) -> tuple[list[Emitted], list[Answer]]:
        """The events to append, and an answer for each line, to be completed with offsets.

        Answers of accepted lines stand in the order of the events.
        """
        decode, head = self._ways[topic]
        partitions = self._partitions(topic)
        records: list[Emitted] = []
        answers: list[Answer] = []
        for number, line in enumerate(body.split(b"\n"), 1):
            line = line.removesuffix(b"\r")
            if not line or line.isspace():
                continue
            try:
                decode(line)
            except Refused as refused:
                told = {"error": refused.code, "where": refused.where, "hint": refused.hint}
                answers.append({"line": number, "accepted": False, **told})
                continue
            key, at = head(line)
            partition = partition_of(key, partitions)
            records.append(Emitted(at or 0, topic, partition, key, line))
            answers.append({"line": number, "accepted": True, "partition": partition})
        return records, answers


def with_offsets(answers: Sequence[Answer], offsets: Sequence[int]) -> list[Answer]:
    """Answers in which accepted lines know where they stand."""
    placed = iter(offsets)
    return [{**a, "offset": next(placed)} if a["accepted"] else a for a in answers]
