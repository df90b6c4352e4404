"""What City Vitals needs of a machine and of its configuration, looked at piece by piece."""

from __future__ import annotations

import os
import resource
import shutil
import sys
from collections.abc import Iterator
from datetime import date
from importlib import import_module
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if TYPE_CHECKING:
    from schemas.configuration import Configuration

State: TypeAlias = Literal["ok", "warning", "wrong"]

PACKAGES = ("streams", "agents", "ext", "schemas")

_DISTRIBUTION = "cityvitals"
_ROOT = Path(__file__).parents[2]
_PYTHONS = ((3, 11), (3, 13))
_PINNED = ("faust-streaming", "aiokafka")
_COMPILED = (
    "faust._cython.streams",
    "faust._cython.windows",
    "faust.models._cython.fields",
    "faust.transport._cython.conductor",
)
_ROOM = 4 << 30
"""A data folder keeps 2 GB of log by default, beside results and snapshot."""
_LEAST_ROOM = 256 << 20
_FILES = 1024
_TOOLS = {"Java": "java", "Maven": "mvn", "Docker": "docker"}
_PASSWORD_VARIABLE = "CITYVITALS__KAFKA__SECURITY__PASSWORD"


class Check(NamedTuple):
    """One piece: its state, what it is, and what to do about it.

    Attributes
    ----------
    vital
        Without it nothing can work.
    """

    state: State
    piece: str
    what: str
    mend: str = ""
    vital: bool = False


def python() -> Iterator[Check]:
    here, (oldest, newest) = sys.version_info[:2], _PYTHONS
    found = ".".join(map(str, sys.version_info[:3]))
    if oldest <= here <= newest:
        yield Check("ok", "Python", found)
    else:
        wanted = f"{oldest[0]}.{oldest[1]} to {newest[0]}.{newest[1]}"
        mend = f"make an environment with Python {wanted} and install City Vitals in it"
        yield Check("wrong", "Python", f"{found}, not {wanted}", mend, vital=True)


def kernels() -> Iterator[Check]:
    again = "run `pip install -e .` in the checkout, with a C compiler and Python's headers"
    try:
        import_module("ext.panes")
    except ImportError as error:
        yield Check("wrong", "kernels", f"not compiled ({error})", again, vital=True)
        return
    changed = list(stale(_ROOT / "ext")) if (_ROOT / "pyproject.toml").exists() else []
    if changed:
        yield Check("wrong", "kernels", f"{', '.join(changed)} changed since compiled", again)
    else:
        yield Check("ok", "kernels", "compiled")


def stale(folder: Path) -> Iterator[str]:
    """Kernels of a checkout whose source is newer than what was compiled of it."""
    for source in sorted(folder.glob("*.pyx")):
        spec = find_spec(f"ext.{source.stem}")
        compiled = None if spec is None or spec.origin is None else Path(spec.origin)
        if compiled is None or compiled.stat().st_mtime < source.stat().st_mtime:
            yield source.name


def packages() -> Iterator[Check]:
    mend = "use an environment of its own: the names are City Vitals' packages"
    owners = packages_distributions()
    wrong = False
    for name in PACKAGES:
        others = set(owners.get(name, ())) - {_DISTRIBUTION}
        spec = find_spec(name)
        origin = None if spec is None or spec.origin is None else Path(spec.origin)
        if others:
            what = f"{name} also belongs to {', '.join(sorted(others))}"
        elif origin is None or origin.parents[1] != _ROOT:
            what = f"{name} is not that of City Vitals but {origin or 'missing'}"
        else:
            continue
        wrong = True
        yield Check("wrong", "packages", what, mend, vital=True)
    if not wrong:
        yield Check("ok", "packages", f"{', '.join(PACKAGES)} are ours")


def libraries() -> Iterator[Check]:
    try:
        wanted = [need for need in requires(_DISTRIBUTION) or () if ";" not in need]
    except PackageNotFoundError:
        what = "City Vitals itself is not installed"
        yield Check("wrong", "libraries", what, "run `pip install .` in its folder", vital=True)
        return
    for name in _PINNED:
        (need,) = (need for need in wanted if need.startswith(name))
        pinned = need.partition("==")[2]
        again = f"run `pip install '{name}=={pinned}'` in its environment"
        try:
            found = version(name)
        except PackageNotFoundError:
            yield Check("wrong", name, "is missing", again, vital=True)
            continue
        if found == pinned:
            yield Check("ok", name, found)
        else:
            yield Check("wrong", name, f"{found}, not {pinned} as tested", again)
    if os.environ.get("NO_CYTHON"):
        what = "NO_CYTHON is set: without its compiled parts Faust skips records at rebalances"
        yield Check("wrong", "Faust", what, "unset NO_CYTHON")
        return
    missing = [name for name in _COMPILED if not _is_there(name)]
    if missing:
        mend = "install a wheel of faust-streaming for this Python, or compile it"
        yield Check("wrong", "Faust", f"not compiled: {', '.join(missing)}", mend)
    else:
        yield Check("ok", "Faust", "compiled")


def _is_there(name: str) -> bool:
    try:
        import_module(name)
    except ImportError:
        return False
    return True


def disk(folder: Path) -> Iterator[Check]:
    place = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
    free = shutil.disk_usage(place).free
    what = f"{free / 1e9:.1f} GB free at {folder}"
    mend = "make room, or keep less with --retain (`up` and `replay`; workers need no disk)"
    state: State = "wrong" if free < _LEAST_ROOM else "warning" if free < _ROOM else "ok"
    yield Check(state, "disk", what, "" if state == "ok" else mend)


def open_files() -> Iterator[Check]:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    infinite = limit == resource.RLIM_INFINITY
    what = "no limit" if infinite else f"{limit:,} at once"
    if infinite or limit >= _FILES:
        yield Check("ok", "open files", what)
    else:
        yield Check("warning", "open files", what, f"raise it: `ulimit -n {_FILES}`")


def zone(name: str) -> Iterator[Check]:
    try:
        ZoneInfo(name)
    except ZoneInfoNotFoundError:
        yield Check("wrong", "time zones", f"no data for {name}", "run `pip install tzdata`")
    else:
        yield Check("ok", "time zones", name)


def secrets(configuration: Configuration, config: Path | None) -> Iterator[Check]:
    """Files that hold what only their owner may read."""
    security = configuration.kafka.security
    files = [
        ("kafka.security.password_file", security.password_file),
        ("kafka.security.key_file", security.key_file),
        ("hotline.caller_key_file", configuration.hotline.caller_key_file),
    ]
    if security.password is not None and config and _PASSWORD_VARIABLE not in os.environ:
        listed = sorted(config.glob("*.yaml")) if config.is_dir() else [config]
        files += [("kafka.security.password", str(path)) for path in listed if _tells(path)]
    for setting, file in files:
        if file is not None:
            yield _secret(setting, Path(file))


def holidays(configuration: Configuration, today: date) -> Check:
    """Whether the calendar knows this year: limits of orders are counted in working days."""
    years = sorted({day[:4] for day in configuration.calendar.holidays})
    if str(today.year) in years or not configuration.orders.due:
        return Check("ok", "working days", f"holidays of {', '.join(years) or 'no year'}")
    mend = "add the year's holidays and made-up days to calendar: in the configuration"
    return Check("warning", "working days", f"no holidays of {today.year} are listed", mend)


def _tells(path: Path) -> bool:
    return "password:" in path.read_text("utf-8")


def _secret(setting: str, file: Path) -> Check:
    try:
        mode = file.stat().st_mode
    except OSError as error:
        mend = "name a file that this user may read"
        return Check("wrong", "secrets", f"{setting}: {file}: {error.strerror}", mend)
    if mode & 0o077:
        what = f"{setting}: others may read {file}"
        return Check("wrong", "secrets", what, f"run `chmod 600 {file}`")
    return Check("ok", "secrets", f"{setting}: only its owner may read it")


def tools() -> Iterator[Check]:
    """What only tests use."""
    for name, program in _TOOLS.items():
        found = shutil.which(program)
        what = f"{found or 'not found'}; for tests, not needed to run"
        yield Check("ok" if found else "warning", name, what)
