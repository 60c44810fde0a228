"""Names of tables, namespaces and families: which are legal, and what is said of those that are not. Pure.

Java looks at UTF-16 units: half of a pair is no letter, so no character beyond the first plane is legal, and places
are counted in such units. An illegal name is a plain IOException, for HBase did not foresee that it comes so far.

Source: TableName#isLegalTableQualifierName, #isLegalNamespaceName, ColumnFamilyDescriptorBuilder
#isLegalColumnFamilyName.
"""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Iterator

from protos.hbase import HBase_pb2
from registry.wire.errors import IOException
from registry.wire.region_info import table_text

DISALLOWED = "zookeeper"
NAME_BYTES_MAX = 1000
"""A znode bears the name, and every row of hbase:meta begins with it."""
FAMILY_BYTES_MAX = 127
"""The length of a family is one byte in a cell."""
_RECOVERED_EDITS = "recovered.edits"
_COMBINING = range(0x300, 0x370)


def checked_table(message: HBase_pb2.TableName) -> str:
    """The table's name as people write it. Raises IOException."""
    namespace = _text(message.namespace or b"default")
    qualifier = _text(message.qualifier)
    if qualifier == "-ROOT-":
        raise IOException("-ROOT- has been deprecated.")
    if qualifier == ".META.":
        raise IOException(".META. no longer exists. The table has been renamed to hbase:meta")
    check_namespace_name(namespace)
    _check_qualifier(qualifier)
    if len(message.namespace) + len(message.qualifier) > NAME_BYTES_MAX:
        raise IOException(f"A table's name may have {NAME_BYTES_MAX} bytes")
    return table_text(HBase_pb2.TableName(namespace=namespace.encode(), qualifier=qualifier.encode()))


def check_namespace_name(namespace: str) -> None:
    """Raise IOException where it is not legal."""
    if not namespace:
        raise IOException("Namespace name must not be empty")
    if namespace == DISALLOWED:
        raise IOException(f"Tables may not be named '{DISALLOWED}'")
    for at, unit in enumerate(_units(namespace)):
        if not (_is_letter_or_digit(unit) or unit == ord("_")):
            raise IOException(
                f"Illegal character <{_shown(unit)}> at {at}. Namespaces may only contain 'alphanumeric characters'"
                f" from any language and digits: {namespace}"
            )


def check_family_name(name: bytes) -> None:
    """Raise IOException where it is not legal."""
    text = _text(name)
    if not name:
        raise IOException("Column Family name can not be empty")
    if name[:1] == b".":
        raise IOException(f"Column Family names cannot start with a period: {text}")
    for byte in name:
        if byte < 0x20 or byte == 0x7F or byte in b":\\/":
            raise IOException(
                f"Illegal character <{byte}>. Column Family names cannot contain control characters or colons: {text}"
            )
    if text == _RECOVERED_EDITS:
        raise IOException(f"Column Family name cannot be: {_RECOVERED_EDITS}")
    if len(name) > FAMILY_BYTES_MAX:
        raise IOException(f"A column family's name may have {FAMILY_BYTES_MAX} bytes")


def _check_qualifier(qualifier: str) -> None:
    if not qualifier:
        raise IOException("Table qualifier must not be empty")
    if qualifier[0] in ".-":
        raise IOException(
            f"Illegal first character <{ord(qualifier[0])}> at 0. User-space table qualifiers can only start with"
            f" 'alphanumeric characters' from any language: {qualifier}"
        )
    if qualifier == DISALLOWED:
        raise IOException(f"Tables may not be named '{DISALLOWED}'")
    for at, unit in enumerate(_units(qualifier)):
        if not (_is_letter_or_digit(unit) or chr(unit) in "_-."):
            raise IOException(
                f"Illegal character code:{unit}, <{_shown(unit)}> at {at}. User-space table qualifiers may only contain"
                f" 'alphanumeric characters' and digits: {qualifier}"
            )


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")


def _units(text: str) -> Iterator[int]:
    for (unit,) in struct.iter_unpack(">H", text.encode("utf-16-be")):
        yield unit


def _shown(unit: int) -> str:
    return "?" if 0xD800 <= unit < 0xE000 else chr(unit)


def _is_letter_or_digit(unit: int) -> bool:
    """As Character.isAlphabetic and isDigit; of marks those that are no accents, which is what Python can tell."""
    category = unicodedata.category(chr(unit))
    if category in ("Mn", "Mc"):
        return unit not in _COMBINING or unit == 0x345
    return category in ("Lu", "Ll", "Lt", "Lm", "Lo", "Nl", "Nd")
