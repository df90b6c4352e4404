"""Exit codes, and how an error becomes a message with one of them."""

from __future__ import annotations

import os
import sqlite3
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import ParamSpec

import typer

OK, FINDING, BAD, ENVIRONMENT = 0, 1, 2, 3
"""All well; something was found; bad configuration or usage; the environment is not fit."""

DEBUG = "CITYVITALS_DEBUG"

P = ParamSpec("P")


class Fault(Exception):  # noqa: N818 - not every fault is the program's error
    """Ends a command with a message for people.

    Parameters
    ----------
    code
        One of `FINDING`, `BAD` and `ENVIRONMENT`.
    message
        What, where, and what to do.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def writing(file: Path) -> Iterator[None]:
    """Tell of a file that could not be replaced."""
    try:
        yield
    except OSError as error:
        what = f"{file} can not be written ({error.strerror}); it is as it was"
        raise Fault(
            ENVIRONMENT, f"{what}: check the folder, its owner and the free space"
        ) from error


def guarded(body: Callable[P, None]) -> Callable[P, None]:
    """A command whose errors end it with a message and an exit code, without a traceback.

    A reader that closes standard output early (``| head -1``) is a normal end.
    """

    @wraps(body)
    def command(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            body(*args, **kwargs)
            sys.stdout.flush()
        except BrokenPipeError:
            drop_stdout()
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except Exception as error:
            if os.environ.get(DEBUG):
                complain(traced(error))
            fault = explain(error)
            complain(str(fault))
            raise typer.Exit(fault.code) from None

    return command


def traced(error: BaseException) -> str:
    """Where an error came from, and what led to it: lines of code and kinds of errors.

    Their words are left out, as they may repeat what a record held (rule R9).

    Examples
    --------
    >>> try:
    ...     int("what the record held")
    ... except ValueError as error:
    ...     traced(error).splitlines()[-1]
    'ValueError'
    """
    before = error.__cause__
    if before is None and not error.__suppress_context__:
        before = error.__context__
    led = "" if before is None else f"{traced(before)}\n\nwhich led to\n\n"
    lines = "".join(traceback.format_tb(error.__traceback__))
    return f"{led}Traceback (most recent call last):\n{lines}{type(error).__qualname__}"


def complain(message: str) -> None:
    """Tell people, on standard error."""
    print(message, file=sys.stderr, flush=True)


def drop_stdout() -> None:
    """Send what is still to be written to nowhere: its reader has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def explain(error: Exception) -> Fault:
    """The fault that an error amounts to.

    Examples
    --------
    >>> explain(FileNotFoundError(2, "No such file or directory", "x.ndjson")).code
    3
    """
    if isinstance(error, Fault):
        return error
    if isinstance(error, ImportError):
        return Fault(ENVIRONMENT, str(error))
    if isinstance(error, OSError | sqlite3.Error):
        return Fault(ENVIRONMENT, f"{error}: check the data folder, its owner and the free space")
    from schemas.documents import ConfigurationError
    from streams.log_types import InUse, UnknownTopic

    if isinstance(error, ConfigurationError):
        return Fault(BAD, str(error))
    if isinstance(error, InUse):
        return Fault(ENVIRONMENT, str(error))
    if isinstance(error, UnknownTopic):
        return Fault(BAD, str(error))
    return _explain_run(error)


def _explain_run(error: Exception) -> Fault:
    from agents.intake import StepError
    from agents.pipeline import SnapshotError
    from agents.recordings import FeedError

    if isinstance(error, FeedError | SnapshotError):
        return Fault(BAD, str(error))
    debug = f"{DEBUG}=1 shows the traceback"
    if isinstance(error, StepError):
        # Only the kind of the cause: its words may repeat what the record held (rule R9).
        cause = type(error.__cause__).__name__ if error.__cause__ else "an unknown error"
        return Fault(
            FINDING,
            f"{error} ({cause}). Nothing was saved after the last checkpoint. Start it again: it "
            "goes on from there, and a record that stops the engine twice goes to the dead "
            f"letters. {debug}",
        )
    return Fault(
        FINDING,
        f"the engine failed ({type(error).__name__}) and saved nothing after its last checkpoint. "
        f"Start it again: it goes on from there. {debug}",
    )
