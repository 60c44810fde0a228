"""Requests about namespaces. Source: HMaster#createNamespace to #listNamespaces, ClusterSchemaServiceImpl."""

from __future__ import annotations

from collections.abc import Mapping

from protos.hbase import HBase_pb2, Master_pb2, MasterProcedure_pb2
from registry.master.procedures import classes
from registry.master.procedures.namespace_classes import check_new, check_removable
from registry.master.tables.desk import Desk, request_of
from registry.master.tables.names import check_namespace_name
from registry.rpc.services import Call, Handled, Handler
from registry.wire.errors import DoNotRetryIOException, NamespaceNotFoundException

DESCRIPTOR_BYTES_MAX = 1 << 16


class Namespaces:
    """Handlers."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def handlers(self) -> Mapping[str, Handler]:
        """By method."""
        return {
            "CreateNamespace": self._create,
            "ModifyNamespace": self._modify,
            "DeleteNamespace": self._delete,
            "GetNamespaceDescriptor": self._get,
            "ListNamespaceDescriptors": self._descriptors,
            "ListNamespaces": self._names,
        }

    async def _create(self, call: Call) -> Handled:
        request = request_of(call, Master_pb2.CreateNamespaceRequest)
        descriptor = _checked(request.namespaceDescriptor)

        def make() -> MasterProcedure_pb2.CreateNamespaceStateData:
            check_new(self._desk.procedures, descriptor)  # before it waits for operations on tables in it
            return MasterProcedure_pb2.CreateNamespaceStateData(namespace_descriptor=descriptor)

        proc_id = await self._desk.submit(call, classes.CREATE_NAMESPACE, make, asked=request)
        return Master_pb2.CreateNamespaceResponse(proc_id=proc_id)

    async def _modify(self, call: Call) -> Handled:
        request = request_of(call, Master_pb2.ModifyNamespaceRequest)
        descriptor = _checked(request.namespaceDescriptor)
        data = MasterProcedure_pb2.ModifyNamespaceStateData(namespace_descriptor=descriptor)
        proc_id = await self._desk.submit(call, classes.MODIFY_NAMESPACE, lambda: data, asked=request)
        return Master_pb2.ModifyNamespaceResponse(proc_id=proc_id)

    async def _delete(self, call: Call) -> Handled:
        request = request_of(call, Master_pb2.DeleteNamespaceRequest)

        def make() -> MasterProcedure_pb2.DeleteNamespaceStateData:
            check_removable(self._desk.procedures, request.namespaceName)
            return MasterProcedure_pb2.DeleteNamespaceStateData(namespace_name=request.namespaceName)

        proc_id = await self._desk.submit(call, classes.DELETE_NAMESPACE, make, asked=request)
        return Master_pb2.DeleteNamespaceResponse(proc_id=proc_id)

    def _get(self, call: Call) -> Handled:
        name = request_of(call, Master_pb2.GetNamespaceDescriptorRequest).namespaceName
        found = self._desk.catalogue.namespaces.get(name)
        if found is None:
            raise NamespaceNotFoundException(name)
        return Master_pb2.GetNamespaceDescriptorResponse(namespaceDescriptor=found)

    def _descriptors(self, call: Call) -> Handled:
        del call  # it asks for all
        namespaces = self._desk.catalogue.namespaces
        found = [namespaces[name] for name in sorted(namespaces)]
        return Master_pb2.ListNamespaceDescriptorsResponse(namespaceDescriptor=found)

    def _names(self, call: Call) -> Handled:
        del call  # it asks for all
        return Master_pb2.ListNamespacesResponse(namespaceName=sorted(self._desk.catalogue.namespaces))


def _checked(sent: HBase_pb2.NamespaceDescriptor) -> HBase_pb2.NamespaceDescriptor:
    """Of two values under one name the later is kept, as in Java's map."""
    name = sent.name.decode("utf-8", "replace")
    check_namespace_name(name)
    if sent.ByteSize() > DESCRIPTOR_BYTES_MAX:
        raise DoNotRetryIOException(f"The descriptor of namespace {name[:200]} has more than 64 KiB")
    made = HBase_pb2.NamespaceDescriptor(name=name.encode())
    for key, value in {pair.name: pair.value for pair in sent.configuration}.items():
        made.configuration.add(name=key, value=value)
    return made
