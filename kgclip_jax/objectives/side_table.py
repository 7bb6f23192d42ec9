"""The side tables of a stream, as objectives find them in its rows."""

from typing import Any

from kgclip_jax.errors import ConfigError


def side_table(rows: Any, table: str, stream: str) -> Any:
    """Return the rows of a side table. Raises ConfigError where the stream has none."""
    if table not in (rows.tables or {}):
        raise ConfigError(
            f"stream {stream!r} has no table {table!r}; set config.streams.{stream}.tables.{table}"
        )
    return rows.tables[table]
