package main

import (
	"bufio"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// lastAnswers is how long answers are still awaited when nothing is sent any more; they are not counted.
const lastAnswers = 100 * time.Millisecond

// callWorker keeps `outstanding` calls under way on one connection until the run is over.
func callWorker(o options, index int, r *record) {
	target := o.targets[index%len(o.targets)]
	c, reader, err := dial(target, registryService)
	if err != nil {
		r.fail(err.Error())
		return
	}
	started := time.Now()
	sent := make([]atomic.Int64, o.outstanding) // nanoseconds since started, by slot
	free := make(chan int, o.outstanding+1)     // slots whose answer has come; -1 ends the writer
	for slot := 0; slot < o.outstanding; slot++ {
		free <- slot
	}
	writerDone := make(chan struct{})
	go func() {
		defer close(writerDone)
		writeCalls(o, c, r, started, sent, free)
		c.SetReadDeadline(time.Now().Add(lastAnswers)) // the reader may wait for an answer to nothing
	}()

	var samples []time.Duration
	var buffer []byte
	var frameBytes int64
	for !r.stopped.Load() {
		c.SetReadDeadline(time.Now().Add(answerTimeout))
		var got answer
		got, buffer, err = readAnswer(reader, buffer)
		if err != nil {
			if !r.stopped.Load() {
				r.fail(err.Error())
			}
			break
		}
		slot := int(got.id) - 1
		if slot < 0 || slot >= o.outstanding {
			r.fail(fmt.Sprintf("answer for call %d, which was not asked", got.id))
			break
		}
		switch {
		case got.exception != "":
			r.fail(got.exception)
		case len(got.body) == 0:
			r.fail("empty answer") // a Java client counts it as a failed attempt
		case r.measuring.Load():
			frameBytes += int64(got.frame)
			samples = append(samples, time.Since(started)-time.Duration(sent[slot].Load()))
		}
		free <- slot
	}
	c.Close()
	select {
	case free <- -1:
	default: // full of slots: the writer sees the closed connection
	}
	<-writerDone
	r.add(samples, frameBytes)
}

// writeCalls sends a call for each free slot, as many in one write as are free, or at a fixed rate.
func writeCalls(o options, c net.Conn, r *record, started time.Time, sent []atomic.Int64, free <-chan int) {
	frames := make([][]byte, o.outstanding)
	for slot := range frames {
		frames[slot] = call(uint32(slot+1), methods[o.op])
	}
	w := bufio.NewWriterSize(c, answerPiece)
	gap := time.Duration(0)
	if o.rate > 0 {
		gap = time.Duration(float64(time.Second) * float64(o.connections) / o.rate)
	}
	next := time.Now()
	for !r.stopped.Load() {
		var slot int
		select {
		case slot = <-free:
		default:
			if w.Flush() != nil {
				return
			}
			slot = <-free
		}
		if slot < 0 {
			return
		}
		at := time.Now()
		if gap > 0 { // open loop: a late answer delays the next call, so latency counts from when it was due
			if next.After(at) {
				if w.Flush() != nil {
					return
				}
				time.Sleep(next.Sub(at))
			}
			at = next
			next = next.Add(gap)
		}
		sent[slot].Store(int64(at.Sub(started)))
		if _, err := w.Write(frames[slot]); err != nil {
			return
		}
	}
}
