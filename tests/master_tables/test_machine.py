"""What is remembered of procedures: nonces, results and for how long, aborts, numbers, records of other versions."""

from __future__ import annotations

import pytest

from protos.hbase import MasterProcedure_pb2, Procedure_pb2
from registry.master.catalogue import Catalogue
from registry.master.procedures import classes, making
from registry.master.procedures.machine import ABORTED, FETCHED_KEPT_MS, RESULT_KEPT_MS, Machine
from registry.master.procedures.procedure import FORMAT, Failure, Nonce, Procedure, UnknownProcedure
from registry.master.procedures.steps import Step
from registry.wire.errors import IOException, TableNotFoundException

NONCE = Nonce(3, 4)


class View:
    def __init__(self) -> None:
        self.catalogue = Catalogue()
        self.now_ms = 1_000_000

    def take_life(self) -> int:
        return 1


def machine(view: View) -> Machine:
    return Machine(classes.CLASSES, view)


def begun(made: Machine, nonce: Nonce | None = None) -> Procedure:
    data = MasterProcedure_pb2.DeleteNamespaceStateData(namespace_name="n")
    procedure, may_begin = made.submit(classes.DELETE_NAMESPACE, [data], nonce, "me")
    assert may_begin
    return procedure


def ended(made: Machine, nonce: Nonce | None = None) -> Procedure:
    procedure = begun(made, nonce)
    failed = made.failed(procedure.proc_id, IOException("no"))
    made.settle(failed, stored=True)
    return failed


def test_a_result_is_kept_fifteen_minutes_and_five_once_it_was_fetched():
    view = View()
    made = machine(view)
    first, second, last = ended(made, NONCE), ended(made), ended(made)
    made.fetched(second.proc_id)
    view.now_ms += FETCHED_KEPT_MS - 1
    assert made.expired() == []
    view.now_ms += 1
    assert made.expired() == [second.proc_id]
    assert made.find(second.proc_id) is None
    made.deleted([second.proc_id])
    view.now_ms += RESULT_KEPT_MS - FETCHED_KEPT_MS - 1
    assert (made.expired(), made.by_nonce(NONCE)) == ([], first.proc_id)
    view.now_ms += 1
    assert made.expired() == [first.proc_id], "the record with the highest number stays"
    assert (made.by_nonce(NONCE), made.find(last.proc_id)) == (None, None)


def test_what_runs_is_never_forgotten():
    view = View()
    made = machine(view)
    running = begun(made)
    view.now_ms += 10 * RESULT_KEPT_MS
    assert made.expired() == []
    assert made.find(running.proc_id) is running


def test_numbers_go_on_after_all_that_is_stored():
    values = {7: ended(machine(View())).value(), 9: b"\xff of a newer version"}
    made = machine(View())
    assert made.load(values) == []
    assert begun(made).proc_id == 10
    assert made.problems == ["procedure 9 is left as it is: a procedure of format ff, and this version knows 01"]


def test_what_was_refused_before_it_was_a_procedure_fails_alike_again():
    made = machine(View())
    made.refused(classes.CREATE_TABLE, NONCE, "me", TableNotFoundException("t"))
    known = made.by_nonce(NONCE)
    assert known is not None
    procedure = made.find(known)
    assert procedure is not None
    assert procedure.failure == Failure("master-create-table", TableNotFoundException.java_class, "t")
    assert not made.is_stored(known)
    made.refused(classes.CREATE_TABLE, NONCE, "me", IOException("another"))
    assert made.by_nonce(NONCE) == known


def test_abort():
    view = View()
    made = machine(view)
    procedure = begun(made)
    assert made.abort(procedure.proc_id, may_interrupt=False)
    failed = made.next_step(procedure.proc_id)
    assert isinstance(failed, Procedure)
    assert failed.failure == Failure("DeleteNamespaceProcedure", ABORTED, "abort requested")
    made.settle(failed, stored=False)
    assert not made.abort(procedure.proc_id, may_interrupt=True), "it has ended"
    assert not made.abort(77, may_interrupt=True)


@pytest.mark.parametrize("may_interrupt", [True, False])
def test_what_has_begun_goes_on(may_interrupt: bool):
    view = View()
    made = machine(view)
    procedure, _ = made.submit(classes.DELETE_TABLE, [making.delete_table("t", "me")], None, "me")
    data = making.delete_table("t", "me")
    after = made.after(procedure.proc_id, Step(classes.DELETE_TABLE.S.DELETE_TABLE_CLEAR_FS_LAYOUT, parts=(data,)))
    made.settle(after, stored=True)
    assert not made.abort(procedure.proc_id, may_interrupt=may_interrupt)
    step = made.next_step(procedure.proc_id)
    assert isinstance(step, Step)


def test_a_record_is_hbases_own_message():
    made = machine(View())
    procedure = ended(made, NONCE)
    value = procedure.value()
    assert value[0] == FORMAT
    message = Procedure_pb2.Procedure.FromString(value[1:])
    assert message.class_name == "org.apache.hadoop.hbase.master.procedure.DeleteNamespaceProcedure"
    assert (message.nonce_group, message.nonce, message.owner) == (3, 4, "me")
    assert message.state == Procedure_pb2.ROLLEDBACK
    assert message.exception.generic_exception.message == "no"
    read = Procedure.from_value(value)
    assert read.failure is not None
    assert (read.proc_id, read.states, read.parts) == (procedure.proc_id, procedure.states, procedure.parts)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\x02",
        b"\x01",
        b"\x01\xff\xff",
        b"\x01" + Procedure_pb2.Procedure(class_name="x").SerializePartialToString(),
    ],
)
def test_records_that_are_none(value: bytes):
    with pytest.raises(UnknownProcedure):
        Procedure.from_value(value)
