package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

const (
	idleDialers      = 32
	answerPieceShort = 512
)

// stormWorker opens a connection, asks for the cluster id and closes, again and again.
//
// It uses blocking sockets on a thread of its own: Go's network poller costs more processor time for a connection that
// lives for one question than the connection itself, time that the server beside it would miss.
func stormWorker(o options, index int, r *record) {
	runtime.LockOSThread()
	target, err := net.ResolveTCPAddr("tcp4", o.targets[index%len(o.targets)])
	if err != nil {
		r.fail(err.Error())
		return
	}
	to := &syscall.SockaddrInet4{Port: target.Port}
	copy(to.Addr[:], target.IP.To4())
	question := append(hello(registryService), call(1, "GetClusterId")...)
	if o.op == "regist" {
		question = []byte(preambleRegist)
	}
	reader := bufio.NewReaderSize(nil, answerPieceShort)
	var samples []time.Duration
	for !r.stopped.Load() {
		began := time.Now()
		if err := ask(to, question, reader); err != nil {
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

func ask(to syscall.Sockaddr, question []byte, reader *bufio.Reader) error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	limit := syscall.NsecToTimeval(answerTimeout.Nanoseconds())
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &limit); err != nil {
		return err
	}
	// closing resets the connection: thousands of short ones would otherwise leave the loopback full of TIME_WAIT
	linger := syscall.Linger{Onoff: 1, Linger: 0}
	if err := syscall.SetsockoptLinger(fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &linger); err != nil {
		return err
	}
	if err := syscall.Connect(fd, to); err != nil {
		return err
	}
	if _, err := syscall.Write(fd, question); err != nil {
		return err
	}
	reader.Reset(socketReader{fd})
	got, _, err := readAnswer(reader, nil)
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

// socketReader reads a blocking socket.
type socketReader struct{ fd int }

func (s socketReader) Read(p []byte) (int, error) {
	for {
		n, err := syscall.Read(s.fd, p)
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
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
