"""AdminService of a master: HBase's masters are servers too, and the shell asks them.

`update_all_config` has every master read its settings again, a standby as well; `regioninfo` asks the active one. What
else AdminService has is of region servers.

Source: MasterRpcServices#getRegionInfo, #getLogEntries, #getCachedFilesList, RSRpcServices#updateConfiguration.
"""

from __future__ import annotations

from collections.abc import Callable

from google.protobuf.message_factory import GetMessageClass

from protos.hbase import Admin_pb2
from registry.master.cluster_work import ClusterWork
from registry.master.tables import absent
from registry.master.tables.desk import request_of
from registry.rpc.services import ADMIN_QOS, Call, Handled, ServiceTable
from registry.wire.errors import DoNotRetryIOException, UnknownRegionException
from registry.wire.region_info import META, META_ENCODED_NAME, META_NAME
from registry.wire.text import lenient_text

SERVICE = Admin_pb2.DESCRIPTOR.services_by_name["AdminService"]


class MasterAdmin:
    """Handlers. Belongs to the loop."""

    def __init__(self, work: Callable[[], ClusterWork], reload: Callable[[], object]) -> None:
        """`work` raises what a master says that is not active or not ready; `reload` reads the settings again."""
        self._work = work
        self._reload = reload

    def add_to(self, table: ServiceTable) -> None:
        """Offer every method of the service."""
        own = {
            "GetRegionInfo": self._get_region_info,
            "UpdateConfiguration": self._update_configuration,
            "GetLogEntries": absent.get_log_entries,
        }
        for method in SERVICE.methods:
            handler = own.get(method.name, _unsupported)
            table.add(SERVICE.name, method.name, GetMessageClass(method.input_type), handler, priority=ADMIN_QOS)

    def _get_region_info(self, call: Call) -> Handled:
        name = request_of(call, Admin_pb2.GetRegionInfoRequest).region.value
        catalogue = self._work().catalogue
        if name in (META_NAME, META_ENCODED_NAME.encode()):
            return Admin_pb2.GetRegionInfoResponse(region_info=META.message())
        row = catalogue.region(name)
        if row is None:
            raise UnknownRegionException(lenient_text(name))
        return Admin_pb2.GetRegionInfoResponse(region_info=row.info.message())

    def _update_configuration(self, call: Call) -> Handled:
        del call  # it asks for nothing
        self._reload()
        return Admin_pb2.UpdateConfigurationResponse()


def _unsupported(call: Call) -> Handled:
    del call  # whatever it asks
    raise DoNotRetryIOException("Unsupported method on master")
