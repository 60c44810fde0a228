import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.util.HashMap;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.HBaseConfiguration;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.ConnectionFactory;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * An HBase for the tests of a class, empty again before each of them. Copy it into your tests:
 *
 * <pre>{@code @RegisterExtension static final HBeacon hbase = new HBeacon("region_servers=2");}</pre>
 *
 * <p>It talks by lines to the command {@code hbeacon testing}, which is loaded once for all classes of a JVM and ends
 * with it, however that ends. The command is found on the PATH, or where the system property {@code hbeacon} says.
 */
public final class HBeacon implements BeforeAllCallback, BeforeEachCallback, AfterAllCallback {
  private static Process process;
  private static PrintWriter requests;
  private static BufferedReader answers;

  private final String options;
  private Map<String, String> cluster;
  private String empty;
  private Connection connection;

  /** Options are those of {@code start}, and settings such as {@code hbase.wal.hsync=true}. */
  public HBeacon(String... options) {
    this.options = String.join(" ", options);
  }

  /** For a client of your own. */
  public Configuration configuration() {
    Configuration found = HBaseConfiguration.create();
    found.addResource(new org.apache.hadoop.fs.Path(cluster.get("conf"), "hbase-site.xml"));
    return found;
  }

  /** One for all tests of the class; the extension closes it. */
  public Connection connection() {
    return connection;
  }

  /** HOST:PORT of what speaks ZooKeeper's protocol. */
  public String zookeeper() {
    return cluster.get("zookeeper");
  }

  /** {@code advance hours=3}, {@code fault delay methods=Get delay_ms=200}, {@code clear}, {@code kill master0}, ... */
  public Map<String, String> ask(String verb, String... words) {
    return request(verb + " " + cluster.get("cluster") + " " + String.join(" ", words));
  }

  @Override
  public void beforeAll(ExtensionContext context) throws IOException {
    cluster = request("start " + options);
    empty = ask("snapshot").get("snapshot");
    connection = ConnectionFactory.createConnection(configuration());
  }

  @Override
  public void beforeEach(ExtensionContext context) {
    ask("clear");
    ask("restore", empty);
    connection.clearRegionLocationCache();
  }

  @Override
  public void afterAll(ExtensionContext context) throws IOException {
    connection.close();
    ask("stop");
  }

  private static synchronized Map<String, String> request(String line) {
    try {
      if (process == null) {
        process = new ProcessBuilder(System.getProperty("hbeacon", "hbeacon"), "testing")
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
        requests = new PrintWriter(process.outputWriter(), true);
        answers = process.inputReader();
      }
      requests.println(line);
      String answer = answers.readLine();
      if (answer == null || !answer.startsWith("ok")) {
        throw new IllegalStateException(line + ": " + (answer == null ? "hbeacon testing has ended" : answer));
      }
      Map<String, String> found = new HashMap<>();
      for (String word : answer.split(" ")) {
        int sign = word.indexOf('=');
        if (sign > 0) {
          found.put(word.substring(0, sign), word.substring(sign + 1));
        }
      }
      return found;
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }
}
