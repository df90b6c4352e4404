"""An engine that fails at a record: what it says, and how the next start gets past it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.commands.console import Cli, Ended

SECRET = "what the record held"

# The core fails at one record of one lane, as an undiscovered bug would make it.
FAILING = f"""
import sys
from agents.intake import StepError
from agents.pipeline import Pipeline
from agents.commands import main

whole = Pipeline.step

def step(self, chunk, quarantine=frozenset()):
    if chunk.lane == ("city.sensor.v1", 1) and 30 in chunk.offsets and 30 not in quarantine:
        raise StepError(chunk.lane, 30) from RuntimeError({SECRET[:8]!r} + {SECRET[8:]!r})
    return whole(self, chunk, quarantine)

Pipeline.step = step
sys.argv[0] = "cityvitals"
main()
"""


def run(program: str, *arguments: object, debug: bool = False) -> Ended:
    env = {**os.environ, **({"CITYVITALS_DEBUG": "1"} if debug else {})}
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        timeout=60,
        env=env,
        check=False,
    )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


def test_a_record_that_stops_the_engine_twice_is_set_aside(
    tmp_path: Path, cli: Cli, logs: Path
) -> None:
    arguments = ("replay", logs, "--data", tmp_path / "d", "--json")
    first = run(FAILING, *arguments)
    assert first.code == 1
    assert "city.sensor.v1/1 offset 30" in first.err
    assert "dead letters" in first.err
    assert "Traceback" not in first.err
    assert SECRET not in first.err
    second = run(FAILING, *arguments, debug=True)
    assert second.code == 1
    assert "Traceback" in second.err
    assert "RuntimeError" in second.err
    assert SECRET not in second.err
    third = run(FAILING, *arguments)
    assert third.code == 0, third.err
    assert third.lines[-1]["total"]["remainder"] == 0
    listed = cli("deadletter", "list", "--reason", "crashed", "--data", tmp_path / "d", "--json")
    assert [(x["topic"], x["partition"], x["offset"]) for x in listed.lines] == [
        ("city.sensor.v1", 1, 30)
    ]


FEEDER = f"""
from agents import recordings

def feed(order):
    raise RuntimeError({SECRET[:8]!r} + {SECRET[8:]!r})

recordings.feed = feed
recordings.msgspec.json.decode = lambda raw, type: None
recordings.main()
"""


def test_the_process_that_feeds_a_replay_says_no_more_of_a_crash() -> None:
    ended = run(FEEDER)
    assert ended.code == 1
    assert ended.err.splitlines()[-1] == "RuntimeError"
    assert SECRET not in ended.err


# As where the package was installed without a compiler.
WITHOUT_KERNELS = """
import sys
from agents.commands import main

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("ext."):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
sys.argv[0] = "cityvitals"
main()
"""


def test_missing_kernels_are_named(tmp_path: Path) -> None:
    ended = run(WITHOUT_KERNELS, "up", "--no-page", "--data", tmp_path / "d", "--for", "1s")
    assert ended.code == 3
    assert "compiled kernels" in ended.err
    assert "pip install -e ." in ended.err
