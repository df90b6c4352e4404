"""Random numbers by counter: every draw is a function of its name, none of the draws before it.

SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
OOPSLA 2014) over NumPy columns. Whatever is drawn from it uses only + - * / and rounding,
so the same seed gives the same bytes on every machine and with every NumPy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB


def mix(*parts: int) -> int:
    """Mix integers into one 64-bit number.

    Examples
    --------
    >>> mix(1, 2) == mix(1, 2), mix(1, 2) == mix(2, 1)
    (True, False)
    """
    state = 0
    for part in parts:
        state = (state + (part & _MASK) + _STEP) & _MASK
        state = ((state ^ (state >> 30)) * _FIRST) & _MASK
        state = ((state ^ (state >> 27)) * _SECOND) & _MASK
        state ^= state >> 31
    return state


def uniforms(key: int, rows: Ints, columns: int) -> Floats:
    """Draw uniform numbers in [0, 1), one row of the answer for each column.

    Parameters
    ----------
    key
        What is drawn, from :func:`mix`.
    rows
        Numbers of the entities, shape (n,); an entity draws the same number in any company.
    columns
        How many numbers each entity draws.

    Returns
    -------
    array of shape (columns, n)

    Examples
    --------
    >>> import numpy as np
    >>> both = uniforms(mix(7), np.array([4, 9]), 1)
    >>> bool(uniforms(mix(7), np.array([9]), 1)[0, 0] == both[0, 1])
    True
    """
    keys = np.array([mix(key, column) for column in range(columns)], dtype=np.uint64)
    z = rows.astype(np.uint64)[None, :] * np.uint64(_STEP) + keys[:, None]
    z ^= z >> np.uint64(30)
    z *= np.uint64(_FIRST)
    z ^= z >> np.uint64(27)
    z *= np.uint64(_SECOND)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


def uniform(key: int, column: int = 0) -> float:
    """Draw one uniform number in [0, 1)."""
    return (mix(key, column) >> 11) * 2.0**-53


def choose(key: int, count: int, column: int = 0) -> int:
    """Draw one whole number from 0 to ``count`` - 1."""
    return int(uniform(key, column) * count)
