"""Log lines as tools made for HBase expect them."""

from __future__ import annotations

import json
import logging
import re
import sys

import pytest

from registry.logs import JsonFormatter, LineFormatter, parse_levels, set_levels

LINE = re.compile(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2},\d{3} (TRACE|DEBUG|INFO |WARN |ERROR|FATAL) +\[\S+\] \S+: .*$")


def record(level: int, message: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord("registry.zk", level, __file__, 1, message, args, None)


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL])
def test_the_line_has_hbases_shape(level: int) -> None:
    assert LINE.match(LineFormatter("adapter").format(record(level, "reads %s", "/hbase")))


def test_a_peers_line_breaks_do_not_forge_lines() -> None:
    line = LineFormatter("adapter").format(record(logging.INFO, "user %s", "x\n2026-11-21T00:00:00,000 FATAL"))
    assert "\n" not in line
    assert len(LineFormatter("a").format(record(logging.INFO, "%s", "x" * 10**6))) < 5000


def test_json_is_one_object_a_line() -> None:
    try:
        raise ValueError("no")
    except ValueError:
        failed = record(logging.ERROR, "a\nb")
        failed.exc_info = sys.exc_info()
    line = JsonFormatter("adapter").format(failed)
    fields = json.loads(line)
    assert "\n" not in line
    assert (fields["level"], fields["message"], fields["context"]) == ("ERROR", "a\nb", "adapter")
    assert "ValueError: no" in fields["exception"]
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}[+-]\d{2}:\d{2}", fields["time"])


def test_levels_are_read_and_changed_at_run_time() -> None:
    assert parse_levels("warn, registry.zk=debug") == {"": logging.WARNING, "registry.zk": logging.DEBUG}
    for text in ("loud", "=debug", "info,registry.zk=", ""):
        with pytest.raises(ValueError, match=r"level|logger"):
            parse_levels(text)
    root, zk = logging.getLogger(), logging.getLogger("registry.zk")
    before = root.level
    try:
        set_levels(parse_levels("error,registry.zk=debug"))
        assert (root.level, zk.level) == (logging.ERROR, logging.DEBUG)
        set_levels(parse_levels("info"), earlier=["registry.zk"])
        assert (root.level, zk.level) == (logging.INFO, logging.NOTSET)
    finally:
        root.setLevel(before)
