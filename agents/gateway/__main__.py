"""``python -m agents.gateway``: what `cityvitals gateway` does, as `up` starts it."""

from __future__ import annotations

import sys

from agents.commands.cli import app

if __name__ == "__main__":
    app(["gateway", *sys.argv[1:]])
