"""Names of regions, as a real 2.6.4 made them, and the value of info:regioninfo."""

from __future__ import annotations

import pytest

from registry.wire.errors import ProtocolError
from registry.wire.region_info import META, RegionInfo, table_name, table_text


@pytest.mark.parametrize(
    ("start_key", "name"),
    [
        (b"", b"t1,,1795249364110.18a91f59ae3cda98c2657bcccc0e3d79."),
        (b"m", b"t1,m,1795249364110.9bc43d22a84f94a17ef1b54719b42f75."),
    ],
)
def test_names_are_those_of_a_real_server(start_key: bytes, name: bytes) -> None:
    region = RegionInfo("t1", start_key, b"", 1795249364110)
    assert region.name == name
    assert region.encoded_name == name[-33:-1].decode()


def test_meta_has_the_one_name_of_the_old_form() -> None:
    assert (META.name, META.encoded_name) == (b"hbase:meta,,1", "1588230740")


def test_a_replica_has_its_number_in_its_name() -> None:
    name = RegionInfo("n:t", b"a", b"b", 17, replica_id=10).name
    assert name.startswith(b"n:t,a,17_000A.")
    assert name != RegionInfo("n:t", b"a", b"b", 17).name


@pytest.mark.parametrize("region", [META, RegionInfo("t", b"\0,", b"\xff", 5, offline=True, split=True, replica_id=2)])
def test_what_is_written_is_read(region: RegionInfo) -> None:
    assert RegionInfo.from_value(region.value()) == region
    assert RegionInfo.from_message(region.message()) == region


@pytest.mark.parametrize("value", [b"", b"PBU", b"PBUF\x08", META.value()[4:], b"PBUF"])
def test_what_is_none_is_refused(value: bytes) -> None:
    with pytest.raises(ProtocolError, match="is no RegionInfo"):
        RegionInfo.from_value(value)


def test_tables_of_the_default_namespace_are_named_without_it() -> None:
    assert table_text(table_name("t")) == "t"
    assert table_name("t").namespace == b"default"
    assert table_text(table_name("n:t")) == "n:t"
