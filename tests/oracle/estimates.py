"""How many different members there are, where they are too many to be kept."""

from __future__ import annotations

from math import log

import duckdb

_PRECISION = 12


def define_estimate(database: duckdb.DuckDBPyConnection) -> None:
    """Define ``estimated(members)`` of a list of signed 64-bit hashes."""
    database.create_function("estimated", estimated, ["BIGINT[]"], "BIGINT")


def estimated(members: list[int | None]) -> int:
    """HyperLogLog with 4,096 registers, and linear counting while many of them are zero.

    Flajolet, Fusy, Gandouet, Meunier (2007), figure 3, without its correction for 32 bits: the
    first bits of a hash choose a register, which keeps the largest place of the first 1 behind.
    """
    registers = [0] * (1 << _PRECISION)
    for signed in members:
        if signed is None:
            raise ValueError("members without a hash: name the secret of the configuration")
        bits = f"{signed % (1 << 64):064b}"
        register, rest = int(bits[:_PRECISION], 2), bits[_PRECISION:]
        registers[register] = max(registers[register], len(rest) - len(rest.lstrip("0")) + 1)
    size, zeros = len(registers), registers.count(0)
    alpha = 0.7213 / (1 + 1.079 / size)
    raw = alpha * size * size / sum(2.0**-rank for rank in registers)
    return round(size * log(size / zeros) if raw <= 2.5 * size and zeros else raw)
