"""Where hbase:meta is, by what region servers say of their stores."""

from __future__ import annotations

from registry.master.live_servers import FREE, OPEN, LiveServer, Reached
from registry.master.meta_finding import MetaFound, find_meta
from registry.names import ServerName


def server(number: int, **stores: tuple[int, int] | bool) -> LiveServer:
    """A store that is True was in a cluster, one that is a pair had its hbase:meta."""
    made = LiveServer(ServerName("rs", number, 1), 0.0)
    for store_id, held in stores.items():
        meta = held if isinstance(held, tuple) else None
        made.stores[store_id] = Reached(store_id, FREE if made.stores else OPEN, in_cluster=bool(held), meta=meta)
    return made


def test_only_where_nobody_knows_of_one_is_it_founded():
    assert find_meta([], "") is None
    assert find_meta([server(1, a=False, b=False), server(2, b=False, a=False)], "") is None
    found = find_meta([server(1, a=False, b=True)], "")
    assert isinstance(found, str)
    assert "cluster of store b" in found


def test_the_newest_opening_has_the_rows():
    assert find_meta([server(1, a=True, b=(5, 2)), server(2, b=(5, 2))], "") == MetaFound("b", 5, 2)
    assert find_meta([server(1, a=(5, 9), b=(6, 2)), server(2, c=True)], "") == MetaFound("b", 6, 2)
    assert find_meta([server(1, a=(6, 9)), server(2, b=(6, 2))], "") == MetaFound("a", 6, 9)


def test_what_is_remembered_is_in_the_same_data_directory():
    assert find_meta([server(1, a=True)], "a") == MetaFound("a"), "one that was last opened before stores said it"
    assert find_meta([server(1, a=(5, 2), b=(5, 3))], "a") == MetaFound("b", 5, 3), "it was moved since"
    assert find_meta([server(1, a=(5, 2)), server(2, b=(9, 9))], "a") == MetaFound("a", 5, 2), "of another cluster"
    found = find_meta([server(1, b=(9, 9))], "a")
    assert isinstance(found, str)
    assert "sees store a" in found
    assert isinstance(find_meta([], "a"), str)
