"""hbase-driver of PyPI, which finds a cluster by ZooKeeper alone, driven by lines on standard input.

The argument is the quorum (`host:port`); it knows no parent znode but /hbase. Commands and answers as in
../java/OldClient.java. It runs in a process of its own: its protobuf messages have the names of ours.
"""

# pyright: basic, reportMissingImports=false

from __future__ import annotations

import sys
from typing import Any

from hbasedriver.client.buffered_mutator import BufferedMutator
from hbasedriver.client.client import Client
from hbasedriver.filter.prefix_filter import PrefixFilter
from hbasedriver.hbase_constants import HConstants
from hbasedriver.operations.append import Append
from hbasedriver.operations.column_family_builder import ColumnFamilyDescriptorBuilder
from hbasedriver.operations.delete import Delete
from hbasedriver.operations.get import Get
from hbasedriver.operations.increment import CheckAndPut, Increment
from hbasedriver.operations.put import Put
from hbasedriver.operations.row_mutations import RowMutations
from hbasedriver.operations.scan import Scan
from hbasedriver.table_name import TableName

FAMILY, QUALIFIER = b"cf", b"q"


def value(row: Any) -> str:
    return "-" if row is None else row.get(FAMILY, QUALIFIER).decode()


class Driver:
    """One client, and the tables that it was asked for; each verb is a command."""

    def __init__(self, quorum: str) -> None:
        self._quorum = quorum
        self._client: Any = None
        self._tables: dict[str, Any] = {}

    def _table(self, name: str) -> Any:
        if name not in self._tables:
            self._tables[name] = self._client.get_table(b"default", name.encode())
        return self._tables[name]

    def connect(self) -> str:
        self._client = Client({HConstants.ZOOKEEPER_QUORUM: self._quorum})
        self._tables.clear()
        return ""

    def create(self, name: str, *splits: str) -> str:
        families = [ColumnFamilyDescriptorBuilder(FAMILY).build()]
        with self._client.get_admin() as admin:
            admin.create_table(
                TableName.value_of(b"default", name.encode()), families, [key.encode() for key in splits]
            )
        return ""

    def drop(self, name: str) -> str:
        table = TableName.value_of(b"default", name.encode())
        with self._client.get_admin() as admin:
            admin.disable_table(table)
            assert admin.is_table_disabled(table)
            admin.delete_table(table)
            return str(admin.table_exists(table))

    def truncate(self, name: str) -> str:
        table = TableName.value_of(b"default", name.encode())
        with self._client.get_admin() as admin:
            admin.disable_table(table)
            admin.truncate_table(table, preserve_splits=True)
        self._tables.pop(name).close()
        return ""

    def families(self, name: str) -> str:
        """Adds one, changes it, takes it away."""
        table = TableName.value_of(b"default", name.encode())
        with self._client.get_admin() as admin:
            admin.add_column_family(table, b"more", max_versions=3)
            admin.modify_column_family(table, b"more", max_versions=5)
            there = [str(admin.describe_table(table)).count('name: "more"')]
            admin.delete_column_family(table, b"more")
            there.append(str(admin.describe_table(table)).count('name: "more"'))
            return f"{there[0]} {there[1]}"

    def cluster(self) -> str:
        with self._client.get_admin() as admin:
            return f"{len(admin.list_region_servers())} {admin.is_balancer_enabled()} {admin.list_namespaces()}"

    def put(self, name: str, row: str, data: str) -> str:
        self._table(name).put(Put(row.encode()).add_column(FAMILY, QUALIFIER, data.encode()))
        return ""

    def get(self, name: str, row: str) -> str:
        return value(self._table(name).get(Get(row.encode())))

    def exists(self, name: str, row: str) -> str:
        return str(self._table(name).exists(Get(row.encode())))

    def delete(self, name: str, row: str) -> str:
        return str(self._table(name).delete(Delete(row.encode())))

    def load(self, name: str, count: str) -> str:
        puts = [
            Put(f"{chr(97 + i % 26)}{i:04}".encode()).add_column(FAMILY, QUALIFIER, f"v{i}".encode())
            for i in range(int(count))
        ]
        with BufferedMutator(self._table(name)) as mutator:
            mutator.mutate_all(puts)
        return count

    def _scanned(self, name: str, scan: Any) -> str:
        with self._table(name).scan(scan) as scanner:
            rows = [f"{row.rowkey.decode()}={value(row)}" for row in scanner]
        return f"{len(rows)} {rows[0]} {rows[-1]}" if rows else "0"

    def between(self, name: str, start: str, stop: str) -> str:
        return self._scanned(name, Scan(start_row=start.encode(), end_row=stop.encode()))

    def all(self, name: str) -> str:
        return self._scanned(name, Scan())

    def prefixed(self, name: str, prefix: str) -> str:
        return self._scanned(name, Scan().set_filter(PrefixFilter(prefix.encode())))

    def page(self, name: str, rows: str) -> str:
        found, resume = self._table(name).scan_page(Scan(), int(rows))
        return f"{len(found)} {resume.decode()}"

    def batch(self, name: str, row: str, other: str) -> str:
        """Two puts and a delete of the first."""
        with self._table(name).batch() as batch:
            batch.put(row.encode(), {b"cf:q": b"1"})
            batch.put(other.encode(), {b"cf:q": b"2"})
            batch.delete(row.encode())
        return f"{self.get(name, row)} {self.get(name, other)}"

    def increment(self, name: str, row: str, by: str) -> str:
        return str(self._table(name).increment(Increment(row.encode()).add_column(FAMILY, QUALIFIER, int(by))))

    def append(self, name: str, row: str, data: str) -> str:
        return value(self._table(name).append(Append(row.encode()).add_column(FAMILY, QUALIFIER, data.encode())))

    def cas(self, name: str, row: str, expected: str, data: str) -> str:
        check = CheckAndPut(row.encode())
        check.set_check(FAMILY, QUALIFIER, b"" if expected == "-" else expected.encode())
        check.set_put(Put(row.encode()).add_column(FAMILY, QUALIFIER, data.encode()))
        return str(self._table(name).check_and_put(check)).lower()

    def casdelete(self, name: str, row: str, expected: str) -> str:
        delete = Delete(row.encode())
        deleted = self._table(name).check_and_delete(row.encode(), FAMILY, QUALIFIER, expected.encode(), delete)
        return str(deleted).lower()

    def together(self, name: str, row: str) -> str:
        """Two columns of a row at once."""
        both = RowMutations(row.encode())
        for qualifier in (b"a", b"b"):
            both.add(Put(row.encode()).add_column(FAMILY, qualifier, qualifier))
        done = self._table(name).mutate_row(both)
        return f"{done} {len(self._table(name).get(Get(row.encode())).kv[FAMILY])}"


def main() -> None:
    driver = Driver(sys.argv[1])
    for line in sys.stdin:
        verb, *words = line.split()
        try:
            answer = f"ok {getattr(driver, verb)(*words)}"
        except Exception as error:  # noqa: BLE001 (the harness wants to see every outcome)
            told = [part.strip() for part in str(error).splitlines() if part.strip()]
            answer = f"failed {type(error).__name__}: {' '.join(told)[:400]}"
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
