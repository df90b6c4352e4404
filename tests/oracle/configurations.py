"""Changes to the shipped configuration under which short logs say something."""

from __future__ import annotations

from typing import Any


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
