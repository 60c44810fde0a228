import com.stumbleupon.async.Deferred;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.hbase.async.Config;
import org.hbase.async.DeleteRequest;
import org.hbase.async.GetRequest;
import org.hbase.async.HBaseClient;
import org.hbase.async.KeyValue;
import org.hbase.async.PutRequest;
import org.hbase.async.Scanner;

/**
 * asynchbase, which finds a cluster by ZooKeeper alone, driven by lines on standard input.
 *
 * <p>Arguments are the quorum ({@code host:port}) and the parent znode. Commands and answers as in OldClient.
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
        Scanner scanner = client.newScanner(table);
        List<String> rows = new ArrayList<>();
        for (ArrayList<ArrayList<KeyValue>> some = wait(scanner.nextRows()); some != null;
            some = wait(scanner.nextRows())) {
          for (ArrayList<KeyValue> cells : some) {
            rows.add(text(cells.get(0).key()) + "=" + text(cells.get(0).value()));
          }
        }
        wait(scanner.close());
        return String.join(" ", rows);
      default:
        throw new IllegalArgumentException("unknown verb " + words[0]);
    }
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
