"""The image and the compose files, as far as they can be checked without Docker."""

from __future__ import annotations

import json
import re
import shutil
import ssl
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.core import Metric
from typer.testing import CliRunner

from agents.commands.cli import app
from agents.engine import Engine
from agents.metrics import PORT, Metrics
from agents.plan import compile_plan
from schemas.gateway import Gateway
from schemas.loading import load
from streams.log_store import LogStore
from tests.gateway.running import folder_of, gateway
from tests.kafka.broker_jars import version

ROOT = Path(__file__).parents[1]
DOCKER = ROOT / "docker"
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}


README = (DOCKER / "README.md").read_text("utf-8")


def read(name: str) -> Any:
    return yaml.safe_load((DOCKER / name).read_text("utf-8"))


def instructions() -> list[tuple[str, str]]:
    """Every instruction of the Dockerfile and what it is told."""
    text = re.sub(r"^\s*#.*\n", "", (DOCKER / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines if line)]


def told(word: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == word]


PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
COMPOSE = read("compose.yaml")
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = f"cityvitals:{PYPROJECT['project']['version']}"
BESIDE = read("compose.gateway.yaml")
GATEWAY: dict[str, Any] = BESIDE["services"]["gateway"]
ALL = SERVICES | BESIDE["services"]
VOLUMES = COMPOSE["volumes"] | BESIDE["volumes"]
each_service = pytest.mark.parametrize("service", ALL.values(), ids=list(ALL))


@each_service
def test_services_are_confined(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["logging"] == {"driver": "local"}
    user = told("USER")[-1] if service["image"] == OURS else service["user"]
    assert re.fullmatch(r"[1-9]\d*:\d+", user)


@each_service
def test_images_are_pinned(service: dict[str, Any]) -> None:
    assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+\.\d+", service["image"])


def test_the_broker_is_the_one_of_the_tests() -> None:
    assert SERVICES["broker"]["image"] == f"apache/kafka:{version()}"


@each_service
def test_services_tell_whether_they_work_or_end(service: dict[str, Any]) -> None:
    if service["restart"] == "no":
        (name,) = (name for name, known in ALL.items() if known is service)
        waiting = {
            who: s["depends_on"][name]["condition"]
            for who, s in ALL.items()
            if name in s.get("depends_on", {})
        }
        assert waiting == dict.fromkeys(("worker", "gateway"), "service_completed_successfully")
        return
    assert service["restart"] == "unless-stopped"
    assert "stop_grace_period" in service
    assert service["image"] == OURS or service["healthcheck"]["test"][0] == "CMD"


def test_ports_are_on_loopback() -> None:
    published = {name: s["ports"] for name, s in SERVICES.items() if "ports" in s}
    assert set(published) == {"broker", "prometheus", "grafana"}
    for ports in published.values():
        assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)
    port = Gateway().port
    assert GATEWAY["ports"] == [f"${{CITYVITALS_GATEWAY_ADDRESS:-127.0.0.1}}:{port}:{port}"]
    assert "CITYVITALS_GATEWAY_ADDRESS=" in README


@each_service
def test_what_is_mounted_is_there(service: dict[str, Any]) -> None:
    volumes = [volume for volume in service.get("volumes", []) if isinstance(volume, str)]
    for source, target, *mode in (volume.split(":") for volume in volumes):
        assert target.startswith("/")
        if source.startswith("./"):
            assert mode == ["ro"]
            assert (DOCKER / source).is_file()
        else:
            assert source in VOLUMES


@each_service
def test_what_is_built_is_there(service: dict[str, Any]) -> None:
    build = service.get("build")
    if build:
        context = (DOCKER / build["context"]).resolve()
        assert context == ROOT
        assert context / build["dockerfile"] == DOCKER / "Dockerfile"


@pytest.mark.parametrize(
    "arguments",
    [
        *(s["command"] for s in ALL.values() if s["image"] == OURS),
        json.loads(told("CMD")[-1]),
    ],
    ids=lambda arguments: arguments[0],
)
def test_commands_are_those_of_the_program(arguments: list[str]) -> None:
    # Help is shown once all other options are known.
    ended = CliRunner().invoke(app, [*arguments, "--help"])
    assert ended.exit_code == 0, ended.output
    assert json.loads(told("ENTRYPOINT")[-1]) == ["cityvitals"]


def test_the_password_of_grafana_has_no_default() -> None:
    password = SERVICES["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD"]
    assert re.fullmatch(r"\$\{CITYVITALS_GRAFANA_PASSWORD:\?set [^}]+\}", password)


def test_scaling_changes_the_number_of_workers_and_nothing_else() -> None:
    assert read("compose.scale.yaml") == {"services": {"worker": {"deploy": {"replicas": 3}}}}
    assert not {"container_name", "hostname", "ports"} & set(SERVICES["worker"])


def test_the_configuration_is_the_shipped_one_on_the_broker_of_compose() -> None:
    configuration = load(DOCKER / "cityvitals.kafka.yaml", environ={})
    assert configuration.signs == load(None, environ={}).signs
    listeners = SERVICES["broker"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")
    assert f"INSIDE://{configuration.kafka.servers}" in listeners
    mounted = SERVICES["worker"]["volumes"]
    assert mounted == [f"./cityvitals.kafka.yaml:{SERVICES['worker']['command'][2]}:ro"]
    assert mounted == SERVICES["topics"]["volumes"]


def test_the_gateway_is_as_confined_as_a_worker() -> None:
    # Anchors do not cross files: what they bring to a worker is repeated.
    worker = SERVICES["worker"]
    own = {"command", "networks", "volumes", "mem_limit", "stop_grace_period"}
    assert {k: v for k, v in worker.items() if k not in own} == {
        k: GATEWAY[k] for k in worker.keys() - own
    }
    assert GATEWAY["networks"] == ["kafka"]


def secrets_of(service: dict[str, Any]) -> tuple[Path, str]:
    """Where certificate and tokens are, outside and inside."""
    (bound,) = (volume for volume in service["volumes"] if isinstance(volume, dict))
    told = {"type": "bind", "read_only": True, "bind": {"create_host_path": False}}
    assert {name: bound[name] for name in told} == told
    return (DOCKER / bound["source"]).relative_to(ROOT), bound["target"]


def test_the_gateway_is_configured_by_two_files(tmp_path: Path) -> None:
    command = GATEWAY["command"]
    folder = command[command.index("--config") + 1]
    state = command[command.index("--state") + 1]
    mounted = [volume.split(":") for volume in GATEWAY["volumes"] if isinstance(volume, str)]
    for source, target, *_ in mounted:
        if target != state:
            assert Path(target).parent == Path(folder)
            shutil.copy(DOCKER / source, tmp_path / Path(target).name)
    assert [s for s, target, *_ in mounted if target == state] == list(BESIDE["volumes"])
    configuration = load(tmp_path, environ={})
    workers = load(DOCKER / "cityvitals.kafka.yaml", environ={})
    assert configuration.signs == workers.signs
    assert configuration.kafka == workers.kafka
    settings, (_, inside) = configuration.gateway, secrets_of(GATEWAY)
    assert (settings.host, settings.port) == ("0.0.0.0", Gateway().port)
    files = [settings.certificate_file, settings.key_file, *(t.token_file for t in settings.tokens)]
    assert {str(Path(str(file)).parent) for file in files} == {inside}
    assert len(set(files)) == len(files)


def test_secrets_stay_out_of_git_and_of_the_image() -> None:
    outside, _ = secrets_of(GATEWAY)
    assert f"{outside.parent}/" in (ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert not list(DOCKER.glob("*.pem"))


def test_the_gateway_is_reached_with_what_the_readme_makes(tmp_path: Path) -> None:
    (commands,) = re.findall(r"^```sh\n([^`]*openssl req[^`]*)```$", README, re.MULTILINE)
    subprocess.run(["sh", "-euc", commands], cwd=tmp_path, check=True, capture_output=True)
    outside, inside = secrets_of(GATEWAY)
    secrets = tmp_path / outside
    assert secrets.parent.stat().st_mode & 0o777 == 0o700
    # In the container another user reads them.
    assert all(file.stat().st_mode & 0o777 == 0o644 for file in secrets.iterdir())
    told = (DOCKER / "cityvitals.gateway.yaml").read_text("utf-8")
    config = tmp_path / "gateway.yaml"
    config.write_text(told.replace(f"{inside}/", f"{secrets}/"), "utf-8")
    # What `up` is told where no Kafka is.
    data = folder_of(tmp_path / "data", seconds=1, config=config)
    known = ssl.create_default_context(cafile=secrets / "certificate.pem")
    known.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python does by itself from 3.13 on
    cmd, python, *arguments, script = GATEWAY["healthcheck"]["test"]
    assert (cmd, python, str(Gateway().port) in script) == ("CMD", "python", True)
    with gateway("--data", data, "--port", 0) as running:
        port = running.url.rpartition(":")[2]
        command = [sys.executable, *arguments, script.replace(str(Gateway().port), port)]
        assert subprocess.run(command, check=False).returncode == 0
        for host in ("127.0.0.1", "localhost"):
            with httpx.Client(base_url=f"https://{host}:{port}", verify=known) as client:
                assert "<html" in client.get("/").text
                for one in load(config, environ={}).gateway.tokens:
                    token = Path(one.token_file).read_text("utf-8").strip()
                    headers = {"authorization": f"Bearer {token}"}
                    assert client.get("/session", headers=headers).json()["role"] == one.role
    assert subprocess.run(command, check=False, capture_output=True).returncode != 0


def test_the_image_can_write_to_a_database() -> None:
    built = " ".join(told("RUN"))
    assert "'.[postgres]'" in built
    assert "'cityvitals[postgres]'" in built


def test_the_image_is_built_from_what_the_wheel_is_made_of() -> None:
    # As tests/test_wheel.py builds it, from the same files.
    found = PYPROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    packages = {name.rstrip("*") for name in found}
    project = PYPROJECT["project"]
    wanted = {"pyproject.toml", project["readme"], *project["license-files"], *packages}
    copied = [source for rest in told("COPY") for source in rest.split()[:-1]]
    assert sorted(copied) == sorted(wanted)
    assert all((ROOT / source).exists() for source in copied)
    patterns = (DOCKER / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    patterns = [line for line in patterns if not line.startswith("#")]
    assert patterns[0] == "*"
    assert {line[1:] for line in patterns if line.startswith("!")} == wanted


def test_the_image_is_labelled_with_its_version() -> None:
    name, _, number = OURS.partition(":")
    assert f'org.opencontainers.image.version="{number}"' in told("LABEL")[-1]
    assert told("STOPSIGNAL") == ["SIGTERM"]
    assert f"--tag {name}:{number} " in README


def test_the_health_check_asks_for_metrics() -> None:
    python, *arguments = json.loads(told("HEALTHCHECK")[-1].partition("CMD ")[2])
    assert python == "python"
    assert told("EXPOSE") == [str(PORT)]
    assert str(PORT) in arguments[-1]
    metrics = Metrics()
    port = metrics.serve(0).rpartition(":")[2].partition("/")[0]
    command = [sys.executable, *arguments[:-1], arguments[-1].replace(str(PORT), port)]
    try:
        assert subprocess.run(command, check=False).returncode == 0
    finally:
        metrics.stop()
    assert subprocess.run(command, check=False, capture_output=True).returncode != 0


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> list[Metric]:
    """All that an engine tells Prometheus, once it has saved and restored."""
    store = LogStore(tmp_path_factory.mktemp("metrics"))
    metrics = Metrics()
    Engine(compile_plan(load(None, environ={})), store, metrics).open()
    metrics.note_snapshot(0.1, {"lanes": 1}, 0.1)
    metrics.note_restore(0.1)
    collected = list(metrics.registry.collect())
    store.close()
    return collected


def rules() -> list[dict[str, Any]]:
    return [rule for group in read("alerts.rules.yml")["groups"] for rule in group["rules"]]


def dashboard() -> Any:
    return json.loads((DOCKER / "grafana" / "cityvitals.json").read_text("utf-8"))


def queries() -> Iterator[str]:
    yield from (rule["expr"] for rule in rules())
    for panel in dashboard()["panels"]:
        yield from (target["expr"] for target in panel["targets"])


def test_every_metric_that_is_asked_for_is_one_of_the_engine(families: list[Metric]) -> None:
    known = {family.name + suffix for family in families for suffix in SUFFIXES[family.type]}
    asked = {name for query in queries() for name in re.findall(r"cityvitals_\w+", query)}
    assert asked <= known
    assert {family.name for family in families} <= {
        name.removesuffix(suffix) for name in asked for suffix in ("_total", "_count", "")
    }, "a metric that nobody looks at"


def test_every_label_that_is_asked_for_is_one_of_the_engine(families: list[Metric]) -> None:
    known = {label for f in families for sample in f.samples for label in sample.labels}
    asked = {
        label.strip()
        for query in queries()
        for labels in re.findall(r"\b(?:by|on) \(([^)]*)\)", query)
        for label in labels.split(",")
    }
    assert asked <= known | {"instance"}


def test_rules_say_what_is_wrong_and_what_to_do() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    for rule in rules():
        assert rule["labels"].keys() == {"severity"}
        assert rule["annotations"].keys() == {"summary", "description"}


def test_prometheus_finds_the_workers_and_its_rules() -> None:
    prometheus = read("prometheus.yml")
    (job,) = prometheus["scrape_configs"]
    (found,) = job["dns_sd_configs"]
    assert (found["names"], found["type"], found["port"]) == (["worker"], "A", PORT)
    assert all(f'job="{job["job_name"]}"' in query for query in queries() if "up{" in query)
    mounted = SERVICES["prometheus"]["volumes"]
    for name in ["prometheus.yml", *prometheus["rule_files"]]:
        assert f"./{name}:/etc/prometheus/{name}:ro" in mounted
    assert set(SERVICES["worker"]["networks"]) == {"kafka", "metrics"}


def test_grafana_finds_its_dashboard_and_its_data() -> None:
    (source,) = read("grafana/datasource.yaml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert source["jsonData"]["timeInterval"] == read("prometheus.yml")["global"]["scrape_interval"]
    (provider,) = read("grafana/dashboards.yaml")["providers"]
    mounted = f"./grafana/cityvitals.json:{provider['options']['path']}/cityvitals.json:ro"
    assert mounted in SERVICES["grafana"]["volumes"]
    panels = dashboard()["panels"]
    assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"]}
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))


def test_grafana_finds_the_history() -> None:
    (source,) = read("grafana/history.yaml")["datasources"]
    added = read("compose.history.yaml")["services"]["grafana"]
    named = re.findall(r"\$(\w+)", (DOCKER / "grafana" / "history.yaml").read_text("utf-8"))
    assert added["environment"].keys() == set(named)
    (provider,) = read("grafana/dashboards.yaml")["providers"]
    assert added["volumes"] == [
        "./grafana/history.yaml:/etc/grafana/provisioning/datasources/history.yaml:ro",
        f"./grafana/history.json:{provider['options']['path']}/history.json:ro",
    ]
    history = json.loads((DOCKER / "grafana" / "history.json").read_text("utf-8"))
    assert history["uid"] != dashboard()["uid"]
    asked = [*history["panels"], *history["templating"]["list"]]
    assert {(one["datasource"]["type"], one["datasource"]["uid"]) for one in asked} == {
        (source["type"], source["uid"])
    }
    panels = history["panels"]
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
