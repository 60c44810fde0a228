import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.HBaseConfiguration;
import org.apache.hadoop.hbase.PerformanceEvaluation;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.ConnectionFactory;
import org.apache.hadoop.hbase.client.RegionInfo;
import org.apache.hadoop.hbase.client.Result;
import org.apache.hadoop.hbase.client.ResultScanner;
import org.apache.hadoop.hbase.client.Scan;
import org.apache.hadoop.hbase.client.Table;
import org.apache.hadoop.hbase.util.LoadTestTool;
import org.apache.hadoop.util.Tool;
import org.apache.hadoop.util.ToolRunner;

/**
 * HBase's own tools, PerformanceEvaluation and LoadTestTool, one run after the other in one JVM, driven by lines.
 *
 * <p>Arguments are {@code key=value} settings. A line is {@code pe <words>}, {@code ltt <words>} (what a user types after
 * the tool's name; the answer is its exit status), {@code rows <table>} (how many a scan finds) or {@code regions <table>}
 * (the servers of its regions). Answers as in OldClient.
 */
public final class Tools {
  private Tools() {}

  public static void main(String[] args) throws Exception {
    PrintStream answers = new PrintStream(new FileOutputStream(FileDescriptor.out), true);
    System.setOut(System.err); // the tools print too
    Configuration configuration = HBaseConfiguration.create();
    for (String setting : args) {
      int sign = setting.indexOf('=');
      configuration.set(setting.substring(0, sign), setting.substring(sign + 1));
    }
    BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = commands.readLine(); line != null; line = commands.readLine()) {
      List<String> words = Arrays.asList(line.trim().split(" +"));
      try {
        answers.println("ok " + command(configuration, words.get(0), words.subList(1, words.size())));
      } catch (Throwable error) { // the harness wants to see every outcome
        error.printStackTrace();
        answers.println("failed " + root(error));
      }
    }
    System.exit(0);
  }

  private static String command(Configuration configuration, String verb, List<String> words) throws Exception {
    switch (verb) {
      case "pe":
        return run(new Configuration(configuration), new PerformanceEvaluation(configuration), words);
      case "ltt":
        return run(new Configuration(configuration), new LoadTestTool(), words);
      case "rows":
        return rows(configuration, words.get(0));
      case "regions":
        return regions(configuration, words.get(0));
      default:
        throw new IllegalArgumentException("unknown verb " + verb);
    }
  }

  private static String run(Configuration configuration, Tool tool, List<String> words) throws Exception {
    return String.valueOf(ToolRunner.run(configuration, tool, words.toArray(new String[0])));
  }

  private static String rows(Configuration configuration, String table) throws Exception {
    int count = 0;
    try (Connection connection = ConnectionFactory.createConnection(configuration);
        Table rows = connection.getTable(TableName.valueOf(table));
        ResultScanner scanner = rows.getScanner(new Scan())) {
      for (Result row : scanner) {
        count += row.isEmpty() ? 0 : 1;
      }
    }
    return String.valueOf(count);
  }

  private static String regions(Configuration configuration, String table) throws Exception {
    try (Connection connection = ConnectionFactory.createConnection(configuration)) {
      int count = 0;
      for (RegionInfo region : connection.getAdmin().getRegions(TableName.valueOf(table))) {
        count += region.isOffline() ? 0 : 1;
      }
      return String.valueOf(count);
    }
  }

  private static String root(Throwable error) {
    Throwable found = error;
    while (found.getCause() != null && found.getCause() != found) {
      found = found.getCause();
    }
    return found.getClass().getName() + ": " + String.valueOf(found.getMessage()).split("\n")[0];
  }
}
