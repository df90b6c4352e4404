"""What is wrong in a configuration, and where in it."""

from __future__ import annotations

from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]
Finding: TypeAlias = tuple[Path, str]
"""A path of settings, and words for the person who wrote them."""
