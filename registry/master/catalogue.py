"""The catalogue: what the active master knows of tables, regions, namespaces and procedures, all of hbase:meta.

Values and the memory of them; how they lie in rows is said in registry.master.meta_rows. Pure.

Source: CatalogFamilyFormat, RegionStates, TableStateManager, TableNamespaceManager.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from protos.hbase import HBase_pb2
from protos.hbeacon import ClusterV1_pb2
from registry.names import ServerName
from registry.wire.region_info import RegionInfo


class RegionState(enum.StrEnum):
    """Those of HBase's states that a region is in here."""

    OFFLINE = "OFFLINE"
    """To be opened as soon as a server can."""
    OPENING = "OPENING"
    OPEN = "OPEN"
    CLOSING = "CLOSING"
    CLOSED = "CLOSED"
    """Stays closed until somebody wants it open."""
    ABNORMALLY_CLOSED = "ABNORMALLY_CLOSED"
    """Its server died; to be opened as soon as another reaches its rows."""


class TableState(enum.StrEnum):
    """HBase's states of a table."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"
    DISABLING = "DISABLING"
    ENABLING = "ENABLING"


@dataclass(frozen=True, slots=True)
class TableRow:
    """One table."""

    name: str
    """As RegionInfo.table: `qualifier` or `namespace:qualifier`."""
    state: str
    """A TableState."""
    schema: HBase_pb2.TableSchema
    """Never changed: a change makes another."""
    life: int
    """From ClusterWork.take_life, at creation and at every truncation."""


@dataclass(frozen=True, slots=True)
class RegionRow:
    """One region as hbase:meta has it. A new one is CLOSED and nowhere."""

    info: RegionInfo
    life: int
    state: RegionState = RegionState.CLOSED
    sn: ServerName | None = None
    """info:sn: who has it or had it last; while it opens, who opens it."""
    server: ServerName | None = None
    """info:server and serverstartcode: of the last opening that succeeded."""
    open_seq_num: int = 0
    """Of the last opening that succeeded; 0: it never was open, so it has no rows."""
    store: str = ""
    """Where its rows lie; empty while it is nowhere."""
    leftover: str = ""
    """A store that still has an old copy, a blank, and the hand-over by which it left there; empty: none has."""

    @property
    def is_fresh(self) -> bool:
        """It never was open: it may be opened empty, anywhere."""
        return not self.open_seq_num


@dataclass(slots=True)
class Changes:
    """What is to be written; `ClusterWork.write` has all of it durable when it returns, though not at one moment.

    A reader may see a part of it, and a master that dies may leave a part: procedures write the same again.
    Within one write, tables go first, then regions, namespaces and procedures, each in the order given.
    """

    tables: list[TableRow] = field(default_factory=list[TableRow])
    """Made or changed."""
    no_tables: list[str] = field(default_factory=list[str])
    """Gone: state, schema and life."""
    regions: list[RegionRow] = field(default_factory=list[RegionRow])
    """Made; those that exist are written by their assignment alone."""
    no_regions: list[RegionInfo] = field(default_factory=list[RegionInfo])
    """Gone from hbase:meta. Close them first, and `drop` them where their rows are not needed."""
    namespaces: list[HBase_pb2.NamespaceDescriptor] = field(default_factory=list[HBase_pb2.NamespaceDescriptor])
    no_namespaces: list[str] = field(default_factory=list[str])
    procedures: dict[int, bytes] = field(default_factory=dict[int, bytes])
    """Procedure id to what it needs to go on."""
    no_procedures: list[int] = field(default_factory=list[int])
    drops: list[ClusterV1_pb2.RegionPlace] = field(default_factory=list[ClusterV1_pb2.RegionPlace])
    """Ranges that nobody has any more and a store still does: `region`, `store_id`, `life` and `dropped` are set."""
    no_drops: list[str] = field(default_factory=list[str])
    """By encoded name."""
    life_counter: int = 0
    """The last life given, where it has changed."""


class Catalogue:
    """All of hbase:meta in memory: the active master is the only one who writes it. Belongs to one loop.

    Read it freely; it is changed by `apply` alone, after a write is durable.
    """

    def __init__(self) -> None:
        self.tables: dict[str, TableRow] = {}
        self.namespaces: dict[str, HBase_pb2.NamespaceDescriptor] = {}
        self.regions: dict[str, RegionRow] = {}
        """By encoded name."""
        self.procedures: dict[int, bytes] = {}
        self.drops: dict[str, ClusterV1_pb2.RegionPlace] = {}
        self.life_counter = 0
        self.newest_ms = 0
        """The highest timestamp read: later writes must have later ones, whatever the clock says."""
        self.problems: list[str] = []
        """Rows that could not be read, for people; they are left as they are."""
        self._by_table: dict[str, dict[str, None]] = {}

    def regions_of(self, table: str) -> list[RegionRow]:
        """The table's regions by start key."""
        rows = [self.regions[name] for name in self._by_table.get(table, ())]
        return sorted(rows, key=lambda row: (row.info.start_key, row.info.region_id))

    def region(self, name: bytes | str) -> RegionRow | None:
        """By whole or encoded name."""
        text = name if isinstance(name, str) else name.decode("utf-8", "replace")
        row = self.regions.get(text)
        if row is None and text.endswith("."):
            row = self.regions.get(text[-33:-1])
        return row

    def apply(self, changes: Changes) -> None:
        """What was written is so now."""
        for table in changes.tables:
            self.tables[table.name] = table
        for name in changes.no_tables:
            self.tables.pop(name, None)
        for region in changes.regions:
            self.put_region(region)
        for info in changes.no_regions:
            self.regions.pop(info.encoded_name, None)
            of_table = self._by_table.get(info.table, {})
            of_table.pop(info.encoded_name, None)
            if not of_table:
                self._by_table.pop(info.table, None)
        for namespace in changes.namespaces:
            self.namespaces[namespace.name.decode()] = namespace
        for name in changes.no_namespaces:
            self.namespaces.pop(name, None)
        self.procedures |= changes.procedures
        for number in changes.no_procedures:
            self.procedures.pop(number, None)
        for place in changes.drops:
            self.drops[place.region] = place
        for name in changes.no_drops:
            self.drops.pop(name, None)
        self.life_counter = max(self.life_counter, changes.life_counter)

    def put_region(self, region: RegionRow) -> None:
        """It is so now."""
        self.regions[region.info.encoded_name] = region
        self._by_table.setdefault(region.info.table, {})[region.info.encoded_name] = None
