"""What a broker's folder keeps for good: ports, security, password, certificate."""

from __future__ import annotations

import secrets
import shutil
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Literal
from zlib import crc32

import msgspec

from tests.kafka.broker_jars import MissingError

Security = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
MECHANISMS: tuple[Mechanism, ...] = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
HOST = "127.0.0.1"
USERNAME = "vitals"

_FILE = "setup.json"
_SERVER = Path(__file__).with_name("broker_server.properties")
# Below the ports that the system gives to outgoing connections: one of those would take the port
# of a broker that is down, and a client that keeps trying may even connect to itself.
_PORTS = range(20000, 30000)


class Setup(msgspec.Struct, frozen=True):
    """How a folder's broker is set up, the same from start to start.

    Parameters
    ----------
    ports
        Of the listeners for clients, for the broker itself and for the controller.
    """

    security: Security
    ports: tuple[int, int, int]
    password: str

    @property
    def encrypted(self) -> bool:
        return self.security.endswith("SSL")

    @property
    def authenticated(self) -> bool:
        return self.security.startswith("SASL")


def load(folder: Path) -> Setup | None:
    """The setup of a folder; none if no broker was ever made in it."""
    file = folder / _FILE
    return msgspec.json.decode(file.read_bytes(), type=Setup) if file.exists() else None


def save(folder: Path, setup: Setup) -> None:
    """Write it to the folder, whole or not at all."""
    part = folder / f"{_FILE}.part"
    part.write_bytes(msgspec.json.encode(setup))
    part.rename(folder / _FILE)


def make(folder: Path, security: Security, port: int | None) -> Setup:
    """A setup for a new folder, with the certificate that it takes."""
    setup = Setup(security, _free_ports(folder, port), secrets.token_urlsafe(12))
    if setup.encrypted:
        _certify(folder)
    return setup


def properties(setup: Setup) -> str:
    """The text of Kafka's ``server.properties``; paths in it are relative to the folder."""
    clients, brokers, controllers = setup.ports
    reached = f"CLIENTS://{HOST}:{clients},BROKERS://{HOST}:{brokers}"
    lines = [
        _SERVER.read_text("utf-8"),
        f"listeners={reached},CONTROLLERS://{HOST}:{controllers}",
        f"advertised.listeners={reached}",
        f"controller.quorum.voters=1@{HOST}:{controllers}",
        "listener.security.protocol.map="
        f"CLIENTS:{setup.security},BROKERS:PLAINTEXT,CONTROLLERS:PLAINTEXT",
    ]
    if setup.encrypted:
        lines += ["ssl.keystore.type=PEM", "ssl.keystore.location=server.pem"]
    if setup.authenticated:
        lines += _login_lines(setup.password)
    return "\n".join(lines) + "\n"


def format_arguments(setup: Setup) -> list[str]:
    """Arguments of Kafka's StorageTool for a new folder."""
    # As one word: an identifier may begin with a hyphen.
    arguments = ["format", f"--cluster-id={secrets.token_urlsafe(16)}"]
    arguments.append("--config=server.properties")
    if setup.authenticated:
        for mechanism in MECHANISMS[1:]:
            login = f"name={USERNAME},password={setup.password}"
            arguments.append(f"--add-scram={mechanism}=[{login}]")
    return arguments


def _login_lines(password: str) -> list[str]:
    lines = [f"listener.name.clients.sasl.enabled.mechanisms={','.join(MECHANISMS)}"]
    for mechanism in MECHANISMS:
        if mechanism == "PLAIN":
            login = f'plain.PlainLoginModule required user_{USERNAME}="{password}";'
        else:
            login = "scram.ScramLoginModule required;"
        key = f"listener.name.clients.{mechanism.lower()}.sasl.jaas.config"
        lines.append(f"{key}=org.apache.kafka.common.security.{login}")
    return lines


def taken(port: int) -> bool:
    """Whether another process listens on the port."""
    with socket.socket() as probe:
        return not _bound(probe, port)


def _bound(probe: socket.socket, port: int) -> bool:
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind((HOST, port))
    except OSError:
        return False
    return True


def _free_ports(folder: Path, port: int | None) -> tuple[int, int, int]:
    # Folders begin at different ports, so that brokers made at once rarely meet.
    first = crc32(str(folder).encode()) % len(_PORTS)
    found = [] if port is None else [port]
    with ExitStack() as held:
        for step in range(len(_PORTS)):
            candidate = _PORTS[(first + step) % len(_PORTS)]
            if candidate not in found and _bound(held.enter_context(socket.socket()), candidate):
                found.append(candidate)
            if len(found) == 3:
                break
    clients, brokers, controllers = found
    return clients, brokers, controllers


def _certify(folder: Path) -> None:
    """Make ``ca.pem`` and ``server.pem``, the latter with its key, for this folder alone."""
    if shutil.which("openssl") is None:
        raise MissingError("`openssl` is missing in PATH: install OpenSSL 3 or newer")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650"]
    request = ["openssl", "req", "-x509", *key]
    # Python from 3.13 on refuses an authority that does not say what its key is for.
    usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    authority = ["-subj", "/CN=test authority", *usage]
    _run(folder, *request, *authority, "-keyout", "ca.key", "-out", "ca.pem")
    signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-subj", "/CN=test broker"]
    names = ["-addext", f"subjectAltName=IP:{HOST},DNS:localhost"]
    leaf = ["-addext", "basicConstraints=critical,CA:FALSE"]
    _run(folder, *request, *signed, *names, *leaf, "-keyout", "server.key", "-out", "server.crt")
    (folder / "server.pem").write_bytes(
        (folder / "server.key").read_bytes() + (folder / "server.crt").read_bytes()
    )


def _run(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
