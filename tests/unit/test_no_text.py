"""Strings of messages that hold no text are found at any depth, and bytes fields are not taken for strings."""

from __future__ import annotations

from protos.hbase import HBase_pb2, Master_pb2
from registry.wire.text import no_text_in


def schema(value: bytes) -> Master_pb2.ModifyTableRequest:
    made = Master_pb2.ModifyTableRequest(table_name=HBase_pb2.TableName(namespace=b"\xff", qualifier=b"\xfe"))
    made.table_schema.attributes.add(first=b"\xff", second=b"\xff")
    family = made.table_schema.column_families.add(name=b"\xff")
    family.configuration.add(name="first", value="text")
    family.configuration.add(name="second", value="@@@@")
    return Master_pb2.ModifyTableRequest.FromString(made.SerializePartialToString().replace(b"@@@@", value))


def test_found_in_a_list_within_a_list():
    assert no_text_in(schema("täxt"[:3].encode())) == ""
    assert no_text_in(schema(b"\xff\xfe\x80@")) == "hbase.pb.NameStringPair.value"
