package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand"
)

// Rows of N cells: what they are called, what is in them, and how they travel (KeyValueCodec).
//
// A cell on the wire: int32 length of all that follows, int32 key length, int32 value length; the key: int16 row length,
// row, int8 family length, family, qualifier, int64 timestamp, int8 type; then the value.

const (
	keyValueCodec = "org.apache.hadoop.hbase.codec.KeyValueCodec"
	typePut       = 4
	latest        = 1<<63 - 1 // "now": the server puts its clock there
	patternBytes  = 1 << 13
	wideRow       = "wide"
)

var (
	family  = []byte("f")
	pattern = func() []byte { // so that no value compresses, and each cell's differs from its neighbours'
		b := make([]byte, patternBytes)
		rand.New(rand.NewSource(1)).Read(b)
		return b
	}()
)

// shape is what rows look like.
type shape struct {
	cells      int
	valueBytes int
	qualifiers [][]byte
}

func newShape(cells, valueBytes int) *shape {
	s := &shape{cells: cells, valueBytes: valueBytes}
	for i := 0; i < cells; i++ {
		s.qualifiers = append(s.qualifiers, fmt.Appendf(nil, "q%06d", i))
	}
	return s
}

func appendRow(b []byte, number int) []byte {
	return fmt.Appendf(b, "row%07d", number)
}

// value of a cell: the same each time it is written, so that every answer can be checked.
func (s *shape) value(number, cell int) []byte {
	at := (number*31 + cell*7) % (patternBytes - s.valueBytes)
	return pattern[at : at+s.valueBytes]
}

func appendCell(b, row, qualifier []byte, timestamp uint64, value []byte) []byte {
	keyBytes := 2 + len(row) + 1 + len(family) + len(qualifier) + 8 + 1
	b = binary.BigEndian.AppendUint32(b, uint32(8+keyBytes+len(value)))
	b = binary.BigEndian.AppendUint32(b, uint32(keyBytes))
	b = binary.BigEndian.AppendUint32(b, uint32(len(value)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(row)))
	b = append(append(b, row...), byte(len(family)))
	b = append(append(b, family...), qualifier...)
	b = binary.BigEndian.AppendUint64(b, timestamp)
	b = append(b, typePut)
	return append(b, value...)
}

// appendCells gives all cells of a row.
func (s *shape) appendCells(b, row []byte, number int) []byte {
	for i, qualifier := range s.qualifiers {
		b = appendCell(b, row, qualifier, latest, s.value(number, i))
	}
	return b
}

type cell struct {
	row, family, qualifier, value []byte
}

// nextCell reads one cell of a block; false where the block ends inside of it.
func nextCell(b []byte) (c cell, rest []byte, ok bool) {
	if len(b) < 12 {
		return c, nil, false
	}
	size, keyBytes := int(binary.BigEndian.Uint32(b)), int(binary.BigEndian.Uint32(b[4:]))
	valueBytes := int(binary.BigEndian.Uint32(b[8:]))
	if size+4 > len(b) || size != 8+keyBytes+valueBytes || keyBytes < 12 {
		return c, nil, false
	}
	key, rowBytes := b[12:12+keyBytes], int(binary.BigEndian.Uint16(b[12:]))
	if 2+rowBytes+1 > keyBytes {
		return c, nil, false
	}
	c.row, key = key[2:2+rowBytes], key[2+rowBytes:]
	familyBytes := int(key[0])
	if 1+familyBytes+9 > len(key) {
		return c, nil, false
	}
	c.family, c.qualifier = key[1:1+familyBytes], key[1+familyBytes:len(key)-9]
	c.value = b[12+keyBytes : 4+size]
	return c, b[4+size:], true
}

// checkRow reads the cells of one row and holds them against what was written; it gives what follows them.
func (s *shape) checkRow(block []byte, number int) ([]byte, error) {
	var name [16]byte
	row := appendRow(name[:0], number)
	for i, qualifier := range s.qualifiers {
		c, rest, ok := nextCell(block)
		switch {
		case !ok:
			return nil, fmt.Errorf("the cells of %s end after %d of %d", row, i, s.cells)
		case !bytes.Equal(c.row, row) || !bytes.Equal(c.qualifier, qualifier) || !bytes.Equal(c.family, family):
			return nil, fmt.Errorf("%s/%s:%s where %s/f:%s was due", c.row, c.family, c.qualifier, row, qualifier)
		case !bytes.Equal(c.value, s.value(number, i)):
			return nil, fmt.Errorf("%s/f:%s has a value that nobody has written (%d bytes)", row, qualifier, len(c.value))
		}
		block = rest
	}
	return block, nil
}
