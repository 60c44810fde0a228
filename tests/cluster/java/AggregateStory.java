import java.io.IOException;
import java.util.concurrent.CompletableFuture;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.Admin;
import org.apache.hadoop.hbase.client.AdvancedScanResultConsumer;
import org.apache.hadoop.hbase.client.AsyncConnection;
import org.apache.hadoop.hbase.client.AsyncTable;
import org.apache.hadoop.hbase.client.ColumnFamilyDescriptorBuilder;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.ConnectionFactory;
import org.apache.hadoop.hbase.client.Table;
import org.apache.hadoop.hbase.client.TableDescriptor;
import org.apache.hadoop.hbase.client.TableDescriptorBuilder;
import org.apache.hadoop.hbase.client.coprocessor.AggregationClient;
import org.apache.hadoop.hbase.client.coprocessor.AsyncAggregationClient;
import org.apache.hadoop.hbase.client.coprocessor.LongColumnInterpreter;

/** AggregateService through AggregationClient and AsyncAggregationClient of hbase-endpoint 2.5 to 3.0. */
public final class AggregateStory implements Story.Teller {
  private static final String FEATURE = "async aggregates";

  /** Four regions; coprocessors are classes of a server. */
  static void create(Connection connection, TableName name, String... coprocessors) throws Exception {
    try (Admin admin = connection.getAdmin()) {
      admin.createTable(of(name, coprocessors), new byte[][] {Story.b("g"), Story.b("n"), Story.b("t")});
    }
  }

  static TableDescriptor of(TableName name, String... coprocessors) throws IOException {
    TableDescriptorBuilder builder = TableDescriptorBuilder.newBuilder(name)
      .setColumnFamily(ColumnFamilyDescriptorBuilder.newBuilder(AggregateLines.A).setMaxVersions(3).build());
    for (String each : coprocessors) {
      builder.setCoprocessor(each);
    }
    return builder.build();
  }

  @Override
  public void tell(Connection connection, Configuration configuration) throws Exception {
    TableName name = TableName.valueOf("aggregated");
    TableName without = TableName.valueOf("unaggregated");
    create(connection, name, AggregateLines.AGGREGATE);
    create(connection, without);
    try (Table table = connection.getTable(name); AggregationClient client = new AggregationClient(configuration);
        AsyncConnection async = ConnectionFactory.createAsyncConnection(configuration).get()) {
      AggregateLines.fill(table);
      AggregateLines.tell("aggregates", AggregateLines.of(client, table));
      AggregateLines.tell(FEATURE, of(async.getTable(name)));
      AggregateLines.line(FEATURE, "of a table without them", of(async.getTable(without)), "max", new LongColumnInterpreter(),
        AggregateLines.scan(AggregateLines.LONGS).withStartRow(Story.b("a")).withStopRow(Story.b("b")));
    }
    TableStory.drop(connection, name.getNameAsString());
    TableStory.drop(connection, without.getNameAsString());
  }

  @SuppressWarnings({"unchecked", "rawtypes"})
  private static AggregateLines.Client of(AsyncTable<AdvancedScanResultConsumer> table) {
    return (method, of, scan) -> {
      CompletableFuture answer;
      switch (method) {
        case "max":
          answer = AsyncAggregationClient.max(table, of, scan);
          break;
        case "min":
          answer = AsyncAggregationClient.min(table, of, scan);
          break;
        case "sum":
          answer = AsyncAggregationClient.sum(table, of, scan);
          break;
        case "rows":
          answer = AsyncAggregationClient.rowCount(table, of, scan);
          break;
        case "average":
          answer = AsyncAggregationClient.avg(table, of, scan);
          break;
        case "standard deviation":
          answer = AsyncAggregationClient.std(table, of, scan);
          break;
        case "median":
          answer = AsyncAggregationClient.median(table, of, scan);
          break;
        default:
          throw new IllegalArgumentException(method);
      }
      return answer.get();
    };
  }
}
