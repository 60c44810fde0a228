"""Frames that were sent to a region server of a real 2.6.4, sent to ours: the answers are the same, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path

from protos.hbase import Client_pb2, HBase_pb2
from regionserver.region.region import Region, RegionRange
from regionserver.region.visible import FamilyRules
from registry.wire.calls import encode_request
from registry.wire.header import KEY_VALUE_CODEC, encode_connection_header
from tests.support.region_door import region_door, spec
from tests.support.rpc import RawClient

VECTORS = Path(__file__).parent / "vectors" / "data-frames-2.6.4.json"
RECORDED = {each["name"]: bytes.fromhex(each["frame"]) for each in json.loads(VECTORS.read_text())["vectors"]}
REGION = b"t1,,1795249364110.18a91f59ae3cda98c2657bcccc0e3d79."


def hello(version: str) -> bytes:
    info = HBase_pb2.VersionInfo(version=version, url="", revision="", user="", date="", src_checksum="")
    header = encode_connection_header(
        "ClientService", "root", cell_block_codec=KEY_VALUE_CODEC, version=info if version else None
    )
    return b"HBas\0P" + header


def get(call_id: int, *, existence_only: bool = False) -> bytes:
    wanted = Client_pb2.Get(row=b"b", existence_only=existence_only)
    return encode_request(call_id, "Get", Client_pb2.GetRequest(region=spec(REGION), get=wanted).SerializeToString())


async def test_recorded_calls_have_the_recorded_answers() -> None:
    async with region_door() as door:
        door.regions[REGION] = Region(
            RegionRange("t1", REGION.decode()), {b"f": FamilyRules()}, door.store, b"prefix02"
        )
        client = await RawClient.connect(door.address.port, hello("2.6.4"))
        processed = RECORDED["put processed"]
        client.send(RECORDED["put inline"])
        assert await client.read(len(processed)) == processed
        client.send(RECORDED["put by cell block"])
        assert (await client.answer())[:3] == (3, None, b"\x10\x01")
        for call_id, existence_only, name in (
            (11, False, "get with cell block, client 2.6.4"),
            (13, True, "get existence only"),
        ):
            client.send(get(call_id, existence_only=existence_only))
            assert await client.read(len(RECORDED[name])) == RECORDED[name]
        await client.close()
        client = await RawClient.connect(door.address.port, hello(""))
        client.send(get(3))
        assert await client.read(len(RECORDED["get without version"])) == RECORDED["get without version"]
        await client.close()
