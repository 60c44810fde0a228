"""The log: HBase's line on standard error, or one JSON object a line.

`2026-11-21T07:39:26,123 INFO  [context] logger: message`, so that tools made for HBase's logs read ours.
Source: log4j2.properties of HBase (`%d{ISO8601} %-5p [%t] %c{2}: %.1000m%n`), Grafana's mixin for HBase.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable

LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
    "critical": logging.CRITICAL,
    "off": logging.CRITICAL + 1,
}
MESSAGE_CHARS_MAX = 4000
"""A message that holds a peer's bytes must not fill the disk."""

_JAVA_NAMES = {"WARNING": "WARN", "CRITICAL": "FATAL"}
_QUIET = {"kazoo": logging.WARNING, "watchfiles": logging.WARNING, "uvicorn.access": logging.WARNING}
"""Libraries that say at INFO what we say ourselves; a level given for them wins."""


class LineFormatter(logging.Formatter):
    """HBase's line. The context is the name of the role or of the thread; a message stays on its line."""

    def __init__(self, context: str) -> None:
        super().__init__()
        self.context = context

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback follows on lines of its own, as Java writes it."""
        name = _JAVA_NAMES.get(record.levelname, record.levelname)
        context = self.context if record.threadName == "MainThread" else record.threadName
        line = f"{timestamp(record)} {name:<5} [{context}] {record.name}: {_message(record)}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, context, logger, message and, after a failure, exception."""

    def __init__(self, context: str) -> None:
        super().__init__()
        self.context = context

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        import json

        fields = {
            "time": timestamp(record).replace(",", ".") + _offset(record.created),
            "level": _JAVA_NAMES.get(record.levelname, record.levelname),
            "context": self.context if record.threadName == "MainThread" else record.threadName,
            "logger": record.name,
            "message": record.getMessage()[:MESSAGE_CHARS_MAX],
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


def timestamp(record: logging.LogRecord) -> str:
    """Local time as log4j's ISO8601 writes it, milliseconds after a comma."""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.localtime(record.created))},{int(record.msecs):03d}"


def parse_levels(text: str) -> dict[str, int]:
    """Logger to level from `info,registry.zk=debug`; the root's name is empty. Raises ValueError with a sentence."""
    levels: dict[str, int] = {}
    for part in text.split(","):
        name, sign, word = part.strip().rpartition("=")
        if sign and not name.strip():
            raise ValueError(f"{part.strip()!r} lacks the logger before the =")
        level = LEVELS.get(word.strip().lower())
        if level is None:
            raise ValueError(f"{word.strip()!r} is not a level: write {', '.join(LEVELS)}, or LOGGER=LEVEL")
        levels[name.strip()] = level
    return levels


def set_up_logs(format_name: str, level_text: str, context: str) -> None:
    """Log to standard error as `hbeacon.log.format` and `.level` say. Raises ValueError for a wrong level."""
    levels = parse_levels(level_text)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(context) if format_name == "json" else LineFormatter(context))
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # a log that cannot be written must not stop a look-up
    set_levels(levels)


def set_levels(levels: dict[str, int], earlier: Iterable[str] = ()) -> None:
    """Set levels now; loggers in `earlier` that are not named any more go back to their parents' level."""
    for name in earlier:
        if name and name not in levels:
            logging.getLogger(name).setLevel(_QUIET.get(name, logging.NOTSET))
    for name, level in _QUIET.items():
        if name not in levels and not logging.getLogger(name).level:
            logging.getLogger(name).setLevel(level)
    root_level = levels.get("", logging.INFO)
    logging.getLogger().setLevel(root_level)
    for name, level in levels.items():
        if name:
            logging.getLogger(name).setLevel(level)


def _message(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if len(text) > MESSAGE_CHARS_MAX:
        text = text[:MESSAGE_CHARS_MAX] + "..."
    return text.replace("\r", "\\r").replace("\n", "\\n")


def _offset(created_s: float) -> str:
    text = time.strftime("%z", time.localtime(created_s))
    return f"{text[:3]}:{text[3:]}"
