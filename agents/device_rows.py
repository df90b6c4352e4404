"""What signs say of the devices of one lane while windows close.  Pure."""

from __future__ import annotations

from agents.outputs import OfDevices, device_results
from streams.records import Lane, Output


class DeviceRows:
    """Statements that wait for those of other signs about the same rows.

    Parameters
    ----------
    config
        Version and fingerprint of the configuration.
    lane
        Whose devices they are.
    """

    def __init__(self, config: str, lane: Lane) -> None:
        self.config, self.lane = config, lane
        self._told: dict[tuple[int, int, int], list[list[OfDevices]]] = {}
        """By window and revision, those with the same rows together."""

    def note(self, start: int, end: int, rev: int, one: OfDevices) -> None:
        """Keep what a sign says of a window ``[start, end)``, int64 ms."""
        together = self._told.setdefault((start, end, rev), [])
        for group in together:
            if group[0].said.has_rows_of(one.said):
                group.append(one)
                return
        together.append([one])

    def take(self) -> list[Output]:
        """The records of all that was noted, which is forgotten."""
        outputs: list[Output] = []
        for (start, end, rev), together in self._told.items():
            for group in together:
                how = (group, start, end)
                outputs += device_results(*how, rev=rev, config=self.config, lane=self.lane)
        self._told.clear()
        return outputs
