package main

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"sort"
)

// Where rows are, as a client finds out: meta's server from the registry, the table's regions from hbase:meta.

const metaRegion = "hbase:meta,,1"

type region struct {
	spec   []byte // RegionSpecifier, as requests carry it
	name   string
	start  []byte
	end    []byte // empty: no end
	server string // host:port
	first  int    // the rows that lie in it, by number: [first, last)
	last   int
}

type regions struct {
	all     []*region // by start
	servers []string
	byHost  map[string][]*region
}

func cloned(b []byte) []byte { return append([]byte(nil), b...) }

func specifier(name []byte) []byte {
	return appendBytesField(appendVarintField(nil, 1, 1), 2, name) // REGION_NAME
}

// findRegions asks any server of the registry; `rows` says how many rows there are, for first and last.
func findRegions(registry, table string, rows int) (*regions, error) {
	body, err := askOnce(registry, "GetMetaRegionLocations")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", registry, err)
	}
	meta := inner(body, 1, 2)
	server := fmt.Sprintf("%s:%d", inner(meta, 1), number(meta, 2))
	c, err := dialData(server)
	if err != nil {
		return nil, fmt.Errorf("hbase:meta at %s: %w", server, err)
	}
	defer c.c.Close()
	found := &regions{byHost: map[string][]*region{}}
	scan := &scanner{conn: c, spec: specifier([]byte(metaRegion)), family: "info", rowsPerCall: 500,
		start: []byte(table + ",,"), stop: []byte(table + " ,,")}
	err = scan.each(func(row []byte, cells []cell) error {
		r := &region{name: string(row), spec: specifier(cloned(row))}
		for _, c := range cells {
			switch string(c.qualifier) {
			case "server":
				r.server = string(c.value)
			case "regioninfo":
				if len(c.value) < 4 {
					return fmt.Errorf("%s: no region information", row)
				}
				r.start, r.end = cloned(inner(c.value[4:], 3)), cloned(inner(c.value[4:], 4))
			}
		}
		if r.server == "" {
			return fmt.Errorf("%s is nowhere", row)
		}
		found.all = append(found.all, r)
		return nil
	})
	if err == nil && len(found.all) == 0 {
		err = fmt.Errorf("no region of %s in hbase:meta at %s", table, server)
	}
	if err != nil {
		return nil, err
	}
	found.order(rows)
	return found, nil
}

func (f *regions) order(rows int) {
	sort.Slice(f.all, func(i, j int) bool { return bytes.Compare(f.all[i].start, f.all[j].start) < 0 })
	for _, r := range f.all {
		r.first = rowAt(r.start, rows)
		r.last = rows
		if len(r.end) > 0 {
			r.last = rowAt(r.end, rows)
		}
		if f.byHost[r.server] == nil {
			f.servers = append(f.servers, r.server)
		}
		f.byHost[r.server] = append(f.byHost[r.server], r)
	}
	sort.Strings(f.servers)
}

// rowAt is the number of the first row at or after a key.
func rowAt(key []byte, rows int) int {
	return sort.Search(rows, func(n int) bool { return bytes.Compare(appendRow(nil, n), key) >= 0 })
}

// of gives the region of a row by its number.
func (f *regions) of(row int) *region {
	return f.all[sort.Search(len(f.all), func(i int) bool { return f.all[i].last > row })]
}

// scanner reads rows [start, stop) of one region, as a Java client does: open, next until the region has no more.
type scanner struct {
	conn        *dataConn
	spec        []byte
	family      string
	start, stop []byte
	includeStop bool
	rowsPerCall int
	bytesMax    int    // hbase.client.scanner.max.result.size; 0: not sent
	filter      []byte // a serialized Filter
	raw         bool   // markers, dead cells and all versions
	calls       int
}

// each gives every row once and whole; a row that comes in pieces is put together.
func (s *scanner) each(take func(row []byte, cells []cell) error) error {
	scan := appendBytesField(nil, 1, appendTextField(nil, 1, s.family))
	if s.raw {
		scan = appendBytesField(scan, 2, append(appendTextField(nil, 1, "_raw_"), 2<<3|2, 1, 0xff))
	}
	scan = appendBytesField(appendBytesField(scan, 3, s.start), 4, s.stop)
	if s.filter != nil {
		scan = appendBytesField(scan, 5, s.filter)
	}
	if s.raw {
		scan = appendVarintField(scan, 7, math.MaxInt32)
	}
	if s.bytesMax > 0 {
		scan = appendVarintField(scan, 10, uint64(s.bytesMax))
	}
	if s.includeStop {
		scan = appendVarintField(scan, 22, 1)
	}
	param := appendBytesField(appendBytesField(nil, 1, s.spec), 2, scan)
	var row []byte
	var held []cell
	for seq := uint64(0); ; seq++ {
		param = appendVarintField(param, 4, uint64(s.rowsPerCall))
		param = appendVarintField(appendVarintField(param, 7, 1), 8, 1) // partial results, heartbeats
		got, err := s.conn.ask("Scan", param, nil)
		if err != nil {
			return err
		}
		s.calls++
		said, block := readScanned(got.body), cloned(got.cells)
		for i, count := range said.cells {
			for ; count > 0; count-- {
				var c cell
				var ok bool
				if c, block, ok = nextCell(block); !ok {
					return errors.New("the cell block of a scan ends too early")
				}
				if len(held) > 0 && !bytes.Equal(c.row, row) {
					// a piece was full with the last cell of its row: only the next one tells that it was the last
					if err := take(row, held); err != nil {
						return err
					}
					held = held[:0]
				}
				row, held = c.row, append(held, c)
			}
			if (i >= len(said.partial) || !said.partial[i]) && len(held) > 0 {
				if err := take(row, held); err != nil {
					return err
				}
				held = held[:0]
			}
		}
		if !said.moreInRegion || said.noMore {
			if len(held) > 0 {
				return take(row, held)
			}
			return nil
		}
		param = appendVarintField(appendVarintField(nil, 3, said.id), 6, seq)
	}
}

// scanned is what a ScanResponse says.
type scanned struct {
	id           uint64
	cells        []int
	partial      []bool
	moreInRegion bool
	noMore       bool
}

func readScanned(body []byte) scanned {
	var out scanned
	for _, f := range fields(body) {
		switch f.number {
		case 1:
			out.cells = append(out.cells, int(f.varint))
		case 2:
			out.id = f.varint
		case 3:
			out.noMore = f.varint == 0
		case 7:
			out.partial = append(out.partial, f.varint == 1)
		case 8:
			out.moreInRegion = f.varint == 1
		}
	}
	return out
}
