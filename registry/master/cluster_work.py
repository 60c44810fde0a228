"""What procedures, and whoever else changes tables and regions, ask of the active master.

Each method may be called again with the same words, also by the next master: what is done already is not done twice.
Each returns when it is done and durable, however long that takes (a region whose rows nobody reaches is waited for),
and raises registry.master.epoch.NotActing as soon as this master does not act any more under `token`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from registry.master.catalogue import Catalogue, Changes
from registry.master.epoch import Token
from registry.names import ServerName
from registry.wire.region_info import RegionInfo


class ClusterWork(Protocol):
    """The active master, to those who work for it. Belongs to the loop; exists once hbase:meta has been read."""

    @property
    def catalogue(self) -> Catalogue:
        """All of hbase:meta; read it at the moment of need, for assignments change it all the time."""
        ...

    @property
    def token(self) -> Token:
        """The right to act that this master has now: what it does in one go, it does under one token."""
        ...

    def servers(self) -> Sequence[ServerName]:
        """Live region servers, those that are drained among them, sorted."""
        ...

    def take_life(self) -> int:
        """A number that no table ever had; it is durable with the next `write`, before what that writes."""
        ...

    async def write(self, changes: Changes, token: Token) -> None:
        """Have them durable in hbase:meta, then visible in `catalogue`."""
        ...

    async def open(self, regions: Sequence[RegionInfo], token: Token) -> None:
        """Until all of them are OPEN. From now on they are kept open, whichever server dies.

        Regions that are gone from the catalogue meanwhile are not waited for.
        """
        ...

    async def close(self, regions: Sequence[RegionInfo], token: Token) -> None:
        """Until all of them are CLOSED, which they stay."""
        ...

    async def move(self, region: RegionInfo, server: ServerName | None, token: Token) -> None:
        """Until it is OPEN on `server`, rows and all; None: on one of the others, by turns.

        Where that cannot be done it is OPEN again where its rows are. Raises HBaseIOException then, which says why,
        and at once where `server` is not live, drained, or the region is not open.
        """
        ...

    async def reopen(self, regions: Sequence[RegionInfo], token: Token) -> None:
        """Until all that were open have been closed and are OPEN with the schema that the catalogue has now."""
        ...

    async def drop(self, regions: Sequence[RegionInfo], token: Token) -> None:
        """Have their rows removed from their stores; returns when hbase:meta holds that it is to be done.

        Call it while they are CLOSED and in the catalogue still, before `Changes.no_regions`. A store that nobody
        reaches is cleaned when somebody does.
        """
        ...

    def yet_to_open(self, table: str) -> tuple[int, int]:
        """Regions of the table that still have to be opened with its present schema, and all that are to be open."""
        ...
