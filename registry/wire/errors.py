"""The one table of errors, for both sides: our class, Java's name, the base that decides about retries, the action.

Each class statement is a row. `java` is the name below `org.apache.hadoop.hbase.`; whatever derives from
DoNotRetryIOException has `do_not_retry`, as in HBase. Only names that a Java client can load are used, since it
turns every other into "Unable to load exception received from server".

Source: the class files of hbase-client and hbase-server 2.6.4; what clients do with each: ClientExceptionsUtil,
RpcRetryingCallerImpl, AsyncRpcRetryingCaller, gohbase region/client.go.
"""

from __future__ import annotations

import re

from protos.hbase import RPC_pb2
from registry.names import START_CODE_UNKNOWN, Address, ServerName
from registry.wire.error_base import BY_JAVA_CLASS, ErrorAction, HBaseError, ProtocolError, RemoteError
from registry.wire.text import lenient_text

RETRY_NOW = ErrorAction.RETRY_NOW
RETRY_HERE = ErrorAction.RETRY_HERE
BACK_OFF = ErrorAction.BACK_OFF
RELOCATE = ErrorAction.RELOCATE
RECONNECT = ErrorAction.RECONNECT
REOPEN_SCANNER = ErrorAction.REOPEN_SCANNER
GIVE_UP = ErrorAction.GIVE_UP


class IOException(HBaseError, java="java.io.IOException", action=RELOCATE):
    """Anything that went wrong on the server and has no class of its own."""


class HBaseIOException(IOException, java="HBaseIOException"):
    """Base of many of HBase's own; as a plain IOException to the receiver."""


class DoNotRetryIOException(HBaseIOException, java="DoNotRetryIOException", action=GIVE_UP):
    """The call is wrong in itself: no retry helps."""

    do_not_retry = True


# --- the connection ---------------------------------------------------------------------------------------------


class FatalConnectionException(DoNotRetryIOException, java="ipc.FatalConnectionException"):
    """The connection cannot go on; the sender closes it. The client fails every call on it."""


class WrongVersionException(FatalConnectionException, java="ipc.WrongVersionException"):
    """The preamble names an RPC version other than 0."""


class BadAuthException(FatalConnectionException, java="ipc.BadAuthException"):
    """The preamble names an authentication method that does not exist."""


class UnknownServiceException(FatalConnectionException, java="ipc.UnknownServiceException"):
    """The connection header names a service that this server does not offer."""


class EmptyServiceNameException(FatalConnectionException, java="ipc.EmptyServiceNameException"):
    """The connection header names no service."""


class UnsupportedCellCodecException(FatalConnectionException, java="ipc.UnsupportedCellCodecException"):
    """The connection header names a cell block codec that this server does not have."""


class UnsupportedCompressionCodecException(FatalConnectionException, java="ipc.UnsupportedCompressionCodecException"):
    """The connection header names a compressor that this server does not have."""


class UnsupportedCryptoException(FatalConnectionException, java="ipc.UnsupportedCryptoException"):
    """The connection header asks for an encryption that this server does not have."""


class AccessDeniedException(DoNotRetryIOException, java="security.AccessDeniedException"):
    """Not allowed, or not authenticated where authentication is required."""


class SecurityNotEnabledException(HBaseIOException, java="ipc.SecurityNotEnabledException"):
    """Answer of a server without security to the `Securi` preamble; the connection stays open."""


class RequestTooBigException(DoNotRetryIOException, java="exceptions.RequestTooBigException"):
    """The frame is longer than hbase.ipc.max.request.size; the server closes the connection after it."""


class ConnectException(IOException, java="java.net.ConnectException", action=RECONNECT):
    """The connection could not be made: refused, unreachable, no such host, or not within the time-out."""


class CallTimeoutException(HBaseIOException, java="ipc.CallTimeoutException", action=RECONNECT):
    """No answer within the call's time-out."""


class CallCancelledException(HBaseIOException, java="ipc.CallCancelledException", action=GIVE_UP):
    """The caller does not want the answer any more."""


class CallerDisconnectedException(IOException, java="ipc.CallerDisconnectedException", action=GIVE_UP):
    """The client went away while its call was being worked on."""


class ConnectionClosedException(HBaseIOException, java="exceptions.ConnectionClosedException", action=RECONNECT):
    """The connection was lost while the call was outstanding."""


class ConnectionClosingException(IOException, java="exceptions.ConnectionClosingException", action=RECONNECT):
    """The connection is being closed and takes no new calls."""


class FailedServerException(HBaseIOException, java="ipc.FailedServerException", action=RECONNECT):
    """The server could not be reached a moment ago and is not tried again yet."""


class StoppedRpcClientException(DoNotRetryIOException, java="ipc.StoppedRpcClientException"):
    """The client was closed."""


# --- a server with too much to do -------------------------------------------------------------------------------


class HBaseServerException(HBaseIOException, java="HBaseServerException"):
    """Base of what a server says of its own state; may carry server_overloaded."""


class CallDroppedException(HBaseServerException, java="CallDroppedException", action=BACK_OFF):
    """The call waited too long in the queue and was dropped."""

    server_overloaded = True


class CallQueueTooBigException(CallDroppedException, java="CallQueueTooBigException"):
    """The queue of calls is full."""


class ServerTooBusyException(DoNotRetryIOException, java="ipc.ServerTooBusyException"):
    """The client itself has too many calls outstanding on this server."""


class RegionTooBusyException(IOException, java="RegionTooBusyException", action=BACK_OFF):
    """The region takes no more writes at the moment."""


_THROTTLED = re.compile(
    r"wait (?:(?P<hours>\d+)\s?hrs, ?)?(?:(?P<minutes>\d+)\s?mins, ?)?"
    r"(?:(?P<seconds>\d+(?:\.\d+)?)\s?sec(?:, ?)?)?(?:(?P<millis>\d+)\s?ms)?",
    re.ASCII,
)


class RpcThrottlingException(HBaseIOException, java="quotas.RpcThrottlingException", action=BACK_OFF):
    """A quota is used up; `wait_ms` says for how long, 0 where the text does not tell.

    2.5 and later write `wait 1hrs, 2mins, 3sec, 4ms`, older servers `wait 1hrs, 2mins, 3.25sec`.
    """

    def __init__(self, message: str = "", *, wait_ms: int = 0) -> None:
        super().__init__(message)
        self.wait_ms = wait_ms

    @classmethod
    def waiting(cls, reason: str, wait_ms: int) -> RpcThrottlingException:
        """The error with HBase's text for it; `reason` such as `number of requests exceeded`."""
        seconds, millis = divmod(wait_ms, 1000)
        minutes, seconds = divmod(seconds, 60)
        hours, minutes = divmod(minutes, 60)
        parts = [f"{n}{unit}" for n, unit in ((hours, "hrs"), (minutes, "mins"), (seconds, "sec")) if n]
        return cls(f"{reason} - wait {', '.join([*parts, f'{millis}ms'])}", wait_ms=wait_ms)

    @classmethod
    def from_wire(cls, message: str, host: str, port: int) -> RpcThrottlingException:
        """Read the wait from the text."""
        del host, port
        found = _THROTTLED.search(message[:1000])
        if found is None:
            return cls(message)
        hours, minutes, seconds, millis = (found[name] for name in ("hours", "minutes", "seconds", "millis"))
        wait_ms = int(hours or 0) * 3_600_000 + int(minutes or 0) * 60_000 + round(float(seconds or 0) * 1000)
        return cls(message, wait_ms=wait_ms + int(millis or 0))


class RetryImmediatelyException(IOException, java="RetryImmediatelyException", action=RETRY_NOW):
    """Only a part was done; send the rest at once."""


class MultiActionResultTooLarge(RetryImmediatelyException, java="MultiActionResultTooLarge"):
    """The answer of a Multi reached the limit of its size; send the rest at once."""


# --- servers that come and go -----------------------------------------------------------------------------------


class ServerNotRunningYetException(IOException, java="ipc.ServerNotRunningYetException", action=RELOCATE):
    """The server has started but does not serve this yet; also what a standby master says."""


class RegionServerStoppedException(IOException, java="regionserver.RegionServerStoppedException", action=RECONNECT):
    """The region server is stopping."""


class RegionServerAbortedException(RegionServerStoppedException, java="regionserver.RegionServerAbortedException"):
    """The region server has given up."""


class MasterNotRunningException(HBaseIOException, java="MasterNotRunningException", action=RELOCATE):
    """No master answers as the active one."""


class MasterStoppedException(DoNotRetryIOException, java="exceptions.MasterStoppedException"):
    """The master is stopping."""


class PleaseHoldException(HBaseIOException, java="PleaseHoldException", action=BACK_OFF):
    """The master is not initialised yet, or a server of that address is still being dealt with."""


class PleaseRestartMasterException(HBaseIOException, java="PleaseRestartMasterException", action=BACK_OFF):
    """The master must be restarted before this can be done."""


class YouAreDeadException(IOException, java="YouAreDeadException", action=GIVE_UP):
    """To a region server: the master has already given its regions to others; it must stop."""


class ClockOutOfSyncException(IOException, java="ClockOutOfSyncException", action=GIVE_UP):
    """To a region server: its clock differs too much from the master's."""


class DecommissionedHostRejectedException(
    HBaseIOException, java="ipc.DecommissionedHostRejectedException", action=GIVE_UP
):
    """To a region server: its host was decommissioned."""


class ServiceNotRunningException(HBaseIOException, java="ServiceNotRunningException", action=RETRY_HERE):
    """A service of the server, such as locks, is off."""


class MasterRegistryFetchException(HBaseIOException, java="exceptions.MasterRegistryFetchException"):
    """No registry server gave an answer; raised by clients."""


# --- regions ----------------------------------------------------------------------------------------------------


class NotServingRegionException(IOException, java="NotServingRegionException", action=RELOCATE):
    """The region is not on this server."""


class RegionOpeningException(NotServingRegionException, java="exceptions.RegionOpeningException", action=RETRY_HERE):
    """The region is being opened on this server."""


_MOVED = re.compile(
    r"hostname=(?P<host>[^ ]{1,255}) port=(?P<port>-?\d{1,10}) startCode=(?P<start_code>-?\d{1,19})\."
    r"(?: As of locationSeqNum=(?P<seq_num>-?\d{1,19})\.)?",
    re.ASCII,
)


class RegionMovedException(NotServingRegionException, java="exceptions.RegionMovedException"):
    """The region is on another server, and this one knows where.

    Clients take the place from the text, blanks and dots included, so the text is made here and nowhere else.
    Source: RegionMovedException#getMessage.
    """

    def __init__(self, server_name: ServerName, location_seq_num: int = -1, message: str = "") -> None:
        text = (
            f"Region moved to: hostname={server_name.host} port={server_name.port} "
            f"startCode={server_name.start_code}. As of locationSeqNum={location_seq_num}."
        )
        super().__init__(message or text)
        self.server_name = server_name
        self.location_seq_num = location_seq_num

    @property
    def address(self) -> Address:
        """Where the region is now."""
        return self.server_name.address

    @classmethod
    def from_wire(cls, message: str, host: str, port: int) -> HBaseError:
        """Read the new place from the text, else from the fields; without either only "not here" is known."""
        found = _MOVED.search(message[:2000])
        if found is not None and 0 <= int(found["port"]) <= 65535:
            server_name = ServerName(found["host"], int(found["port"]), int(found["start_code"]))
            return cls(server_name, int(found["seq_num"] or -1), message)
        if host and 0 < port <= 65535:
            return cls(ServerName(host, port, START_CODE_UNKNOWN), -1, message)
        return NotServingRegionException(message)


class WrongRegionException(IOException, java="regionserver.WrongRegionException", action=RELOCATE):
    """The row is not in this region's range."""


class RegionException(HBaseIOException, java="RegionException"):
    """Base of errors of regions."""


class RegionOfflineException(RegionException, java="client.RegionOfflineException", action=RELOCATE):
    """The region is offline, as those of a disabled table are."""


class DoNotRetryRegionException(DoNotRetryIOException, java="client.DoNotRetryRegionException"):
    """The region does not allow it."""


class UnknownRegionException(DoNotRetryRegionException, java="UnknownRegionException"):
    """There is no such region."""


class MergeRegionException(DoNotRetryRegionException, java="exceptions.MergeRegionException"):
    """These regions cannot be merged."""


class NoServerForRegionException(DoNotRetryRegionException, java="client.NoServerForRegionException"):
    """No server has the region."""


# --- scanners ---------------------------------------------------------------------------------------------------


class UnknownScannerException(DoNotRetryIOException, java="UnknownScannerException", action=REOPEN_SCANNER):
    """There is no such scanner: its lease has run out or the server has restarted."""


class ScannerResetException(DoNotRetryIOException, java="exceptions.ScannerResetException", action=REOPEN_SCANNER):
    """The scanner was lost to an I/O error; known to clients since 1.4."""


class OutOfOrderScannerNextException(
    DoNotRetryIOException, java="exceptions.OutOfOrderScannerNextException", action=REOPEN_SCANNER
):
    """next_call_seq is not the one expected: an answer went missing. Clients reopen once."""


class LeaseException(DoNotRetryIOException, java="regionserver.LeaseException", action=REOPEN_SCANNER):
    """The lease of the scanner does not exist; what 1.x says instead of UnknownScannerException."""


# --- data and tables --------------------------------------------------------------------------------------------


class NoSuchColumnFamilyException(DoNotRetryIOException, java="regionserver.NoSuchColumnFamilyException"):
    """The table has no such column family."""


class FailedSanityCheckException(DoNotRetryIOException, java="exceptions.FailedSanityCheckException"):
    """The mutation is not acceptable: its timestamps, its size or its row."""


class RowTooBigException(DoNotRetryRegionException, java="client.RowTooBigException"):
    """The row is longer than hbase.table.max.rowsize."""


class UnknownProtocolException(DoNotRetryIOException, java="exceptions.UnknownProtocolException"):
    """There is no such coprocessor service, or the call is of an age that is over."""


class InvalidFamilyOperationException(DoNotRetryIOException, java="InvalidFamilyOperationException"):
    """The column family cannot be changed like this."""


class TableExistsException(DoNotRetryIOException, java="TableExistsException"):
    """There is such a table already."""


class TableNotFoundException(DoNotRetryIOException, java="TableNotFoundException"):
    """There is no such table."""


class TableNotEnabledException(DoNotRetryIOException, java="TableNotEnabledException"):
    """The table is not enabled."""


class TableNotDisabledException(DoNotRetryIOException, java="TableNotDisabledException"):
    """The table is not disabled."""


class ConcurrentTableModificationException(DoNotRetryIOException, java="ConcurrentTableModificationException"):
    """Another change of the table is under way."""


class NamespaceNotFoundException(DoNotRetryIOException, java="NamespaceNotFoundException"):
    """There is no such namespace."""


class NamespaceExistException(DoNotRetryIOException, java="NamespaceExistException"):
    """There is such a namespace already."""


class ConstraintException(DoNotRetryIOException, java="constraint.ConstraintException"):
    """A constraint forbids it, such as a namespace that still has tables."""


class ReplicationPeerNotFoundException(DoNotRetryIOException, java="ReplicationPeerNotFoundException"):
    """There is no replication peer of that id."""


class CoprocessorException(DoNotRetryIOException, java="coprocessor.CoprocessorException"):
    """A coprocessor failed."""


class QuotaExceededException(DoNotRetryIOException, java="quotas.QuotaExceededException"):
    """A quota forbids it."""


class SpaceLimitingException(QuotaExceededException, java="quotas.SpaceLimitingException"):
    """A quota of space forbids it."""


class ThrottlingException(QuotaExceededException, java="quotas.ThrottlingException"):
    """What 1.x said instead of RpcThrottlingException."""


# --- snapshots --------------------------------------------------------------------------------------------------


class HBaseSnapshotException(DoNotRetryIOException, java="snapshot.HBaseSnapshotException"):
    """Base of the errors of snapshots."""


class SnapshotExistsException(HBaseSnapshotException, java="snapshot.SnapshotExistsException"):
    """There is such a snapshot already."""


class SnapshotDoesNotExistException(HBaseSnapshotException, java="snapshot.SnapshotDoesNotExistException"):
    """There is no such snapshot."""


class SnapshotCreationException(HBaseSnapshotException, java="snapshot.SnapshotCreationException"):
    """The snapshot could not be made."""


class RestoreSnapshotException(HBaseSnapshotException, java="snapshot.RestoreSnapshotException"):
    """The snapshot could not be restored."""


class UnknownSnapshotException(HBaseSnapshotException, java="snapshot.UnknownSnapshotException"):
    """No such snapshot is being made."""


class CorruptedSnapshotException(HBaseSnapshotException, java="snapshot.CorruptedSnapshotException"):
    """The files of the snapshot are damaged."""


class SnapshotTTLExpiredException(HBaseSnapshotException, java="snapshot.SnapshotTTLExpiredException"):
    """The snapshot has outlived its time."""


# --- the wire ---------------------------------------------------------------------------------------------------


def encode_exception(error: BaseException) -> RPC_pb2.ExceptionResponse:
    """The ExceptionResponse for `error`; class and stack_trace are always set, for gohbase reads both unasked.

    ProtocolError becomes DoNotRetryIOException (the same bytes are as wrong the next time), any other error that
    is not of the table becomes java.io.IOException, as HBase wraps what it did not foresee.
    Source: IPCUtil, ServerCall#setExceptionResponse, RpcServer#call.
    """
    if isinstance(error, HBaseError):
        sent = error
    elif isinstance(error, ProtocolError):
        sent = DoNotRetryIOException(str(error))
    else:
        sent = IOException(f"{type(error).__name__}: {error}")
    response = RPC_pb2.ExceptionResponse(
        exception_class_name=sent.java_class,
        stack_trace=sent.stack_trace or f"{sent.java_class}: {sent.message}",
        do_not_retry=sent.do_not_retry,
    )
    if sent.server_overloaded:
        response.server_overloaded = True
    if isinstance(sent, RegionMovedException):
        response.hostname = sent.server_name.host
        response.port = sent.server_name.port
    return response


def decode_exception(response: RPC_pb2.ExceptionResponse) -> HBaseError:
    """The error that ExceptionResponse tells; never raises, whatever the peer wrote there."""
    java_class, trace = lenient_text(response.exception_class_name), lenient_text(response.stack_trace)
    head = trace.partition("\n\tat ")[0].rstrip("\n")
    message = head.removeprefix(java_class).removeprefix(": ") if java_class else head
    known = BY_JAVA_CLASS.get(java_class)
    if known is None:
        do_not_retry = response.do_not_retry or not response.HasField("do_not_retry")
        error: HBaseError = RemoteError(java_class, message, do_not_retry=do_not_retry)
    else:
        error = known.from_wire(message, lenient_text(response.hostname), response.port)
    if response.do_not_retry and not error.do_not_retry:
        error.do_not_retry, error.action = True, GIVE_UP
    error.server_overloaded = error.server_overloaded or response.server_overloaded
    error.stack_trace = trace
    return error
