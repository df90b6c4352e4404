"""Configurations of fault runs as files, with the register and the callers' secret beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agents.caller_keys import key_of
from agents.city.register import register_of
from agents.plan import Plan, compile_plan
from schemas.configuration import Configuration
from schemas.loading import load
from schemas.registers import save_register
from tests.rules.city_logs import quick
from tests.rules.wide import SECRET


def catalogue(scale: float, *, quickly: bool) -> Configuration:
    """The shipped catalogue with the register of a city of that size.

    Parameters
    ----------
    quickly
        Its models judge after a few values, and find much out of the ordinary.
    """
    shipped = load(None, environ={})
    return (quick(shipped) if quickly else shipped).with_register(register_of(scale))


def write(path: Path, configuration: Configuration, **kafka: Any) -> Path:
    """Write a configuration with its register and a secret; JSON is YAML."""
    listed, key = path.with_suffix(".csv"), path.with_suffix(".key")
    key.write_bytes(SECRET)
    content = configuration.model_dump(mode="json", exclude_none=True)
    content["hotline"]["caller_key_file"] = str(key)
    content["kafka"] |= kafka
    if configuration.register.devices:
        save_register(configuration.register, listed)
        content["register_file"] = str(listed)
    path.write_text(json.dumps(content, ensure_ascii=False), "utf-8")
    return path


def read(path: Path) -> Plan:
    """The plan of a file, as the commands compile it."""
    configuration = load(path, {})
    return compile_plan(configuration, key_of(configuration))
