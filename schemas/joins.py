"""Whether joins, lags and children fit their inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from schemas.derivations import Children, Combine
from schemas.findings import Finding
from schemas.hierarchies import Hierarchy
from schemas.places import LEVELS
from schemas.signs import DerivedSign, Sign

_OF_TWO = ("difference", "ratio", "relative_change")
_OF_ENOUGH = ("min", "max", "mean", "sum")
_REPORTING = ("device", "segment", "intersection")


def check_combine(formula: Combine) -> Iterator[Finding]:
    """What is wrong with a join."""
    if formula.how in _OF_TWO and len(formula.of) != 2:
        yield ("formula", "of"), f"{formula.how} takes two signs, not {len(formula.of)}"
    for i, name in enumerate(formula.of):
        if name in formula.of[:i]:
            yield ("formula", "of", i), f"'{name}' is listed twice"
    if formula.at_least is not None:
        if formula.how not in _OF_ENOUGH:
            message = f"is for {', '.join(_OF_ENOUGH)} alone: remove it"
            yield ("formula", "at_least"), message
        elif formula.at_least > len(formula.of):
            message = f"is above the number of inputs ({len(formula.of)})"
            yield ("formula", "at_least"), message
    yield from _otherwise(formula)


def check_lag(sign: DerivedSign) -> Iterator[Finding]:
    """What is wrong with a lag."""
    if sign.window.calendar is not None:
        yield ("window", "calendar"), "calendar windows have no fixed step: use size_s and hop_s"


def check_children(
    sign: DerivedSign,
    formula: Children,
    by_id: Mapping[str, Sign],
    hierarchies: Mapping[str, Hierarchy],
) -> Iterator[Finding]:
    """What is wrong with a function over children."""
    yield from _parents(sign, formula, hierarchies)
    hierarchy = hierarchies.get(sign.keys[0])
    listed = hierarchy is not None and hierarchy.by == "register"
    source = by_id.get(formula.of)
    if source is not None and formula.child not in source.keys:
        yield ("formula", "child"), f"'{source.id}' has no key {formula.child}"
    if listed and formula.child not in _REPORTING:
        message = f"the register tells what a {', '.join(_REPORTING)} is part of: use one of them"
        yield ("formula", "child"), message
    if formula.carry is not None:
        carried = by_id.get(formula.carry)
        if not listed:
            yield (
                ("formula", "carry"),
                "goes with a hierarchy by register: this has a single level",
            )
        elif carried is not None and sign.keys[0] not in carried.keys:
            yield ("formula", "carry"), f"'{carried.id}' has no key {sign.keys[0]}"
    yield from _complete(formula, by_id, listed=listed)
    yield from _otherwise(formula)


def _parents(
    sign: DerivedSign, formula: Children, hierarchies: Mapping[str, Hierarchy]
) -> Iterator[Finding]:
    for i, key in enumerate(sign.keys):
        if key in hierarchies:
            if len(sign.keys) > 1:
                yield ("keys", i), f"the hierarchy '{key}' goes alone: make another sign"
        elif key not in LEVELS:
            yield ("keys", i), f"'{key}' has no children: use a level of places or a hierarchy"
        elif formula.child in LEVELS and LEVELS.index(key) >= LEVELS.index(formula.child):
            yield ("keys", i), f"'{key}' is not above the child '{formula.child}'"


def _complete(formula: Children, by_id: Mapping[str, Sign], *, listed: bool) -> Iterator[Finding]:
    path = ("formula", "complete")
    if formula.complete == "register":
        if not listed:
            yield path, "register goes with a hierarchy by register: name a sign that tells it"
    elif formula.complete is not None:
        counted = by_id.get(formula.complete)
        if listed:
            yield path, "a hierarchy by register has its children there: use register"
        elif counted is not None and formula.child not in counted.keys:
            yield path, f"'{counted.id}' has no key {formula.child}"


def _otherwise(formula: Combine | Children) -> Iterator[Finding]:
    if formula.otherwise is not None and formula.how != "same":
        yield ("formula", "otherwise"), "is for how: same alone: remove it"
