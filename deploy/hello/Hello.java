import org.apache.hadoop.hbase.*;
import org.apache.hadoop.hbase.client.*;
import static org.apache.hadoop.hbase.util.Bytes.*;

public class Hello {
  public static void main(String[] args) throws Exception {
    TableName name = TableName.valueOf("greetings");
    try (Connection hbase = ConnectionFactory.createConnection(); Admin admin = hbase.getAdmin(); Table table = hbase.getTable(name)) {
      if (!admin.tableExists(name))
        admin.createTable(TableDescriptorBuilder.newBuilder(name).setColumnFamily(ColumnFamilyDescriptorBuilder.of("f")).build());
      table.put(new Put(toBytes("row1")).addColumn(toBytes("f"), toBytes("q"), toBytes("hello")));
      try (ResultScanner rows = table.getScanner(new Scan())) { rows.forEach(System.out::println); }
    }
  }
}
