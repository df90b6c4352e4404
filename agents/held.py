"""Alerts of signs that wait: for incidents of their moment, or for a sign that tells their rate.

What a sign says leaves at once.  Whether its alert is suppressed is a function of the log only if
it is judged after the incident of the same moment, and that waits for more lanes.  So it is with
the rate by which an alert is raised one level early.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from agents.alerts import Alerts, Around
from agents.entries import Entry, KeyName
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
    rate_hop_ms
        How often its rate is told, where a sign tells it: the newest one counts for so long.
    """

    def __init__(
        self,
        sign: Sign,
        windows: Windows,
        alerts: Alerts,
        incidents: Sequence[IncidentState],
        modes: Mapping[str, IncidentState],
        rate_hop_ms: int = 0,
    ) -> None:
        self.sign, self._windows, self._alerts = sign, windows, alerts
        self._incidents, self._modes = incidents, modes
        self._rate_hop_ms = rate_hop_ms
        self._rates: dict[int, dict[KeyName, float]] = {}
        """By the ends of windows, what the sign that tells rates said."""
        self._first: dict[int, Said] = {}
        self._final: dict[int, list[Pair]] = {}
        self._frozen: set[str] = set()
        """Parts that stand in the last snapshot."""

    def expect(self, end: int, said: Said) -> None:
        """What the sign says of a window."""
        self._first[end] = said
        self._frozen.discard(f"first/{end}")

    def expect_final(self, end: int, pairs: list[Pair]) -> None:
        """Rows that late events changed, and that have a level."""
        self._final[end] = pairs
        self._frozen.discard(f"final/{end}")

    def expect_rates(self, end: int, said: Said) -> None:
        """What the sign that tells rates says of a window."""
        rows = np.flatnonzero(~np.isnan(said.values)).tolist()
        self._rates[end] = {said.names[row]: float(said.values[row]) for row in rows}
        self._frozen.discard(f"rates/{end}")

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
        outputs = self._alerts.unshelve(self.sign.id, end)
        self._forget_rates(end)
        rates = self._rates_at(end)
        rows = set(self._alerts.concerned(self.sign.id, said, end))
        if rates:
            rows.update(row for row, name in enumerate(said.names) if rates.get(name))
        for row in sorted(rows):
            entry = said.entry(row)
            outputs += self._alerts.judge(self.sign.id, entry, start, end, self._around(entry, end))
        # An incident that is over suppresses no alert of a key that has fallen silent.
        for row in self._alerts.standing(self.sign.id, said):
            entry = said.entry(row)
            around = self._around(entry, end)
            outputs += self._alerts.look_again(self.sign.id, entry, start, end, around)
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
        found = [
            alert
            for incident in self._incidents
            for alert in incident.suppressing(self.sign.id, entry, end)
        ]
        modes = [name for name, state in self._modes.items() if state.stands_at(entry, end)]
        return Around(found, modes, self._rates_at(end).get(entry.name))

    def _rates_at(self, end: int) -> dict[KeyName, float]:
        """The rates of the newest window that ends by then, and no hop before."""
        newest = max((at for at in self._rates if at <= end), default=None)
        return {} if newest is None else self._rates[newest]

    def _forget_rates(self, end: int) -> None:
        for at in [at for at in self._rates if at <= end - self._rate_hop_ms]:
            del self._rates[at]

    def freeze(self, *, whole: bool = False) -> Frozen:
        """What waits, each window in a part that is written once."""
        parts: Frozen = {}
        for end, rates in self._rates.items():
            parts[f"rates/{end}"] = partial(encode_rows, rates.items())
        for end, said in self._first.items():
            parts[f"first/{end}"] = partial(encode_rows, said)
        for end, pairs in self._final.items():
            parts[f"final/{end}"] = partial(encode_rows, pairs)
        same = self._frozen & parts.keys()
        self._frozen = set(parts)
        return parts if whole else parts | dict.fromkeys(same)

    def load(self, parts: Mapping[str, bytes]) -> None:
        groups, self._frozen = grouped(parts), set(parts)
        self._rates = {
            int(end): {(level, key): rate for (level, key), rate in decode_rows(part)}
            for end, part in groups.get("rates", {}).items()
        }
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
