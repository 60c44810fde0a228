"""/conf as Hadoop's daemons show it: XML unless JSON is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape

from registry.http.status import SettingRow


def conf_xml(settings: Iterable[SettingRow]) -> str:
    """Source: org.apache.hadoop.conf.Configuration.writeXml, with its `final` and `source` elements."""
    return "".join(
        (
            '<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n<configuration>\n',
            *(
                f"<property><name>{_text(row.key)}</name><value>{_text(row.value)}</value>"
                f"<final>{str(row.final).lower()}</final><source>{_text(row.origin)}</source></property>\n"
                for row in settings
            ),
            "</configuration>\n",
        )
    )


def _text(value: str) -> str:
    """XML 1.0 has no way to write most control characters, escaped or not; a sign stands for them."""
    return escape("".join(char if char.isprintable() or char in "\t\n" else "�" for char in value))
