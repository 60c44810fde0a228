"""Hadoop's configuration files: core-site.xml, hbase-site.xml.

Source: org.apache.hadoop.conf.Configuration (resources, `<final>`, XInclude, variable expansion), HADOOP-9382 for the
defaults in `${env.NAME:-text}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.config.values import BadSetting

SUBSTITUTIONS_MAX = 20
"""Hadoop's MAX_SUBST: a value that needs more replacements is taken for a cycle."""

INCLUDE_DEPTH_MAX = 8
FILE_BYTES_MAX = 16 << 20

_VARIABLE = re.compile(r"\$\{([^}$\s]+)\}")
_XINCLUDE = "{http://www.w3.org/2001/XInclude}"


@dataclass(frozen=True, slots=True)
class Property:
    """One `<property>` as written, before `${}` is replaced."""

    name: str
    value: str
    final: bool
    origin: str
    """`path:line` of the element."""


def read_properties(path: Path) -> list[Property]:
    """The properties of a file and of the files it includes, in order.

    Raises BadSetting with file and line where the file cannot be read or is no Hadoop configuration.
    """
    return list(_read(path, 0))


def merge(files: list[list[Property]]) -> tuple[dict[str, Property], list[str]]:
    """Later files win over earlier ones, except where an earlier property is final; also the warnings to log."""
    merged: dict[str, Property] = {}
    warnings: list[str] = []
    for properties in files:
        for item in properties:
            earlier = merged.get(item.name)
            if earlier is not None and earlier.final:
                if earlier.value != item.value:
                    warnings.append(f"{item.origin}: {item.name} is final since {earlier.origin}, ignored here")
                continue
            merged[item.name] = item
    return merged, warnings


def expand(name: str, values: Mapping[str, Property], environ: Mapping[str, str], system: Mapping[str, str]) -> str:
    """The value of `name` with `${key}`, `${env.NAME}`, `${env.NAME:-text}` and system properties replaced.

    What is bound nowhere stays as it is written, as Hadoop leaves it. Raises BadSetting where replacing does not end.
    """
    item = values[name]
    text = item.value
    position = replacements = 0
    while (match := _VARIABLE.search(text, position)) is not None:
        replacement = _lookup(match[1], values, environ, system)
        if replacement is None or replacement == match[0]:
            position = match.end()
            continue
        replacements += 1
        if replacements > SUBSTITUTIONS_MAX:
            cure = f"more than {SUBSTITUTIONS_MAX} variables to replace, or a cycle of them: write the value itself"
            raise BadSetting(name, item.value, item.origin, cure)
        text = text[: match.start()] + replacement + text[match.end() :]
        position = 0
    return text


def unbound_variable(text: str) -> str | None:
    """The first variable that is still in an expanded text."""
    match = _VARIABLE.search(text)
    return match[1] if match else None


def _lookup(
    variable: str, values: Mapping[str, Property], environ: Mapping[str, str], system: Mapping[str, str]
) -> str | None:
    if variable.startswith("env."):
        name, sign, default = variable[4:].partition("-")
        unset_only = not name.endswith(":")
        name = name.removesuffix(":") if sign else variable[4:]
        value = environ.get(name)
        if sign and (value is None or (not value and not unset_only)):
            return default
        return value
    if variable in system:
        return system[variable]
    bound = values.get(variable)
    return bound.value if bound is not None else None


def _read(path: Path, depth: int) -> Iterator[Property]:
    root = _parse(path)
    if root.tag != "configuration":
        cure = f"the root element is <{root.tag}>, <configuration> is expected"
        raise BadSetting("", "", f"{path}:{_line(root)}", cure)
    yield from _children(root, path, depth)


def _children(parent: Any, path: Path, depth: int) -> Iterator[Property]:
    for child in parent:
        if child.tag == "property":
            yield _property(child, path)
        elif child.tag == _XINCLUDE + "include":
            yield from _include(child, path, depth)
        elif child.tag == "configuration":
            yield from _children(child, path, depth)


def _property(element: Any, path: Path) -> Property:
    origin = f"{path}:{_line(element)}"
    name = (element.get("name") or _text(element, "name") or "").strip()
    if not name:
        raise BadSetting("", "", origin, "a <property> without <name>")
    value = element.get("value")
    if value is None:
        value = _text(element, "value")
    final = (element.get("final") or _text(element, "final") or "").strip().lower() == "true"
    return Property(name, (value or "").strip(), final, origin)


def _include(element: Any, path: Path, depth: int) -> Iterator[Property]:
    target = Path(element.get("href") or "")
    if not target.is_absolute():
        target = path.parent / target
    if depth >= INCLUDE_DEPTH_MAX:
        raise BadSetting("", "", f"{path}:{_line(element)}", f"includes are nested deeper than {INCLUDE_DEPTH_MAX}")
    fallback = element.find(_XINCLUDE + "fallback")
    if fallback is not None and not target.is_file():
        yield from _children(fallback, path, depth)
    else:
        yield from _read(target, depth + 1)


def _text(element: Any, tag: str) -> str | None:
    child = element.find(tag)
    return None if child is None else child.text


def _line(element: Any) -> int:
    return int(element.get(_LINE, 0))


_LINE = "\0line"
"""An attribute name that no XML file can hold: the parser keeps the line there."""


def _keep_lines(parser: Any) -> None:
    expat = parser.parser
    start_element = expat.StartElementHandler

    def start(tag: str, attributes: list[str]) -> Any:
        element = start_element(tag, attributes)
        element.set(_LINE, str(expat.CurrentLineNumber))
        return element

    expat.StartElementHandler = start


def _parse(path: Path) -> Any:
    # Imported here: a process without configuration files does not pay for an XML parser.
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import DefusedXMLParser

    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadSetting("", "", str(path), f"cannot be read: {error.strerror}") from None
    if len(data) > FILE_BYTES_MAX:
        raise BadSetting("", "", str(path), f"larger than {FILE_BYTES_MAX} bytes, which no configuration is")
    try:
        parser: Any = DefusedXMLParser()
        _keep_lines(parser)
        parser.feed(data)
        return parser.close()
    except ParseError as error:
        line, column = error.position
        reason = str(error).partition(":")[0]
        raise BadSetting("", "", f"{path}:{line}", f"not well-formed XML: {reason} at column {column + 1}") from None
    except DefusedXmlException as error:
        raise BadSetting("", "", str(path), f"XML entities are not allowed here ({type(error).__name__})") from None
    except (ValueError, LookupError) as error:
        raise BadSetting("", "", str(path), f"cannot be decoded: {error}") from None
