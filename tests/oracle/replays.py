"""The product's own replay of a log, and its comparison with the oracle."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import NamedTuple

import duckdb
import msgspec

from schemas.configuration import Configuration
from schemas.registers import read_register
from tests.oracle.comparison import Accounts, different, different_bins, load_results
from tests.oracle.logs import topics_in
from tests.oracle.oracle import compute, covered_signs

_COMMAND = Path(sys.executable).with_name("cityvitals")
REGISTER = "register.csv"
"""The register's file, where a folder of logs has one."""


class Replayed(NamedTuple):
    """What the command printed, and the accounting of each lane that read anything."""

    printed: Path
    accounts: Accounts


def replay(configuration: Configuration, folder: Path) -> Replayed:
    """Replay the logs of a folder with the console command.

    Raises
    ------
    AssertionError
        Where the command fails, with what it said.
    """
    register = folder / REGISTER
    if register.exists():
        configuration = configuration.model_copy(update={"register_file": str(register)})
    content = folder / "configuration.yaml"
    content.write_text(configuration.model_dump_json(exclude_none=True), encoding="utf-8")
    logs = [str(path) for _, path in topics_in(configuration, folder)]
    command = [str(_COMMAND), "replay", *logs, "--json", "--config", str(content)]
    printed = folder / "replayed.json"
    ours = {name: value for name, value in os.environ.items() if "CITYVITALS" not in name}
    with printed.open("wb") as out:
        done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, env=ours)
    assert done.returncode == 0, done.stderr.decode()
    with printed.open("rb") as lines:
        (last,) = deque(lines, maxlen=1)
    accounts = {}
    for lane, counts in msgspec.json.decode(last)["accounting"].items():
        topic, _, partition = lane.rpartition("/")
        if counts["read"]:
            accounts[topic, int(partition)] = counts
    return Replayed(printed, accounts)


def check(configuration: Configuration, folder: Path) -> tuple[duckdb.DuckDBPyConnection, int]:
    """Replay the logs of a folder and compare every result and every bin with the oracle.

    Returns
    -------
    tuple
        The oracle's database, in which ``expected`` and ``actual`` stand, and how many results
        were compared.

    Raises
    ------
    AssertionError
        With the first differences of each sign, and the lanes whose bins differ.
    """
    replayed = replay(configuration, folder)
    register = folder / REGISTER
    if register.exists():
        configuration = configuration.with_register(read_register(register))
    database = compute(configuration, folder)
    signs = covered_signs(configuration)
    load_results(database, configuration, signs, replayed.printed)
    faults = [
        *different_bins(database, replayed.accounts),
        *(line for sign in signs for line in different(database, sign)),
    ]
    if faults:
        raise AssertionError("\n".join(["engine and oracle disagree:", *faults]))
    (compared,) = database.execute("SELECT count(*) FROM actual").fetchone() or (0,)
    return database, compared
