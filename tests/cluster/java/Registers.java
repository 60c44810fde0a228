import java.io.IOException;
import java.io.PrintStream;
import java.net.ConnectException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.HBaseConfiguration;
import org.apache.hadoop.hbase.NotServingRegionException;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.Admin;
import org.apache.hadoop.hbase.client.CheckAndMutate;
import org.apache.hadoop.hbase.client.ColumnFamilyDescriptorBuilder;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.ConnectionFactory;
import org.apache.hadoop.hbase.client.Get;
import org.apache.hadoop.hbase.client.Put;
import org.apache.hadoop.hbase.client.Result;
import org.apache.hadoop.hbase.client.Table;
import org.apache.hadoop.hbase.client.TableDescriptorBuilder;
import org.apache.hadoop.hbase.exceptions.RegionMovedException;
import org.apache.hadoop.hbase.exceptions.RegionOpeningException;
import org.apache.hadoop.hbase.util.Bytes;

/**
 * Reads, writes, checkAndMutate and increments on a few rows from many threads, and the history of them for a checker of
 * linearizability.
 *
 * <p>{@code Registers <table> <threads> <rows> <file> <key=value>...}; a line on standard input ends it. The file then holds one
 * JSON object a line: client, key, kind (read, write, cas, increment), value, expected, call and return in nanoseconds of one
 * clock (return -1: nobody knows whether it was done), seen, number, ok. Writes are tried once: the client's own second try of a
 * write that was done already would be a second write.
 */
public final class Registers {
  private static final byte[] A = Bytes.toBytes("a");
  private static final byte[] VALUE = Bytes.toBytes("value");
  private static final byte[] NUMBER = Bytes.toBytes("number");
  /** Answers that say that nothing was done. */
  private static final Set<Class<?>> NOT_DONE = new HashSet<>(Arrays.asList(NotServingRegionException.class,
    RegionMovedException.class, RegionOpeningException.class, ConnectException.class));

  private static final AtomicLong WRITES = new AtomicLong();
  private static volatile boolean running = true;

  private Registers() {}

  public static void main(String[] args) throws Exception {
    Configuration patient = HBaseConfiguration.create();
    for (int index = 4; index < args.length; index++) {
      int sign = args[index].indexOf('=');
      patient.set(args[index].substring(0, sign), args[index].substring(sign + 1));
    }
    Configuration once = new Configuration(patient);
    once.set("hbase.client.retries.number", "0");
    TableName name = TableName.valueOf(args[0]);
    int rows = Integer.parseInt(args[2]);
    Connection reading = ConnectionFactory.createConnection(patient);
    Connection writing = ConnectionFactory.createConnection(once);
    try (Admin admin = reading.getAdmin()) {
      byte[][] splits = {Bytes.toBytes(key(rows / 3)), Bytes.toBytes(key(2 * rows / 3))};
      admin.createTable(TableDescriptorBuilder.newBuilder(name).setColumnFamily(ColumnFamilyDescriptorBuilder.of(A)).build(), splits);
    }
    List<List<String>> histories = new ArrayList<>();
    List<Thread> threads = new ArrayList<>();
    for (int number = 0; number < Integer.parseInt(args[1]); number++) {
      int client = number;
      Random chance = new Random(1000 * once.getLong("test.seed", 0) + number);
      List<String> history = new ArrayList<>();
      histories.add(history);
      Thread thread = new Thread(() -> {
        try (Table reads = reading.getTable(name); Table writes = writing.getTable(name)) {
          work(client, rows, chance, reads, writes, history);
        } catch (Exception error) {
          System.out.println("broken " + error);
        }
      });
      thread.setDaemon(true);
      thread.start();
      threads.add(thread);
    }
    System.out.println("ready");
    System.in.read();
    running = false;
    for (Thread thread : threads) {
      thread.join();
    }
    int operations = 0;
    try (PrintStream file = new PrintStream(args[3], StandardCharsets.UTF_8)) {
      for (List<String> history : histories) {
        history.forEach(file::println);
        operations += history.size();
      }
    }
    System.out.println("end operations=" + operations);
    System.exit(0);
  }

  private static String key(int row) {
    return String.format("row%04d", row);
  }

  private static void work(int client, int rows, Random chance, Table reads, Table writes, List<String> history) throws Exception {
    String[] known = new String[rows];
    Arrays.fill(known, "");
    while (running) {
      int number = chance.nextInt(rows);
      byte[] row = Bytes.toBytes(key(number));
      String value = "v" + WRITES.incrementAndGet();
      int kind = chance.nextInt(100);
      String head = "{\"client\":" + client + ",\"key\":\"" + key(number) + "\",\"kind\":\"";
      long call = System.nanoTime();
      try {
        if (kind < 35) {
          head += "read\"";
          Result result = reads.get(new Get(row));
          byte[] seen = result.getValue(A, VALUE);
          byte[] counted = result.getValue(A, NUMBER);
          known[number] = seen == null ? "" : Bytes.toString(seen);
          history.add(head + times(call) + ",\"seen\":\"" + known[number] + "\",\"number\":" + (counted == null ? 0 : Bytes.toLong(counted)) + "}");
        } else if (kind < 55) {
          head += "write\",\"value\":\"" + value + "\"";
          writes.put(new Put(row).addColumn(A, VALUE, Bytes.toBytes(value)));
          known[number] = value;
          history.add(head + times(call) + "}");
        } else if (kind < 80) {
          String expected = known[number];
          head += "cas\",\"expected\":\"" + expected + "\",\"value\":\"" + value + "\"";
          CheckAndMutate.Builder condition = CheckAndMutate.newBuilder(row);
          condition = expected.isEmpty() ? condition.ifNotExists(A, VALUE) : condition.ifEquals(A, VALUE, Bytes.toBytes(expected));
          boolean done = writes.checkAndMutate(condition.build(new Put(row).addColumn(A, VALUE, Bytes.toBytes(value)))).isSuccess();
          known[number] = done ? value : known[number];
          history.add(head + times(call) + ",\"ok\":" + done + "}");
        } else {
          head += "increment\",\"value\":\"1\"";
          long after = writes.incrementColumnValue(row, A, NUMBER, 1);
          history.add(head + times(call) + ",\"number\":" + after + "}");
        }
      } catch (IOException error) {
        if (kind >= 35 && !notDone(error)) {
          history.add(head + ",\"call\":" + call + ",\"return\":-1}");
        }
        Thread.sleep(50);
      }
    }
  }

  private static String times(long call) {
    return ",\"call\":" + call + ",\"return\":" + System.nanoTime();
  }

  private static boolean notDone(Throwable error) {
    for (Throwable each = error; each != null; each = each.getCause()) {
      if (NOT_DONE.contains(each.getClass())) {
        return true;
      }
    }
    return false;
  }
}
