"""A part of a configuration: some of its signs, and none of its incidents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Tree = dict[str, Any]


def choose(content: Tree, wanted: Callable[[Tree], bool]) -> None:
    """Leave a configuration, as plain data, with those of its signs that are wanted.

    Without incidents nobody reads what is hidden, so these signs go as well.
    """
    content["signs"] = [one for one in content["signs"] if not one.get("hidden") and wanted(one)]
    content["incidents"] = content["overlays"] = []
    without_lost_rates(content)


def without_lost_rates(content: Tree) -> None:
    """Alerts whose rate no sign tells any more are raised when they are due."""
    kept = {one["id"] for one in content["signs"]}
    for one in content["signs"]:
        early = (one.get("alert") or {}).get("early")
        if early and early["rate"] not in kept:
            del one["alert"]["early"]
