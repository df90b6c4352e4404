"""What the city hands over: records in order of arrival."""

from __future__ import annotations

from typing import NamedTuple


class Emission(NamedTuple):
    """One record of an input topic at the moment it arrives.

    Attributes
    ----------
    topic
        Input topic, such as ``city.sensor.v1``.
    arrival_ms
        When the log receives it, epoch milliseconds UTC.
    key, value
        The record: key of its partition, and one JSON object without newline.
    """

    topic: str
    arrival_ms: int
    key: bytes
    value: bytes
