"""What the registry may and does do in ZooKeeper: it reads, and where it may not, it says what to grant."""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from typing import Any, cast

import pytest
from kazoo.security import make_digest_acl  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

from registry.lookup.snapshot import FactState
from registry.names import ServerName
from tests.support.faultproxy import TcpFaultProxy
from tests.support.feeds import is_complete, knows_meta, watched_feed
from tests.support.hbase_tree import STANDBY, WORKER, HBaseTree, HBaseTreeWriter
from tests.support.zookeeper import ZooKeeperServer

pytestmark = [pytest.mark.zookeeper, pytest.mark.timeout(180)]

OP_CODES = {
    3: "exists",
    4: "getData",
    8: "getChildren",
    9: "sync",
    11: "ping",
    12: "getChildren2",
    100: "auth",
    -11: "close",
}
"""What a reader needs. Source: org.apache.zookeeper.ZooDefs.OpCode."""


def op_codes(sent: bytes) -> list[int]:
    """The type of each request of one connection; the first frame opens the session and has none."""
    codes: list[int] = []
    offset = 4 + struct.unpack_from(">i", sent)[0]
    while offset + 12 <= len(sent):
        (length,) = struct.unpack_from(">i", sent, offset)
        codes.append(struct.unpack_from(">i", sent, offset + 8)[0])
        offset += 4 + length
    return codes


async def test_nothing_but_reading(zookeeper: ZooKeeperServer, tree: HBaseTreeWriter) -> None:
    """Every request of a life with changes, a lost connection and a credential, recorded on the wire."""
    proxy = TcpFaultProxy(("127.0.0.1", zookeeper.port), record=True)
    async with watched_feed(proxy.address, auth=(("digest", "reader:secret"),), session_timeout_ms=2000) as watched:
        await watched.until("complete", is_complete)
        for number in range(3):
            server = ServerName("localhost", 28000 + number, 1)
            await asyncio.to_thread(tree.move_meta, server)
            await watched.until("moved", knows_meta(server))
            proxy.drop_connections()
        await asyncio.to_thread(tree.elect, STANDBY)
        await watched.until("moved", lambda snapshot: snapshot.backup_masters.value == ())
        await asyncio.sleep(3)
    proxy.close()
    assert len(proxy.recordings) >= 2
    counted = Counter(code for sent in proxy.recordings for code in op_codes(sent))
    unknown = {code: count for code, count in counted.items() if code not in OP_CODES}
    assert not unknown, f"requests that are not for reading: {unknown}"
    print({OP_CODES[code]: count for code, count in counted.items()})
    assert counted[4], "the recording holds the reads"


async def test_secure_cluster(zookeeper: ZooKeeperServer, tree: HBaseTreeWriter) -> None:
    """On a secure cluster backup-masters and the data of rs children are HBase's own: told, and the rest is served."""
    acl: Any = [cast("Any", make_digest_acl)("hbase", "secret", all=True)]
    await asyncio.to_thread(tree.client.add_auth, "digest", "hbase:secret")
    closed = ("/hbase/backup-masters", f"/hbase/rs/{WORKER}")
    for path in closed:
        await asyncio.to_thread(tree.client.set_acls, path, acl)
    async with watched_feed(zookeeper.address) as watched:
        snapshot = await watched.until("complete", is_complete)
        assert snapshot.forbidden_paths == closed
        assert snapshot.backup_masters.state is FactState.FORBIDDEN
        assert "/hbase/backup-masters" in snapshot.backup_masters.problem
        assert "hbeacon.zookeeper.auth" in snapshot.backup_masters.problem
        assert knows_meta(WORKER)(snapshot)
        assert [server.server_name for server in snapshot.region_servers.value or ()] == [WORKER], "the name suffices"
    async with watched_feed(zookeeper.address, auth=(("digest", "hbase:secret"),)) as watched:
        snapshot = await watched.until("complete", is_complete)
        assert snapshot.backup_masters.value == (STANDBY,)
        assert not snapshot.forbidden_paths


async def test_granted_later(zookeeper: ZooKeeperServer, tree: HBaseTreeWriter) -> None:
    """No watch tells of a changed ACL: it is looked at again from time to time."""
    acl: Any = [cast("Any", make_digest_acl)("hbase", "secret", all=True)]
    await asyncio.to_thread(tree.client.add_auth, "digest", "hbase:secret")
    await asyncio.to_thread(tree.client.set_acls, "/hbase/backup-masters", acl)
    async with watched_feed(zookeeper.address, recheck_forbidden_ms=2_000) as watched:
        await watched.until("forbidden", lambda snapshot: snapshot.backup_masters.state is FactState.FORBIDDEN)
        await asyncio.to_thread(tree.client.set_acls, "/hbase/backup-masters", _open_acl())
        await watched.until("granted", lambda snapshot: snapshot.backup_masters.value == (STANDBY,))


def _open_acl() -> Any:
    from kazoo.security import OPEN_ACL_UNSAFE  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

    return cast("Any", OPEN_ACL_UNSAFE)


async def test_ten_thousand_tables(zookeeper: ZooKeeperServer) -> None:
    """Old clusters keep a znode for each table; look-ups do not wait for them."""
    names = tuple(f"table{number:05}" for number in range(10_000))
    tree = await asyncio.to_thread(HBaseTreeWriter, zookeeper.address, HBaseTree(tables=()))
    await asyncio.to_thread(tree.write)
    from registry.wire.znode import encode_table_state

    data = encode_table_state("ENABLED", "master:16000", bytes(8))

    def create_all() -> None:
        pending = [tree.client.create_async(f"/hbase/table/{name}", data) for name in names]
        for created in pending:
            created.get(timeout=60)

    await asyncio.to_thread(create_all)
    async with watched_feed(zookeeper.address, session_timeout_ms=4000) as watched:
        snapshot = await watched.until("complete", is_complete, 40)
        assert len(snapshot.table_states.value or ()) == len(names)
        disabled = encode_table_state("DISABLED", "master:16000", bytes(8))
        await asyncio.to_thread(tree.client.set, "/hbase/table/table04711", disabled)
        await watched.until(
            "disabled", lambda snapshot: (snapshot.table_states.value or {}).get("table04711") == "DISABLED"
        )
        await asyncio.to_thread(tree.client.delete, "/hbase/table/table00042")
        await watched.until("gone", lambda snapshot: "table00042" not in (snapshot.table_states.value or {}))
        assert watched.feed.session.expirations == 0, "ten thousand reads leave room for the heartbeat"
    await asyncio.to_thread(tree.close)
