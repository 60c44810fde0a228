// npm's hbase-rpc-client, which finds a cluster by ZooKeeper alone, driven by lines on standard input.
//
// Arguments are the quorum (host:port) and the parent znode. Commands and answers as in ../java/OldClient.java.
"use strict";

const hbase = require("hbase-rpc-client");
const lines = require("readline").createInterface({ input: process.stdin });

const [quorum, parent] = process.argv.slice(2);
let client = null;

function told(resolve, reject) {
  return (error, result) => (error ? reject(error) : resolve(result));
}

// how many, the first and the last
function ends(rows) {
  const shown = (row) => `${row.row}=${value(row)}`;
  return rows.length ? `${rows.length} ${shown(rows[0])} ${shown(rows[rows.length - 1])}` : "0";
}

function put(row, data) {
  const made = new hbase.Put(row);
  made.add("cf", "q", data);
  return made;
}

function scanned(scanner) {
  return new Promise((resolve, reject) => scanner.toArray(told((rows) => resolve(ends(rows)), reject)));
}

// what failed comes among the results, with its class as name
function allOf(results, resolve, reject) {
  const failed = results.find((each) => each && each.name);
  if (failed) reject(new Error(failed.name));
  else resolve(results);
}

function value(row) {
  const cell = row && row.cols && row.cols["cf:q"];
  return cell ? cell.value.toString() : "";
}

const verbs = {
  connect: async () => {
    client = hbase({ zookeeperHosts: [quorum], zookeeperRoot: parent, rpcTimeout: 20000, callTimeout: 10000 });
    client.on("error", (error) => console.error("client error", error));
    return "";
  },
  put: (table, row, data) =>
    new Promise((resolve, reject) => client.put(table, put(row, data), told(() => resolve(""), reject))),
  get: (table, row) =>
    new Promise((resolve, reject) =>
      client.get(table, new hbase.Get(row), told((result) => resolve(value(result)), reject))
    ),
  delete: (table, row) =>
    new Promise((resolve, reject) =>
      client.delete(table, new hbase.Delete(row), told(() => resolve(""), reject))
    ),
  scan: (table) =>
    new Promise((resolve, reject) =>
      client.getScanner(table).toArray(
        told((rows) => resolve(rows.map((row) => `${row.row}=${value(row)}`).join(" ")), reject)
      )
    ),
  between: (table, start, stop) => scanned(client.getScanner(table, start, stop)),
  backwards: (table) => {
    const scanner = client.getScanner(table);
    scanner.setReversed();
    return scanned(scanner);
  },
  matching: (table, pattern) => {
    const scanner = client.getScanner(table);
    const comparator = { regexStringComparator: { pattern, patternFlags: 0, charset: "UTF-8" } };
    scanner.setFilter({ rowFilter: { compareFilter: { compareOp: "EQUAL", comparator } } });
    return scanned(scanner);
  },
  load: (table, count) =>
    new Promise((resolve, reject) => {
      const puts = [];
      for (let i = 0; i < Number(count); i++) {
        puts.push(put(String.fromCharCode(97 + (i % 26)) + String(i).padStart(4, "0"), `v${i}`));
      }
      client.mput(table, puts, told((results) => allOf(results, () => resolve(results.length), reject), reject));
    }),
  mget: (table, ...rows) =>
    new Promise((resolve, reject) => {
      const shown = (results) => resolve(results.map((row) => value(row) || "-").join(" "));
      client.mget(table, rows, told((results) => allOf(results, shown, reject), reject));
    }),
  unload: (table, ...rows) =>
    new Promise((resolve, reject) =>
      client.mdelete(table, rows, told((results) => allOf(results, () => resolve(""), reject), reject))
    ),
  increment: (table, row, by) =>
    new Promise((resolve, reject) => {
      const shown = (response) => resolve(response.result.cell[0].value.toBuffer().readBigInt64BE().toString());
      client.incrementColumnValue(table, row, "cf", "q", by, told(shown, reject));
    }),
  cas: (table, row, expected, data) =>
    new Promise((resolve, reject) => {
      const there = expected === "-" ? "" : expected;
      const done = told((response) => resolve(response.processed), reject);
      client.checkAndPut(table, row, "cf", "q", there, put(row, data), done);
    }),
  casdelete: (table, row, expected) =>
    new Promise((resolve, reject) => {
      const done = told((response) => resolve(response.processed), reject);
      client.checkAndDelete(table, row, "cf", "q", expected, new hbase.Delete(row), done);
    }),
};

async function run(line) {
  const [verb, ...words] = line.trim().split(/ +/);
  try {
    if (!verbs[verb]) throw new Error(`unknown verb ${verb}`);
    process.stdout.write(`ok ${await verbs[verb](...words)}\n`);
  } catch (error) {
    const name = error.exceptionClassName || error.name; // what a server threw, or the library
    process.stdout.write(`failed ${name}: ${String(error.message || error.stackTrace).split("\n")[0]}\n`);
  }
}

let last = Promise.resolve();
lines.on("line", (line) => {
  last = last.then(() => run(line));
});
lines.on("close", () => process.exit(0));
