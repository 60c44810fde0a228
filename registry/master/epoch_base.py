"""What epochs count from, so that they rise on where a new ZooKeeper counts its transactions from the start.

    /hbase/hbeacon/epochs    JSON: {"format": 1, "base": n}; absent: 0

A master's orders carry base + czxid of its `/hbase/master`. Where somebody has heard of a higher epoch though this
master is the one that is elected, that epoch is of the time before ZooKeeper was lost or restored: it is the new base.

Only the elected master writes the base, and never a lower one: it is written in one transaction with a check that
nobody was elected since this master was seen to be. So whoever is elected later finds it, and one that was deposed
writes nothing. Nor does that one read what a later master has written: after the base it looks whether it is still
the elected one. Within one ZooKeeper epochs therefore rise with the czxid; a base that is above all that region
servers have heard of makes them rise over the loss of ZooKeeper, too.
"""

from __future__ import annotations

import json
import logging

from registry.kept_object import read_kept
from registry.master.epoch import NotActing, Token
from registry.master.mark import mark_path
from registry.master.znodes import Ask, Unreadable, until_answered
from registry.zk.paths import ZNodePaths
from registry.zk.requests import Check, Create, Get, Multi, SetData

FORMAT = 1
KNOWN_MAX = 1 << 62
"""Epochs are times of cells, so they have 63 bits. A czxid reaches this after a thousand million leaders."""
logger = logging.getLogger("registry.master")


class EpochBase:
    """Of the cluster, as one elected master reads and writes it."""

    def __init__(self, paths: ZNodePaths, ask: Ask, token: Token) -> None:
        self._path = f"{mark_path(paths.root)}/epochs"
        self._mark_path = mark_path(paths.root)
        self._master_path = paths.master
        self._ask = ask
        self._token = token

    async def read(self) -> int:
        """No later master has written it. Raises NotActing, Unreadable."""
        reply = await until_answered(self._ask, self._token, Get(self._path))
        await self._check_elected()
        return self._parse(reply.data) if reply.ok else 0

    async def raise_to(self, known: int) -> None:
        """Durable when this returns, or a higher one is. Raises NotActing where this master is not the elected one."""
        if known >= KNOWN_MAX:
            raise Unreadable(f"a region server has heard of epoch {known}, which no master ever had: nothing is done")
        while True:
            # In this order: an election between the two reads, or after them, has moved the version of the mark.
            mark = await until_answered(self._ask, self._token, Get(self._mark_path))
            await self._check_elected()
            if mark.stat is None:
                raise NotActing("the mark of the cluster is gone")
            there = await until_answered(self._ask, self._token, Get(self._path))
            if there.ok and self._parse(there.data) >= known:
                return
            data = json.dumps({"format": FORMAT, "base": known}).encode()
            write = SetData(self._path, data) if there.ok else Create(self._path, data)
            reply = await until_answered(
                self._ask, self._token, Multi((Check(self._mark_path, mark.stat.version), write))
            )
            if reply.ok:
                logger.warning(
                    "region servers know of epoch %d, of a master before ZooKeeper was lost or restored: epochs count"
                    " from there",
                    known,
                )
                return

    async def _check_elected(self) -> None:
        """Nobody else was by the time of what this session has read before."""
        master = await until_answered(self._ask, self._token, Get(self._master_path))
        if master.stat is None or master.stat.czxid != self._token.epoch:
            raise NotActing("another master was elected, or the cluster is gone")

    def _parse(self, data: bytes) -> int:
        return read_kept(self._path, data, FORMAT, lambda row: int(row["base"]), Unreadable, cure="remove it")
