import java.util.Map;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.Admin;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.Table;
import org.apache.hadoop.hbase.client.coprocessor.AggregationClient;
import org.apache.hadoop.hbase.client.coprocessor.LongColumnInterpreter;

/** Coprocessors of tables, and their services, with hbase-client 2. */
public final class EndpointStory implements Story.Teller {
  private static final String FEATURE = "coprocessors of tables";

  @Override
  public void tell(Connection connection, Configuration configuration) throws Exception {
    TableName name = TableName.valueOf("endpoints");
    try (Admin admin = connection.getAdmin(); Table table = connection.getTable(name);
        AggregationClient aggregation = new AggregationClient(configuration)) {
      Story.done(FEATURE, "create with both",
        () -> AggregateStory.create(connection, name, AggregateLines.AGGREGATE, ServiceLines.MULTI_ROW));
      Story.step(FEATURE, "as they are told", () -> {
        Map<String, Integer> told = new TreeMap<>();
        admin.getDescriptor(name).getCoprocessorDescriptors().forEach(each -> told.put(each.getClassName(), each.getPriority()));
        return told;
      });
      Story.done(FEATURE, "create with an unknown class",
        () -> admin.createTable(AggregateStory.of(TableName.valueOf("unknown"), "no.such.Coprocessor")));
      AggregateLines.fill(table);
      new ServiceLines(table).tell();
      Story.done(FEATURE, "none any more", () -> {
        admin.disableTable(name);
        admin.modifyTable(AggregateStory.of(name));
        admin.enableTable(name);
      });
      AggregateLines.line(FEATURE, "then their services are unknown", AggregateLines.of(aggregation, table), "max",
        new LongColumnInterpreter(), AggregateLines.scan(AggregateLines.LONGS));
      Story.step(FEATURE, "on a master", () -> ServiceLines.ofMaster(admin.coprocessorService()));
    }
    TableStory.drop(connection, "endpoints");
  }
}
