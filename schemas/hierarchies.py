"""What keys are part of, beside places: the register's groups, or the head of the key itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field

from schemas.findings import Finding
from schemas.model import Model
from schemas.relations import COLUMN
from schemas.words import LEVELS_KNOWN


class Hierarchy(Model):
    """A level of keys that other keys are part of; derived signs have them by `children`."""

    name: Annotated[str, Field(pattern="^[a-z]+(_[a-z]+)*$", max_length=24)]
    """The key level: signs list it under keys."""
    by: Literal["register", "key"]
    """`register`: its column part_of:NAME tells what a device is part of, and what that is part of.
    `key`: a key is part of its own head, what stands before the last divider."""
    divider: Annotated[str, Field(min_length=1, max_length=8)] = "/"
    """For `key`: lane2 of a/7/lane2 is part of a/7."""


def column_of(hierarchy: Hierarchy) -> str:
    """The register's column of a hierarchy."""
    return COLUMN + hierarchy.name


def check_hierarchies(hierarchies: Sequence[Hierarchy]) -> Iterator[Finding]:
    """What is wrong with the names of hierarchies."""
    for i, one in enumerate(hierarchies):
        if one.name in LEVELS_KNOWN:
            yield ("hierarchies", i, "name"), f"'{one.name}' is a key level already: choose another"
        elif one.name in [other.name for other in hierarchies[:i]]:
            yield ("hierarchies", i, "name"), f"'{one.name}' is defined twice: rename or remove one"
        if one.by == "register" and one.divider != "/":
            yield ("hierarchies", i, "divider"), "is for by: key alone; the register's paths have /"
