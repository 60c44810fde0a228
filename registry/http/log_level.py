"""/logLevel: the level of each logger, and a change of one where that is allowed.

HBase changes a level by a GET with ?log=&level=. A GET that changes something can be sent by a picture on anybody's
page, so here it is refused with the request that does it. What a GET tells is marked as HBase marks it, so that
`hbase org.apache.hadoop.hbase.http.log.LogLevel -getlevel HOST:PORT LOGGER` works.
Source: org.apache.hadoop.hbase.http.log.LogLevel; Log4jUtils for the names of levels.
"""

from __future__ import annotations

import logging
import re

from registry.logs import LEVELS

LOGGERS_MAX = 500
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,127}")
_WORDS = {
    value: name.upper() for name, value in reversed(LEVELS.items()) if name not in ("trace", "warning", "critical")
}


class BadLevel(ValueError):
    """`str()` says what is wrong with a logger or a level."""


def level_word(level: int) -> str:
    """HBase's word for a level."""
    return _WORDS.get(level, str(level))


def loggers() -> list[tuple[str, str, str]]:
    """Name, level set (empty: its parent's) and level that applies, sorted; the root is called root."""
    # A copy: another thread may make a logger meanwhile.
    known = [logger for logger in list(logging.root.manager.loggerDict.values()) if isinstance(logger, logging.Logger)]
    rows = [(logger.name, level_word(logger.level) if logger.level else "", _effective(logger)) for logger in known]
    root = logging.getLogger()
    return [("root", level_word(root.level), _effective(root)), *sorted(rows)[:LOGGERS_MAX]]


def effective_level(name: str) -> str:
    """The level that applies to a logger; of one that does not exist yet, its parent's. Raises BadLevel."""
    return _effective(_find(name))


def set_level(name: str, word: str) -> str:
    """Set a level until the next start or the next change of hbeacon.log.level; gives what applies. Raises BadLevel."""
    level = LEVELS.get(word.strip().lower())
    if level is None:
        raise BadLevel(f"{word[:32]!r} is not a level: write {', '.join(LEVELS)}")
    logger = logging.getLogger() if name in ("", "root") else _existing(name)
    logger.setLevel(level)
    logging.getLogger(__name__).warning(
        "the log level of %s was set to %s over HTTP", name or "root", level_word(level)
    )
    return _effective(logger)


def _find(name: str) -> logging.Logger:
    """The logger, or the nearest parent that exists: a question makes no logger."""
    if name in ("", "root"):
        return logging.getLogger()
    if not _NAME.fullmatch(name):
        raise BadLevel(f"{name[:64]!r} is not the name of a logger")
    known = logging.root.manager.loggerDict
    while name:
        logger = known.get(name)
        if isinstance(logger, logging.Logger):
            return logger
        name = name.rpartition(".")[0]
    return logging.getLogger()


def _existing(name: str) -> logging.Logger:
    """The logger of a name that a module has: a peer cannot fill the memory with new ones."""
    if not _NAME.fullmatch(name) or name not in logging.root.manager.loggerDict:
        raise BadLevel(f"there is no logger {name[:64]!r}")
    return logging.getLogger(name)


def _effective(logger: logging.Logger) -> str:
    return level_word(logger.getEffectiveLevel())
