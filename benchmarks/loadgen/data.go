package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"time"
)

// A connection to ClientService that announces KeyValueCodec: cells travel behind the message, in both directions.

const (
	dataService  = "ClientService"
	adminService = "AdminService"
)

type dataConn struct {
	c      net.Conn
	reader *bufio.Reader
	frame  []byte // of the answer that was read last

	mu     sync.Mutex // of what follows: any reader of a client may write here
	out    []byte
	header []byte
	lastID uint32
}

func dialData(address string) (*dataConn, error) { return dialService(address, dataService) }

func dialService(address, service string) (*dataConn, error) {
	c, err := net.DialTimeout("tcp", address, dialTimeout)
	if err != nil {
		return nil, err
	}
	version := appendTextField(nil, 1, "2.6.4") // without one, answers to Get carry no cell block
	for number := 2; number <= 6; number++ {
		version = appendTextField(version, number, "hbload")
	}
	version = appendVarintField(appendVarintField(version, 7, 2), 8, 6)
	header := appendBytesField(nil, 1, appendTextField(nil, 1, "hbload"))
	header = appendTextField(appendTextField(header, 2, service), 3, keyValueCodec)
	header = appendBytesField(header, 5, version)
	b := []byte{'H', 'B', 'a', 's', 0, 80}
	b = append(binary.BigEndian.AppendUint32(b, uint32(len(header))), header...)
	if _, err := c.Write(b); err != nil {
		c.Close()
		return nil, err
	}
	return &dataConn{c: c, reader: bufio.NewReaderSize(c, answerPiece)}, nil
}

// add puts a call behind those that wait to be flushed. The caller holds mu, or has the connection for himself.
func (d *dataConn) add(id uint32, method string, param, cells []byte) {
	h := appendVarintField(d.header[:0], 1, uint64(id))
	h = appendVarintField(appendTextField(h, 3, method), 4, 1)
	if len(cells) > 0 {
		h = append(h, 5<<3|2, byte(1+uvarintBytes(len(cells))))
		h = appendVarintField(h, 1, uint64(len(cells)))
	}
	d.header = h
	total := uvarintBytes(len(h)) + len(h) + uvarintBytes(len(param)) + len(param) + len(cells)
	d.out = binary.BigEndian.AppendUint32(d.out, uint32(total))
	d.out = append(binary.AppendUvarint(d.out, uint64(len(h))), h...)
	d.out = append(binary.AppendUvarint(d.out, uint64(len(param))), param...)
	d.out = append(d.out, cells...)
}

func (d *dataConn) flush() error {
	_, err := d.c.Write(d.out)
	d.out = d.out[:0]
	return err
}

// ask makes one call and waits; for a connection that nobody else uses meanwhile.
func (d *dataConn) ask(method string, param, cells []byte) (answer, error) {
	d.lastID++
	d.add(d.lastID, method, param, cells)
	d.c.SetDeadline(time.Now().Add(answerTimeout))
	defer d.c.SetDeadline(time.Time{})
	if err := d.flush(); err != nil {
		return answer{}, err
	}
	var got answer
	var err error
	got, d.frame, err = readAnswer(d.reader, d.frame)
	switch {
	case err != nil:
		return got, err
	case got.exception != "":
		return got, fmt.Errorf("%s: %s", method, got.exception)
	case got.id != d.lastID:
		return got, fmt.Errorf("answer for call %d, asked was %d", got.id, d.lastID)
	}
	return got, nil
}

func uvarintBytes(n int) int {
	size := 1
	for ; n >= 0x80; n >>= 7 {
		size++
	}
	return size
}

// appendMutation is a MutationProto of a put whose cells travel in the cell block.
func appendMutation(b, row []byte, cells int) []byte {
	inside := 1 + uvarintBytes(len(row)) + len(row) + 2 + 2 + 1 + uvarintBytes(cells)
	b = binary.AppendUvarint(b, uint64(inside))
	b = appendBytesField(b, 1, row)
	b = appendVarintField(b, 2, 2) // PUT
	b = appendVarintField(b, 6, 3) // SYNC_WAL
	return appendVarintField(b, 8, uint64(cells))
}
