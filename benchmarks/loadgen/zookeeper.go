package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net"
	"sort"
	"sync"
	"time"
)

// ZooKeeper's client protocol: int32 length, then a record; xid and opcode before a request, xid, zxid and error before
// a reply. Replies come in the order of the requests.

const (
	opCreate   = 1
	opDelete   = 2
	opGetData  = 4
	opSetData  = 5
	opClose    = -11
	errExists  = -110
	eventXid   = -1
	sessionMs  = 40_000
	zkRoot     = "/zkload"
	zkWatched  = "/zkload/watched"
	zkNodes    = 1000 // what is read and written
	zkDataSize = 100
	setShare   = 5 // one request in so many of zkmixed is a setData
	watchWait  = 20 * time.Second
)

var zkOps = map[string]bool{"zkget": true, "zkset": true, "zkcreate": true, "zkmixed": true}

type zkConn struct {
	c      net.Conn
	reader *bufio.Reader
	xid    int32
	out    []byte
	frame  []byte
}

func zkDial(target string, readBytes int) (*zkConn, error) {
	c, err := net.DialTimeout("tcp", target, dialTimeout)
	if err != nil {
		return nil, err
	}
	z := &zkConn{c: c, reader: bufio.NewReaderSize(c, readBytes)}
	hello := make([]byte, 4, 64)
	hello = binary.BigEndian.AppendUint32(hello, 0) // protocol version
	hello = binary.BigEndian.AppendUint64(hello, 0) // last zxid seen
	hello = binary.BigEndian.AppendUint32(hello, sessionMs)
	hello = binary.BigEndian.AppendUint64(hello, 0) // session id
	hello = zkBytes(hello, make([]byte, 16))        // password
	hello = append(hello, 0)                        // read only
	binary.BigEndian.PutUint32(hello, uint32(len(hello)-4))
	c.SetDeadline(time.Now().Add(answerTimeout))
	if _, err = c.Write(hello); err == nil {
		var answer []byte
		if answer, err = z.readFrame(); err == nil && (len(answer) < 16 || binary.BigEndian.Uint64(answer[8:]) == 0) {
			err = errors.New("no session was granted")
		}
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return z, nil
}

func zkBytes(b, value []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(value))), value...)
}

// begin opens a frame in `out` and gives its place; end closes it.
func (z *zkConn) begin(op int32) int {
	at := len(z.out)
	z.xid++
	z.out = binary.BigEndian.AppendUint32(z.out, 0)
	z.out = binary.BigEndian.AppendUint32(z.out, uint32(z.xid))
	z.out = binary.BigEndian.AppendUint32(z.out, uint32(op))
	return at
}

func (z *zkConn) end(at int) {
	binary.BigEndian.PutUint32(z.out[at:], uint32(len(z.out)-at-4))
}

func (z *zkConn) path(path string) {
	z.out = append(binary.BigEndian.AppendUint32(z.out, uint32(len(path))), path...)
}

func (z *zkConn) addGet(path string, watch bool) {
	at := z.begin(opGetData)
	z.path(path)
	if watch {
		z.out = append(z.out, 1)
	} else {
		z.out = append(z.out, 0)
	}
	z.end(at)
}

func (z *zkConn) addSet(path string, data []byte) {
	at := z.begin(opSetData)
	z.path(path)
	z.out = zkBytes(z.out, data)
	z.out = binary.BigEndian.AppendUint32(z.out, 0xffffffff) // any version
	z.end(at)
}

func (z *zkConn) addCreate(path string, data []byte) {
	at := z.begin(opCreate)
	z.path(path)
	z.out = zkBytes(z.out, data)
	z.out = binary.BigEndian.AppendUint32(z.out, 1)  // one entry of the ACL
	z.out = binary.BigEndian.AppendUint32(z.out, 31) // all
	z.out = zkBytes(z.out, []byte("world"))
	z.out = zkBytes(z.out, []byte("anyone"))
	z.out = binary.BigEndian.AppendUint32(z.out, 0) // persistent
	z.end(at)
}

func (z *zkConn) addDelete(path string) {
	at := z.begin(opDelete)
	z.path(path)
	z.out = binary.BigEndian.AppendUint32(z.out, 0xffffffff)
	z.end(at)
}

func (z *zkConn) flush() error {
	_, err := z.c.Write(z.out)
	z.out = z.out[:0]
	return err
}

// readFrame gives the next payload; it is good until the next call.
func (z *zkConn) readFrame() ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(z.reader, head[:]); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint32(head[:]))
	if size > frameBytesMax {
		return nil, fmt.Errorf("a frame of %d bytes", size)
	}
	if cap(z.frame) < size {
		z.frame = make([]byte, size)
	}
	z.frame = z.frame[:size]
	_, err := io.ReadFull(z.reader, z.frame)
	return z.frame, err
}

// readReply gives xid and error of the next reply or event.
func (z *zkConn) readReply() (xid int32, code int32, err error) {
	frame, err := z.readFrame()
	if err != nil {
		return 0, 0, err
	}
	if len(frame) < 16 {
		return 0, 0, errors.New("a reply without a header")
	}
	return int32(binary.BigEndian.Uint32(frame)), int32(binary.BigEndian.Uint32(frame[12:])), nil
}

// expect reads `count` replies; `allowed` is the error that may stand in them.
func (z *zkConn) expect(count int, allowed int32) error {
	for ; count > 0; count-- {
		_, code, err := z.readReply()
		if err != nil {
			return err
		}
		if code != 0 && code != allowed {
			return fmt.Errorf("error %d", code)
		}
	}
	return nil
}

func (z *zkConn) close() {
	z.end(z.begin(opClose))
	z.c.SetDeadline(time.Now().Add(time.Second))
	if z.flush() == nil {
		io.Copy(io.Discard, z.reader)
	}
	z.c.Close()
}

func zkNode(number int) string {
	return fmt.Sprintf("%s/node-%04d", zkRoot, number)
}

// zkPrepare makes the nodes that the loads use; those that are there stay.
func zkPrepare(o options) error {
	z, err := zkDial(o.targets[0], answerPiece)
	if err != nil {
		return err
	}
	defer z.close()
	data := make([]byte, zkDataSize)
	z.addCreate(zkRoot, nil)
	z.addCreate(zkWatched, data)
	for i := 0; i < zkNodes; i++ {
		z.addCreate(zkNode(i), data)
	}
	for i := 0; i < o.connections; i++ {
		z.addCreate(fmt.Sprintf("%s/made-%d", zkRoot, i), nil)
	}
	if err := z.flush(); err != nil {
		return err
	}
	return z.expect(int(z.xid), errExists)
}

// zkWorker keeps `outstanding` requests under way on one connection until the run is over: for as many replies as have
// come, as many requests go out in one write.
func zkWorker(o options, index int, r *record) {
	z, err := zkDial(o.targets[index%len(o.targets)], answerPiece)
	if err != nil {
		r.fail(err.Error())
		return
	}
	defer z.close()
	chance := rand.New(rand.NewSource(int64(index) + 1))
	data := make([]byte, zkDataSize)
	made := 0
	add := func() {
		switch {
		case o.op == "zkcreate":
			z.addCreate(fmt.Sprintf("%s/made-%d/n%d", zkRoot, index, made), data)
			made++
		case o.op == "zkset", o.op == "zkmixed" && chance.Intn(setShare) == 0:
			z.addSet(zkNode(chance.Intn(zkNodes)), data)
		default:
			z.addGet(zkNode(chance.Intn(zkNodes)), false)
		}
	}
	sent := make([]time.Time, o.outstanding) // by xid
	first := int(z.xid) + 1
	var samples []time.Duration
	pending, due := 0, o.outstanding
	for {
		if r.stopped.Load() {
			due = 0
			if pending == 0 {
				break
			}
		}
		if due > 0 {
			now := time.Now()
			for i := 0; i < due; i++ {
				add()
				sent[(int(z.xid)-first)%o.outstanding] = now
			}
			pending += due
			z.c.SetDeadline(now.Add(answerTimeout))
			if err := z.flush(); err != nil {
				r.fail(err.Error())
				return
			}
			due = 0
		}
		for due == 0 || z.reader.Buffered() > 0 {
			xid, code, err := z.readReply()
			if err == nil && code != 0 {
				err = fmt.Errorf("error %d", code)
			}
			if err == nil && int(xid) != int(z.xid)-pending+1 {
				err = fmt.Errorf("reply %d where %d was due", xid, int(z.xid)-pending+1)
			}
			if err != nil {
				r.fail(err.Error())
				return
			}
			if r.measuring.Load() {
				samples = append(samples, time.Since(sent[(int(xid)-first)%o.outstanding]))
			}
			pending--
			due++
		}
	}
	r.add(samples, 0)
	if err := z.remove(index, made); err != nil {
		r.fail("tidying up: " + err.Error())
	}
}

// remove deletes what zkcreate has made, so that the next round finds the tree as this one did.
func (z *zkConn) remove(index, made int) error {
	const batch = 500
	for from := 0; from < made; from += batch {
		to := from + batch
		if to > made {
			to = made
		}
		for i := from; i < to; i++ {
			z.addDelete(fmt.Sprintf("%s/made-%d/n%d", zkRoot, index, i))
		}
		z.c.SetDeadline(time.Now().Add(answerTimeout))
		if err := z.flush(); err != nil {
			return err
		}
		if err := z.expect(to-from, 0); err != nil {
			return err
		}
	}
	return nil
}

// zkWatch opens sessions, sets one data watch with each on the same node, changes the node once, and takes the time
// until the last session was told; again for each round. The sessions are held until standard input ends.
func zkWatch(o options, rounds int) error {
	conns, seconds, err := zkSessions(o)
	if err != nil {
		return err
	}
	writer, err := zkDial(o.targets[0], answerPiece)
	if err != nil {
		return err
	}
	var all []map[string]any
	for round := 0; round < rounds; round++ {
		arrived, err := zkWatchRound(conns, writer)
		if err != nil {
			return err
		}
		sort.Slice(arrived, func(i, j int) bool { return arrived[i] < arrived[j] })
		all = append(all, map[string]any{"n": len(arrived), "p50_us": quantile(arrived, .5), "p100_us": quantile(arrived, 1)})
	}
	printLine(map[string]any{"op": o.op, "open": len(conns), "seconds": seconds, "rounds": all, "errors": 0})
	waitForEndOfInput()
	writer.close()
	for _, z := range conns {
		z.end(z.begin(opClose))
		z.flush()
		z.c.Close()
	}
	return nil
}

func zkSessions(o options) ([]*zkConn, float64, error) {
	var mu sync.Mutex
	var firstErr error
	conns := make([]*zkConn, o.connections)
	next := make(chan int)
	var workers sync.WaitGroup
	began := time.Now()
	for w := 0; w < idleDialers; w++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for i := range next {
				z, err := zkDial(o.targets[i%len(o.targets)], 256)
				if err != nil {
					mu.Lock()
					if firstErr == nil {
						firstErr = fmt.Errorf("session %d: %w", i, err)
					}
					mu.Unlock()
					continue
				}
				conns[i] = z
			}
		}()
	}
	for i := range conns {
		next <- i
	}
	close(next)
	workers.Wait()
	return conns, time.Since(began).Seconds(), firstErr
}

func zkWatchRound(conns []*zkConn, writer *zkConn) ([]time.Duration, error) {
	arrived := make([]time.Duration, len(conns))
	failed := make([]error, len(conns))
	var set, told sync.WaitGroup
	var changed time.Time
	for i, z := range conns {
		set.Add(1)
		told.Add(1)
		go func(i int, z *zkConn) {
			defer told.Done()
			z.c.SetDeadline(time.Now().Add(watchWait))
			z.addGet(zkWatched, true)
			err := z.flush()
			if err == nil {
				err = z.expect(1, 0)
			}
			set.Done()
			if err == nil {
				var xid int32
				if xid, _, err = z.readReply(); err == nil && xid != eventXid {
					err = fmt.Errorf("reply %d where an event was due", xid)
				}
			}
			arrived[i] = time.Since(changed)
			failed[i] = err
		}(i, z)
	}
	set.Wait()
	changed = time.Now()
	writer.addSet(zkWatched, make([]byte, zkDataSize))
	writer.c.SetDeadline(changed.Add(watchWait))
	err := writer.flush()
	if err == nil {
		err = writer.expect(1, 0)
	}
	told.Wait()
	for i := 0; i < len(failed) && err == nil; i++ {
		err = failed[i]
	}
	return arrived, err
}
