"""Where the secret under which callers become hashes comes from: a file, or the data folder."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from agents.plan import Plan
from schemas.configuration import Configuration
from schemas.documents import ConfigurationError, Problem
from streams.log_store import LogStore

SECRET = "secret"
"""Name under which a data folder, which its owner alone may read, keeps its own."""

LEAST = 16
"""Bytes a secret must have."""


def key_of(configuration: Configuration) -> bytes | None:
    """The secret in the file that the configuration names; None where it names none.

    Raises
    ------
    ConfigurationError
        It can not be read, or is too short.
    """
    name = configuration.hotline.caller_key_file
    if name is None:
        return None
    try:
        secret = Path(name).read_bytes().strip()
    except OSError as error:
        raise _refused(name, f"can not be read: {error.strerror}") from error
    if len(secret) < LEAST:
        raise _refused(name, f"has {len(secret)} bytes: put at least {LEAST} random ones into it")
    return secret


def _refused(name: str, message: str) -> ConfigurationError:
    return ConfigurationError([Problem(name, 0, 0, "hotline.caller_key_file", message)])


def with_key(plan: Plan, store: LogStore) -> Plan:
    """The plan with its own secret, else with the folder's, which is made at the first start."""
    if plan.secret is not None:
        return plan
    secret = store.meta(SECRET)
    if secret is None:
        secret = os.urandom(32)
        with store.transaction() as tx:
            tx.set_meta(SECRET, secret)
    return replace(plan, secret=secret)
