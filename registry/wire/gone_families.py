"""Families that were deleted from a table, as its descriptor tells region servers until all of their cells are gone.

Rows of all families lie in one store, so a family is not deleted by removing files: each region removes the cells of
such a family when it is opened next. Until all have, the descriptor names them. One that is made again meanwhile, which
a disabled table allows, is named and described: it is not served before it is named no more.

    attribute hbeacon.families.gone: names as hexadecimal digits, with commas between

Clients are never shown it.

Source: DeleteColumnFamilyProcedure, whose step DELETE_COLUMN_FAMILY_DELETE_FS_LAYOUT this stands for.
"""

from __future__ import annotations

from collections.abc import Collection

from protos.hbase import HBase_pb2

ATTRIBUTE = b"hbeacon.families.gone"


def gone_families(schema: HBase_pb2.TableSchema) -> frozenset[bytes]:
    """Those that are deleted and may still have cells."""
    for pair in schema.attributes:
        if pair.first == ATTRIBUTE:
            return frozenset(bytes.fromhex(text) for text in pair.second.decode().split(",") if text)
    return frozenset()


def with_gone_families(schema: HBase_pb2.TableSchema, names: Collection[bytes]) -> HBase_pb2.TableSchema:
    """The descriptor that names these, and no others."""
    if not names and all(pair.first != ATTRIBUTE for pair in schema.attributes):
        return schema
    made = HBase_pb2.TableSchema()
    made.CopyFrom(schema)
    del made.attributes[:]
    made.attributes.extend(pair for pair in schema.attributes if pair.first != ATTRIBUTE)
    if names:
        made.attributes.add(first=ATTRIBUTE, second=",".join(name.hex() for name in sorted(names)).encode())
    return made
