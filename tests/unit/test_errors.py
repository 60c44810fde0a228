"""The table of errors against what HBase 2.6.4's class files say and what its clients do with each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.hbase import RPC_pb2
from registry.names import Address, ServerName
from registry.wire import errors
from registry.wire.errors import (
    BY_JAVA_CLASS,
    CallDroppedException,
    CallQueueTooBigException,
    DoNotRetryIOException,
    ErrorAction,
    NotServingRegionException,
    ProtocolError,
    RegionMovedException,
    RemoteError,
    RpcThrottlingException,
    UnknownScannerException,
    decode_exception,
    encode_exception,
)

RETRY_NOW, RETRY_HERE, BACK_OFF, RELOCATE, RECONNECT, REOPEN_SCANNER, GIVE_UP = ErrorAction

EXPECTED: tuple[tuple[str, bool, ErrorAction], ...] = (
    ("NotServingRegionException", False, RELOCATE),
    ("exceptions.RegionMovedException", False, RELOCATE),
    ("exceptions.RegionOpeningException", False, RETRY_HERE),
    ("RegionTooBusyException", False, BACK_OFF),
    ("CallQueueTooBigException", False, BACK_OFF),
    ("CallDroppedException", False, BACK_OFF),
    ("quotas.RpcThrottlingException", False, BACK_OFF),
    ("RetryImmediatelyException", False, RETRY_NOW),
    ("MultiActionResultTooLarge", False, RETRY_NOW),
    ("exceptions.RequestTooBigException", True, GIVE_UP),
    ("regionserver.RegionServerStoppedException", False, RECONNECT),
    ("regionserver.RegionServerAbortedException", False, RECONNECT),
    ("ipc.ServerNotRunningYetException", False, RELOCATE),
    ("MasterNotRunningException", False, RELOCATE),
    ("PleaseHoldException", False, BACK_OFF),
    ("exceptions.MasterStoppedException", True, GIVE_UP),
    ("UnknownScannerException", True, REOPEN_SCANNER),
    ("exceptions.ScannerResetException", True, REOPEN_SCANNER),
    ("exceptions.OutOfOrderScannerNextException", True, REOPEN_SCANNER),
    ("regionserver.LeaseException", True, REOPEN_SCANNER),
    ("regionserver.WrongRegionException", False, RELOCATE),
    ("regionserver.NoSuchColumnFamilyException", True, GIVE_UP),
    ("TableNotFoundException", True, GIVE_UP),
    ("TableExistsException", True, GIVE_UP),
    ("TableNotEnabledException", True, GIVE_UP),
    ("TableNotDisabledException", True, GIVE_UP),
    ("NamespaceNotFoundException", True, GIVE_UP),
    ("NamespaceExistException", True, GIVE_UP),
    ("InvalidFamilyOperationException", True, GIVE_UP),
    ("UnknownRegionException", True, GIVE_UP),
    ("ConcurrentTableModificationException", True, GIVE_UP),
    ("exceptions.FailedSanityCheckException", True, GIVE_UP),
    ("DoNotRetryIOException", True, GIVE_UP),
    ("exceptions.UnknownProtocolException", True, GIVE_UP),
    ("security.AccessDeniedException", True, GIVE_UP),
    ("client.RegionOfflineException", False, RELOCATE),
    ("client.RowTooBigException", True, GIVE_UP),
    ("exceptions.MergeRegionException", True, GIVE_UP),
    ("client.DoNotRetryRegionException", True, GIVE_UP),
    ("quotas.QuotaExceededException", True, GIVE_UP),
    ("quotas.SpaceLimitingException", True, GIVE_UP),
    ("snapshot.HBaseSnapshotException", True, GIVE_UP),
    ("snapshot.SnapshotExistsException", True, GIVE_UP),
    ("snapshot.SnapshotDoesNotExistException", True, GIVE_UP),
    ("snapshot.SnapshotCreationException", True, GIVE_UP),
    ("snapshot.RestoreSnapshotException", True, GIVE_UP),
    ("snapshot.UnknownSnapshotException", True, GIVE_UP),
    ("snapshot.CorruptedSnapshotException", True, GIVE_UP),
    ("YouAreDeadException", False, GIVE_UP),
    ("ClockOutOfSyncException", False, GIVE_UP),
    ("ServiceNotRunningException", False, RETRY_HERE),
    ("ipc.FatalConnectionException", True, GIVE_UP),
    ("ipc.WrongVersionException", True, GIVE_UP),
    ("ipc.BadAuthException", True, GIVE_UP),
    ("ipc.UnknownServiceException", True, GIVE_UP),
    ("ipc.EmptyServiceNameException", True, GIVE_UP),
    ("ipc.UnsupportedCellCodecException", True, GIVE_UP),
    ("ipc.UnsupportedCompressionCodecException", True, GIVE_UP),
    ("ipc.SecurityNotEnabledException", False, RELOCATE),
    ("exceptions.MasterRegistryFetchException", False, RELOCATE),
)


@pytest.mark.parametrize(("name", "do_not_retry", "action"), EXPECTED)
def test_row_of_the_table(name: str, do_not_retry: bool, action: ErrorAction) -> None:
    error = BY_JAVA_CLASS[f"org.apache.hadoop.hbase.{name}"]
    assert error.do_not_retry is do_not_retry
    assert error.action is action
    assert error.__name__ == name.rpartition(".")[2], "our class bears Java's name"
    assert issubclass(error, DoNotRetryIOException) is do_not_retry, "inheritance decides, as in HBase"


def test_every_row_documents_itself_and_is_reached_by_one_name() -> None:
    for java_class, error in BY_JAVA_CLASS.items():
        assert error.java_class == java_class
        assert error.__doc__
        assert getattr(errors, error.__name__) is error
    assert len(set(BY_JAVA_CLASS.values())) == len(BY_JAVA_CLASS)


def _a_server_name() -> ServerName:
    return ServerName("rs1.example", 16020, 1795249223143)


@pytest.mark.parametrize("java_class", sorted(BY_JAVA_CLASS))
def test_every_row_survives_the_wire(java_class: str) -> None:
    error_class = BY_JAVA_CLASS[java_class]
    sent = RegionMovedException(_a_server_name(), 7) if error_class is RegionMovedException else error_class("why")
    response = encode_exception(sent)
    assert response.HasField("exception_class_name")
    assert response.HasField("stack_trace")
    assert response.HasField("do_not_retry"), "HBase always writes it"
    assert response.stack_trace.startswith(f"{sent.java_class}: ")
    back = decode_exception(RPC_pb2.ExceptionResponse.FromString(response.SerializeToString()))
    assert type(back) is error_class
    assert (back.message, back.do_not_retry, back.action) == (sent.message, sent.do_not_retry, sent.action)
    assert back.server_overloaded is sent.server_overloaded


def test_recorded_security_answer() -> None:
    """What a real 2.6.4 without security answers to the `Securi` preamble."""
    body = b"\x0a\x37" + b"org.apache.hadoop.hbase.ipc.SecurityNotEnabledException" + b"\x12\x17"
    body += b"security is not enabled" + b"\x28\x00"
    error = decode_exception(RPC_pb2.ExceptionResponse.FromString(body))
    assert isinstance(error, errors.SecurityNotEnabledException)
    assert error.message == "security is not enabled"
    assert str(error) == "SecurityNotEnabledException: security is not enabled"


def test_java_stack_is_kept_but_is_not_the_message() -> None:
    trace = (
        "org.apache.hadoop.hbase.TableNotFoundException: t1\n\tat o.a.h.h.Master.x(M.java:1)\n\tat java.Thread.run\n"
    )
    error = decode_exception(
        RPC_pb2.ExceptionResponse(
            exception_class_name="org.apache.hadoop.hbase.TableNotFoundException", stack_trace=trace, do_not_retry=True
        )
    )
    assert error.message == "t1"
    assert error.stack_trace == trace
    assert encode_exception(error).stack_trace == trace, "passed on as it came"


def test_region_moved_is_understood_by_java_and_back() -> None:
    """Java takes the place from the text, up to the blank and up to the dot."""
    response = encode_exception(RegionMovedException(_a_server_name(), 42))
    assert response.stack_trace == (
        "org.apache.hadoop.hbase.exceptions.RegionMovedException: Region moved to: hostname=rs1.example port=16020 "
        "startCode=1795249223143. As of locationSeqNum=42."
    )
    assert (response.hostname, response.port) == ("rs1.example", 16020)
    back = decode_exception(response)
    assert isinstance(back, RegionMovedException)
    assert (back.server_name, back.location_seq_num) == (_a_server_name(), 42)
    assert back.address == Address("rs1.example", 16020)


@pytest.mark.parametrize(
    ("text", "host", "port", "expected"),
    [
        ("garbled", "rs9", 16020, ServerName("rs9", 16020, -1)),
        ("hostname=rs1 port=16020 startCode=5.", "", 0, ServerName("rs1", 16020, 5)),
        ("hostname=rs1 port=99999 startCode=5.", "rs9", 16020, ServerName("rs9", 16020, -1)),
        ("garbled", "", 0, None),
        ("garbled", "rs9", 70000, None),
        ("garbled", "rs9", -1, None),
    ],
)
def test_region_moved_to_a_place_that_is_told_badly(
    text: str, host: str, port: int, expected: ServerName | None
) -> None:
    error = decode_exception(
        RPC_pb2.ExceptionResponse(
            exception_class_name=RegionMovedException.java_class, stack_trace=text, hostname=host, port=port
        )
    )
    assert isinstance(error, NotServingRegionException)
    assert (error.server_name if isinstance(error, RegionMovedException) else None) == expected


@pytest.mark.parametrize(
    ("text", "wait_ms"),
    [
        ("number of requests exceeded - wait 1hrs, 2mins, 3sec, 4ms", 3_723_004),
        ("read size limit exceeded - wait 250ms", 250),
        ("write size limit exceeded - wait 3sec, 0ms", 3_000),
        ("request size limit exceeded - wait 1mins, 2.25sec", 62_250),
        ("request size limit exceeded - wait 0.50sec", 500),
        ("request size limit exceeded - wait 1 hrs, 2 mins, 3 sec, 4 ms", 3_723_004),
        ("request size limit exceeded", 0),
        ("", 0),
        ("wait " + "9" * 5000, 0),
    ],
)
def test_throttled_for_how_long(text: str, wait_ms: int) -> None:
    error = decode_exception(
        RPC_pb2.ExceptionResponse(exception_class_name=RpcThrottlingException.java_class, stack_trace=text)
    )
    assert isinstance(error, RpcThrottlingException)
    assert error.wait_ms == wait_ms


@given(wait_ms=st.integers(0, 100 * 3_600_000))
def test_throttling_text_is_read_back(wait_ms: int) -> None:
    back = decode_exception(encode_exception(RpcThrottlingException.waiting("number of requests exceeded", wait_ms)))
    assert isinstance(back, RpcThrottlingException)
    assert back.wait_ms == wait_ms


def test_overload_is_a_field_of_its_own() -> None:
    for kind in (CallQueueTooBigException, CallDroppedException):
        assert encode_exception(kind("full")).server_overloaded is True
    assert not encode_exception(DoNotRetryIOException("x")).HasField("server_overloaded"), "unknown to older clients"
    busy = decode_exception(
        RPC_pb2.ExceptionResponse(exception_class_name="java.io.IOException", server_overloaded=True)
    )
    assert busy.server_overloaded is True
    assert errors.IOException("calm").server_overloaded is False, "one answer does not change the class"


@pytest.mark.parametrize(
    ("java_class", "flag", "do_not_retry"),
    [
        ("com.example.OwnException", False, False),
        ("com.example.OwnException", True, True),
        ("com.example.OwnException", None, True),
        ("java.lang.NullPointerException", False, True),
        ("", None, True),
    ],
)
def test_unknown_class(java_class: str, flag: bool | None, do_not_retry: bool) -> None:
    response = RPC_pb2.ExceptionResponse(exception_class_name=java_class, stack_trace=f"{java_class}: boom")
    if flag is not None:
        response.do_not_retry = flag
    error = decode_exception(response)
    assert isinstance(error, RemoteError)
    assert error.java_class == java_class
    assert error.do_not_retry is do_not_retry
    assert error.action is (GIVE_UP if do_not_retry else RELOCATE)
    assert error.message.endswith("boom")


def test_the_senders_flag_stops_retries_of_a_retryable_class() -> None:
    response = RPC_pb2.ExceptionResponse(exception_class_name="java.io.IOException", do_not_retry=True)
    assert decode_exception(response).action is GIVE_UP
    response.exception_class_name = UnknownScannerException.java_class
    assert decode_exception(response).action is REOPEN_SCANNER, "the class already says more than the flag"


def test_what_is_not_of_the_table() -> None:
    own_bug = encode_exception(KeyError("x"))
    assert (own_bug.exception_class_name, own_bug.do_not_retry) == ("java.io.IOException", False)
    assert own_bug.stack_trace == "java.io.IOException: KeyError: 'x'"
    bad_bytes = encode_exception(ProtocolError("cell at byte 3", kind="cell"))
    assert bad_bytes.exception_class_name == DoNotRetryIOException.java_class
    assert bad_bytes.do_not_retry is True


@given(body=st.binary(max_size=200) | st.just(b"\x0a\x01\xff\x12\x02\xff\xfe\x1a\x01\x80\x20\x05"))
def test_whatever_the_peer_writes_becomes_an_error(body: bytes) -> None:
    """Bytes that are not UTF-8 come out of a proto2 string as bytes, not as text."""
    response = RPC_pb2.ExceptionResponse()
    try:
        response.MergeFromString(body)
    except Exception:  # noqa: BLE001 - not a message at all: not this function's business
        return
    error = decode_exception(response)
    assert isinstance(error.message, str)
    assert isinstance(str(error), str)
    encode_exception(error)
