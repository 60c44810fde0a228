import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.zip.CRC32;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.CellUtil;
import org.apache.hadoop.hbase.HBaseConfiguration;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.ConnectionFactory;
import org.apache.hadoop.hbase.client.Result;
import org.apache.hadoop.hbase.client.RetriesExhaustedWithDetailsException;
import org.apache.hadoop.hbase.util.Bytes;

/**
 * One operation of a stock client after the other, one line for each with what came of it, so that the same story told of
 * two clusters can be compared line by line.
 *
 * <p>{@code Story <class,class..> <key=value>...}: the classes are Story.Teller. A line is {@code = <feature>: <what> | <outcome>};
 * the last one is {@code = end}. Times that a server chose show as {@code @now}. Compiles against hbase-client 1.4 to 3.0.
 */
public final class Story {
  /** What a story program is: it is given a connection and a narrator. */
  public interface Teller {
    void tell(Connection connection, Configuration configuration) throws Exception;
  }

  private static final PrintStream OUT = new PrintStream(new FileOutputStream(FileDescriptor.out), true);
  private static final long STEP_MS = Long.getLong("test.step.ms", 60_000);
  private static final long CHOSEN_BY_A_SERVER = 1_000_000_000_000L;
  private static final int SHOWN_BYTES = 48;
  private static boolean scannerHasStopped;
  private static ExecutorService thread = newThread();

  private Story() {}

  public static void main(String[] args) throws Exception {
    Configuration configuration = HBaseConfiguration.create();
    for (String setting : Arrays.copyOfRange(args, 1, args.length)) {
      int sign = setting.indexOf('=');
      configuration.set(setting.substring(0, sign), setting.substring(sign + 1));
    }
    Connection[] connection = new Connection[1];
    step("connect", "ConnectionFactory", () -> {
      connection[0] = ConnectionFactory.createConnection(configuration);
      return "";
    });
    if (connection[0] != null) {
      for (String name : args[0].split(",")) {
        Teller teller = (Teller) Class.forName(name).getDeclaredConstructor().newInstance();
        try {
          teller.tell(connection[0], configuration);
        } catch (Throwable error) { // outside of a step: the program's own fault, or set-up that failed
          OUT.println("= broken: " + name + " | " + describe(error));
          error.printStackTrace();
        }
      }
      step("connect", "close", () -> {
        connection[0].close();
        return "";
      });
    }
    OUT.println("= end");
    System.exit(0);
  }

  /**
   * Runs one operation under a time limit and prints its line.
   *
   * <p>A scanner of client 3.0.0-beta-1 that stops and goes on after each result may stop for good on a busy machine: its
   * reader waits for a row, no call is pending, and no server owes it anything. Such a step, and no other, is tried once
   * more.
   */
  public static void step(String feature, String what, Callable<Object> work) {
    String outcome = attempt(feature, what, work);
    if (outcome == null && scannerHasStopped) {
      outcome = attempt(feature, what, work);
    }
    OUT.println("= " + feature + ": " + what + " | " + (outcome != null ? outcome : "! no answer in " + STEP_MS + " ms"));
  }

  /** The outcome; null: there was none in time. */
  private static String attempt(String feature, String what, Callable<Object> work) {
    Future<Object> running = thread.submit(work);
    try {
      return text(running.get(STEP_MS, TimeUnit.MILLISECONDS));
    } catch (ExecutionException failed) {
      failed.getCause().printStackTrace();
      return "! " + describe(failed.getCause());
    } catch (TimeoutException | InterruptedException late) {
      System.err.println(feature + ": " + what + " has no answer; what each thread does:");
      scannerHasStopped = false;
      Thread.getAllStackTraces().forEach((each, frames) -> {
        System.err.println(each);
        for (StackTraceElement frame : frames) {
          System.err.println("    at " + frame);
          scannerHasStopped |= frame.getClassName().endsWith(".AsyncTableResultScanner") && frame.getMethodName().equals("next");
        }
      });
      scannerHasStopped &= noCallIsPending();
      running.cancel(true);
      thread = newThread(); // the old one may never come back
      return null;
    }
  }

  /** Whether the client waits for no server, by the counters that it keeps of its calls; false where these are not known. */
  private static boolean noCallIsPending() {
    try {
      Field field = Class.forName("org.apache.hadoop.hbase.ipc.AbstractRpcClient").getDeclaredField("concurrentCounterCache");
      field.setAccessible(true);
      Map<?, ?> counters = (Map<?, ?>) field.getType().getMethod("asMap").invoke(field.get(null));
      System.err.println("calls pending, by server: " + counters);
      return !counters.isEmpty() && counters.values().stream().allMatch(each -> ((AtomicInteger) each).get() == 0);
    } catch (ReflectiveOperationException | ClassCastException unknown) {
      System.err.println("calls pending: not known, " + unknown);
      return false;
    }
  }

  /** A step whose outcome is only that it ended well. */
  public static void done(String feature, String what, Work work) {
    step(feature, what, () -> {
      work.run();
      return "done";
    });
  }

  /** As Runnable, but it may throw. */
  public interface Work {
    void run() throws Exception;
  }

  public static byte[] b(String text) {
    return Bytes.toBytesBinary(text);
  }

  /** Bytes of that length which no compressor and no misplaced offset leaves unnoticed. */
  public static byte[] pattern(int length, int seed) {
    byte[] bytes = new byte[length];
    new java.util.Random(seed).nextBytes(bytes);
    return bytes;
  }

  /** Results, cells, bytes, lists and maps as text that is equal where they are equal. */
  public static String text(Object value) {
    if (value instanceof byte[]) {
      byte[] bytes = (byte[]) value;
      if (bytes.length <= SHOWN_BYTES) {
        return Bytes.toStringBinary(bytes);
      }
      CRC32 sum = new CRC32();
      sum.update(bytes, 0, bytes.length);
      return "<" + bytes.length + " bytes, " + Long.toHexString(sum.getValue()) + ">";
    }
    if (value instanceof Result) {
      return text((Result) value);
    }
    if (value instanceof Cell) {
      return cell((Cell) value);
    }
    if (value instanceof Throwable) {
      return "! " + describe((Throwable) value);
    }
    if (value instanceof Object[]) {
      return text(Arrays.asList((Object[]) value));
    }
    if (value instanceof boolean[]) {
      return Arrays.toString((boolean[]) value);
    }
    if (value instanceof Map) {
      List<String> parts = new ArrayList<>();
      ((Map<?, ?>) value).forEach((key, each) -> parts.add(text(key) + "=" + text(each)));
      return "{" + String.join(", ", parts) + "}";
    }
    if (value instanceof Collection) {
      List<String> parts = new ArrayList<>();
      ((Collection<?>) value).forEach(each -> parts.add(text(each)));
      return "[" + String.join(", ", parts) + "]";
    }
    return String.valueOf(value);
  }

  private static String text(Result result) {
    if (result.getExists() != null) {
      return "exists=" + result.getExists();
    }
    if (result.isEmpty()) {
      return "{}";
    }
    List<String> cells = new ArrayList<>();
    for (Cell each : result.rawCells()) {
      cells.add(cell(each));
    }
    return Bytes.toStringBinary(result.getRow()) + "{" + String.join(" ", cells) + "}";
  }

  private static String cell(Cell cell) {
    long timestamp = cell.getTimestamp();
    String moment = timestamp == Long.MAX_VALUE ? "@latest" : timestamp > CHOSEN_BY_A_SERVER ? "@now" : "@" + timestamp;
    byte type = cell.getTypeByte();
    return Bytes.toStringBinary(CellUtil.cloneFamily(cell)) + ":" + Bytes.toStringBinary(CellUtil.cloneQualifier(cell)) + moment
      + (type == 4 ? "" : "/" + type) + "=" + text(CellUtil.cloneValue(cell));
  }

  /** Simple class names and first lines of messages, outermost cause first. */
  public static String describe(Throwable error) {
    List<String> parts = new ArrayList<>();
    for (Throwable each = error; each != null && parts.size() < 6; each = each.getCause()) {
      if ((each instanceof CompletionException || each instanceof ExecutionException) && each.getCause() != null) {
        continue;
      }
      String message = String.valueOf(each.getMessage()).split("\n", 2)[0].trim();
      parts.add(each.getClass().getSimpleName() + ": " + message);
      if (each instanceof RetriesExhaustedWithDetailsException) {
        RetriesExhaustedWithDetailsException many = (RetriesExhaustedWithDetailsException) each;
        for (int index = 0; index < many.getNumExceptions(); index++) {
          parts.add(Bytes.toStringBinary(many.getRow(index).getRow()) + ": " + describe(many.getCause(index)));
        }
        break;
      }
    }
    return String.join(" <- ", parts);
  }

  private static ExecutorService newThread() {
    return Executors.newSingleThreadExecutor(work -> {
      Thread thread = new Thread(work, "story");
      thread.setDaemon(true);
      return thread;
    });
  }
}
