"""``python -m tests.kafka``: a real Kafka on this machine, for tests and for trying things."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import get_args

from tests.kafka.broker import Broker
from tests.kafka.broker_jars import MissingError, jars
from tests.kafka.broker_process import AlreadyRunningError
from tests.kafka.broker_setup import MECHANISMS, Security

FOLDER = Path("cityvitals-kafka")


def fetch(asked: argparse.Namespace) -> int:
    print(jars())
    return 0


def start(asked: argparse.Namespace) -> int:
    broker = Broker(asked.folder, security=asked.security, port=asked.port, outlives=True)
    try:
        broker.start()
        say(f"started a broker on {broker.folder}")
    except AlreadyRunningError as error:
        say(str(error))
    print(broker.url)
    if broker.setup.encrypted:
        say(f"authority of its certificate: {broker.ca_file}")
    if broker.setup.authenticated:
        say(f"user {broker.username}, password {broker.password} ({', '.join(MECHANISMS)})")
    say(f"stop it with: python -m tests.kafka stop --folder {asked.folder}")
    return 0


def stop(asked: argparse.Namespace) -> int:
    broker = Broker(asked.folder)
    found = broker.running
    broker.stop()
    say(f"{'stopped the' if found else 'no'} broker on {broker.folder}")
    return 0


def status(asked: argparse.Namespace) -> int:
    broker = Broker(asked.folder)
    if not broker.running:
        say(f"no broker runs on {broker.folder}")
        return 1
    print(broker.url)
    return 0


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="python -m tests.kafka", description=__doc__)
    commands = root.add_subparsers(required=True)
    for command, told in (
        (fetch, "fetch Kafka into the cache"),
        (start, "start a broker in the background"),
        (stop, "stop it"),
        (status, "say whether it runs, and where"),
    ):
        added = commands.add_parser(command.__name__, help=told)
        added.set_defaults(command=command)
        if command is not fetch:
            added.add_argument("--folder", type=Path, default=FOLDER, help="default: %(default)s")
        if command is start:
            added.add_argument("--port", type=int, help="default: a free one")
            added.add_argument("--security", choices=get_args(Security), help="default: PLAINTEXT")
    return root


def main() -> int:
    asked = parser().parse_args()
    try:
        code: int = asked.command(asked)
    except MissingError as error:
        say(str(error))
        return 3
    except (AlreadyRunningError, RuntimeError, ValueError) as error:
        say(str(error))
        return 2
    return code


if __name__ == "__main__":
    sys.exit(main())
