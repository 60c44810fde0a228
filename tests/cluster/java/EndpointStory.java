import com.google.protobuf.ServiceException;
import java.io.IOException;
import java.math.BigDecimal;
import java.util.Map;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.Admin;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.Delete;
import org.apache.hadoop.hbase.client.Get;
import org.apache.hadoop.hbase.client.Mutation;
import org.apache.hadoop.hbase.client.Put;
import org.apache.hadoop.hbase.client.RegionInfo;
import org.apache.hadoop.hbase.client.Scan;
import org.apache.hadoop.hbase.client.Table;
import org.apache.hadoop.hbase.client.TableDescriptor;
import org.apache.hadoop.hbase.client.TableDescriptorBuilder;
import org.apache.hadoop.hbase.client.ColumnFamilyDescriptorBuilder;
import org.apache.hadoop.hbase.client.coprocessor.AggregationClient;
import org.apache.hadoop.hbase.client.coprocessor.BigDecimalColumnInterpreter;
import org.apache.hadoop.hbase.client.coprocessor.DoubleColumnInterpreter;
import org.apache.hadoop.hbase.client.coprocessor.LongColumnInterpreter;
import org.apache.hadoop.hbase.coprocessor.ColumnInterpreter;
import org.apache.hadoop.hbase.filter.FirstKeyOnlyFilter;
import org.apache.hadoop.hbase.filter.PrefixFilter;
import org.apache.hadoop.hbase.ipc.CoprocessorRpcChannel;
import org.apache.hadoop.hbase.protobuf.ProtobufUtil;
import org.apache.hadoop.hbase.protobuf.generated.AggregateProtos.AggregateRequest;
import org.apache.hadoop.hbase.protobuf.generated.AggregateProtos.AggregateResponse;
import org.apache.hadoop.hbase.protobuf.generated.AggregateProtos.AggregateService;
import org.apache.hadoop.hbase.protobuf.generated.ClientProtos.MutationProto.MutationType;
import org.apache.hadoop.hbase.protobuf.generated.MultiRowMutationProtos.MutateRowsRequest;
import org.apache.hadoop.hbase.protobuf.generated.MultiRowMutationProtos.MultiRowMutationService;
import org.apache.hadoop.hbase.util.Bytes;

/** Coprocessor services through AggregationClient, Table.coprocessorService and Table.batchCoprocessorService. */
public final class EndpointStory implements Story.Teller {
  private static final String AGGREGATE = "org.apache.hadoop.hbase.coprocessor.AggregateImplementation";
  private static final String MULTI_ROW = "org.apache.hadoop.hbase.coprocessor.MultiRowMutationEndpoint";
  private static final byte[] A = b("a");
  private static final byte[] LONGS = b("longs");
  private static final byte[] DOUBLES = b("doubles");
  private static final byte[] DECIMALS = b("decimals");

  private Table table;
  private AggregationClient aggregation;

  private static byte[] b(String text) {
    return Story.b(text);
  }

  @Override
  public void tell(Connection connection, Configuration configuration) throws Exception {
    TableName name = TableName.valueOf("endpoints");
    try (Admin admin = connection.getAdmin()) {
      Story.done("coprocessors of tables", "create with both", () -> admin.createTable(of(name, AGGREGATE, MULTI_ROW),
        new byte[][] {b("g"), b("n"), b("t")}));
      Story.step("coprocessors of tables", "as they are told", () -> {
        Map<String, Integer> told = new TreeMap<>();
        admin.getDescriptor(name).getCoprocessorDescriptors().forEach(each -> told.put(each.getClassName(), each.getPriority()));
        return told;
      });
      Story.done("coprocessors of tables", "create with an unknown class",
        () -> admin.createTable(of(TableName.valueOf("unknown"), "no.such.Coprocessor")));
      table = connection.getTable(name);
      aggregation = new AggregationClient(configuration);
      fill();
      aggregates("longs", new LongColumnInterpreter(), LONGS);
      aggregates("doubles", new DoubleColumnInterpreter(), DOUBLES);
      aggregates("decimals", new BigDecimalColumnInterpreter(), DECIMALS);
      others();
      batches();
      multiRow();
      Story.done("coprocessors of tables", "none any more", () -> {
        admin.disableTable(name);
        admin.modifyTable(of(name));
        admin.enableTable(name);
      });
      aggregated("coprocessors of tables", "then their services are unknown",
        () -> aggregation.max(table, new LongColumnInterpreter(), scan(LONGS)));
      Story.step("coprocessors of tables", "on a master", () -> {
        AggregateService.BlockingInterface stub = AggregateService.newBlockingStub(admin.coprocessorService());
        return served(() -> stub.getMax(null, request(LONGS)));
      });
      aggregation.close();
      table.close();
    } catch (Throwable error) {
      throw new Exception(error);
    }
    TableStory.drop(connection, "endpoints");
  }

  private static TableDescriptor of(TableName name, String... coprocessors) throws IOException {
    TableDescriptorBuilder builder =
      TableDescriptorBuilder.newBuilder(name).setColumnFamily(ColumnFamilyDescriptorBuilder.newBuilder(A).setMaxVersions(3).build());
    for (String each : coprocessors) {
      builder.setCoprocessor(each);
    }
    return builder.build();
  }

  private void fill() throws Exception {
    int number = 0;
    for (String row : new String[] {"a1", "a2", "b1", "g1", "h1", "n1", "p1", "t1", "x1", "x2"}) {
      number++;
      table.put(new Put(b(row)).addColumn(A, LONGS, 1, Bytes.toBytes((long) (number % 2 == 0 ? number * 1000L : -number)))
        .addColumn(A, DOUBLES, 1, Bytes.toBytes(number / 8.0 - 0.5))
        .addColumn(A, DECIMALS, 1, Bytes.toBytes(new BigDecimal(number + ".12" + number))));
    }
  }

  private static Scan scan(byte[] qualifier) {
    return new Scan().addColumn(A, qualifier);
  }

  private interface Aggregated {
    Object of() throws Throwable;
  }

  private void aggregated(String feature, String what, Aggregated work) {
    Story.step(feature, what, () -> {
      try {
        return work.of();
      } catch (Exception error) {
        throw error;
      } catch (Throwable error) {
        throw new Exception(error);
      }
    });
  }

  private <T> void aggregates(String kind, ColumnInterpreter<T, T, ?, ?, ?> of, byte[] qualifier) {
    // of these clients the types of the messages say nothing that is of interest
    @SuppressWarnings({"unchecked", "rawtypes"})
    ColumnInterpreter<Object, Object, com.google.protobuf.Message, com.google.protobuf.Message, com.google.protobuf.Message> any =
      (ColumnInterpreter) of;
    aggregated("aggregates", kind + ", max", () -> aggregation.max(table, any, scan(qualifier)));
    aggregated("aggregates", kind + ", min", () -> aggregation.min(table, any, scan(qualifier)));
    aggregated("aggregates", kind + ", sum", () -> aggregation.sum(table, any, scan(qualifier)));
    aggregated("aggregates", kind + ", rows", () -> aggregation.rowCount(table, any, scan(qualifier)));
    aggregated("aggregates", kind + ", average", () -> aggregation.avg(table, any, scan(qualifier)));
    aggregated("aggregates", kind + ", standard deviation", () -> aggregation.std(table, any, scan(qualifier)));
    aggregated("aggregates", kind + ", median", () -> aggregation.median(table, any, scan(qualifier)));
    aggregated("aggregates", kind + ", sum of a part", () -> aggregation.sum(table, any, scan(qualifier).withStartRow(b("b")).withStopRow(b("p1"))));
    aggregated("aggregates", kind + ", max of nothing", () -> aggregation.max(table, any, scan(qualifier).withStartRow(b("c")).withStopRow(b("d"))));
  }

  private void others() {
    LongColumnInterpreter longs = new LongColumnInterpreter();
    aggregated("aggregates", "longs, rows of a family", () -> aggregation.rowCount(table, longs, new Scan().addFamily(A)));
    aggregated("aggregates", "longs, rows that pass a filter",
      () -> aggregation.rowCount(table, longs, new Scan().addFamily(A).setFilter(new PrefixFilter(b("a")))));
    aggregated("aggregates", "longs, sum of what passes a filter",
      () -> aggregation.sum(table, longs, scan(LONGS).setFilter(new FirstKeyOnlyFilter())));
    aggregated("aggregates", "longs, sum of a column that is no long", () -> aggregation.sum(table, longs, scan(DECIMALS)));
    aggregated("aggregates", "longs, max of an unknown family", () -> aggregation.max(table, longs, new Scan().addColumn(b("nofamily"), LONGS)));
    aggregated("aggregates", "longs, two families", () -> aggregation.max(table, longs, new Scan().addFamily(A).addFamily(b("b"))));
  }

  private static AggregateRequest request(byte[] qualifier) throws IOException {
    return AggregateRequest.newBuilder().setInterpreterClassName(LongColumnInterpreter.class.getName())
      .setScan(ProtobufUtil.toScan(scan(qualifier))).build();
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
          AggregateService.getDescriptor().findMethodByName("GetRowNum"), request(LONGS), b(""), b(""),
          AggregateResponse.getDefaultInstance());
        Map<String, Object> shown = new TreeMap<>();
        for (Map.Entry<byte[], AggregateResponse> each : told.entrySet()) {
          String start = Bytes.toStringBinary(RegionInfo.getStartKey(each.getKey()));
          shown.put("region " + start, Bytes.toLong(each.getValue().getFirstPart(0).toByteArray()));
        }
        return shown;
      } catch (Throwable error) {
        throw new Exception(error);
      }
    });
    Story.step("services", "of one region", () -> {
      AggregateService.BlockingInterface stub = AggregateService.newBlockingStub(table.coprocessorService(b("h")));
      return served(() -> Bytes.toLong(stub.getRowNum(null, request(LONGS)).getFirstPart(0).toByteArray()));
    });
    Story.step("services", "an unknown interpreter", () -> {
      AggregateService.BlockingInterface stub = AggregateService.newBlockingStub(table.coprocessorService(b("h")));
      AggregateRequest request = request(LONGS).toBuilder().setInterpreterClassName("no.such.Interpreter").build();
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
    CoprocessorRpcChannel channel = table.coprocessorService(b(row));
    MultiRowMutationService.BlockingInterface stub = MultiRowMutationService.newBlockingStub(channel);
    return served(() -> {
      stub.mutateRows(null, request.build());
      return "done";
    });
  }

  private void multiRow() {
    Story.step("several rows", "of one region", () -> mutate("ga", new Put(b("ga")).addColumn(A, b("q"), 5, b("1")),
      new Put(b("gb")).addColumn(A, b("q"), 5, b("2")), new Delete(b("g1")).addColumns(A, LONGS)));
    Story.step("several rows", "as they are then",
      () -> new Object[] {table.get(new Get(b("ga"))), table.get(new Get(b("gb"))), table.get(new Get(b("g1")).addColumn(A, LONGS))});
    Story.step("several rows", "one of another region", () -> mutate("ga",
      new Put(b("ga")).addColumn(A, b("q"), 6, b("3")), new Put(b("z")).addColumn(A, b("q"), 6, b("4"))));
    Story.step("several rows", "one of an unknown family", () -> mutate("ga",
      new Put(b("ga")).addColumn(A, b("q"), 6, b("3")), new Put(b("gb")).addColumn(b("nofamily"), b("q"), 6, b("4"))));
    Story.step("several rows", "then nothing of it is there", () -> table.get(new Get(b("ga"))));
  }
}
