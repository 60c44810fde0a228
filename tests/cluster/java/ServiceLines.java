import com.google.protobuf.ServiceException;
import java.io.IOException;
import java.util.Map;
import java.util.TreeMap;
import org.apache.hadoop.hbase.client.Delete;
import org.apache.hadoop.hbase.client.Get;
import org.apache.hadoop.hbase.client.Mutation;
import org.apache.hadoop.hbase.client.Put;
import org.apache.hadoop.hbase.client.Table;
import org.apache.hadoop.hbase.client.coprocessor.LongColumnInterpreter;
import org.apache.hadoop.hbase.ipc.CoprocessorRpcChannel;
import org.apache.hadoop.hbase.protobuf.ProtobufUtil;
import org.apache.hadoop.hbase.protobuf.generated.AggregateProtos.AggregateRequest;
import org.apache.hadoop.hbase.protobuf.generated.AggregateProtos.AggregateResponse;
import org.apache.hadoop.hbase.protobuf.generated.AggregateProtos.AggregateService;
import org.apache.hadoop.hbase.protobuf.generated.ClientProtos.MutationProto.MutationType;
import org.apache.hadoop.hbase.protobuf.generated.MultiRowMutationProtos.MutateRowsRequest;
import org.apache.hadoop.hbase.protobuf.generated.MultiRowMutationProtos.MultiRowMutationService;
import org.apache.hadoop.hbase.util.Bytes;

/** Table.coprocessorService and Table.batchCoprocessorService of a filled table. Compiles against hbase-client 1.4 to 2.6. */
final class ServiceLines {
  static final String MULTI_ROW = "org.apache.hadoop.hbase.coprocessor.MultiRowMutationEndpoint";

  private final Table table;

  ServiceLines(Table table) {
    this.table = table;
  }

  void tell() {
    batches();
    multiRow();
  }

  /** A service of a master, which has none. */
  static Object ofMaster(CoprocessorRpcChannel channel) throws Exception {
    AggregateService.BlockingInterface stub = AggregateService.newBlockingStub(channel);
    return served(() -> stub.getMax(null, request(AggregateLines.LONGS)));
  }

  private static AggregateRequest request(byte[] qualifier) throws IOException {
    return AggregateRequest.newBuilder().setInterpreterClassName(LongColumnInterpreter.class.getName())
      .setScan(ProtobufUtil.toScan(AggregateLines.scan(qualifier))).build();
  }

  private interface Served {
    Object of() throws ServiceException, IOException;
  }

  private static Object served(Served work) throws Exception {
    try {
      return work.of();
    } catch (ServiceException error) {
      throw ProtobufUtil.getRemoteException(error);
    }
  }

  private void batches() {
    Story.step("services", "of all regions in batches", () -> {
      try {
        Map<byte[], AggregateResponse> told = table.batchCoprocessorService(
          AggregateService.getDescriptor().findMethodByName("GetRowNum"), request(AggregateLines.LONGS), Story.b(""), Story.b(""),
          AggregateResponse.getDefaultInstance());
        Map<String, Object> shown = new TreeMap<>();
        for (Map.Entry<byte[], AggregateResponse> each : told.entrySet()) {
          shown.put("region " + Bytes.toStringBinary(each.getKey()).split(",")[1], Bytes.toLong(each.getValue().getFirstPart(0).toByteArray()));
        }
        return shown;
      } catch (Throwable error) {
        throw new Exception(error);
      }
    });
    Story.step("services", "of one region", () -> {
      AggregateService.BlockingInterface stub = AggregateService.newBlockingStub(table.coprocessorService(Story.b("h")));
      return served(() -> Bytes.toLong(stub.getRowNum(null, request(AggregateLines.LONGS)).getFirstPart(0).toByteArray()));
    });
    Story.step("services", "an unknown interpreter", () -> {
      AggregateService.BlockingInterface stub = AggregateService.newBlockingStub(table.coprocessorService(Story.b("h")));
      AggregateRequest request = request(AggregateLines.LONGS).toBuilder().setInterpreterClassName("no.such.Interpreter").build();
      String text = String.valueOf(served(() -> {
        try {
          return stub.getMax(null, request);
        } catch (ServiceException error) {
          return ProtobufUtil.getRemoteException(error).getMessage().contains("java.lang.ClassNotFoundException: no.such.Interpreter");
        }
      }));
      return text;
    });
  }

  private Object mutate(String row, Mutation... mutations) throws Exception {
    MutateRowsRequest.Builder request = MutateRowsRequest.newBuilder();
    for (Mutation each : mutations) {
      request.addMutationRequest(ProtobufUtil.toMutation(each instanceof Put ? MutationType.PUT : MutationType.DELETE, each));
    }
    CoprocessorRpcChannel channel = table.coprocessorService(Story.b(row));
    MultiRowMutationService.BlockingInterface stub = MultiRowMutationService.newBlockingStub(channel);
    return served(() -> {
      stub.mutateRows(null, request.build());
      return "done";
    });
  }

  private void multiRow() {
    Story.step("several rows", "of one region", () -> mutate("ga", new Put(Story.b("ga")).addColumn(AggregateLines.A, Story.b("q"), 5, Story.b("1")),
      new Put(Story.b("gb")).addColumn(AggregateLines.A, Story.b("q"), 5, Story.b("2")), new Delete(Story.b("g1")).addColumns(AggregateLines.A, AggregateLines.LONGS)));
    Story.step("several rows", "as they are then",
      () -> new Object[] {table.get(new Get(Story.b("ga"))), table.get(new Get(Story.b("gb"))), table.get(new Get(Story.b("g1")).addColumn(AggregateLines.A, AggregateLines.LONGS))});
    Story.step("several rows", "one of another region", () -> mutate("ga",
      new Put(Story.b("ga")).addColumn(AggregateLines.A, Story.b("q"), 6, Story.b("3")), new Put(Story.b("z")).addColumn(AggregateLines.A, Story.b("q"), 6, Story.b("4"))));
    Story.step("several rows", "one of an unknown family", () -> mutate("ga",
      new Put(Story.b("ga")).addColumn(AggregateLines.A, Story.b("q"), 6, Story.b("3")), new Put(Story.b("gb")).addColumn(Story.b("nofamily"), Story.b("q"), 6, Story.b("4"))));
    Story.step("several rows", "then nothing of it is there", () -> table.get(new Get(Story.b("ga"))));
  }
}
