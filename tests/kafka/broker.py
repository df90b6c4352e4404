"""One Apache Kafka in one folder: a broker that is its own controller, on loopback alone."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.kafka import broker_setup
from tests.kafka.broker_jars import jars, java
from tests.kafka.broker_process import OUTPUT, FolderProcess
from tests.kafka.broker_setup import HOST, USERNAME, Mechanism, Security, Setup

_JVM = (
    "-Xms256m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",
    "-Djava.net.preferIPv4Stack=true",
    # Native libraries are unpacked there, and left there by a JVM that is killed.
    "-Djava.io.tmpdir=tmp",
    "-Dlog4j2.disable.jmx=true",
    f"-Dlog4j2.configurationFile={Path(__file__).with_name('broker_log4j2.properties')}",
)
_LINES_OF_LOG = 20
_STOP_S = 30.0


class Broker:
    """A broker whose data, ports and users are those of its folder.

    Parameters
    ----------
    folder
        Made if it is missing.
    security
        Protocol of the clients' listener; if not named that which the folder was made with,
        PLAINTEXT for a new one.
    port
        Of the clients' listener; if not named that of the folder, a free one for a new folder.
    outlives
        Whether it goes on when this process ends; else it is killed then.

    Raises
    ------
    ValueError
        If the folder was made with another security or port.
    """

    def __init__(
        self,
        folder: Path,
        *,
        security: Security | None = None,
        port: int | None = None,
        outlives: bool = False,
    ) -> None:
        self.folder = folder.absolute()
        self._security, self._port = security, port
        self._process = FolderProcess(self.folder, outlives=outlives)
        self._setup = self._load()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, timeout_s: float = 60.0) -> None:
        """Start it, and wait until it answers.

        Raises
        ------
        AlreadyRunningError
            If a broker runs on the folder.
        MissingError
            If Java, the jars of Kafka or OpenSSL are not there.
        RuntimeError
            If it does not come up; the text has the end of its log.
        """
        kafka = [java(), *_JVM, "-cp", f"{jars()}/*"]
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._process.claim() as output:
            self._prepare(kafka, output)
            self._process.start([*kafka, "kafka.Kafka", "server.properties"], output)
        try:
            self._wait_for_an_answer(timeout_s)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Stop it as an operator would; stopping one that does not run does nothing."""
        if not self._process.stop(_STOP_S):
            raise self._failed(f"did not stop within {_STOP_S:.0f} s and was killed")

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        """Let nothing in it run: connections stay open, and nothing answers."""
        self._process.send(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send(signal.SIGCONT)

    @property
    def running(self) -> bool:
        """Whether it runs, whichever process started it."""
        return self._process.running

    @property
    def address(self) -> str:
        return f"{HOST}:{self.setup.ports[0]}"

    @property
    def url(self) -> str:
        return f"kafka://{self.address}"

    @property
    def ca_file(self) -> Path:
        """PEM file of the authority that vouches for it; there with SSL and SASL_SSL."""
        return self.folder / "ca.pem"

    @property
    def username(self) -> str:
        return USERNAME

    @property
    def password(self) -> str:
        return self.setup.password

    @property
    def setup(self) -> Setup:
        """What its folder keeps, from its first start on."""
        if self._setup is None:
            raise RuntimeError(f"no broker was made in {self.folder} yet: start it first")
        return self._setup

    def client(self, mechanism: Mechanism = "SCRAM-SHA-512") -> dict[str, Any]:
        """What a client of confluent_kafka must be told to reach it."""
        settings: dict[str, Any] = {
            "bootstrap.servers": self.address,
            "security.protocol": self.setup.security,
        }
        if self.setup.encrypted:
            settings["ssl.ca.location"] = str(self.ca_file)
        if self.setup.authenticated:
            settings["sasl.mechanism"] = mechanism
            settings["sasl.username"] = self.username
            settings["sasl.password"] = self.password
        return settings

    def log_end(self) -> str:
        """The last lines of what it logged and printed."""
        lines: deque[str] = deque(maxlen=_LINES_OF_LOG)
        for name in ("broker.log", OUTPUT):
            with suppress(FileNotFoundError), (self.folder / name).open(errors="replace") as log:
                lines.extend(log)
        return "".join(lines)

    def _load(self) -> Setup | None:
        setup = broker_setup.load(self.folder)
        if setup is None:
            return None
        for name, asked, made in (
            ("security", self._security, setup.security),
            ("port", self._port, setup.ports[0]),
        ):
            if asked not in (None, made):
                raise ValueError(
                    f"{self.folder} was made with {name} {made}, not {asked}: leave it out, or "
                    "use another folder"
                )
        return setup

    def _prepare(self, kafka: list[str], output: BinaryIO) -> None:
        """Format the data of a new folder; its setup, written last, says that it was done."""
        self._setup = self._load()
        setup = self._setup or broker_setup.make(
            self.folder, self._security or "PLAINTEXT", self._port
        )
        for port in setup.ports:
            if broker_setup.taken(port):
                raise RuntimeError(
                    f"port {port} of the broker on {self.folder} is in use by another process: "
                    "stop that process, or use another folder"
                )
        (self.folder / "tmp").mkdir(exist_ok=True)
        (self.folder / "server.properties").write_text(broker_setup.properties(setup), "utf-8")
        if self._setup is None:
            shutil.rmtree(self.folder / "data", ignore_errors=True)
            command = [*kafka, "kafka.tools.StorageTool", *broker_setup.format_arguments(setup)]
            done = subprocess.run(
                command, cwd=self.folder, stdout=output, stderr=output, check=False
            )
            if done.returncode:
                raise self._failed("could not format its data")
            broker_setup.save(self.folder, setup)
            self._setup = setup

    def _wait_for_an_answer(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        patience = {"reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 200, "log_level": 0}
        admin = AdminClient({**self.client(), **patience})
        while time.monotonic() < deadline:
            with suppress(KafkaException):
                if admin.list_topics(timeout=1.0).brokers:
                    return
            if not self.running:
                raise self._failed("ended before it answered")
        raise self._failed(f"did not answer within {timeout_s:.0f} s")

    def _failed(self, how: str) -> RuntimeError:
        return RuntimeError(f"the broker on {self.folder} {how}; end of its log:\n{self.log_end()}")
