"""Results and alert transitions written to a PostgreSQL database.

The tables are made on the first connection, where they are missing: ``vital_results``, a row a
window of a key with its final value, ``alert_transitions``, a row a transition, and
``vitals_position``, how far the logs were read.  All three change in one transaction, and what is
written twice is there once: so nothing is lost or doubled, whenever the gateway, the connection or
the database ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TypeVar

from agents.gateway.postgres_rows import RESULTS, TRANSITIONS, result_rows, transition_rows

try:
    import psycopg
except ImportError as error:
    raise ImportError(
        "gateway.postgres needs psycopg: install it with `pip install 'cityvitals[postgres]'`"
    ) from error

_T = TypeVar("_T")
_CONNECT_S, _SILENT_MS = 10, 30_000


class Unreachable(ConnectionError):  # noqa: N818
    """The database can not be reached, or the connection was lost; nothing was written."""


def _columns(types: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {type_}" for name, type_ in types.items())


def _insert(table: str, types: Mapping[str, str]) -> str:
    """From one array a column; times come as ms."""
    given = {"timestamptz": "int8", "jsonb": "text"}
    taken = {
        "timestamptz": "timestamptz 'epoch' + {} * interval '1 millisecond'",
        "jsonb": "{}::jsonb",
    }
    arrays = ", ".join(f"%s::{given.get(type_, type_)}[]" for type_ in types.values())
    values = ", ".join(taken.get(type_, "{}").format(name) for name, type_ in types.items())
    names = ", ".join(types)
    return f"INSERT INTO {table}({names}) SELECT {values} FROM unnest({arrays}) AS given({names})"


_NAMED = ("sign", "key_level", "key", "t_end")
_SAID = [name for name in RESULTS if name not in _NAMED]
_NEVER_NULL = ("t_start", "unit", "n", "coverage", "rev", "final", "config", "live")
_FILLED = ", ".join(f"ALTER {name} SET NOT NULL" for name in _NEVER_NULL)
_NEWER = ", ".join(f"{name} = excluded.{name}" for name in _SAID)
_TABLES = {
    "vital_results": f"""CREATE TABLE vital_results(
        {_columns(RESULTS)}, PRIMARY KEY(sign, key_level, key, t_end));
        CREATE INDEX vital_results_by_time ON vital_results(t_end);
        ALTER TABLE vital_results {_FILLED};""",
    "alert_transitions": f"""CREATE TABLE alert_transitions(
        {_columns(TRANSITIONS)}, PRIMARY KEY(id));
        CREATE INDEX alert_transitions_by_time ON alert_transitions(t_update);
        CREATE INDEX alert_transitions_by_alert ON alert_transitions(alert_id);""",
    "vitals_position": "CREATE TABLE vitals_position(lane text PRIMARY KEY, next_offset int8);",
}
_UPSERT = f"""{_insert("vital_results", RESULTS)}
    ON CONFLICT({", ".join(_NAMED)}) DO UPDATE SET {_NEWER}
    WHERE excluded.rev >= vital_results.rev"""
_ADD = f"{_insert('alert_transitions', TRANSITIONS)} ON CONFLICT DO NOTHING"
_NOTE = """INSERT INTO vitals_position SELECT * FROM unnest(%s::text[], %s::int8[])
    ON CONFLICT(lane) DO UPDATE SET next_offset = excluded.next_offset"""
_BEFORE = "timestamptz 'epoch' + %s::int8 * interval '1 millisecond'"


class Postgres:
    """The sink of one gateway.

    Parameters
    ----------
    dsn
        Connection string of libpq.
    tables_in
        Schema of the tables; it must be there.
    keep_ms
        How old results and transitions may become, ms; None keeps all.

    Notes
    -----
    It connects when it is first needed, and again after a connection was lost. Every method raises
    `Unreachable` where that fails, and has changed nothing then or all: do it again. Other errors
    of psycopg are for a person: a table or a right is missing.
    """

    def __init__(self, dsn: str, tables_in: str = "public", keep_ms: int | None = None) -> None:
        self.refused = 0
        """Records that were no results or alerts of this build."""
        self._dsn, self._tables_in, self._keep_ms = dsn, tables_in, keep_ms
        self._open: psycopg.Connection | None = None

    def position(self) -> dict[str, int]:
        """Next offset by lane: how far the logs are in the database."""
        return self._do(
            lambda db: {
                str(lane): int(offset)
                for lane, offset in db.execute("SELECT lane, next_offset FROM vitals_position")
            }
        )

    def append(
        self,
        results: Iterable[bytes],
        transitions: Iterable[bytes],
        position: Mapping[str, int],
    ) -> None:
        """Write results, transitions, and how far their logs were read: all or nothing.

        Parameters
        ----------
        results
            Values of records of ``city.vitals-log.v1``. Of a window the greatest ``rev`` counts, of
            the same the one that came last.
        transitions
            Values of records of ``city.alert-log.v1``; of one that is sent again one row is kept.
        position
            Next offset by name of a lane.
        """
        told, stepped = result_rows(results), transition_rows(transitions)

        def write(db: psycopg.Connection) -> None:
            with db.transaction():
                if told.size:
                    db.execute(_UPSERT, told.columns)
                if stepped.size:
                    db.execute(_ADD, stepped.columns)
                if position:
                    db.execute(_NOTE, [list(position), list(position.values())])

        self._do(write)
        self.refused += told.refused + stepped.refused

    def trim(self, now_ms: int) -> None:
        """Delete what is older than it may become at this time, int64 ms UTC."""
        if self._keep_ms is None:
            return
        before = now_ms - self._keep_ms

        def delete(db: psycopg.Connection) -> None:
            with db.transaction():
                db.execute(f"DELETE FROM vital_results WHERE t_end <= {_BEFORE}", [before])
                db.execute(f"DELETE FROM alert_transitions WHERE t_update <= {_BEFORE}", [before])

        self._do(delete)

    def close(self) -> None:
        if self._open is not None:
            with suppress(psycopg.Error):
                self._open.close()
            self._open = None

    def _do(self, action: Callable[[psycopg.Connection], _T]) -> _T:
        try:
            if self._open is None or self._open.closed:
                self._open = self._connect()
            return action(self._open)
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            self.close()
            raise Unreachable(f"PostgreSQL: {str(error).strip()}") from error
        except BaseException:
            self.close()
            raise

    def _connect(self) -> psycopg.Connection:
        db = psycopg.connect(
            self._dsn,
            autocommit=True,
            connect_timeout=_CONNECT_S,
            tcp_user_timeout=_SILENT_MS,
            keepalives_idle=_CONNECT_S,
            application_name="cityvitals",
        )
        try:
            db.execute("SELECT set_config('search_path', %s, false)", [self._tables_in])
            for table, statements in _TABLES.items():
                found = db.execute("SELECT to_regclass(%s)", [table]).fetchone()
                if found == (None,):
                    with db.transaction():
                        db.execute(statements)
        except BaseException:
            db.close()
            raise
        return db
