"""Which register a run has: that of its configuration, one that is named, or one it finds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import zstandard

from agents.commands.exits import BAD, Fault
from schemas.hierarchies import column_of
from schemas.register import Register, parse_register, write

if TYPE_CHECKING:
    from schemas.configuration import Configuration
    from streams.log_store import LogStore

BESIDE = "register.csv"
"""Name of the register beside event logs, as `generate` writes it."""

_REGISTER = "register"


def with_named(
    configuration: Configuration, named: Path | None, beside: list[Path]
) -> Configuration:
    """The configuration with the register that is named, or that stands beside its event logs.

    Parameters
    ----------
    named
        What a person asked for; it stands in for the configuration's own.
    beside
        Folders of logs: their ``register.csv`` counts where nothing else does.

    Raises
    ------
    RegisterError
        With every fault at its line and column.
    Fault
        The configuration has a hierarchy that no register tells.
    """
    from schemas.registers import read_register

    if named is None and not configuration.register.devices:
        found = [folder / BESIDE for folder in beside if (folder / BESIDE).is_file()]
        named = found[0] if len(found) == 1 else None
    if named is not None:
        configuration = configuration.with_register(read_register(named))
    for i in configuration.untold:
        column = column_of(configuration.hierarchies[i])
        what = f"{named} has no column {column}" if named else f"{column} stands in no register"
        raise Fault(
            BAD,
            f"{what}, and the configuration's hierarchy needs it: name a register "
            "that has it with --register",
        )
    return configuration


def keep(store: LogStore, register: Register) -> None:
    """Leave the register of a run in its folder, for replays of it."""
    text = write(register).encode() if register.devices else b""
    with store.transaction() as tx:
        tx.set_meta(_REGISTER, zstandard.compress(text))


def kept_register(store: LogStore) -> Register:
    """The register of a folder's last run; empty where it had none."""
    packed = store.meta(_REGISTER)
    text = b"" if packed is None else zstandard.decompress(packed)
    return parse_register(text.decode(), f"{store.path}: register") if text else Register()


def kept(store: LogStore, configuration: Configuration) -> Configuration:
    """The configuration with the register of the folder's last run."""
    register = kept_register(store)
    return configuration.with_register(register) if register.devices else configuration
