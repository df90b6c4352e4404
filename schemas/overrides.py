"""Single settings from the environment: ``CITYVITALS__CITY__TIME_ZONE=Asia/Tokyo``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from inspect import isclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from schemas.configuration import Configuration
from schemas.documents import Document, Place, Problem
from schemas.spelling import guess

PREFIX = "CITYVITALS__"


def apply_overrides(
    document: Document, environ: Mapping[str, str], problems: list[Problem]
) -> None:
    """Put the values of variables into a document; later faults name the variable.

    Parameters
    ----------
    document
        Is changed.
    environ
        Variables; those without the prefix are left alone. Items of lists have no variable.
    problems
        Takes variables that name no setting.
    """
    settings = {
        PREFIX + "__".join(path).upper(): (path, kind) for path, kind in _settings(Configuration)
    }
    for variable in sorted(environ):
        if not variable.startswith(PREFIX):
            continue
        if variable not in settings:
            known = ", ".join(settings)
            hint = guess(variable, settings) or f": use one of {known}"
            problems.append(Problem(variable, 0, 0, "", f"no such setting{hint}"))
            continue
        path, kind = settings[variable]
        value = environ[variable] if kind is str else _number(environ[variable], kind)
        _put(document, path, value, Place(variable, 0, 0))


def _settings(model: type[BaseModel]) -> Iterator[tuple[tuple[str, ...], type]]:
    """Every single setting outside lists, with its type."""
    for name, field in model.model_fields.items():
        kind = _single(field.annotation)
        if kind is None:
            continue
        if issubclass(kind, BaseModel):
            for path, inner in _settings(kind):
                yield (name, *path), inner
        elif kind in (str, float, int):
            yield (name,), kind


def _single(annotation: Any) -> type | None:
    """The type of a setting that one value can give; a choice of words is text."""
    if get_origin(annotation) is Annotated:
        return _single(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        kinds = {_single(inner) for inner in get_args(annotation)} - {type(None)}
        return kinds.pop() if len(kinds) == 1 else None
    if get_origin(annotation) is Literal:
        return str
    return annotation if isclass(annotation) else None


def _put(document: Document, path: tuple[str, ...], value: float | str, place: Place) -> None:
    into: Any = document.tree
    for depth, name in enumerate(path[:-1], start=1):
        if name not in into:
            into[name] = {}
            document.values[path[:depth]] = place
        into = into[name]
        if not isinstance(into, dict):
            return  # the document's own fault is reported
    into[path[-1]] = value
    document.values[path] = place


def _number(text: str, kind: type[int] | type[float]) -> float | str:
    """A number where the text is one; the model refuses the rest."""
    try:
        return kind(text) if text.isascii() else text
    except ValueError:
        return text
