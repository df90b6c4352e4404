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
from schemas.signs import DerivedSign, LiveSign, Sign, WindowSign
from tests.oracle.aggregates import MACROS as AGGREGATE_MACROS
from tests.oracle.arrivals import make_arrivals
from tests.oracle.closing import make_closing
from tests.oracle.estimates import define_estimate
from tests.oracle.events import load_events
from tests.oracle.expected_keys import make_register
from tests.oracle.formulas import compute_derived
from tests.oracle.hotline_facts import load_facts
from tests.oracle.hotline_signs import compute_hotline
from tests.oracle.models import judge_sign, make_models
from tests.oracle.places import MACROS as PLACE_MACROS
from tests.oracle.results import make_expected
from tests.oracle.sampled_signs import compute_sampled
from tests.oracle.signs import in_order
from tests.oracle.window_signs import compute_window

Compute: TypeAlias = Callable[[duckdb.DuckDBPyConnection, Configuration, Sign], None]
"""Adds the results of a sign to the table ``expected``."""


def how_computed(sign: Sign) -> Compute | None:
    """What states the results of a sign; None where the oracle can not."""
    if isinstance(sign, LiveSign):
        return None
    if isinstance(sign, DerivedSign):
        return compute_derived
    if sign.topic in ("hotline", "orders"):
        return compute_hotline
    return compute_window if isinstance(sign, WindowSign) else compute_sampled


def covered_signs(configuration: Configuration) -> list[Sign]:
    """The signs whose results the oracle can state."""
    return [sign for sign in configuration.signs if how_computed(sign)]


def compute(configuration: Configuration, folder: Path) -> duckdb.DuckDBPyConnection:
    """Compute every result of the logs in a folder.

    Returns
    -------
    duckdb.DuckDBPyConnection
        With the tables ``events`` (each with its bin), ``expected`` (the results) and ``models``
        (what models say of first statements).
    """
    database = duckdb.connect(config={"threads": 2})
    database.execute("SET preserve_insertion_order = false")
    database.execute("SET enable_progress_bar = false")
    for macros in (PLACE_MACROS, AGGREGATE_MACROS):
        database.execute(macros)
    define_estimate(database)
    load_events(database, configuration, folder)
    load_facts(database, configuration)
    make_closing(database, configuration)
    make_register(database, configuration)
    make_arrivals(database)
    make_expected(database)
    make_models(database)
    for sign in in_order(covered_signs(configuration)):
        how = how_computed(sign)
        assert how is not None
        how(database, configuration, sign)
        judge_sign(database, configuration, sign)
    return database
