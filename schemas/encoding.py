"""The bytes of outputs: JSON, keys in the order of the fields, nulls written out."""

from __future__ import annotations

from math import isfinite
from typing import Any

import msgspec
import orjson


def encode(output: msgspec.Struct) -> bytes:
    """Return an output as JSON.

    Raises
    ------
    ValueError
        Where a number in it is NaN or infinite (rule R7), with the path of the number.

    Examples
    --------
    >>> from schemas.alert import Contributor
    >>> encode(Contributor(key="440111", value=26.8))
    b'{"key":"440111","value":26.8}'
    >>> encode(Contributor(key="440111", value=float("nan")))
    Traceback (most recent call last):
    ValueError: `$.value` is not finite
    """
    plain = msgspec.to_builtins(output)
    # orjson writes NaN and infinities as null, without a word.
    _require_finite(plain, "$")
    return orjson.dumps(plain)


def _require_finite(value: Any, path: str) -> None:
    if isinstance(value, float):
        if not isfinite(value):
            raise ValueError(f"`{path}` is not finite")
    elif isinstance(value, dict):
        for key, item in value.items():
            _require_finite(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _require_finite(item, f"{path}[{index}]")
