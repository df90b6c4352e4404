"""Changes to the shipped configuration under which short logs say something."""

from __future__ import annotations

from typing import Any

from schemas.loading import load


def regular() -> dict[str, Any]:
    """The shipped configuration as plain data, without the shorter hops of overlays.

    Whether one is on is a matter of incidents, which the oracle does not know; what an overlay
    makes of a sign is held against its rule in `tests.rules.test_hops`.
    """
    content: dict[str, Any] = load(environ={}).model_dump()
    for overlay in content["overlays"]:
        for change in overlay["changes"]:
            change["hop_s"] = None
        overlay["changes"] = [one for one in overlay["changes"] if _changes_something(one)]
    return content


def _changes_something(change: dict[str, Any]) -> bool:
    return any(value not in (None, False) for name, value in change.items() if name != "sign")


def eager(content: dict[str, Any], *, least: int, every_s: float | None = None) -> None:
    """Let models answer after a few values.

    Parameters
    ----------
    content
        A configuration as plain data; changed in place.
    least
        Values that a model needs.
    every_s
        How often one is learned, if not as often as is shipped.
    """
    for sign in content["signs"]:
        if sign.get("model"):
            sign["model"]["least"] = least
            if every_s is not None:
                sign["model"]["every_s"] = every_s
