import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.HBaseConfiguration;
import org.apache.hadoop.hbase.HColumnDescriptor;
import org.apache.hadoop.hbase.HRegionInfo;
import org.apache.hadoop.hbase.HTableDescriptor;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.Admin;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.ConnectionFactory;
import org.apache.hadoop.hbase.client.Delete;
import org.apache.hadoop.hbase.client.Get;
import org.apache.hadoop.hbase.client.Put;
import org.apache.hadoop.hbase.client.Result;
import org.apache.hadoop.hbase.client.ResultScanner;
import org.apache.hadoop.hbase.client.Scan;
import org.apache.hadoop.hbase.client.Table;
import org.apache.hadoop.hbase.util.Bytes;

/**
 * A stock hbase-client 1.x, which knows no registry but ZooKeeper, driven by lines on standard input.
 *
 * <p>Arguments are settings, {@code key=value}. A command is {@code <verb> <argument>...}; each answers with one line:
 * {@code ok <words>} or {@code failed <class: message, outermost cause first>}.
 */
public final class OldClient {
  private static final byte[] FAMILY = Bytes.toBytes("cf");
  private static final byte[] QUALIFIER = Bytes.toBytes("q");

  private OldClient() {}

  public static void main(String[] args) throws Exception {
    Configuration configuration = HBaseConfiguration.create();
    for (String setting : args) {
      int sign = setting.indexOf('=');
      configuration.set(setting.substring(0, sign), setting.substring(sign + 1));
    }
    BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    Connection connection = null;
    for (String line = commands.readLine(); line != null; line = commands.readLine()) {
      String[] words = line.trim().split(" +");
      String answer;
      try {
        if (words[0].equals("connect")) {
          if (connection != null) {
            connection.close();
          }
          connection = ConnectionFactory.createConnection(configuration);
          answer = "";
        } else {
          answer = command(connection, words);
        }
        System.out.println("ok " + answer);
      } catch (Throwable error) { // the harness wants to see every outcome
        System.out.println("failed " + describe(error));
      }
    }
    System.exit(0); // the parent has gone: connections need no farewell
  }

  private static String command(Connection connection, String[] words) throws Exception {
    TableName name = words.length > 1 ? TableName.valueOf(words[1]) : null;
    try (Admin admin = connection.getAdmin(); Table table = name == null ? null : connection.getTable(name)) {
      switch (words[0]) {
        case "create":
          HTableDescriptor descriptor = new HTableDescriptor(name);
          descriptor.addFamily(new HColumnDescriptor(FAMILY));
          admin.createTable(descriptor);
          return "";
        case "put":
          table.put(new Put(Bytes.toBytes(words[2])).addColumn(FAMILY, QUALIFIER, Bytes.toBytes(words[3])));
          return "";
        case "get":
          return text(table.get(new Get(Bytes.toBytes(words[2]))));
        case "delete":
          table.delete(new Delete(Bytes.toBytes(words[2])));
          return "";
        case "scan":
          List<String> rows = new ArrayList<>();
          try (ResultScanner scanner = table.getScanner(new Scan())) {
            for (Result result : scanner) {
              rows.add(Bytes.toString(result.getRow()) + "=" + text(result));
            }
          }
          return String.join(" ", rows);
        case "enabled":
          return admin.isTableEnabled(name) + " " + admin.isTableDisabled(name);
        case "disable":
          admin.disableTable(name);
          return "";
        case "enable":
          admin.enableTable(name);
          return "";
        case "drop":
          admin.disableTable(name);
          admin.deleteTable(name);
          return "";
        case "exists":
          return String.valueOf(admin.tableExists(name));
        case "available":
          return String.valueOf(admin.isTableAvailable(name));
        case "tables":
          List<String> tables = new ArrayList<>();
          for (TableName each : admin.listTableNames()) {
            tables.add(each.getNameAsString());
          }
          return String.join(" ", tables);
        case "regions":
          List<String> regions = new ArrayList<>();
          for (HRegionInfo region : admin.getTableRegions(name)) {
            regions.add(region.getEncodedName());
          }
          return String.join(" ", regions);
        case "master":
          return admin.getClusterStatus().getMaster().getServerName();
        case "servers":
          return String.valueOf(admin.getClusterStatus().getServersSize());
        case "meta":
          return connection.getRegionLocator(TableName.META_TABLE_NAME).getRegionLocation(new byte[0], true)
              .getServerName().getServerName();
        case "balancer":
          return String.valueOf(admin.isBalancerEnabled());
        case "move":
          admin.move(Bytes.toBytes(words[2]), Bytes.toBytes(words[3]));
          return "";
        default:
          throw new IllegalArgumentException("unknown verb " + words[0]);
      }
    }
  }

  private static String text(Result result) {
    byte[] value = result.getValue(FAMILY, QUALIFIER);
    return value == null ? "" : Bytes.toString(value);
  }

  private static String describe(Throwable error) {
    StringBuilder text = new StringBuilder();
    for (Throwable each = error; each != null && text.length() < 2000; each = each.getCause()) {
      String message = String.valueOf(each.getMessage()).split("\n", 2)[0];
      text.append(text.length() == 0 ? "" : " <- ").append(each.getClass().getName()).append(": ").append(message);
    }
    return text.toString();
  }
}
