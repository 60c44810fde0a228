"""A server that hangs while it holds a store, and whom no master remembers: its store is not lost for ever.

Found by the histories of test_region_states: a server took the store of a dead one, hung, and was replaced in
hbase:meta; the master that knew it to be dead ended, and the next one waited for its store without end.
"""

from __future__ import annotations

from protos.hbase import ClusterStatus_pb2
from registry.master.live_servers import OWNED, UNHEARD_MS, LiveServers, Reached
from registry.master.placement import NOT_REACHABLE, Placement, Spot
from registry.names import ServerName

LOAD = ClusterStatus_pb2.ServerLoad()
TAKER, HUNG = ServerName("rs", 16020, 5), ServerName("rs", 16021, 4)
STORES = [Reached("s1", OWNED, owner=str(HUNG))]


def servers() -> LiveServers:
    live = LiveServers()
    live.seen([TAKER], 0.0)
    live.met(TAKER)
    return live


def test_its_store_may_be_taken_when_nobody_has_heard_of_it_for_long() -> None:
    live = servers()
    placement = Placement(live)
    live.report(TAKER, STORES, LOAD, 0.0)
    live.report(TAKER, STORES, LOAD, UNHEARD_MS - 1)
    said = placement.of_store("s1")
    assert isinstance(said, str)
    assert said.startswith(NOT_REACHABLE)
    live.report(TAKER, STORES, LOAD, UNHEARD_MS)
    assert placement.of_store("s1") == Spot(TAKER, "s1")
    assert placement.owners_to_end(TAKER, ["s1"]) == [HUNG], "its process is to be ended"


def test_one_that_only_starts_slowly_keeps_it() -> None:
    live = servers()
    live.report(TAKER, STORES, LOAD, 0.0)
    live.startup(HUNG, 0.0, 0.0, UNHEARD_MS - 1)
    live.report(TAKER, STORES, LOAD, UNHEARD_MS + 1)
    assert not live.owner_is_gone(str(HUNG))


def test_one_that_comes_after_all_is_not_gone() -> None:
    live = servers()
    live.report(TAKER, STORES, LOAD, 0.0)
    live.report(TAKER, STORES, LOAD, UNHEARD_MS)
    assert live.owner_is_gone(str(HUNG))
    live.seen([TAKER, HUNG], UNHEARD_MS + 1)
    assert not live.owner_is_gone(str(HUNG))
