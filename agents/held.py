"""Alerts of signs that incidents suppress: they wait until the incidents of their moment are known.

What a sign says leaves at once.  Whether its alert is suppressed is a function of the log only if
it is judged after the incident of the same moment, and that waits for more lanes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from agents.alerts import Alerts, Around
from agents.entries import Entry
from agents.incidents import IncidentState
from agents.said import Said
from schemas.signs import Sign
from streams.frozen import Frozen, decode_rows, encode_rows, grouped
from streams.records import Output
from streams.timeline import AFTER_ALL
from streams.windows import Windows

Pair = tuple[Entry | None, Entry]
"""A row as it was told, if it was, and as late events made it."""


class HeldAlerts:
    """Windows of one sign whose alerts are not judged yet.

    Parameters
    ----------
    incidents
        Those that suppress the sign.
    modes
        By the ids of overlays that change the sign: the incidents that switch them on.
    """

    def __init__(
        self,
        sign: Sign,
        windows: Windows,
        alerts: Alerts,
        incidents: Sequence[IncidentState],
        modes: Mapping[str, IncidentState],
    ) -> None:
        self.sign, self._windows, self._alerts = sign, windows, alerts
        self._incidents, self._modes = incidents, modes
        self._first: dict[int, Said] = {}
        self._final: dict[int, list[Pair]] = {}

    def expect(self, end: int, said: Said) -> None:
        """What the sign says of a window."""
        self._first[end] = said

    def expect_final(self, end: int, pairs: list[Pair]) -> None:
        """Rows that late events changed, and that have a level."""
        self._final[end] = pairs

    def settles(self, farthest: int) -> int:
        """The end of the last window that holds a time, int64 ms."""
        return self._windows.last_end_with(farthest)

    def next_end(self, limit: int = AFTER_ALL) -> int:
        """The next window that waits, by its end in int64 ms, or `AFTER_ALL`."""
        return min(self._first, default=AFTER_ALL)

    def next_final(self) -> int:
        """The next corrected one."""
        return min(self._final, default=AFTER_ALL)

    def close(self, end: int) -> list[Output]:
        """Judge a window."""
        said, start = self._first.pop(end), self._windows.start(end)
        outputs: list[Output] = []
        for row in self._alerts.concerned(self.sign.id, said):
            entry = said.entry(row)
            outputs += self._alerts.judge(self.sign.id, entry, start, end, self._around(entry, end))
        # An incident that is over suppresses no alert of a key that has fallen silent.
        for row in self._alerts.standing(self.sign.id, said):
            entry = said.entry(row)
            outputs += self._alerts.mark(self.sign.id, entry, start, end, self._around(entry, end))
        return outputs

    def close_final(self, end: int) -> list[Output]:
        """Judge the corrections of a window."""
        outputs: list[Output] = []
        for before, after in self._final.pop(end):
            window = self._windows.start(end), end
            around = self._around(after, end)
            outputs += self._alerts.judge_final(self.sign.id, before, after, *window, around)
        return outputs

    def _around(self, entry: Entry, end: int) -> Around:
        found = (incident.suppressing(self.sign.id, entry, end) for incident in self._incidents)
        by = next((alert for alert in found if alert is not None), None)
        modes = [name for name, state in self._modes.items() if state.stands_at(entry, end)]
        return Around(by, modes)

    def freeze(self) -> Frozen:
        parts: Frozen = {}
        for end, said in self._first.items():
            parts[f"first/{end}"] = partial(encode_rows, list(said))
        for end, pairs in self._final.items():
            parts[f"final/{end}"] = partial(encode_rows, pairs)
        return parts

    def load(self, parts: Mapping[str, bytes]) -> None:
        groups = grouped(parts)
        self._first = {
            int(end): Said.of([Entry._make(row) for row in decode_rows(part)])
            for end, part in groups.get("first", {}).items()
        }
        self._final = {
            int(end): [
                (None if before is None else Entry._make(before), Entry._make(after))
                for before, after in decode_rows(part)
            ]
            for end, part in groups.get("final", {}).items()
        }
