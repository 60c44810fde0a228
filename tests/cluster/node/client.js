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
    new Promise((resolve, reject) => {
      const put = new hbase.Put(row);
      put.add("cf", "q", data);
      client.put(table, put, told(() => resolve(""), reject));
    }),
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
};

async function run(line) {
  const [verb, ...words] = line.trim().split(/ +/);
  try {
    if (!verbs[verb]) throw new Error(`unknown verb ${verb}`);
    process.stdout.write(`ok ${await verbs[verb](...words)}\n`);
  } catch (error) {
    process.stdout.write(`failed ${error.name}: ${String(error.message).split("\n")[0]}\n`);
  }
}

let last = Promise.resolve();
lines.on("line", (line) => {
  last = last.then(() => run(line));
});
lines.on("close", () => process.exit(0));
