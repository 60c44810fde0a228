package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand"
	"sort"
)

// The calls themselves: each is composed for a row by chance, and its answer is held against what was written.

const resultBytesMax = 2 << 20 // hbase.client.scanner.max.result.size

func (cl *client) to(r *region) *dataConn { return cl.conns[r.server] }

func composeGet(cl *client, rng *rand.Rand, c *pending) {
	c.row = rng.Intn(cl.o.rows)
	r := cl.regions.of(c.row)
	c.to = cl.to(r)
	get := appendRow(append(cl.entry[:0], 1<<3|2, 0), c.row)
	get[1] = byte(len(get) - 2)
	cl.entry = appendFamily(get, 2)
	cl.body = appendBytesField(appendBytesField(cl.body, 1, r.spec), 2, cl.entry)
}

// appendFamily is a Column without qualifiers in that field.
func appendFamily(b []byte, field int) []byte {
	b = append(b, byte(field<<3|2), byte(2+len(family)), 1<<3|2, byte(len(family)))
	return append(b, family...)
}

func checkGet(cl *client, c *pending, got answer) error {
	result, _, ok := nextField(got.body)
	if !ok || result.number != 1 {
		return errors.New("an answer without a result")
	}
	count := number(result.bytes, 2)
	if count == 0 && cl.o.mayBeGone {
		return nil
	}
	if count != uint64(cl.shape.cells) {
		return fmt.Errorf("%d cells in row %d", count, c.row)
	}
	return nothingLeft(cl.shape.checkRow(got.cells, c.row))
}

func nothingLeft(rest []byte, err error) error {
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes of cells more than were due", len(rest))
	}
	return err
}

// composeMutate is Java's Table.put: the cells are in the message.
func composeMutate(cl *client, rng *rand.Rand, c *pending) {
	c.row = rng.Intn(cl.o.rows)
	r := cl.regions.of(c.row)
	c.to = cl.to(r)
	m := appendRow(append(cl.entry[:0], 1<<3|2, 0), c.row)
	m[1] = byte(len(m) - 2)
	m = appendVarintField(m, 2, 2) // PUT
	columns := appendBytesField(cl.action[:0], 1, family)
	for i, qualifier := range cl.shape.qualifiers {
		value := cl.shape.value(c.row, i)
		size := 1 + 1 + len(qualifier) + 1 + uvarintBytes(len(value)) + len(value) + 1 + uvarintBytes(latest)
		columns = binary.AppendUvarint(append(columns, 2<<3|2), uint64(size))
		columns = appendBytesField(appendBytesField(columns, 1, qualifier), 2, value)
		columns = appendVarintField(columns, 3, latest)
	}
	cl.action = columns
	m = appendBytesField(m, 3, columns)
	cl.entry = appendVarintField(m, 6, 3) // SYNC_WAL
	cl.body = appendBytesField(appendBytesField(cl.body, 1, r.spec), 2, cl.entry)
}

func checkMutate(_ *client, _ *pending, got answer) error {
	if number(got.body, 2) != 1 {
		return errors.New("not processed")
	}
	return nil
}

// composePuts is a Multi of puts to the regions of one server, as a client groups them.
func composePuts(cl *client, rng *rand.Rand, c *pending) {
	c.row, c.count = rng.Intn(cl.o.rows), cl.o.batch
	server := cl.regions.of(c.row).server
	cl.picked = append(cl.picked[:0], c.row)
	for len(cl.picked) < cl.o.batch {
		row := rng.Intn(cl.o.rows)
		if cl.regions.of(row).server == server {
			cl.picked = append(cl.picked, row)
		}
	}
	c.to = cl.conns[server]
	sort.Ints(cl.picked)
	var of *region
	index := 0
	for _, number := range cl.picked {
		if r := cl.regions.of(number); r != of {
			cl.endRegion(of)
			of, index = r, 0
			cl.entry = appendBytesField(cl.entry[:0], 1, r.spec)
		}
		var name [16]byte
		row := appendRow(name[:0], number)
		cl.addPut(index, row, cl.shape.cells)
		cl.cells = cl.shape.appendCells(cl.cells, row, number)
		index++
	}
	cl.endRegion(of)
}

// addPut puts an action into the region action that cl.entry holds.
func (cl *client) addPut(index int, row []byte, cells int) {
	action := append(appendVarintField(cl.action[:0], 1, uint64(index)), 2<<3|2)
	cl.action = appendMutation(action, row, cells)
	cl.entry = appendBytesField(cl.entry, 3, cl.action)
}

func (cl *client) endRegion(r *region) {
	if r != nil {
		cl.body = appendBytesField(cl.body, 1, cl.entry)
	}
}

func checkPuts(_ *client, c *pending, got answer) error {
	done, err := countDone(got.body)
	if err == nil && done != c.count {
		err = fmt.Errorf("%d of %d puts were answered", done, c.count)
	}
	return err
}

// countDone counts the actions of a MultiResponse; the first exception in it is the error.
func countDone(body []byte) (int, error) {
	done := 0
	for {
		of, rest, ok := nextField(body)
		if !ok {
			return done, nil
		}
		body = rest
		if of.number != 1 {
			continue
		}
		for each := of.bytes; ; {
			f, more, ok := nextField(each)
			if !ok {
				break
			}
			each = more
			if f.number == 2 {
				return done, fmt.Errorf("%s: %.200s", inner(f.bytes, 1), inner(f.bytes, 2))
			}
			if f.number != 1 {
				continue
			}
			if failed := inner(f.bytes, 3); failed != nil {
				return done, fmt.Errorf("%s: %.200s", inner(failed, 1), inner(failed, 2))
			}
			done++
		}
	}
}

// composeScan asks for rows that lie in one region, in one call that also closes the scanner.
func composeScan(cl *client, rng *rand.Rand, c *pending) {
	c.row = rng.Intn(cl.o.rows)
	r := cl.regions.of(c.row)
	if c.row > r.last-cl.o.batch {
		c.row = r.last - cl.o.batch
	}
	if c.row < r.first { // the region has fewer rows
		c.row = r.first
	}
	c.to, c.count = cl.to(r), atMost(cl.o.batch, r.last-c.row)
	scan := appendFamily(cl.entry[:0], 1)
	at := len(scan) + 1
	scan = appendRow(append(scan, 3<<3|2, 0), c.row)
	scan[at] = byte(len(scan) - at - 1)
	cl.entry = appendVarintField(scan, 10, resultBytesMax)
	b := appendBytesField(appendBytesField(cl.body, 1, r.spec), 2, cl.entry)
	b = appendVarintField(appendVarintField(b, 4, uint64(cl.o.batch)), 5, 1)
	cl.body = appendVarintField(appendVarintField(b, 7, 1), 8, 1)
}

func checkScan(cl *client, c *pending, got answer) error {
	rows, body, cells := 0, got.body, got.cells
	for {
		f, rest, ok := nextField(body)
		if !ok {
			break
		}
		body = rest
		if f.number != 1 {
			continue
		}
		if f.varint != uint64(cl.shape.cells) {
			return fmt.Errorf("%d cells in row %d", f.varint, c.row+rows)
		}
		var err error
		if cells, err = cl.shape.checkRow(cells, c.row+rows); err != nil {
			return err
		}
		rows++
	}
	if rows != c.count {
		return fmt.Errorf("%d rows where %d were due", rows, c.count)
	}
	return nothingLeft(cells, nil)
}

func atMost(a, b int) int {
	if a < b {
		return a
	}
	return b
}

// composeUpdate writes one cell of the wide row.
func composeUpdate(cl *client, rng *rand.Rand, c *pending) {
	c.count = 1
	r, at := cl.regions.all[0], rng.Intn(cl.shape.cells)
	c.to = cl.to(r)
	row := []byte(wideRow)
	cl.entry = appendBytesField(cl.entry[:0], 1, r.spec)
	cl.addPut(0, row, 1)
	cl.cells = appendCell(cl.cells, row, cl.shape.qualifiers[at], latest, cl.shape.value(0, at))
	cl.endRegion(r)
}
