import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.Vector;
import java.util.concurrent.CountDownLatch;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.CellUtil;
import org.apache.hadoop.hbase.HBaseConfiguration;
import org.apache.hadoop.hbase.TableName;
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
import site.ycsb.ByteArrayByteIterator;
import site.ycsb.ByteIterator;
import site.ycsb.ClientThread;
import site.ycsb.DB;
import site.ycsb.DBException;
import site.ycsb.Status;
import site.ycsb.measurements.Measurements;
import site.ycsb.workloads.CoreWorkload;

/**
 * YCSB's core workloads on hbase-client, for several clusters from one warm JVM.
 *
 * <p>Commands are lines on standard input; each is answered with one line of JSON, {@code {"ok":true,...}} or
 * {@code {"ok":false,"error":"..."}}:
 *
 * <pre>
 * open NAME KEY=VALUE...                              a Connection, shared by all threads as YCSB's own binding shares it
 * load NAME TABLE RECORDS THREADS                     YCSB's load phase
 * run NAME TABLE RECORDS THREADS WORKLOAD WARM_MS MS  a to f, the proportions of YCSB's workload files
 * </pre>
 *
 * <p>{@code run} answers operations a second and latencies in microseconds, of what began after the first WARM_MS. An operation
 * is YCSB's: read-modify-write is one. Every row that is read has all of its fields at their full length, or it has failed.
 */
public final class YcsbClient {
  private static final byte[] FAMILY = Bytes.toBytes("f");
  private static final int FIELDS = 10;
  private static final int FIELD_BYTES = 100;
  private static final Map<String, Connection> CONNECTIONS = new HashMap<>();
  private static volatile boolean measuring;

  private YcsbClient() {}

  public static void main(String[] args) throws IOException {
    PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), true);
    System.setOut(System.err); // YCSB prints there
    Measurements.setProperties(new Properties());
    BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = commands.readLine(); line != null; line = commands.readLine()) {
      try {
        out.println("{\"ok\":true" + command(line.trim().split(" +")) + "}");
      } catch (Throwable error) { // the harness wants to see every outcome
        out.println("{\"ok\":false,\"error\":\"" + error.toString().replaceAll("[^ -~]|[\"\\\\]", " ") + "\"}");
      }
    }
    System.exit(0);
  }

  private static String command(String[] words) throws Exception {
    switch (words[0]) {
      case "open":
        Configuration configuration = HBaseConfiguration.create();
        for (String setting : Arrays.copyOfRange(words, 2, words.length)) {
          int equals = setting.indexOf('=');
          configuration.set(setting.substring(0, equals), setting.substring(equals + 1));
        }
        CONNECTIONS.put(words[1], ConnectionFactory.createConnection(configuration));
        return "";
      case "load":
        return load(words[1], properties(words[2], words[3], "c"), Integer.parseInt(words[4]));
      case "run":
        return run(words[1], properties(words[2], words[3], words[5]), Integer.parseInt(words[4]),
          Long.parseLong(words[6]), Long.parseLong(words[7]));
      default:
        throw new IllegalArgumentException("no command " + words[0]);
    }
  }

  /** YCSB's files workloada to workloadf, which its core artifact does not carry. */
  private static Properties properties(String table, String records, String workload) {
    Map<String, String[]> shares = new HashMap<>();
    shares.put("a", new String[] {"readproportion=0.5", "updateproportion=0.5"});
    shares.put("b", new String[] {"readproportion=0.95", "updateproportion=0.05"});
    shares.put("c", new String[] {"readproportion=1", "updateproportion=0"});
    shares.put("d", new String[] {"readproportion=0.95", "updateproportion=0", "insertproportion=0.05",
      "requestdistribution=latest"});
    shares.put("e", new String[] {"readproportion=0", "updateproportion=0", "scanproportion=0.95",
      "insertproportion=0.05", "maxscanlength=100", "scanlengthdistribution=uniform"});
    shares.put("f", new String[] {"readproportion=0.5", "updateproportion=0", "readmodifywriteproportion=0.5"});
    Properties found = new Properties();
    found.setProperty("table", table);
    found.setProperty("recordcount", records);
    found.setProperty("operationcount", records); // for its guess of how many keys will be inserted
    found.setProperty("fieldcount", Integer.toString(FIELDS));
    found.setProperty("fieldlength", Integer.toString(FIELD_BYTES));
    found.setProperty("requestdistribution", "zipfian");
    for (String share : shares.get(workload)) {
      found.setProperty(share.substring(0, share.indexOf('=')), share.substring(share.indexOf('=') + 1));
    }
    return found;
  }

  private static String load(String name, Properties properties, int threads) throws Exception {
    CoreWorkload workload = new CoreWorkload();
    workload.init(properties);
    int records = Integer.parseInt(properties.getProperty("recordcount"));
    long began = System.nanoTime();
    List<Binding> bindings = new ArrayList<>();
    List<Thread> running = new ArrayList<>();
    for (int number = 0; number < threads; number++) {
      int count = records * (number + 1) / threads - records * number / threads;
      start(new Binding(CONNECTIONS.get(name)), workload, properties, false, count, number, threads, bindings, running,
        new ArrayList<>());
    }
    for (Thread thread : running) {
      thread.join();
    }
    return String.format(",\"records\":%d,\"failed\":%d,\"seconds\":%.3f", records, failures(bindings),
      (System.nanoTime() - began) / 1e9) + firstError(bindings);
  }

  private static String run(String name, Properties properties, int threads, long warmMs, long measuredMs)
    throws Exception {
    CoreWorkload workload = new CoreWorkload();
    workload.init(properties);
    List<Binding> bindings = new ArrayList<>();
    List<Thread> running = new ArrayList<>();
    List<ClientThread> clients = new ArrayList<>();
    for (int number = 0; number < threads; number++) {
      start(new Binding(CONNECTIONS.get(name)), workload, properties, true, 0, number, threads, bindings, running, clients);
    }
    Thread.sleep(warmMs);
    measuring = true;
    long began = System.nanoTime();
    long before = done(clients);
    Thread.sleep(measuredMs);
    long operations = done(clients) - before;
    double seconds = (System.nanoTime() - began) / 1e9;
    measuring = false;
    workload.requestStop();
    for (Thread thread : running) {
      thread.join();
    }
    long[] took = bindings.stream().flatMapToLong(each -> Arrays.stream(each.took, 0, each.count)).sorted().toArray();
    return String.format(",\"n\":%d,\"per_s\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"errors\":%d", operations,
      operations / seconds, quantile(took, 0.5), quantile(took, 0.99), failures(bindings)) + firstError(bindings);
  }

  private static void start(Binding binding, CoreWorkload workload, Properties properties, boolean transactions, int count,
    int number, int threads, List<Binding> bindings, List<Thread> running, List<ClientThread> clients) {
    ClientThread client =
      new ClientThread(binding, transactions, workload, properties, count, 0, new CountDownLatch(threads));
    client.setThreadId(number);
    client.setThreadCount(threads);
    binding.setProperties(properties);
    bindings.add(binding);
    clients.add(client);
    Thread thread = new Thread(client, "ycsb-" + number);
    thread.setDaemon(true);
    running.add(thread);
    thread.start();
  }

  private static long done(List<ClientThread> clients) {
    return clients.stream().mapToLong(ClientThread::getOpsDone).sum();
  }

  private static long failures(List<Binding> bindings) {
    return bindings.stream().mapToLong(each -> each.failed).sum();
  }

  private static String firstError(List<Binding> bindings) {
    return bindings.stream().filter(each -> each.error != null).findFirst()
      .map(each -> ",\"error\":\"" + each.error.replaceAll("[^ -~]|[\"\\\\]", " ") + "\"").orElse("");
  }

  private static double quantile(long[] sorted, double share) {
    return sorted.length == 0 ? -1 : sorted[Math.min((int) (sorted.length * share), sorted.length - 1)] / 1e3;
  }

  /** One thread's way to HBase. Latencies are those of whole calls of hbase-client. */
  private static final class Binding extends DB {
    private final Connection connection;
    private Table table;
    private long[] took = new long[1 << 16];
    private int count;
    private volatile long failed;
    private volatile String error;

    Binding(Connection connection) {
      this.connection = connection;
    }

    @Override
    public void init() throws DBException {
      try {
        table = connection.getTable(TableName.valueOf(getProperties().getProperty("table")));
      } catch (IOException failure) {
        throw new DBException(failure);
      }
    }

    @Override
    public void cleanup() throws DBException {
      try {
        table.close();
      } catch (IOException failure) {
        throw new DBException(failure);
      }
    }

    private interface Work {
      void run() throws IOException;
    }

    private Status timed(Work work) {
      long began = System.nanoTime();
      try {
        work.run();
      } catch (IOException | RuntimeException failure) {
        failed++;
        if (error == null) {
          error = failure.toString();
        }
        return Status.ERROR;
      }
      if (measuring) {
        if (count == took.length) {
          took = Arrays.copyOf(took, count * 2);
        }
        took[count++] = System.nanoTime() - began;
      }
      return Status.OK;
    }

    private static byte[] bytes(String key) {
      return Bytes.toBytes(key);
    }

    private static void take(Result result, Set<String> fields, Map<String, ByteIterator> into) throws IOException {
      int cells = 0;
      for (Cell cell : result.rawCells()) {
        if (cell.getValueLength() == FIELD_BYTES) {
          cells++;
        }
        into.put(Bytes.toString(CellUtil.cloneQualifier(cell)), new ByteArrayByteIterator(CellUtil.cloneValue(cell)));
      }
      if (cells != (fields == null ? FIELDS : fields.size())) {
        throw new IOException(cells + " whole fields in " + Bytes.toString(result.getRow()));
      }
    }

    @Override
    public Status read(String name, String key, Set<String> fields, Map<String, ByteIterator> into) {
      return timed(() -> {
        Get get = new Get(bytes(key));
        if (fields == null) {
          get.addFamily(FAMILY);
        } else {
          fields.forEach(field -> get.addColumn(FAMILY, bytes(field)));
        }
        take(table.get(get), fields, into);
      });
    }

    @Override
    public Status scan(String name, String key, int rows, Set<String> fields,
      Vector<HashMap<String, ByteIterator>> into) {
      return timed(() -> {
        Scan scan = new Scan().withStartRow(bytes(key)).setLimit(rows).setCaching(rows);
        if (fields == null) {
          scan.addFamily(FAMILY);
        } else {
          fields.forEach(field -> scan.addColumn(FAMILY, bytes(field)));
        }
        try (ResultScanner scanner = table.getScanner(scan)) {
          for (Result result : scanner) {
            HashMap<String, ByteIterator> row = new HashMap<>();
            take(result, fields, row);
            into.add(row);
          }
        }
      });
    }

    @Override
    public Status update(String name, String key, Map<String, ByteIterator> values) {
      return timed(() -> {
        Put put = new Put(bytes(key));
        values.forEach((field, value) -> put.addColumn(FAMILY, bytes(field), value.toArray()));
        table.put(put);
      });
    }

    @Override
    public Status insert(String name, String key, Map<String, ByteIterator> values) {
      return update(name, key, values);
    }

    @Override
    public Status delete(String name, String key) {
      return timed(() -> table.delete(new Delete(bytes(key))));
    }
  }
}
