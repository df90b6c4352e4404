"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

FOLDER = Path("cityvitals-data")
PORT = 9464

Data = Annotated[Path, typer.Option("--data", help="Data folder.", metavar="DIR")]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="YAML file, or folder of them; the shipped catalogue if not given.",
        metavar="PATH",
        show_default=False,
    ),
]
RegisterFile = Annotated[
    Path | None,
    typer.Option(
        "--register",
        help="CSV of the expected devices, in place of the configuration's.",
        metavar="CSV",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, nothing else.")]
Port = Annotated[
    int,
    typer.Option(
        "--port", min=0, max=65535, help="Port of the metrics on loopback; another if taken."
    ),
]
Retain = Annotated[
    list[str] | None,
    typer.Option(
        "--retain",
        help="How much of the log to keep: a time (2h) or a size (2GB); may be given twice.",
        metavar="TIME|SIZE",
        show_default="2h and 2GB",
    ),
]
TopicName = Annotated[
    str | None,
    typer.Option(
        "--topic", help="Input topic, where the file's name does not tell it.", metavar="NAME"
    ),
]
