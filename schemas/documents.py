"""YAML 1.2 files as plain values that know where each of them is written.

The files are composed, not constructed: nodes carry the place of every key and value, and no tag
can make an object.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from yaml import MarkedYAMLError, YAMLError
from yaml.reader import ReaderError

from schemas.yaml_nodes import DEEPEST, TAG, Mapping, Node, Scalar, Sequence, TooDeepError, compose

LARGEST = 4 * 1024 * 1024
"""Bytes of one file: a city's catalogue has a hundredth of it."""
MOST_VALUES = 200_000
"""Values after every alias is written out, against files that multiply by aliases."""

Steps: TypeAlias = tuple[str | int, ...]

# The parser gives up at another depth, and somewhere else.
_BRACKETS = re.compile(rf"(?:[\[{{]\s*){{{DEEPEST}}}[\[{{]")


class Place(NamedTuple):
    """Where something is written; line and column from 1, both 0 where there are none."""

    file: str
    line: int
    column: int


class Problem(NamedTuple):
    """One fault of a configuration, ordered by file and place."""

    file: str
    line: int
    column: int
    path: str
    """The setting, such as ``signs.3.window``; empty where the fault is in no setting."""
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return ": ".join(part for part in (where, self.path, self.message) if part)


class ConfigurationError(ValueError):
    """A configuration is refused, with all its problems.

    Parameters
    ----------
    problems
        At least one; kept sorted and without repeats.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(slots=True)
class Document:
    """Plain values, and the place of each value and each key by its path."""

    tree: dict[str, Any] = field(default_factory=dict)
    values: dict[Steps, Place] = field(default_factory=dict)
    keys: dict[Steps, Place] = field(default_factory=dict)

    def place(self, path: Steps) -> Place:
        """Where a path is written, or else the nearest thing around it."""
        while path not in self.values and path:
            path = path[:-1]
        return self.values[path]


def read_document(file: Path, problems: list[Problem]) -> Document | None:
    """Read one YAML file.

    Parameters
    ----------
    file
        At most `LARGEST` bytes of UTF-8.
    problems
        Takes every fault found.

    Returns
    -------
    Document or None
        None where nothing can be read.
    """
    name = str(file)
    text = _read_text(file, problems)
    if text is None:
        return None
    if run := _BRACKETS.search(text):
        line, column = _line_column(text[: run.end() - 1])
        problems.append(Problem(name, line, column, "", _DEPTH_MESSAGE))
        return None
    try:
        root = _composed(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problems.append(Problem(name, line, column, "", _explain_syntax(error, text, mark)))
        return None
    except ReaderError as error:
        # It counts bytes.
        before = text.encode()[: error.position].decode(errors="ignore")
        line, column = _line_column(before)
        message = "a control character stands here: remove it"
        problems.append(Problem(name, line, column, "", message))
        return None
    except TooDeepError as error:
        problems.append(Problem(name, error.line, error.column, "", _DEPTH_MESSAGE))
        return None
    except (YAMLError, ValueError) as error:
        problems.append(Problem(name, 1, 1, "", f"not valid YAML: {error}"))
        return None
    if root is None or (isinstance(root, Scalar) and root.tag == f"{TAG}null"):
        problems.append(Problem(name, 1, 1, "", "the document is empty: write the configuration"))
        return None
    if not isinstance(root, Mapping):
        message = "expected settings as 'name: value' lines at the top of the document"
        problems.append(Problem(name, *_mark(root), "", message))
        return None
    reader = _Reader(name, problems)
    reader.document.tree = reader.convert(root, ())
    return reader.document


@lru_cache(maxsize=64)
def _composed(text: str) -> Node | None:
    """The nodes of a text, which nobody changes: a process often reads the same catalogue again."""
    return compose(text)


_DEPTH_MESSAGE = f"nested deeper than {DEEPEST} levels: a configuration needs no such depth"


class _Reader:
    """Turns the nodes of one file into a `Document`."""

    def __init__(self, file: str, problems: list[Problem]) -> None:
        self.file, self.problems = file, problems
        self.document = Document()
        self._open: set[int] = set()
        self._count = 0

    def convert(self, node: Node, path: Steps) -> Any:
        self._count += 1
        self.document.values[path] = Place(self.file, *_mark(node))
        if self._count > MOST_VALUES:
            if self._count == MOST_VALUES + 1:
                self._report(node, path, f"more than {MOST_VALUES} values, aliases written out")
            return None
        if id(node) in self._open:
            self._report(node, path, "contains itself through an alias: write the value out")
            return None
        if len(path) > DEEPEST:
            self._report(node, path, _DEPTH_MESSAGE)
            return None
        if isinstance(node, Scalar):
            return self._scalar(node, path)
        self._open.add(id(node))
        try:
            if isinstance(node, Mapping):
                return self._mapping(node, path)
            return self._sequence(node, path)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: Mapping, path: Steps) -> dict[str, Any]:
        if node.tag != f"{TAG}map":
            self._report(node, path, f"tag {node.tag} is not supported: remove it")
        made: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, Scalar) or key.tag != f"{TAG}str":
                message = "expected a name before the colon: put it in quotes if it is text"
                if isinstance(key, Scalar) and key.tag == f"{TAG}merge":
                    message = "merge keys (<<) are not supported: write the values out"
                self._report(key, path, message)
                continue
            name = key.value
            if name in made:
                first = self.document.keys[*path, name].line
                message = f"'{name}' is defined twice: the first is in line {first}"
                self._report(key, (*path, name), message)
                continue
            self.document.keys[*path, name] = Place(self.file, *_mark(key))
            made[name] = self.convert(value, (*path, name))
        return made

    def _sequence(self, node: Sequence, path: Steps) -> list[Any]:
        if node.tag != f"{TAG}seq":
            self._report(node, path, f"tag {node.tag} is not supported: remove it")
        return [self.convert(item, (*path, i)) for i, item in enumerate(node.value)]

    def _scalar(self, node: Scalar, path: Steps) -> Any:
        try:
            return read_scalar(node.tag, node.value)
        except ValueError as error:
            self._report(node, path, str(error))
            return None

    def _report(self, node: Node, path: Steps, message: str) -> None:
        self.problems.append(Problem(self.file, *_mark(node), dotted(path), message))


def dotted(path: Steps) -> str:
    """A path as people write it, short of the depths that nobody reads.

    >>> dotted(("signs", 3, "window"))
    'signs.3.window'
    """
    return ".".join(map(str, path[:12]))


def read_scalar(tag: str, text: str) -> str | int | float | bool | None:
    """The value of a scalar by its YAML 1.2 tag.

    Raises
    ------
    ValueError
        Where the tag is none of text, number, true or false, and null.

    Examples
    --------
    >>> read_scalar("tag:yaml.org,2002:int", "0x10")
    16
    """
    kind = tag.removeprefix(TAG)
    plain = text.replace("_", "")
    if kind == "str":
        return text
    if kind == "null":
        return None
    if kind == "bool" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind == "int" and len(text) <= 64:
        prefixed = re.match("[-+]?0[xob]", plain)
        return int(plain, 0 if prefixed else 10)
    if kind == "float" and len(text) <= 64:
        return float(re.sub(r"^([-+]?)\.(inf|nan)$", r"\1\2", plain.lower()))
    if kind == "timestamp":
        raise ValueError("expected text, not a date: put it in quotes")
    if kind in ("int", "float"):
        raise ValueError("a number of more than 64 characters: write it shorter")
    raise ValueError(f"tag {tag} is not supported: remove it")


def _read_text(file: Path, problems: list[Problem]) -> str | None:
    name = str(file)
    try:
        with file.open("rb") as stream:
            raw = stream.read(LARGEST + 1)
    except OSError as error:
        problems.append(Problem(name, 0, 0, "", f"cannot be read: {error.strerror}"))
        return None
    if len(raw) > LARGEST:
        message = f"larger than {LARGEST // 1024 // 1024} MiB: is this the right file?"
        problems.append(Problem(name, 0, 0, "", message))
        return None
    try:
        return raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line, column = _line_column(raw[: error.start].decode("utf-8"))
        message = f"byte 0x{raw[error.start]:02x} is not UTF-8: save the file as UTF-8"
        problems.append(Problem(name, line, column, "", message))
        return None


def _line_column(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _mark(node: Node) -> tuple[int, int]:
    return node.line, node.column


def _explain_syntax(error: MarkedYAMLError, text: str, mark: Any) -> str:
    lines = text.splitlines()
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    if "\t" in line[: mark.column + 1 if mark else 0]:
        return "a tab cannot indent YAML: use spaces"
    said = str(error.problem or error.context or "cannot be read").strip()
    if "single document" in str(error.context):
        said = "a file holds one document: remove the second '---'"
    return f"not valid YAML: {said}"
