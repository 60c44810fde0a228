"""What a region server reports of its regions: counts since the last report and in all, and about how large they are.

Sizes cost a look at the store's list of files for each region, so each report looks at some of them, by turns.

Source: HRegionServer#buildServerLoad, #createRegionLoad; ServerLoad and RegionLoad in ClusterStatus.proto.
"""

from __future__ import annotations

import resource
from collections.abc import Sequence

from protos.hbase import ClusterStatus_pb2, HBase_pb2
from regionserver.engine.store import StoreError
from regionserver.hosting.hosted import Hosted
from regionserver.region.scan import ScanRange, key_range
from registry.clock import Clock

SIZES_MS_MAX = 2.0
"""How long one report may look at sizes."""
MIB = 1 << 20


class Loads:
    """Makes the load of one server. Belongs to the loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sizes_bytes: dict[str, int] = {}
        self._made: dict[str, tuple[tuple[int, int, int, int], ClusterStatus_pb2.RegionLoad]] = {}
        self._turn: list[str] = []
        """Encoded names whose sizes are looked at next."""
        self._reported_ms = int(clock.wall_ms())
        self._requests_before = 0

    def region_load(self, hosted: Hosted) -> ClusterStatus_pb2.RegionLoad:
        """Of one region; made anew only where something has changed, for most of thousands are idle."""
        name = hosted.info.encoded_name
        size_mib = self._sizes_bytes.get(name, 0) // MIB
        state = (hosted.read_requests_count, hosted.write_requests_count, size_mib, hosted.open_seq_num)
        made = self._made.get(name)
        if made is None or made[0] != state:
            made = self._made[name] = (state, self._region_load(hosted, size_mib))
        return made[1]

    def _region_load(self, hosted: Hosted, size_mib: int) -> ClusterStatus_pb2.RegionLoad:
        return ClusterStatus_pb2.RegionLoad(
            region_specifier=HBase_pb2.RegionSpecifier(
                type=HBase_pb2.RegionSpecifier.REGION_NAME, value=hosted.info.name
            ),
            stores=len(hosted.region.families),
            storefiles=1 if size_mib else 0,
            store_uncompressed_size_MB=size_mib,
            storefile_size_MB=size_mib,
            mem_store_size_MB=0,
            read_requests_count=hosted.read_requests_count,
            write_requests_count=hosted.write_requests_count,
            complete_sequence_id=hosted.open_seq_num,
            data_locality=1.0,
            region_size_MB=size_mib,
        )

    def server_load(
        self, online: Sequence[Hosted], requests_count: int, info_port: int
    ) -> ClusterStatus_pb2.ServerLoad:
        """Of the server; `requests_count`: its calls since its start."""
        self._look_at_sizes(online)
        now_ms = int(self._clock.wall_ms())
        begin_ms, self._reported_ms = self._reported_ms, now_ms
        before, self._requests_before = self._requests_before, requests_count
        seconds = max(1.0, (now_ms - begin_ms) / 1000)
        memory_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        return ClusterStatus_pb2.ServerLoad(
            number_of_requests=int((requests_count - before) / seconds),
            total_number_of_requests=requests_count,
            used_heap_MB=memory_mib,
            max_heap_MB=memory_mib,
            region_loads=[self.region_load(hosted) for hosted in online],
            report_start_time=begin_ms,
            report_end_time=now_ms,
            info_server_port=max(info_port, 0),
        )

    def size_bytes(self, encoded_name: str) -> int | None:
        """About how large a region is; None where nobody has looked yet."""
        return self._sizes_bytes.get(encoded_name)

    def _look_at_sizes(self, online: Sequence[Hosted]) -> None:
        here = {hosted.info.encoded_name: hosted for hosted in online}
        if not self._turn:
            self._turn = list(here)
            self._sizes_bytes = {name: size for name, size in self._sizes_bytes.items() if name in here}
            self._made = {name: made for name, made in self._made.items() if name in here}
        ends_ms = self._clock.monotonic_ms() + SIZES_MS_MAX
        while self._turn and self._clock.monotonic_ms() < ends_ms:
            name = self._turn.pop()
            if (hosted := here.get(name)) is None:
                continue
            region = hosted.region
            lower, upper = key_range(ScanRange(), region.where, region.prefix, region.order)
            try:
                self._sizes_bytes[name] = region.store.size_bytes(lower, upper)
            except StoreError:
                return  # it is being closed
