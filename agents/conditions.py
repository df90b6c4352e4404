"""Whether an event is what a sign asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.words import Condition, Range


def meets(wanted: Mapping[str, Condition], event: Any) -> bool:
    """Whether all fields of an event are what is wanted of them; a missing one is in no range.

    >>> from types import SimpleNamespace
    >>> charger = SimpleNamespace(metric="ev_connector_state", value=3.0)
    >>> meets({"value": Range(at_least=2, at_most=4)}, charger), meets({"metric": "rain"}, charger)
    (True, False)
    """
    for field, accepted in wanted.items():
        value = getattr(event, field)
        if isinstance(accepted, Range):
            low, high = accepted.bounds
            if value is None or not low <= value <= high:
                return False
        elif isinstance(accepted, list | tuple):
            if value not in accepted:
                return False
        elif value != accepted:
            return False
    return True
