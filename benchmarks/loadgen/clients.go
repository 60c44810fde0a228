package main

import (
	"bufio"
	"fmt"
	"math/rand"
	"os"
	"sync"
	"time"
)

// Clients of ClientService: each has one connection to each server that holds a region of the table, and `outstanding`
// calls under way over all of them; each call goes where its row lies. Whoever reads an answer sends what comes next.

type dataOp struct {
	method string
	// compose leaves message and cells in the client, and in `c` where they go and what the answer is held against.
	compose func(cl *client, rng *rand.Rand, c *pending)
	check   func(cl *client, c *pending, got answer) error
	rows    func(batch int) int // that one call moves
}

var dataOps = map[string]dataOp{
	"get":    {"Get", composeGet, checkGet, func(int) int { return 1 }},
	"mutate": {"Mutate", composeMutate, checkMutate, func(int) int { return 1 }},
	"put":    {"Multi", composePuts, checkPuts, func(int) int { return 1 }},
	"multi":  {"Multi", composePuts, checkPuts, func(batch int) int { return batch }},
	"scan":   {"Scan", composeScan, checkScan, func(batch int) int { return batch }},
	"update": {"Multi", composeUpdate, checkPuts, func(int) int { return 1 }},
}

// pending is one call that is under way.
type pending struct {
	to    *dataConn
	row   int
	count int // of actions or rows
	sent  time.Time
}

type client struct {
	o       options
	r       *record
	op      dataOp
	shape   *shape
	regions *regions
	conns   map[string]*dataConn
	calls   []pending // by call id less one

	composing sync.Mutex // of what follows, and of calls
	body      []byte
	cells     []byte
	entry     []byte
	action    []byte
	picked    []int
}

// dataWorker runs one client until the run is over.
func dataWorker(found *regions, s *shape) func(options, int, *record) {
	return func(o options, index int, r *record) {
		cl := &client{o: o, r: r, op: dataOps[o.op], shape: s, regions: found, conns: map[string]*dataConn{},
			calls: make([]pending, o.outstanding)}
		for _, server := range found.servers {
			conn, err := dialData(server)
			if err != nil {
				r.fail(err.Error())
				return
			}
			defer conn.c.Close()
			cl.conns[server] = conn
		}
		rng := rand.New(rand.NewSource(int64(index)))
		touched := map[*dataConn]bool{}
		for slot := range cl.calls {
			cl.next(slot, rng, touched)
		}
		if err := flushAll(touched); err != nil {
			r.fail(err.Error())
			return
		}
		var readers sync.WaitGroup
		for number, server := range found.servers {
			readers.Add(1)
			go func(conn *dataConn, seed int64) {
				defer readers.Done()
				cl.read(conn, rand.New(rand.NewSource(seed)))
			}(cl.conns[server], int64(index+o.connections*(number+1)))
		}
		over := make(chan struct{})
		go func() { readers.Wait(); close(over) }()
		cl.watch(over)
		<-over
	}
}

// next sends the next call of a slot, not yet flushed.
func (cl *client) next(slot int, rng *rand.Rand, touched map[*dataConn]bool) {
	c := &cl.calls[slot]
	cl.composing.Lock()
	defer cl.composing.Unlock()
	cl.body, cl.cells = cl.body[:0], cl.cells[:0]
	cl.op.compose(cl, rng, c)
	c.to.mu.Lock()
	defer c.to.mu.Unlock()
	c.sent = time.Now()
	c.to.add(uint32(slot+1), cl.op.method, cl.body, cl.cells)
	touched[c.to] = true
}

func flushAll(touched map[*dataConn]bool) error {
	for conn := range touched {
		conn.mu.Lock()
		err := conn.flush()
		conn.mu.Unlock()
		if err != nil {
			return err
		}
		delete(touched, conn)
	}
	return nil
}

// read takes the answers of one connection; it flushes when none is waiting, so that calls share packets.
func (cl *client) read(conn *dataConn, rng *rand.Rand) {
	var samples []time.Duration
	var frameBytes int64
	touched := map[*dataConn]bool{}
	defer func() { cl.r.add(samples, frameBytes) }()
	for {
		got, frame, err := readAnswer(conn.reader, conn.frame)
		conn.frame = frame
		if err != nil {
			if !cl.r.stopped.Load() {
				cl.r.fail(err.Error())
			}
			return
		}
		slot := int(got.id) - 1
		if slot < 0 || slot >= len(cl.calls) {
			cl.r.fail(fmt.Sprintf("answer for call %d, which was not asked", got.id))
			return
		}
		cl.composing.Lock()
		asked := cl.calls[slot]
		cl.composing.Unlock()
		took := time.Since(asked.sent)
		cl.r.answered.Add(1)
		if got.exception != "" {
			cl.r.fail(got.exception)
		} else if err := cl.op.check(cl, &asked, got); err != nil {
			cl.r.fail(fmt.Sprintf("%s: %v", cl.op.method, err))
		} else if cl.r.measuring.Load() {
			samples = append(samples, took)
			cl.r.counted.Add(1)
			frameBytes += int64(got.frame)
		}
		if cl.r.stopped.Load() {
			return
		}
		cl.next(slot, rng, touched)
		if !hasFrame(conn.reader) {
			if err := flushAll(touched); err != nil && !cl.r.stopped.Load() {
				cl.r.fail(err.Error())
				return
			}
		}
	}
}

// hasFrame says whether the next answer is here, whole or in part.
func hasFrame(r *bufio.Reader) bool { return r.Buffered() > 0 }

// watch ends the readers when the run is over, and at once when nothing was answered for too long.
func (cl *client) watch(over <-chan struct{}) {
	const step = 20 * time.Millisecond
	answered, since := int64(-1), time.Now()
	for !cl.r.stopped.Load() {
		select {
		case <-over:
			return
		case <-time.After(step):
		}
		if seen := cl.r.answered.Load(); seen != answered {
			answered, since = seen, time.Now()
		} else if time.Since(since) > answerTimeout {
			cl.r.fail(fmt.Sprintf("no answer for %s", answerTimeout))
			break
		}
	}
	until := time.Now().Add(lastAnswers)
	for _, conn := range cl.conns {
		conn.c.SetReadDeadline(until)
	}
}

// dataJobs are what is done once and not measured by the clock of `measure`.
var dataJobs = map[string]func(options, *shape, *regions) (map[string]any, error){
	"load": loadRows, "verify": verifyRows, "wideload": wideLoad, "widescan": wideScans,
	"people": loadPeople, "filtered": filteredScans, "cleanup": cleanUp,
	"regions": func(_ options, _ *shape, found *regions) (map[string]any, error) {
		return map[string]any{"regions": len(found.all), "servers": found.servers}, nil
	},
}

// runData finds the table and does what was asked for.
func runData(o options) {
	s := newShape(o.cells, o.valueBytes)
	found, err := findRegions(o.targets[0], o.table, o.rows)
	out := map[string]any{}
	if job := dataJobs[o.op]; err == nil && job != nil {
		out, err = job(o, s, found)
	} else if err == nil {
		o.rowsPerCall = dataOps[o.op].rows(o.batch)
		measure(o, dataWorker(found, s))
		return
	}
	if err != nil {
		printLine(map[string]any{"op": o.op, "error": err.Error()})
		os.Exit(1)
	}
	out["op"], out["errors"] = o.op, 0
	printLine(out)
}
