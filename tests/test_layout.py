"""The import rules of the layout, read from the source; and what every kernel must have."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = ("agents", "ext", "schemas", "streams")
SHELL = (
    "agents/app.py",
    "agents/caller_keys.py",
    "agents/cluster.py",
    "agents/commands/*.py",
    "agents/engine.py",
    "agents/feeds.py",
    "agents/gateway/__main__.py",
    "agents/gateway/alert_routes.py",
    "agents/gateway/application.py",
    "agents/gateway/audit.py",
    "agents/gateway/copier.py",
    "agents/gateway/desk.py",
    "agents/gateway/events.py",
    "agents/gateway/feed.py",
    "agents/gateway/history.py",
    "agents/gateway/history_file.py",
    "agents/gateway/hub.py",
    "agents/gateway/kafka_feed.py",
    "agents/gateway/postgres.py",
    "agents/gateway/routes.py",
    "agents/gateway/running.py",
    "agents/gateway/server.py",
    "agents/gateway/service.py",
    "agents/gateway/web.py",
    "agents/gateway/wire.py",
    "agents/recordings.py",
    "agents/shapes.py",
    "agents/metrics.py",
    "agents/view.py",
    "agents/turns.py",
    "agents/watchdog.py",
    "agents/worker.py",
    "schemas/examples/*.py",
    "schemas/loading.py",
    "schemas/registers.py",
    "streams/event_logs.py",
    "streams/kafka/*.py",
    "streams/log_store.py",
    "streams/log_transaction.py",
    "streams/retention.py",
    "streams/spent.py",
    "streams/transports/*.py",
)
"""The thin shell: modules that may wait, read a clock or touch a file."""

IMPURE = {
    "aiokafka",
    "asyncio",
    "confluent_kafka",
    "fastapi",
    "faust",
    "mode",
    "os",
    "prometheus_client",
    "psycopg",
    "random",
    "secrets",
    "select",
    "signal",
    "socket",
    "sqlite3",
    "subprocess",
    "threading",
    "time",
    "typer",
    "uuid",
}
CLOCKS = {"now", "utcnow", "today"}

KERNELS = sorted(path.stem for path in (ROOT / "ext").glob("*.pyx"))
IGNORED = {
    ".git",
    ".hypothesis",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".venv",
    "__pycache__",
    "build",
    "cityvitals-data",
    "cityvitals-kafka",
    "dist",
    "node_modules",
}


def modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def is_shell(path: Path) -> bool:
    return any(path.relative_to(ROOT).match(pattern) for pattern in SHELL)


def imports(path: Path, *, at_runtime: bool = False) -> Iterator[tuple[str, int]]:
    """Dotted names a module imports, with their lines."""
    tree = ast.parse(path.read_text("utf-8"))
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if at_runtime and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            skipped.update(inner for statement in node.body for inner in ast.walk(statement))
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: name the package, not its dots"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


core = pytest.mark.parametrize(
    "path", [p for p in modules("agents", "streams", "schemas") if not is_shell(p)], ids=named
)


@core
def test_the_core_has_no_clock_and_waits_for_nothing(path: Path) -> None:
    found = [f"{name} in line {line}" for name, line in imports(path) if top(name) in IMPURE]
    assert not found, f"{named(path)} is core: it may not import {', '.join(found)}"
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = ast.unparse(node.func.value).rpartition(".")[2]
            reads = owner in ("datetime", "date") and node.func.attr in CLOCKS
            assert not reads, f"{named(path)}:{node.lineno}: time comes in from outside"


@core
def test_the_core_imports_no_shell(path: Path) -> None:
    for name, line in imports(path, at_runtime=True):
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            target = ROOT.joinpath(*parts[:end]).with_suffix(".py")
            assert not (target.exists() and is_shell(target)), (
                f"{named(path)}:{line}: {name} is of the shell"
            )


def test_the_shell_is_there() -> None:
    for pattern in SHELL:
        assert list(ROOT.glob(pattern)), f"{pattern} names no module: take it out"


@pytest.mark.parametrize(
    ("folder", "allowed"),
    [
        ("ext", {"ext"}),
        ("schemas", {"schemas"}),
        ("streams", {"streams", "ext", "schemas"}),
        ("agents", {"agents", "streams", "ext", "schemas"}),
    ],
)
def test_folders_import_only_what_is_below_them(folder: str, allowed: set[str]) -> None:
    for path in modules(folder):
        for name, line in imports(path):
            assert top(name) not in {*OURS, "tests"} - allowed, f"{named(path)}:{line}: {name}"


def test_streams_takes_types_of_schemas_alone() -> None:
    for path in modules("streams"):
        for name, line in imports(path):
            if top(name) == "schemas":
                module, _, wanted = name.rpartition(".")
                found = getattr(importlib.import_module(module), wanted, None)
                assert isinstance(found, type), f"{named(path)}:{line}: {name} is no type"


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels_import_nothing_of_ours(kernel: str) -> None:
    source = (ROOT / "ext" / f"{kernel}.pyx").read_text("utf-8")
    found = re.findall(r"^\s*(?:c?import|from)\s+(agents|schemas|streams)\b", source, re.MULTILINE)
    assert not found


@pytest.mark.parametrize("kernel", KERNELS)
def test_stubs_have_the_names_of_their_kernels(kernel: str) -> None:
    module = importlib.import_module(f"ext.{kernel}")
    own = {n for n, x in vars(module).items() if getattr(x, "__module__", None) == f"ext.{kernel}"}
    stub = ast.parse((ROOT / "ext" / f"{kernel}.pyi").read_text("utf-8"))
    told = [n for n in stub.body if isinstance(n, ast.ClassDef | ast.FunctionDef)]
    told = [node for node in told if not node.name.startswith("_")]
    private = {name for name in own if name.startswith("_")}
    # A class without a constructor of its own may be the kernel's inner affair.
    inner = {n for n in own if isinstance(getattr(module, n), type) and not has_init(module, n)}
    names = {node.name for node in told}
    assert own - private - inner <= names <= own - private
    for node in told:
        if isinstance(node, ast.ClassDef):
            public = {n for n in vars(getattr(module, node.name)) if not n.startswith("_")}
            assert stubbed(node) == public, node.name


def has_init(module: object, name: str) -> bool:
    return "__init__" in vars(getattr(module, name))


def stubbed(node: ast.ClassDef) -> set[str]:
    names = {n.name for n in node.body if isinstance(n, ast.FunctionDef)}
    names |= {
        n.target.id
        for n in node.body
        if isinstance(n, ast.AnnAssign)
        if isinstance(n.target, ast.Name)
    }
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize("kernel", KERNELS)
def test_examples_of_kernels_run(kernel: str) -> None:
    """Pytest does not look for them in compiled modules."""
    result = doctest.testmod(importlib.import_module(f"ext.{kernel}"))
    assert result.attempted > 0
    assert result.failed == 0


def test_no_file_names_a_path_of_this_machine() -> None:
    homes = {str(ROOT), str(Path.home())} - {"/"}
    pattern = re.compile("|".join(rf"{re.escape(home)}(?![\w-])" for home in sorted(homes)))
    for path in shipped():
        found = pattern.search(path.read_text("utf-8", errors="ignore"))
        assert found is None, f"{named(path)} names {found and found.group()}"


def shipped() -> list[Path]:
    """The texts that belong to the project: a clone may hold what its commands made."""
    told = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    known = set(told.stdout.split("\0"))
    return [path for path in texts(ROOT) if told.returncode or named(path) in known]


def texts(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name in IGNORED or path.name.endswith(".egg-info") or path.is_symlink():
            continue
        if path.is_dir():
            yield from texts(path)
        elif path.suffix not in (".so", ".c", ".gz", ".zst", ".png", ".woff2"):
            yield path


def top(name: str) -> str:
    return name.partition(".")[0]
