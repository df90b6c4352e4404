"""What drives each rated sign of the shipped catalogue, and how near a value comes to what it
shall be."""

from __future__ import annotations

from schemas.loading import load
from schemas.signs import Sign
from tests.rules import driven_days as days
from tests.rules import driven_fleet as fleet
from tests.rules import driven_indices as indices
from tests.rules import driven_orders as orders
from tests.rules import driven_surprises as surprises

CATALOGUE = load(environ={})
MORE = {**days.DRIVEN, **fleet.DRIVEN, **orders.DRIVEN, **indices.DRIVEN, **surprises.DRIVEN}
RATED = [sign for sign in CATALOGUE.signs if sign.levels is not None]
# Those of the engine itself are of processing time: see `test_driven_live`.
DRIVEN = [sign for sign in RATED if sign.kind != "live"]
SURPRISING = [sign for sign in CATALOGUE.signs if sign.id in surprises.SURPRISING]
"""Signs that the city asks for without levels: what they have is a model."""


def off_by(sign: Sign) -> tuple[float, float]:
    """How far a value may be from what it shall be, as a share of it and in its unit.

    Where things are counted one more may lie in a window, and of a hundred one is a per cent; a
    quantile is known to a hundredth.
    """
    function = getattr(getattr(sign, "aggregate", None), "function", "")
    share = 0.01 if function == "quantile" else 0.001
    return share, 1.0 if sign.unit == "%" or function in ("count", "hits") else 1e-6
