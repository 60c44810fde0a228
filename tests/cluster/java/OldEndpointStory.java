import java.util.TreeSet;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.HColumnDescriptor;
import org.apache.hadoop.hbase.HTableDescriptor;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.Admin;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.Table;
import org.apache.hadoop.hbase.client.coprocessor.AggregationClient;
import org.apache.hadoop.hbase.client.coprocessor.LongColumnInterpreter;

/** Coprocessors of tables, AggregationClient and other services with hbase-client 1.4. */
public final class OldEndpointStory implements Story.Teller {
  private static final String FEATURE = "coprocessors of tables";

  private static HTableDescriptor of(TableName name, String... coprocessors) throws Exception {
    HTableDescriptor made = new HTableDescriptor(name);
    made.addFamily(new HColumnDescriptor(AggregateLines.A).setMaxVersions(3));
    for (String each : coprocessors) {
      made.addCoprocessor(each);
    }
    return made;
  }

  @Override
  public void tell(Connection connection, Configuration configuration) throws Exception {
    TableName name = TableName.valueOf("oldendpoints");
    try (Admin admin = connection.getAdmin(); Table table = connection.getTable(name);
        AggregationClient aggregation = new AggregationClient(configuration)) {
      Story.done(FEATURE, "create with both", () -> admin.createTable(of(name, AggregateLines.AGGREGATE, ServiceLines.MULTI_ROW),
        new byte[][] {Story.b("g"), Story.b("n"), Story.b("t")}));
      Story.step(FEATURE, "as they are told", () -> new TreeSet<>(admin.getTableDescriptor(name).getCoprocessors()));
      Story.done(FEATURE, "create with an unknown class",
        () -> admin.createTable(of(TableName.valueOf("oldunknown"), "no.such.Coprocessor")));
      AggregateLines.fill(table);
      AggregateLines.Client client = AggregateLines.of(aggregation, table);
      AggregateLines.tell("aggregates", client);
      new ServiceLines(table).tell();
      Story.done(FEATURE, "none any more", () -> {
        admin.disableTable(name);
        admin.modifyTable(name, of(name));
        admin.enableTable(name);
      });
      AggregateLines.line(FEATURE, "then their services are unknown", client, "max", new LongColumnInterpreter(),
        AggregateLines.scan(AggregateLines.LONGS));
      Story.step(FEATURE, "on a master", () -> ServiceLines.ofMaster(admin.coprocessorService()));
      admin.disableTable(name);
      admin.deleteTable(name);
    }
  }
}
