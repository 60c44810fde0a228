// hbload: load for the registry side of the HBase RPC protocol (SIMPLE authentication, no codec, no compression).
//
//	hbload OP -addr HOST:PORT[,HOST:PORT] [-c 16] [-p 16] [-d 5s] [-w 1s] [-rate 0]
//
// OP is
//
//	clusterid activemaster metalocations masters bootstrapnodes   one method, -c connections, -p outstanding on each
//	storm     connect, preamble, header, GetClusterId, close; -c workers
//	regist    connect, "Regist" preamble, answer; -c workers
//	idle      -c connections, one call on each, held until standard input ends
//	once      one call of each method; prints what the answers say
//
// or, in ZooKeeper's client protocol,
//
//	zkprepare                  make the nodes that the others use
//	zkget zkset zkcreate       getData, setData, create (deleted again, not counted); -c connections, -p outstanding
//	zkmixed                    getData, and a setData for every fifth request
//	zkwatch                    -c sessions with one data watch each, one change, -n times; held until input ends
//
// or, in ClientService with KeyValueCodec, on a table of -rows rows with -cells cells of -vlen bytes (-addr: any server
// of the registry; regions are found in hbase:meta):
//
//	load, verify               write all rows; read all of them and compare
//	get put mutate multi scan  Get, Multi of one put, Mutate, Multi of -batch puts, Scan of -batch rows in one call
//	wideload widescan update   one row of -cells cells: written; read -n times; one cell of it written again and again
//	people filtered            rows of five columns of texts; all of them scanned with -filter, again and again
//	cleanup                    all regions flushed and compacted, and what is dead is gone
//	regions                    how many there are, and where
//
// One line of JSON on standard output. A run with errors still reports; exit 1 when nothing was answered.
package main

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

const registryService = "ClientMetaService"

var methods = map[string]string{
	"clusterid": "GetClusterId", "activemaster": "GetActiveMaster", "metalocations": "GetMetaRegionLocations",
	"masters": "GetMasters", "bootstrapnodes": "GetBootstrapNodes",
}

type options struct {
	op          string
	targets     []string
	connections int
	outstanding int
	measured    time.Duration
	warmUp      time.Duration
	rate        float64

	table       string
	rows        int
	cells       int
	valueBytes  int
	batch       int
	rounds      int
	filter      []byte // of filtered
	raw         bool
	mayBeGone   bool // rows of get
	every       int  // of load: only each so-many-th row
	rowsPerCall int  // of the call that is measured; 0 for those that move no rows
}

func main() {
	if len(os.Args) < 2 || strings.HasPrefix(os.Args[1], "-") {
		fmt.Fprintln(os.Stderr, "usage: hbload clusterid|activemaster|metalocations|masters|bootstrapnodes|storm|regist|idle|once|zkprepare|zkget|zkset|zkcreate|zkmixed|zkwatch|load|verify|get|put|mutate|multi|scan|wideload|widescan|update|people|filtered|cleanup|regions -addr HOST:PORT")
		os.Exit(2)
	}
	o := options{op: os.Args[1]}
	set := flag.NewFlagSet(o.op, flag.ExitOnError)
	addr := set.String("addr", "127.0.0.1:16000", "servers; connections are spread over them")
	set.IntVar(&o.connections, "c", 16, "connections, or workers of storm and regist")
	set.IntVar(&o.outstanding, "p", 1, "calls outstanding on each connection")
	set.DurationVar(&o.measured, "d", 5*time.Second, "measured time")
	set.DurationVar(&o.warmUp, "w", time.Second, "warm-up, not counted")
	set.Float64Var(&o.rate, "rate", 0, "calls per second over all connections, counted from when they were due; 0: as fast as answered")
	set.IntVar(&o.rounds, "n", 1, "rounds of zkwatch and widescan")
	set.StringVar(&o.table, "table", "load", "of the calls to ClientService")
	set.IntVar(&o.rows, "rows", 10000, "in the table")
	set.IntVar(&o.cells, "cells", 10, "in a row")
	set.IntVar(&o.valueBytes, "vlen", 100, "bytes in a cell")
	set.IntVar(&o.batch, "batch", 50, "puts or rows in a call of multi and scan")
	filter := set.String("filter", "", "of filtered: a serialized Filter, in hexadecimal digits")
	set.BoolVar(&o.raw, "raw", false, "filtered reads all that is there, dead or not")
	set.BoolVar(&o.mayBeGone, "gone", false, "a row of get may be gone, as a whole")
	set.IntVar(&o.every, "every", 1, "load writes only each so-many-th row")
	procs := set.Int("procs", 0, "processors for this program; 0: all")
	set.Parse(os.Args[2:])
	o.targets = strings.Split(*addr, ",")
	if *procs > 0 {
		runtime.GOMAXPROCS(*procs)
	}

	var err error
	if o.filter, err = hex.DecodeString(*filter); err != nil || *filter == "" {
		o.filter = nil
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "hbload: -filter:", err)
		os.Exit(2)
	}
	if o.every < 1 {
		fmt.Fprintln(os.Stderr, "hbload: -every: at least 1")
		os.Exit(2)
	}
	if o.op == "put" {
		o.batch = 1
	}
	_, isDataOp := dataOps[o.op]
	switch _, isMethod := methods[o.op]; {
	case isDataOp || dataJobs[o.op] != nil:
		runData(o)
	case o.op == "once":
		printLine(once(o.targets[0]))
	case o.op == "idle":
		out, err := holdIdle(o)
		if err != nil {
			printLine(map[string]any{"op": o.op, "error": err.Error()})
			os.Exit(1)
		}
		printLine(out)
		waitForEndOfInput()
	case o.op == "storm" || o.op == "regist":
		// A worker blocks in the kernel, and keeps its processor of Go's while it does: no hand-over for each call.
		runtime.GOMAXPROCS(runtime.NumCPU() + o.connections)
		measure(o, stormWorker)
	case isMethod:
		measure(o, callWorker)
	case zkOps[o.op]:
		measure(o, zkWorker)
	case o.op == "zkprepare" || o.op == "zkwatch":
		var err error
		if o.op == "zkwatch" {
			err = zkWatch(o, o.rounds)
		} else if err = zkPrepare(o); err == nil {
			printLine(map[string]any{"op": o.op, "errors": 0})
		}
		if err != nil {
			printLine(map[string]any{"op": o.op, "error": err.Error()})
			os.Exit(1)
		}
	default:
		fmt.Fprintf(os.Stderr, "hbload: there is no op %q\n", o.op)
		os.Exit(2)
	}
}

func measure(o options, worker func(options, int, *record)) {
	r := &record{}
	var workers sync.WaitGroup
	for i := 0; i < o.connections; i++ {
		workers.Add(1)
		go func(index int) {
			defer workers.Done()
			worker(o, index, r)
		}(i)
	}
	time.Sleep(o.warmUp)
	began, spent := time.Now(), processorTime()
	r.measuring.Store(true)
	time.Sleep(o.measured)
	// a server that is still cold on a busy machine: one answer makes a figure, and it may take a moment more
	for until := began.Add(o.measured + answerTimeout); o.rowsPerCall > 0 && r.counted.Load() == 0 && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
	r.measuring.Store(false)
	elapsed := time.Since(began)
	spent = processorTime() - spent
	r.stopped.Store(true)
	workers.Wait()
	out := r.report(o, elapsed)
	if n := len(r.samples); n > 0 {
		out["load_cpu_us_per_call"] = float64(spent.Microseconds()) / float64(n)
	}
	printLine(out)
	if out["n"] == 0 {
		os.Exit(1)
	}
}

// processorTime is what this program has used so far, in user and kernel mode.
func processorTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// once asks each method and writes the answers as people read them; an error stands where the answer would.
func once(target string) map[string]any {
	out := map[string]any{"addr": target}
	for _, method := range methods {
		body, err := askOnce(target, method)
		if err != nil {
			out[method] = "error: " + err.Error()
			continue
		}
		var entries []string
		for _, f := range fields(body) {
			switch method {
			case "GetClusterId":
				entries = append(entries, string(f.bytes))
			case "GetMasters":
				entries = append(entries, fmt.Sprintf("%s active=%t", serverName(inner(f.bytes, 1)), number(f.bytes, 2) == 1))
			case "GetMetaRegionLocations":
				entries = append(entries, serverName(inner(f.bytes, 2)))
			default:
				entries = append(entries, serverName(f.bytes))
			}
		}
		out[method] = entries
	}
	return out
}

func askOnce(target, method string) ([]byte, error) {
	c, reader, err := dial(target, registryService)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(answerTimeout))
	if _, err := c.Write(call(1, method)); err != nil {
		return nil, err
	}
	got, _, err := readAnswer(reader, nil)
	if err == nil && got.exception != "" {
		err = fmt.Errorf("%s", got.exception)
	}
	return got.body, err
}

func printLine(value map[string]any) {
	text, err := json.Marshal(value)
	if err != nil {
		fmt.Fprintln(os.Stderr, "hbload:", err)
		os.Exit(1)
	}
	fmt.Println(string(text))
}
