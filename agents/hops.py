"""Windows between those of a sign's regular hop: said while an overlay is on.  Pure.

Panes and windows are always cut for the shortest hop that an overlay gives the sign, so that no
window changes when one goes on. A window between is said where the first overlay that is on for
its key has such a hop; elsewhere it is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from agents.entries import Entry
from agents.incidents import IncidentState
from agents.overlays import Planned
from agents.said import Said
from schemas.overlays import Overlay
from schemas.signs import Sign
from streams.heads import Flags
from streams.timeline import to_ms


class _Option(NamedTuple):
    """What one overlay makes of the sign's hop; int64 ms."""

    id: str
    hop_ms: int
    planned: Planned
    state: IncidentState | None


class Hops:
    """The hops of one sign.

    Parameters
    ----------
    sign, overlays
        The sign, and all overlays, in their order.
    incidents
        By id, those that are judged here; an overlay of another one is never on.
    """

    def __init__(
        self, sign: Sign, overlays: Iterable[Overlay], incidents: Mapping[str, IncidentState]
    ) -> None:
        assert sign.window.size_s is not None
        assert sign.window.hop_s is not None
        self._size_ms, self._hop_ms = to_ms(sign.window.size_s), to_ms(sign.window.hop_s)
        self._options = [
            _Option(
                overlay.id,
                self._hop_ms if change.hop_s is None else to_ms(change.hop_s),
                Planned.of(overlay),
                incidents.get(overlay.incident or ""),
            )
            for overlay in overlays
            for change in overlay.changes
            if change.sign == sign.id
        ]

    def is_regular(self, end: int) -> bool:
        """Whether a window that ends there is one of the sign's own hop."""
        return (end - self._size_ms) % self._hop_ms == 0

    def may_say(self, end: int) -> bool:
        """Whether some key may say a window between."""
        return any(
            (end - self._size_ms) % one.hop_ms == 0 and self._is_on(one, None, end)
            for one in self._options
        )

    def says(self, said: Said, end: int) -> Flags:
        """Which rows say the window that ends there."""
        if self.is_regular(end):
            return np.ones(len(said), np.bool_)
        flags = [self._says(said.entry(row), end) for row in range(len(said))]
        return np.array(flags, np.bool_)

    def _says(self, entry: Entry, end: int) -> bool:
        on = next((one for one in self._options if self._is_on(one, entry, end)), None)
        return on is not None and (end - self._size_ms) % on.hop_ms == 0

    @staticmethod
    def _is_on(one: _Option, entry: Entry | None, end: int) -> bool:
        """Whether an overlay is on at a key, or at any where none is given."""
        if one.planned.is_on(None if entry is None else entry.place, end):
            return True
        return one.state is not None and one.state.stood_before(entry, end)
