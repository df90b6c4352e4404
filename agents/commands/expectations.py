"""Which register a run has: that of its configuration, one that is named, or one it finds; and
which relations of keys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import zstandard

from agents.commands.exits import BAD, Fault
from schemas.hierarchies import column_of
from schemas.register import Register, parse_register, write
from schemas.related import Relations
from schemas.related import write as write_relations
from schemas.related_files import parse_relations

if TYPE_CHECKING:
    from schemas.configuration import Configuration
    from streams.log_store import LogStore

BESIDE = "register.csv"
"""Name of the register beside event logs, as `generate` writes it."""

RELATIONS_BESIDE = "relations.csv"
"""Name of the table of relations there."""

_REGISTER, _RELATIONS = "register", "relations"


def with_named(
    configuration: Configuration, named: Path | None, beside: list[Path]
) -> Configuration:
    """The configuration with the register that is named, or that stands beside its event logs.

    Parameters
    ----------
    named
        What a person asked for; it stands in for the configuration's own.
    beside
        Folders of logs: their ``register.csv`` counts where nothing else does, and so does their
        ``relations.csv``.

    Raises
    ------
    RegisterError
        With every fault at its line and column.
    Fault
        The configuration has a hierarchy that no register tells.
    """
    from schemas.registers import read_register, read_relations

    if not configuration.relations.rows:
        table = _only(beside, RELATIONS_BESIDE)
        if table is not None:
            configuration = configuration.with_relations(read_relations(table))
    if named is None and not configuration.register.devices:
        named = _only(beside, BESIDE)
    if named is not None:
        configuration = configuration.with_register(
            read_register(named, metrics=configuration.known_metrics)
        )
    for i in configuration.untold:
        column = column_of(configuration.hierarchies[i])
        what = f"{named} has no column {column}" if named else f"{column} stands in no register"
        raise Fault(
            BAD,
            f"{what}, and the configuration's hierarchy needs it: name a register "
            "that has it with --register",
        )
    return configuration


def _only(folders: list[Path], name: str) -> Path | None:
    """The file of a name, where it stands in one of the folders alone."""
    found = [folder / name for folder in folders if (folder / name).is_file()]
    return found[0] if len(found) == 1 else None


def keep(store: LogStore, register: Register, relations: Relations | None = None) -> None:
    """Leave the register and the relations of a run in its folder, for replays of it."""
    text = write(register).encode() if register.devices else b""
    table = write_relations(relations).encode() if relations else b""
    with store.transaction() as tx:
        tx.set_meta(_REGISTER, zstandard.compress(text))
        tx.set_meta(_RELATIONS, zstandard.compress(table))


def kept_relations(store: LogStore) -> Relations:
    """The table of relations of a folder's last run; empty where it had none."""
    packed = store.meta(_RELATIONS)
    text = b"" if packed is None else zstandard.decompress(packed)
    return parse_relations(text.decode(), f"{store.path}: relations") if text else Relations()


def kept_register(store: LogStore) -> Register:
    """The register of a folder's last run; empty where it had none."""
    packed = store.meta(_REGISTER)
    text = b"" if packed is None else zstandard.decompress(packed)
    return parse_register(text.decode(), f"{store.path}: register") if text else Register()


def kept(store: LogStore, configuration: Configuration) -> Configuration:
    """The configuration with the register and the relations of the folder's last run."""
    register, relations = kept_register(store), kept_relations(store)
    if relations.rows:
        configuration = configuration.with_relations(relations)
    return configuration.with_register(register) if register.devices else configuration
