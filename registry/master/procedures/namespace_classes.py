"""Create, modify and delete a namespace: checks | one row of the catalogue, and the znode that HBase 1.x reads.

Source: CreateNamespaceProcedure, ModifyNamespaceProcedure, DeleteNamespaceProcedure, TableNamespaceManager.
"""

from __future__ import annotations

from protos.hbase import HBase_pb2, MasterProcedure_pb2
from registry.master.catalogue import Changes
from registry.master.procedures.locks import Kind, Lock
from registry.master.procedures.procedure import Procedure
from registry.master.procedures.steps import END, MASTER_PROCEDURES, MirrorNamespace, Step, View
from registry.wire.errors import (
    ConstraintException,
    DoNotRetryIOException,
    NamespaceExistException,
    NamespaceNotFoundException,
)

RESERVED = ("default", "hbase")
"""There from the founding."""
_QUOTAS = (
    ("hbase.namespace.quota.maxregions", "region", "regions"),
    ("hbase.namespace.quota.maxtables", "tables", "tables"),
)


class CreateNamespace:
    """Of CreateNamespaceStateData."""

    S = MasterProcedure_pb2.CreateNamespaceState
    class_name = MASTER_PROCEDURES + "CreateNamespaceProcedure"
    source = "master-create-namespace"
    first = S.CREATE_NAMESPACE_PREPARE
    checked = frozenset((first,))
    listens_to_abort = True

    def locks(self, procedure: Procedure) -> tuple[Lock, ...]:
        """The namespace's."""
        return _locks(namespace_name(self._descriptor(procedure)))

    def step(self, procedure: Procedure, view: View) -> Step:
        """As the module says."""
        descriptor = self._descriptor(procedure)
        name = namespace_name(descriptor)
        if procedure.state == self.S.CREATE_NAMESPACE_PREPARE:
            check_new(view, descriptor)
            return Step(self.S.CREATE_NAMESPACE_INSERT_INTO_NS_TABLE)
        return Step(END, changes=Changes(namespaces=[descriptor]), after=(MirrorNamespace(name),))

    def _descriptor(self, procedure: Procedure) -> HBase_pb2.NamespaceDescriptor:
        return procedure.part(MasterProcedure_pb2.CreateNamespaceStateData).namespace_descriptor


class ModifyNamespace:
    """Of ModifyNamespaceStateData."""

    S = MasterProcedure_pb2.ModifyNamespaceState
    class_name = MASTER_PROCEDURES + "ModifyNamespaceProcedure"
    source = "master-modify-namespace"
    first = S.MODIFY_NAMESPACE_PREPARE
    checked = frozenset((first,))
    listens_to_abort = True

    def locks(self, procedure: Procedure) -> tuple[Lock, ...]:
        """The namespace's."""
        return _locks(namespace_name(self._descriptor(procedure)))

    def step(self, procedure: Procedure, view: View) -> Step:
        """As the module says."""
        descriptor = self._descriptor(procedure)
        name = namespace_name(descriptor)
        if procedure.state == self.S.MODIFY_NAMESPACE_PREPARE:
            before = view.catalogue.namespaces.get(name)
            if before is None:
                raise NamespaceNotFoundException(name)
            check_quotas(descriptor)
            noted = MasterProcedure_pb2.ModifyNamespaceStateData(
                namespace_descriptor=descriptor, unmodified_namespace_descriptor=before
            )
            return Step(self.S.MODIFY_NAMESPACE_UPDATE_NS_TABLE, parts=(noted,))
        return Step(END, changes=Changes(namespaces=[descriptor]), after=(MirrorNamespace(name),))

    def _descriptor(self, procedure: Procedure) -> HBase_pb2.NamespaceDescriptor:
        return procedure.part(MasterProcedure_pb2.ModifyNamespaceStateData).namespace_descriptor


class DeleteNamespace:
    """Of DeleteNamespaceStateData."""

    S = MasterProcedure_pb2.DeleteNamespaceState
    class_name = MASTER_PROCEDURES + "DeleteNamespaceProcedure"
    source = "master-delete-namespace"
    first = S.DELETE_NAMESPACE_PREPARE
    checked = frozenset((first,))
    listens_to_abort = True

    def locks(self, procedure: Procedure) -> tuple[Lock, ...]:
        """The namespace's: no table can be made in it meanwhile."""
        return _locks(self._name(procedure))

    def step(self, procedure: Procedure, view: View) -> Step:
        """As the module says."""
        name = self._name(procedure)
        if procedure.state != self.S.DELETE_NAMESPACE_PREPARE:
            return Step(END, changes=Changes(no_namespaces=[name]), after=(MirrorNamespace(name),))
        check_removable(view, name)
        return Step(self.S.DELETE_NAMESPACE_DELETE_FROM_NS_TABLE)

    def _name(self, procedure: Procedure) -> str:
        return procedure.part(MasterProcedure_pb2.DeleteNamespaceStateData).namespace_name


def namespace_name(descriptor: HBase_pb2.NamespaceDescriptor) -> str:
    """As people write it; the request was refused where it is no text."""
    return descriptor.name.decode()


def check_new(view: View, descriptor: HBase_pb2.NamespaceDescriptor) -> None:
    """Raise where it cannot be made."""
    name = namespace_name(descriptor)
    if name in view.catalogue.namespaces:
        raise NamespaceExistException(f"Namespace {name} already exists")
    check_quotas(descriptor)


def check_removable(view: View, name: str) -> None:
    """Raise where it is not there, or must stay."""
    if name not in view.catalogue.namespaces:
        raise NamespaceNotFoundException(name)
    if name in RESERVED:
        raise ConstraintException(f"Reserved namespace {name} cannot be removed.")
    tables_count = sum(table.startswith(f"{name}:") for table in view.catalogue.tables)
    if tables_count:
        raise ConstraintException(f"Only empty namespaces can be removed. Namespace {name} has {tables_count} tables")


def check_quotas(descriptor: HBase_pb2.NamespaceDescriptor) -> None:
    """Raise where a limit would allow nothing. Limits are kept, not enforced, as where HBase's quotas are off."""
    values = {pair.name: pair.value for pair in descriptor.configuration}
    for key, of, many in _QUOTAS:
        text = values.get(key, "")
        if not text:
            continue
        try:
            most = int(text)
        except ValueError:
            raise DoNotRetryIOException(f"NumberFormatException while getting max {many}.") from None
        if most <= 0:
            name = namespace_name(descriptor)
            raise ConstraintException(f"The max {of} quota for {name} is less than or equal to zero.")


def _locks(namespace: str) -> tuple[Lock, ...]:
    return (Lock(Kind.NAMESPACE, namespace, exclusive=True),)
