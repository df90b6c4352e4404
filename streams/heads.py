"""What all cells have, as columns."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ext.cells import Cells

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]


class Heads(NamedTuple):
    """Columns of int64, a cell each: its id, its rows, the time of the last one in ms, what they
    cover, and the number of the last one's place."""

    id: Ints
    n: Ints
    last_t: Ints
    covered: Ints
    place: Ints


def heads_of(cells: Cells) -> Heads:
    """The heads of cells, in the order in which these came.

    >>> from ext.cells import Moments
    >>> heads_of(Moments()).n.sum()
    np.int64(0)
    """
    out = np.empty((5, len(cells)), np.int64)
    cells.heads(out)
    return Heads(*out)
