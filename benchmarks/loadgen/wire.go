package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// The protocol is written by hand here, from HBase's message numbers: a generator that shared code with one of
// the servers it measures would share that server's mistakes too.

const (
	frameBytesMax  = 64 << 20
	dialTimeout    = 5 * time.Second
	answerTimeout  = 10 * time.Second
	answerPiece    = 64 << 10
	preambleRegist = "Regist"
)

func appendVarintField(b []byte, field int, value uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(field)<<3), value)
}

func appendBytesField(b []byte, field int, value []byte) []byte {
	b = binary.AppendUvarint(b, uint64(field)<<3|2)
	b = binary.AppendUvarint(b, uint64(len(value)))
	return append(b, value...)
}

func appendTextField(b []byte, field int, value string) []byte {
	return appendBytesField(b, field, []byte(value))
}

type field struct {
	number int
	wire   int
	varint uint64
	bytes  []byte
}

// nextField reads the first field of a message; false where there is none that can be read.
func nextField(b []byte) (f field, rest []byte, ok bool) {
	key, n := binary.Uvarint(b)
	if n <= 0 {
		return f, nil, false
	}
	b = b[n:]
	f.number, f.wire = int(key>>3), int(key&7)
	switch f.wire {
	case 0:
		if f.varint, n = binary.Uvarint(b); n <= 0 {
			return f, nil, false
		}
		return f, b[n:], true
	case 1:
		if len(b) < 8 {
			return f, nil, false
		}
		f.varint = binary.LittleEndian.Uint64(b)
		return f, b[8:], true
	case 2:
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return f, nil, false
		}
		f.bytes = b[n : n+int(size)]
		return f, b[n+int(size):], true
	case 5:
		if len(b) < 4 {
			return f, nil, false
		}
		f.varint = uint64(binary.LittleEndian.Uint32(b))
		return f, b[4:], true
	}
	return f, nil, false
}

// fields splits one message; what it cannot read ends the list.
func fields(b []byte) []field {
	var out []field
	for {
		f, rest, ok := nextField(b)
		if !ok {
			return out
		}
		out, b = append(out, f), rest
	}
}

// inner follows a path of field numbers and gives the bytes there, nil where one is missing.
func inner(b []byte, path ...int) []byte {
	for _, number := range path {
		found := false
		for _, f := range fields(b) {
			if f.number == number && f.wire == 2 {
				b, found = f.bytes, true
				break
			}
		}
		if !found {
			return nil
		}
	}
	return b
}

func number(b []byte, wanted int) uint64 {
	for {
		f, rest, ok := nextField(b)
		switch {
		case !ok:
			return 0
		case f.number == wanted && f.wire != 2:
			return f.varint
		}
		b = rest
	}
}

// serverName writes HBase's ServerName message as host,port,startcode.
func serverName(b []byte) string {
	if b == nil {
		return ""
	}
	return fmt.Sprintf("%s,%d,%d", inner(b, 1), number(b, 2), number(b, 3))
}

// hello is the preamble (SIMPLE authentication) and a connection header without codec and compressor.
func hello(service string) []byte {
	header := appendBytesField(nil, 1, appendTextField(nil, 1, "hbload"))
	header = appendTextField(header, 2, service)
	b := []byte{'H', 'B', 'a', 's', 0, 80}
	b = binary.BigEndian.AppendUint32(b, uint32(len(header)))
	return append(b, header...)
}

// call is one frame: request header and an empty parameter.
func call(id uint32, method string) []byte {
	header := appendVarintField(nil, 1, uint64(id))
	header = appendTextField(header, 3, method)
	header = appendVarintField(header, 4, 1)
	body := binary.AppendUvarint(nil, uint64(len(header)))
	body = append(body, header...)
	body = binary.AppendUvarint(body, 0)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

type answer struct {
	id        uint32
	exception string
	body      []byte // shares the reader's buffer, as cells do: valid until the next read
	cells     []byte // the cell block
	frame     int    // bytes on the wire, length prefix included
}

// readAnswer reads one response frame into buffer, which it gives back grown.
func readAnswer(r *bufio.Reader, buffer []byte) (answer, []byte, error) {
	var prefix [4]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return answer{}, buffer, err
	}
	size := int(binary.BigEndian.Uint32(prefix[:]))
	if size > frameBytesMax {
		return answer{}, buffer, fmt.Errorf("announced frame of %d bytes", size)
	}
	if cap(buffer) < size {
		buffer = make([]byte, size)
	}
	buffer = buffer[:size]
	if _, err := io.ReadFull(r, buffer); err != nil {
		return answer{}, buffer, err
	}
	out := answer{frame: size + 4}
	headerSize, n := binary.Uvarint(buffer)
	if n <= 0 || headerSize > uint64(size-n) {
		return out, buffer, errors.New("response header longer than its frame")
	}
	header, rest := buffer[n:n+int(headerSize)], buffer[n+int(headerSize):]
	cellBytes := uint64(0)
	for {
		f, more, ok := nextField(header)
		if !ok {
			break
		}
		header = more
		switch f.number {
		case 1:
			out.id = uint32(f.varint)
		case 2:
			stack, _, _ := strings.Cut(string(inner(f.bytes, 2)), "\n")
			out.exception = fmt.Sprintf("%s: %s", inner(f.bytes, 1), stack)
		case 3:
			cellBytes = number(f.bytes, 1)
		}
	}
	if bodySize, n := binary.Uvarint(rest); n > 0 && bodySize <= uint64(len(rest)-n) {
		out.body, rest = rest[n:n+int(bodySize)], rest[n+int(bodySize):]
		if cellBytes != uint64(len(rest)) {
			return out, buffer, fmt.Errorf("a cell block of %d bytes announced, %d bytes there", cellBytes, len(rest))
		}
		out.cells = rest
	}
	return out, buffer, nil
}

func dial(addr, service string) (net.Conn, *bufio.Reader, error) {
	c, err := net.DialTimeout("tcp", addr, dialTimeout)
	if err != nil {
		return nil, nil, err
	}
	if _, err := c.Write(hello(service)); err != nil {
		c.Close()
		return nil, nil, err
	}
	return c, bufio.NewReaderSize(c, answerPiece), nil
}
