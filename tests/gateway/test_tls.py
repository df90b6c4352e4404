"""A gateway for other machines: a certificate, tokens by role, each role at each route."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from agents.commands.gateway import address
from agents.commands.page import Page
from agents.gateway.access import ROUTES
from agents.gateway.running import SettingError, prepare
from agents.gateway.server import listen
from schemas.gateway import Gateway, Role
from tests.commands.console import here
from tests.gateway.running import Running, folder_of
from tests.gateway.test_access import expected

TOKENS: dict[Role, str] = {
    role: f"the token of the {role}" for role in ("viewer", "operator", "auditor", "admin")
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def made(home: Path) -> Path:
    """A folder with a certificate and its key."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-keyout", home / "key.pem", "-out", home / "cert.pem", "-days", "2", "-nodes",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return home


@pytest.fixture(scope="module")
def running(made: Path) -> Iterator[Running]:
    home = made
    lines = [
        "gateway:",
        "  host: 0.0.0.0",
        f"  certificate_file: {home / 'cert.pem'}",
        f"  key_file: {home / 'key.pem'}",
        "  requests_per_s: 1000",
        "  tokens:",
    ]
    for role, token in TOKENS.items():
        (home / role).write_text(f"{token}\n")
        lines.append(f"  - {{name: {role} one, role: {role}, token_file: {home / role}}}")
    config = home / "city.yaml"
    config.write_text("\n".join(lines) + "\n")
    found = Running("--data", folder_of(home / "data", config=config), "--port", 0)
    assert found.process.poll() is None
    found.url = found.url.replace("127.0.0.1", "localhost")
    yield found
    found.end()


@pytest.fixture
def client(running: Running, home: Path) -> Iterator[httpx.Client]:
    known = ssl.create_default_context(cafile=str(home / "cert.pem"))
    with httpx.Client(base_url=running.url, verify=known, timeout=60) as found:
        yield found


def test_the_address_has_no_token(running: Running) -> None:
    assert running.url.startswith("https://")
    assert running.token == ""


@pytest.mark.parametrize("role", [None, *TOKENS], ids=str)
def test_each_role_gets_what_is_its_own(client: httpx.Client, role: Role | None) -> None:
    headers = {} if role is None else {"authorization": f"Bearer {TOKENS[role]}"}
    codes = {}
    for method, path in ROUTES:
        # A stream has no end: its head says what there is to say.
        with client.stream(method, re.sub("[{}]", "", path), headers=headers) as answer:
            told = {401: "nobody", 403: "forbidden"}.get(answer.status_code, "in")
        if method == "POST" and path == "/session":
            told = "in"  # what it wants to be told is a token
        codes[method, path] = told
    wanted = {
        way: {"open": "in", "allowed": "in"}.get(verdict := expected(*way, role), verdict)
        for way in codes
    }
    assert codes == wanted


def test_a_session_over_tls_is_for_tls_alone(client: httpx.Client) -> None:
    answer = client.post("/session", json={"token": TOKENS["viewer"]})
    assert "secure" in answer.headers["set-cookie"].lower()
    assert "strict-transport-security" in answer.headers


def test_plain_http_is_not_answered(running: Running) -> None:
    with pytest.raises(httpx.HTTPError):
        httpx.get(running.url.replace("https", "http") + "/live", timeout=10)


def encrypted(key: Path) -> None:
    old = key.rename(key.with_suffix(".old"))
    command = ["openssl", "pkcs8", "-topk8", "-in", old, "-passout", "pass:of the key"]
    subprocess.run([*command, "-out", key], check=True)


def another(key: Path) -> None:
    key.write_bytes(key.with_name("other.pem").read_bytes())


FAULTS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "no certificate": ("cert.pem", Path.unlink, "certificate_file: .*: No such file .*user"),
    "no key": ("key.pem", Path.unlink, "key_file: .*: No such file or directory: name a file"),
    "a folder": ("key.pem", lambda p: (p.unlink(), p.mkdir()), "key_file: .*: Is a directory"),
    "no PEM": ("cert.pem", lambda p: p.write_bytes(b"\xff\xfe"), "does not go with .*key_file"),
    "a key of another": ("key.pem", another, "does not go with gateway.key_file .* PEM form"),
    "an encrypted key": ("key.pem", encrypted, "does not go with .* without a password"),
    "no token": ("token", Path.unlink, "tokens: token_file of wall: .*: No such file .*name"),
    "an empty token": ("token", lambda p: p.write_text(""), "less than 16 .*openssl rand"),
    "a token that is no text": ("token", lambda p: p.write_bytes(b"\xff" * 20), "is no text"),
    "no database": ("dsn", Path.unlink, "postgres.dsn_file: .*: No such file or directory"),
}


@pytest.fixture
def settings(made: Path, tmp_path: Path) -> Gateway:
    """What a gateway for other machines needs, in files of its own."""
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_bytes((made / name).read_bytes())
    command = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subprocess.run([*command, "-out", tmp_path / "other.pem"], check=True, capture_output=True)
    (tmp_path / "token").write_text("a token of the wall\n")
    (tmp_path / "dsn").write_text("postgresql://127.0.0.1:1/city\n")
    return Gateway.model_validate(
        {
            "host": "0.0.0.0",
            "port": 0,
            "certificate_file": str(tmp_path / "cert.pem"),
            "key_file": str(tmp_path / "key.pem"),
            "tokens": [
                {"name": "wall", "role": "viewer", "token_file": str(tmp_path / "token")},
            ],
            "postgres": {"dsn_file": str(tmp_path / "dsn")},
        }
    )


@pytest.mark.parametrize(("name", "spoil", "told"), FAULTS.values(), ids=FAULTS)
def test_what_can_not_be_used_is_told_before_it_listens(
    settings: Gateway, tmp_path: Path, name: str, spoil: Callable[[Path], object], told: str
) -> None:
    token, keys = prepare(settings, tmp_path / "gateway")
    assert token is None
    assert keys.user("a token of the wall") is not None
    spoil(tmp_path / name)
    with pytest.raises(SettingError, match=told):
        prepare(settings, tmp_path / "gateway")
    # `up` must not start one that ends, again and again.
    with pytest.raises(SettingError, match=told):
        Page(settings, tmp_path)


def test_the_command_says_what_can_not_be_used(running: Running, made: Path) -> None:
    env = {"CITYVITALS__GATEWAY__KEY_FILE": str(made / "none.pem")}
    ended = here("gateway", "--data", made / "data", "--port", 0, env=env)
    assert ended.code == 2
    assert ended.err == (
        f"gateway.key_file: {made / 'none.pem'}: No such file or directory: name a file that user "
        f"{os.getuid()} may read\n"
    )


@pytest.mark.parametrize(
    ("host", "shown"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("127.0.0.1", "127.0.0.1")]
)
def test_the_address_is_one_that_can_be_opened(host: str, shown: str) -> None:
    with listen(host, 0) as listening:
        port = listening.getsockname()[1]
        assert address(listening, Gateway(), None) == f"http://{shown}:{port}/"
