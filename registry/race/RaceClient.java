import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.HBaseConfiguration;
import org.apache.hadoop.hbase.HConstants;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.ConnectionFactory;
import org.apache.hadoop.hbase.client.RegionLocator;
import org.apache.hadoop.hbase.util.VersionInfo;

/**
 * New connections of a stock hbase-client, for `hbeacon race`.
 *
 * <p>Says {@code ready VERSION}. Then each line {@code run COUNT TIMEOUT_MS HOST:PORT,...} makes so many connections to these
 * registry servers at once, each with a configuration of its own, and says {@code took MS} or {@code failed MS WHY} for each, and {@code done}. A bootstrap is
 * {@code ConnectionFactory.createConnection}, which asks for the cluster id, and the location of hbase:meta by a
 * {@code RegionLocator}. The active master cannot be asked for by the public interface without asking it itself.
 */
public final class RaceClient {
  private static final String REGISTRY = "org.apache.hadoop.hbase.client.RpcConnectionRegistry";
  private static final String OLD_REGISTRY = "org.apache.hadoop.hbase.client.MasterRegistry";
  private static final PrintStream OUT = System.out;
  private static final ExecutorService THREADS = Executors.newCachedThreadPool(work -> {
    Thread thread = new Thread(work);
    thread.setDaemon(true);
    return thread;
  });

  private RaceClient() {}

  public static void main(String[] args) throws Exception {
    System.setOut(System.err); // what libraries print is not for the race
    Configuration base = HBaseConfiguration.create();
    OUT.println("ready " + VersionInfo.getVersion());
    BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = commands.readLine(); line != null; line = commands.readLine()) {
      String[] words = line.split(" ");
      run(Integer.parseInt(words[1]), Long.parseLong(words[2]), withServers(base, words[3]));
      OUT.println("done");
    }
    Runtime.getRuntime().halt(0); // connections that still wait for somebody need no farewell
  }

  private static Configuration withServers(Configuration base, String servers) {
    Configuration configuration = new Configuration(base);
    boolean hasRpcRegistry = true;
    try {
      Class.forName(REGISTRY);
    } catch (ClassNotFoundException before25) {
      hasRpcRegistry = false;
    }
    configuration.set("hbase.client.registry.impl", hasRpcRegistry ? REGISTRY : OLD_REGISTRY);
    configuration.set(hasRpcRegistry ? "hbase.client.bootstrap.servers" : "hbase.masters", servers);
    return configuration;
  }

  private static void run(int count, long timeoutMs, Configuration configuration) throws InterruptedException {
    long begin = System.nanoTime();
    List<Future<Double>> all = new ArrayList<>();
    for (int index = 0; index < count; index++) {
      all.add(THREADS.submit(() -> bootstrap(new Configuration(configuration))));
    }
    for (Future<Double> each : all) {
      try {
        long leftMs = Math.max(0, timeoutMs - (long) millisSince(begin));
        OUT.println(String.format(Locale.ROOT, "took %.3f", each.get(leftMs, TimeUnit.MILLISECONDS)));
      } catch (TimeoutException late) {
        each.cancel(true);
        OUT.println(String.format(Locale.ROOT, "failed %.3f not found in time", millisSince(begin)));
      } catch (ExecutionException failed) {
        String why = String.valueOf(failed.getCause()).replaceAll("\\s+", " ");
        OUT.println(String.format(Locale.ROOT, "failed %.3f %s", millisSince(begin), why));
      }
    }
  }

  private static double bootstrap(Configuration configuration) throws Exception {
    long begin = System.nanoTime();
    try (Connection connection = ConnectionFactory.createConnection(configuration);
      RegionLocator meta = connection.getRegionLocator(TableName.META_TABLE_NAME)) {
      meta.getRegionLocation(HConstants.EMPTY_START_ROW, true);
      return millisSince(begin);
    }
  }

  private static double millisSince(long beginNanos) {
    return (System.nanoTime() - beginNanos) / 1e6;
  }
}
