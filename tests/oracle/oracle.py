"""The results that a log must give, computed in SQL and plain Python from the rules of the engine.

It shares no code with the engine's core: windows are found by listing them for each row, never by
moving through the log. Each kind of sign has a module of its own here; a sign that none of them
knows is not in the answer, and `covered_signs` names the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import duckdb

from schemas.configuration import Configuration
from schemas.signs import DerivedSign, HistorySign, LiveSign, Sign, WindowSign
from schemas.words import split_level
from tests.oracle.events import load_events
from tests.oracle.hotline_facts import load_facts
from tests.oracle.hotline_signs import compute_hotline
from tests.oracle.past_means import compute_past_mean
from tests.oracle.places import define_macros
from tests.oracle.results import make_expected
from tests.oracle.window_signs import compute_window

Compute: TypeAlias = Callable[[duckdb.DuckDBPyConnection, Configuration, Sign], None]
"""Adds the results of a sign to the table ``expected``."""

_HOTLINE_FIELDS = ("on_time", "flag", "citizen", "since_created_s")


def how_computed(sign: Sign) -> Compute | None:
    """What states the results of a sign; None where the oracle can not."""
    if isinstance(sign, LiveSign):
        return None
    if isinstance(sign, DerivedSign):
        return compute_past_mean if sign.formula.name == "past_mean" else None
    if isinstance(sign, HistorySign) or sign.topic == "orders" or _is_hotline(sign):
        return compute_hotline
    return compute_window if isinstance(sign, WindowSign) else None


def _is_hotline(sign: Sign) -> bool:
    """Whether a window sign of the hotline needs more than stands in the event itself."""
    if not isinstance(sign, WindowSign) or sign.topic != "hotline":
        return False
    named = {sign.aggregate.of, sign.aggregate.over, *sign.match}
    dimensions = {split_level(key)[0] for key in sign.keys}
    return bool(named & set(_HOTLINE_FIELDS)) or dimensions != {None}


def covered_signs(configuration: Configuration) -> list[Sign]:
    """The signs whose results the oracle can state."""
    return [sign for sign in configuration.signs if how_computed(sign)]


def compute(configuration: Configuration, folder: Path) -> duckdb.DuckDBPyConnection:
    """Compute every result of the logs in a folder.

    Returns
    -------
    duckdb.DuckDBPyConnection
        With the tables ``events`` (each with its bin) and ``expected`` (the results).
    """
    database = duckdb.connect(config={"threads": 2})
    database.execute("SET preserve_insertion_order = false")
    define_macros(database)
    load_events(database, configuration, folder)
    load_facts(database, configuration)
    make_expected(database)
    # Derived signs read the results of others, and may stand before them in the configuration.
    for sign in sorted(covered_signs(configuration), key=lambda s: isinstance(s, DerivedSign)):
        how = how_computed(sign)
        assert how is not None
        how(database, configuration, sign)
    return database
