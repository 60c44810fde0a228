import org.apache.hadoop.hbase.HColumnDescriptor;
import org.apache.hadoop.hbase.HTableDescriptor;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.Admin;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.Get;
import org.apache.hadoop.hbase.client.Scan;

/** Filters with hbase-client 1.4. */
public final class OldFilterStory extends FilterLines {
  @Override
  void create(Connection connection, String name) throws Exception {
    HTableDescriptor made = new HTableDescriptor(TableName.valueOf(name));
    made.addFamily(new HColumnDescriptor(A).setMaxVersions(3));
    made.addFamily(new HColumnDescriptor(B));
    made.addFamily(new HColumnDescriptor(LONG_NAME));
    try (Admin admin = connection.getAdmin()) {
      admin.createTable(made, new byte[][] {b("g"), b("n"), b("t")});
    }
  }

  @Override
  void drop(Connection connection, String name) throws Exception {
    try (Admin admin = connection.getAdmin()) {
      admin.disableTable(TableName.valueOf(name));
      admin.deleteTable(TableName.valueOf(name));
    }
  }

  @Override
  Scan everyVersion(Scan scan) {
    return scan.setMaxVersions();
  }

  @Override
  Get everyVersion(Get get) throws Exception {
    return get.setMaxVersions();
  }
}
