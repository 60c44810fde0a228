"""Procedures as the page of the active master shows them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from itertools import islice
from typing import Any

from protos.hbase import Procedure_pb2
from registry.http.cluster_status import ProcedureRow
from registry.master.procedures.machine import Machine
from registry.master.procedures.procedure import Procedure

ENDED_SHOWN = 20


def procedure_rows(machine: Machine, now_ms: float) -> list[ProcedureRow]:
    """Those that have not ended, then the latest of the others. `now_ms`: the calendar."""
    known = list(machine.procedures())
    running = [each for each in known if not each.is_finished]
    ended = sorted((each for each in known if each.is_finished), key=lambda each: -each.last_update_ms)
    return [_row(machine, each, now_ms) for each in (*running, *islice(_lasting(ended), ENDED_SHOWN))]


def _lasting(ended: Iterable[Procedure]) -> Iterable[Procedure]:
    """Without those that were refused before they had an effect: their clients have been told."""
    return (each for each in ended if each.has_begun or each.failure is None)


def _row(machine: Machine, procedure: Procedure, now_ms: float) -> ProcedureRow:
    kind = machine.kind_of(procedure)
    locks = kind.locks(procedure) if kind is not None else ()
    waits = not procedure.is_finished and not machine.locks.holds(procedure.proc_id)
    return ProcedureRow(
        procedure.proc_id,
        procedure.class_name.rpartition(".")[2],
        Procedure_pb2.ProcedureState.Name(procedure.phase),
        target=locks[-1].name if locks else "",
        step="" if procedure.is_finished else _step(kind, procedure.state),
        since_ms=max(0.0, now_ms - (procedure.last_update_ms if procedure.is_finished else procedure.submitted_ms)),
        problem=procedure.failure.message if procedure.failure else "waits for a lock" if waits else "",
    )


def _step(kind: Any, state: int) -> str:
    """HBase's name of the state, where the class has an enumeration of them."""
    with contextlib.suppress(AttributeError, ValueError):
        return str(kind.S.Name(state))
    return ""
