import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.cache.ChildData;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.retry.RetryForever;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Stat;

/**
 * ZooKeeper's own client and Curator's recipes, driven by lines on standard input.
 *
 * <p>A command is {@code <id> <verb> <name> <argument>...}, split at spaces. Commands of one name run in order on a thread of
 * its own, as the owner of a lock is a thread. Each answers with {@code <id> ok <text>} or {@code <id> failed <text>}.
 */
public final class RecipeClient {
  private static final PrintStream OUT = new PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), true);
  private static final Map<String, ExecutorService> THREADS = new ConcurrentHashMap<>();
  private static final Map<String, ZooKeeper> PLAIN = new ConcurrentHashMap<>();
  private static final Map<String, CuratorFramework> CURATORS = new ConcurrentHashMap<>();
  private static final Map<String, List<String>> EVENTS = new ConcurrentHashMap<>();
  private static final Map<String, Object> RECIPES = new ConcurrentHashMap<>();

  private RecipeClient() {}

  public static void main(String[] args) throws IOException {
    BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = commands.readLine(); line != null; line = commands.readLine()) {
      String[] words = line.trim().split(" +");
      THREADS.computeIfAbsent(words[2], name -> Executors.newSingleThreadExecutor(RecipeClient::thread)).execute(() -> run(words));
    }
    System.exit(0);
  }

  private static Thread thread(Runnable work) {
    Thread thread = new Thread(work);
    thread.setDaemon(true);
    return thread;
  }

  private static void run(String[] words) {
    String answer;
    try {
      answer = "ok " + command(words[1], words[2], Arrays.copyOfRange(words, 3, words.length));
    } catch (Throwable error) { // the harness wants to see every outcome
      answer = "failed " + error;
    }
    synchronized (OUT) {
      OUT.println(words[0] + " " + answer.replace('\n', ' '));
    }
  }

  private static Object command(String verb, String name, String[] args) throws Exception {
    switch (verb) {
      case "open":
        return open(name, args[0], Integer.parseInt(args[1]));
      case "curator":
        return curator(name, args[0], Integer.parseInt(args[1]));
      case "end":
        return end(name);
      case "events":
        return drain(name);
      case "state":
        return PLAIN.get(name).getState() + " " + Long.toHexString(PLAIN.get(name).getSessionId());
      case "survey":
        return survey(PLAIN.get(name), args[0]);
      case "watch":
        PLAIN.get(name).addWatch(args[0], AddWatchMode.valueOf(args[1]));
        return "";
      case "exists":
        return PLAIN.get(name).exists(args[0], true) != null;
      case "get":
        return text(PLAIN.get(name).getData(args[0], true, null));
      case "children":
        return sorted(PLAIN.get(name).getChildren(args[0], true));
      case "create":
        return PLAIN.get(name).create(args[0], bytes(args[1]), ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.valueOf(args[2]));
      case "set":
        return PLAIN.get(name).setData(args[0], bytes(args[1]), -1).getVersion();
      case "delete":
        PLAIN.get(name).delete(args[0], -1);
        return "";
      case "id":
        return Long.toHexString(CURATORS.get(name).getZookeeperClient().getZooKeeper().getSessionId());
      case "latch":
        return kept(name, latch(CURATORS.get(name), args[0], name));
      case "leads":
        return ((LeaderLatch) RECIPES.get(name)).hasLeadership();
      case "lock":
        return lock(name, args[0], Long.parseLong(args[1]));
      case "unlock":
        ((InterProcessMutex) RECIPES.get(name)).release();
        return "";
      case "cache":
        return kept(name, cache(CURATORS.get(name), args[0]));
      case "cached":
        return cached((CuratorCache) RECIPES.get(name));
      case "node":
        return kept(name, node(CURATORS.get(name), args[0], args[1]));
      default:
        throw new IllegalArgumentException("no verb " + verb);
    }
  }

  private static Object kept(String name, Object recipe) {
    RECIPES.put(name, recipe);
    return "";
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static String text(byte[] data) {
    return data == null ? "null" : new String(data, StandardCharsets.UTF_8);
  }

  private static List<String> sorted(List<String> names) {
    List<String> copy = new ArrayList<>(names);
    Collections.sort(copy);
    return copy;
  }

  // --- sessions -------------------------------------------------------------------------------------------------------------

  private static String open(String name, String address, int timeoutMs) throws Exception {
    List<String> events = EVENTS.computeIfAbsent(name, ignored -> Collections.synchronizedList(new ArrayList<>()));
    ZooKeeper client = new ZooKeeper(address, timeoutMs, event -> events.add(told(event)));
    PLAIN.put(name, client);
    for (int round = 0; round < 400 && client.getState() != ZooKeeper.States.CONNECTED; round++) {
      Thread.sleep(25);
    }
    return client.getState() + " " + Long.toHexString(client.getSessionId());
  }

  private static String told(WatchedEvent event) {
    return event.getType() == Watcher.Event.EventType.None ? event.getState().toString() : event.getType() + ":" + event.getPath();
  }

  private static String curator(String name, String address, int timeoutMs) throws Exception {
    List<String> events = EVENTS.computeIfAbsent(name, ignored -> Collections.synchronizedList(new ArrayList<>()));
    CuratorFramework client = CuratorFrameworkFactory.builder().connectString(address).sessionTimeoutMs(timeoutMs)
      .connectionTimeoutMs(timeoutMs).retryPolicy(new RetryForever(100)).build();
    client.getConnectionStateListenable().addListener((ignored, state) -> events.add(state.toString()));
    client.start();
    CURATORS.put(name, client);
    return String.valueOf(client.blockUntilConnected(10, TimeUnit.SECONDS));
  }

  private static String end(String name) throws Exception {
    Object recipe = RECIPES.remove(name);
    if (recipe instanceof java.io.Closeable) {
      ((java.io.Closeable) recipe).close();
    }
    ZooKeeper plain = PLAIN.remove(name);
    if (plain != null) {
      plain.close(5_000);
    }
    CuratorFramework client = CURATORS.remove(name);
    if (client != null) {
      client.close();
    }
    return "";
  }

  private static String drain(String name) {
    List<String> events = EVENTS.get(name);
    synchronized (events) {
      String all = String.join(" ", events);
      events.clear();
      return all;
    }
  }

  // --- the client's whole interface ------------------------------------------------------------------------------------------

  /** Every operation once below {@code base}; one line of findings, equal on every server that speaks the protocol. */
  private static String survey(ZooKeeper client, String base) throws Exception {
    List<String> seen = new ArrayList<>();
    Stat stat = new Stat();
    List<ACL> open = ZooDefs.Ids.OPEN_ACL_UNSAFE;
    seen.add(client.create(base, bytes("root"), open, CreateMode.PERSISTENT, stat) + " v" + stat.getVersion());
    for (CreateMode mode : CreateMode.values()) {
      String path = base + "/" + mode;
      seen.add(mode + " " + (mode.isTTL() ? client.create(path, bytes("x"), open, mode, stat, 60_000)
        : client.create(path, bytes("x"), open, mode, stat)) + " owned " + (stat.getEphemeralOwner() != 0));
    }
    seen.add("children " + sorted(client.getChildren(base, false, stat)) + " c" + stat.getCversion());
    seen.add("number " + client.getAllChildrenNumber(base) + " ephemerals " + sorted(client.getEphemerals(base)));
    seen.add("set " + client.setData(base, bytes("new"), 0).getVersion());
    seen.add("set again " + code(() -> client.setData(base, bytes("new"), 0)));
    seen.add("acl " + client.getACL(base, stat) + " " + client.setACL(base, ZooDefs.Ids.READ_ACL_UNSAFE, 0).getAversion());
    seen.add("refused " + code(() -> client.create(base + "/no", null, open, CreateMode.PERSISTENT)));
    client.addAuthInfo("digest", bytes("me:secret"));
    String mine = base + "-mine";
    seen.add(client.create(mine, null, ZooDefs.Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT));
    seen.add("mine " + client.getACL(mine, stat).get(0).getId().getScheme() + " null data " + text(client.getData(mine, false, stat)));
    seen.add("who " + schemes(client));
    seen.add("multi " + results(client.multi(Arrays.asList(
      Op.create(mine + "/a", bytes("a"), open, CreateMode.PERSISTENT), Op.setData(mine + "/a", bytes("b"), 0),
      Op.check(mine, 0), Op.create(mine + "/s", null, open, CreateMode.PERSISTENT_SEQUENTIAL),
      Op.create(mine + "/c", null, open, CreateMode.CONTAINER), Op.delete(mine + "/a", 1)))));
    seen.add("multi refused " + code(() -> client.multi(Arrays.asList(Op.check(mine, 0), Op.delete(base + "/none", -1)))));
    seen.add("multi read " + results(client.multi(Arrays.asList(Op.getData(base), Op.getChildren(mine), Op.getData(base + "/none")))));
    seen.add("exists " + (client.exists(base + "/none", false) == null));
    seen.add("not empty " + code(() -> delete(client, mine)));
    seen.add("below an ephemeral " + code(() -> client.create(mine + "/e", null, open, CreateMode.EPHEMERAL)
      + client.create(mine + "/e/x", null, open, CreateMode.PERSISTENT)));
    seen.add("config " + code(() -> client.getConfig(false, stat).length));
    client.sync(base, (rc, path, context) -> { }, null);
    return String.join("; ", seen);
  }

  private static Object delete(ZooKeeper client, String path) throws Exception {
    client.delete(path, -1);
    return "deleted";
  }

  private static List<String> schemes(ZooKeeper client) throws Exception {
    List<String> found = new ArrayList<>();
    for (org.apache.zookeeper.data.ClientInfo each : client.whoAmI()) {
      found.add(each.getAuthScheme());
    }
    return sorted(found);
  }

  private static String results(List<OpResult> results) {
    List<String> told = new ArrayList<>();
    for (OpResult each : results) {
      told.add(each.getType() + (each instanceof OpResult.ErrorResult ? ":" + ((OpResult.ErrorResult) each).getErr() : ""));
    }
    return told.toString();
  }

  private static Object code(Callable<Object> work) throws Exception {
    try {
      return work.call();
    } catch (KeeperException error) {
      return error.code();
    }
  }

  // --- recipes --------------------------------------------------------------------------------------------------------------

  private static LeaderLatch latch(CuratorFramework client, String path, String name) throws Exception {
    LeaderLatch latch = new LeaderLatch(client, path, name);
    latch.start();
    return latch;
  }

  private static boolean lock(String name, String path, long waitMs) throws Exception {
    InterProcessMutex mutex = new InterProcessMutex(CURATORS.get(name), path);
    RECIPES.put(name, mutex);
    return mutex.acquire(waitMs, TimeUnit.MILLISECONDS);
  }

  private static CuratorCache cache(CuratorFramework client, String path) {
    CuratorCache cache = CuratorCache.build(client, path);
    cache.start();
    return cache;
  }

  private static String cached(CuratorCache cache) {
    Map<String, String> all = new TreeMap<>();
    cache.stream().forEach((ChildData each) -> all.put(each.getPath(), text(each.getData())));
    return all.toString();
  }

  private static PersistentNode node(CuratorFramework client, String path, String data) throws Exception {
    PersistentNode node = new PersistentNode(client, CreateMode.EPHEMERAL, false, path, bytes(data));
    node.start();
    node.waitForInitialCreate(10, TimeUnit.SECONDS);
    return node;
  }
}
