package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

const idleDialers = 32

// stormWorker opens a connection, asks for the cluster id and closes, again and again.
func stormWorker(o options, index int, r *record) {
	target := o.targets[index%len(o.targets)]
	question := append(hello(registryService), call(1, "GetClusterId")...)
	if o.op == "regist" {
		question = []byte(preambleRegist)
	}
	var samples []time.Duration
	for !r.stopped.Load() {
		began := time.Now()
		if err := ask(target, question); err != nil {
			r.fail(err.Error())
			time.Sleep(time.Millisecond)
			continue
		}
		if r.measuring.Load() {
			samples = append(samples, time.Since(began))
		}
	}
	r.add(samples, 0)
}

func ask(target string, question []byte) error {
	c, err := net.DialTimeout("tcp", target, dialTimeout)
	if err != nil {
		return err
	}
	defer closeHard(c)
	c.SetDeadline(time.Now().Add(answerTimeout))
	if _, err := c.Write(question); err != nil {
		return err
	}
	got, _, err := readAnswer(bufio.NewReaderSize(c, 512), nil)
	if err != nil {
		return err
	}
	if got.exception != "" {
		return errors.New(got.exception)
	}
	if len(inner(got.body, 1)) == 0 {
		return errors.New("no cluster id in the answer")
	}
	return nil
}

// holdIdle opens `connections` connections, asks on each once, says so in one line, and keeps them until standard
// input ends.
func holdIdle(o options) (map[string]any, error) {
	var mu sync.Mutex
	var held []net.Conn
	var firstErr error
	next := make(chan int)
	var workers sync.WaitGroup
	began := time.Now()
	for w := 0; w < idleDialers; w++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for i := range next {
				c, err := openIdle(o.targets[i%len(o.targets)])
				mu.Lock()
				if err == nil {
					held = append(held, c)
				} else if firstErr == nil {
					firstErr = fmt.Errorf("connection %d: %w", i, err)
				}
				mu.Unlock()
			}
		}()
	}
	for i := 0; i < o.connections; i++ {
		next <- i
	}
	close(next)
	workers.Wait()
	if firstErr != nil {
		return nil, firstErr
	}
	return map[string]any{"op": o.op, "open": len(held), "seconds": time.Since(began).Seconds()}, nil
}

func openIdle(target string) (net.Conn, error) {
	c, reader, err := dial(target, registryService)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(answerTimeout))
	if _, err = c.Write(call(1, "GetClusterId")); err == nil {
		var got answer
		if got, _, err = readAnswer(reader, nil); err == nil && got.exception != "" {
			err = errors.New(got.exception)
		}
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	c.SetDeadline(time.Time{})
	return c, nil
}

func waitForEndOfInput() {
	io.Copy(io.Discard, os.Stdin)
}
