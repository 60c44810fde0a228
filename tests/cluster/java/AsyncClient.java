import com.stumbleupon.async.Deferred;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.hbase.async.AppendRequest;
import org.hbase.async.AtomicIncrementRequest;
import org.hbase.async.Config;
import org.hbase.async.DeleteRequest;
import org.hbase.async.GetRequest;
import org.hbase.async.GetResultOrException;
import org.hbase.async.HBaseClient;
import org.hbase.async.KeyValue;
import org.hbase.async.PutRequest;
import org.hbase.async.Scanner;

/**
 * asynchbase, which finds a cluster by ZooKeeper alone, driven by lines on standard input.
 *
 * <p>Arguments are the quorum ({@code host:port}) and the parent znode. Commands and answers as in OldClient, and
 * more of what it can do.
 */
public final class AsyncClient {
  private static final byte[] FAMILY = bytes("cf");
  private static final byte[] QUALIFIER = bytes("q");
  private static final long PATIENCE_MS = 30_000;

  private AsyncClient() {}

  public static void main(String[] args) throws Exception {
    HBaseClient client = null;
    BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = commands.readLine(); line != null; line = commands.readLine()) {
      String[] words = line.trim().split(" +");
      try {
        String answer = "";
        if (words[0].equals("connect")) {
          if (client != null) {
            client.shutdown().join(PATIENCE_MS);
          }
          Config config = new Config();
          config.overrideConfig("hbase.zookeeper.quorum", args[0]);
          config.overrideConfig("hbase.zookeeper.znode.parent", args[1]);
          client = new HBaseClient(config);
          client.setFlushInterval((short) 5);
        } else {
          answer = command(client, words);
        }
        System.out.println("ok " + answer);
      } catch (Throwable error) { // the harness wants to see every outcome
        System.out.println("failed " + error.getClass().getName() + ": " + error.getMessage());
      }
    }
    System.exit(0); // the parent has gone: connections need no farewell
  }

  private static String command(HBaseClient client, String[] words) throws Exception {
    byte[] table = bytes(words[1]);
    switch (words[0]) {
      case "exists":
        wait(client.ensureTableExists(table));
        return "true";
      case "put":
        wait(client.put(new PutRequest(table, bytes(words[2]), FAMILY, QUALIFIER, bytes(words[3]))));
        return "";
      case "get":
        List<KeyValue> row = wait(client.get(new GetRequest(table, bytes(words[2]), FAMILY, QUALIFIER)));
        return row.isEmpty() ? "" : text(row.get(0).value());
      case "delete":
        wait(client.delete(new DeleteRequest(table, bytes(words[2]))));
        return "";
      case "scan":
        return String.join(" ", rows(client.newScanner(table)));
      case "between":
        Scanner between = client.newScanner(table);
        between.setStartKey(words[2]);
        between.setStopKey(words[3]);
        return ends(rows(between));
      case "backwards":
        Scanner backwards = client.newScanner(table);
        backwards.setReversed(true);
        return ends(rows(backwards));
      case "matching":
        Scanner matching = client.newScanner(table);
        matching.setKeyRegexp(words[2]);
        return ends(rows(matching));
      case "load":
        return load(client, table, Integer.parseInt(words[2]));
      case "mget":
        return manyValues(client, table, words);
      case "unload":
        List<Deferred<Object>> deletes = new ArrayList<>();
        for (int i = 2; i < words.length; i++) {
          deletes.add(client.delete(new DeleteRequest(table, bytes(words[i]))));
        }
        wait(Deferred.group(deletes));
        return "";
      case "increment":
        AtomicIncrementRequest by = new AtomicIncrementRequest(table, bytes(words[2]), FAMILY, QUALIFIER);
        by.setAmount(Long.parseLong(words[3]));
        return String.valueOf(wait(client.atomicIncrement(by)));
      case "buffered":
        List<Deferred<Long>> increments = new ArrayList<>();
        for (int i = 0; i < Integer.parseInt(words[3]); i++) {
          increments.add(
              client.bufferAtomicIncrement(new AtomicIncrementRequest(table, bytes(words[2]), FAMILY, QUALIFIER)));
        }
        wait(Deferred.group(increments));
        return "";
      case "append":
        wait(client.append(new AppendRequest(table, bytes(words[2]), FAMILY, QUALIFIER, bytes(words[3]))));
        return "";
      case "cas":
        PutRequest put = new PutRequest(table, bytes(words[2]), FAMILY, QUALIFIER, bytes(words[4]));
        return String.valueOf(wait(words[3].equals("-") ? client.atomicCreate(put) : client.compareAndSet(put, words[3])));
      default:
        throw new IllegalArgumentException("unknown verb " + words[0]);
    }
  }

  private static List<String> rows(Scanner scanner) throws Exception {
    scanner.setFamily(FAMILY);
    List<String> rows = new ArrayList<>();
    for (ArrayList<ArrayList<KeyValue>> some = wait(scanner.nextRows()); some != null;
        some = wait(scanner.nextRows())) {
      for (ArrayList<KeyValue> cells : some) {
        rows.add(text(cells.get(0).key()) + "=" + text(cells.get(0).value()));
      }
    }
    wait(scanner.close());
    return rows;
  }

  /** How many, the first and the last. */
  private static String ends(List<String> rows) {
    return rows.isEmpty() ? "0" : rows.size() + " " + rows.get(0) + " " + rows.get(rows.size() - 1);
  }

  /** Rows of all letters, all of one flush interval in a call to each region. */
  private static String load(HBaseClient client, byte[] table, int count) throws Exception {
    List<Deferred<Object>> puts = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      String row = (char) ('a' + i % 26) + String.format("%04d", i);
      puts.add(client.put(new PutRequest(table, bytes(row), FAMILY, QUALIFIER, bytes("v" + i))));
    }
    wait(Deferred.group(puts));
    return String.valueOf(puts.size());
  }

  private static String manyValues(HBaseClient client, byte[] table, String[] words) throws Exception {
    List<GetRequest> gets = new ArrayList<>();
    for (int i = 2; i < words.length; i++) {
      gets.add(new GetRequest(table, bytes(words[i]), FAMILY, QUALIFIER));
    }
    List<String> values = new ArrayList<>();
    for (GetResultOrException each : wait(client.get(gets))) {
      values.add(each.getException() != null ? each.getException().toString()
          : each.getCells().isEmpty() ? "-" : text(each.getCells().get(0).value()));
    }
    return String.join(" ", values);
  }

  private static <T> T wait(Deferred<T> deferred) throws Exception {
    return deferred.join(PATIENCE_MS);
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static String text(byte[] data) {
    return new String(data, StandardCharsets.UTF_8);
  }
}
