package main

import (
	"bytes"
	"fmt"
	"math"
	"sync"
	"time"
)

// What is done once: rows written and read whole, the wide row.

const (
	loadBatch = 100
	wideBatch = 1000 // cells of the wide row in a put
)

// eachRegion works on all regions, one connection for each server, and gives the first error.
func eachRegion(found *regions, work func(*dataConn, *region) error) error {
	return eachRegionOf(found, dataService, work)
}

func eachRegionOf(found *regions, service string, work func(*dataConn, *region) error) error {
	failed := make([]error, len(found.servers))
	var workers sync.WaitGroup
	for i, server := range found.servers {
		workers.Add(1)
		go func(i int, server string) {
			defer workers.Done()
			conn, err := dialService(server, service)
			if err != nil {
				failed[i] = err
				return
			}
			defer conn.c.Close()
			for _, r := range found.byHost[server] {
				if failed[i] = work(conn, r); failed[i] != nil {
					return
				}
			}
		}(i, server)
	}
	workers.Wait()
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

// puts writes `count` puts with the cells in the block, and sees them done.
func (d *dataConn) puts(spec []byte, rows [][]byte, cellsOf int, block []byte) error {
	entry := appendBytesField(nil, 1, spec)
	for index, row := range rows {
		action := append(appendVarintField(nil, 1, uint64(index)), 2<<3|2)
		entry = appendBytesField(entry, 3, appendMutation(action, row, cellsOf))
	}
	got, err := d.ask("Multi", appendBytesField(nil, 1, entry), block)
	if err != nil {
		return err
	}
	done, err := countDone(got.body)
	if err == nil && done != len(rows) {
		err = fmt.Errorf("%d of %d puts were answered", done, len(rows))
	}
	return err
}

func loadRows(o options, s *shape, found *regions) (map[string]any, error) {
	began := time.Now()
	err := eachRegion(found, func(conn *dataConn, r *region) error {
		first := (r.first + o.every - 1) / o.every * o.every
		for from := first; from < r.last; from += loadBatch * o.every {
			var rows [][]byte
			var block []byte
			for n := from; n < atMost(from+loadBatch*o.every, r.last); n += o.every {
				row := appendRow(nil, n)
				rows, block = append(rows, row), s.appendCells(block, row, n)
			}
			if err := conn.puts(r.spec, rows, s.cells, block); err != nil {
				return err
			}
		}
		return nil
	})
	return map[string]any{"rows": o.rows, "regions": len(found.all), "seconds": time.Since(began).Seconds()}, err
}

func verifyRows(o options, s *shape, found *regions) (map[string]any, error) {
	began := time.Now()
	err := eachRegion(found, func(conn *dataConn, r *region) error {
		next := r.first
		scan := &scanner{conn: conn, spec: r.spec, family: string(family), rowsPerCall: 500, bytesMax: resultBytesMax,
			start: r.start, stop: r.end}
		err := scan.each(func(row []byte, cells []cell) error {
			if string(row) != string(appendRow(nil, next)) || len(cells) != s.cells {
				return fmt.Errorf("row %s with %d cells where row %d was due", row, len(cells), next)
			}
			for i, c := range cells {
				if !bytes.Equal(c.qualifier, s.qualifiers[i]) || !bytes.Equal(c.value, s.value(next, i)) {
					return fmt.Errorf("%s/%s:%s is not what was written", row, c.family, c.qualifier)
				}
			}
			next++
			return nil
		})
		if err == nil && next != r.last {
			err = fmt.Errorf("%s ends before row %d of %d", r.name, next, r.last)
		}
		return err
	})
	return map[string]any{"rows": o.rows, "regions": len(found.all), "seconds": time.Since(began).Seconds()}, err
}

// wideLoad writes a row of very many cells, a put of some of them at a time.
func wideLoad(_ options, s *shape, found *regions) (map[string]any, error) {
	began, r := time.Now(), found.all[0]
	conn, err := dialData(r.server)
	if err != nil {
		return nil, err
	}
	defer conn.c.Close()
	row := []byte(wideRow)
	for from := 0; from < s.cells; from += wideBatch {
		to := atMost(from+wideBatch, s.cells)
		var block []byte
		for i := from; i < to; i++ {
			block = appendCell(block, row, s.qualifiers[i], latest, s.value(0, i))
		}
		if err := conn.puts(r.spec, [][]byte{row}, to-from, block); err != nil {
			return nil, err
		}
	}
	return map[string]any{"cells": s.cells, "seconds": time.Since(began).Seconds()}, nil
}

// wideScans reads the wide row as a Java client's scan of one row does, -n times.
func wideScans(o options, s *shape, found *regions) (map[string]any, error) {
	r := found.all[0]
	conn, err := dialData(r.server)
	if err != nil {
		return nil, err
	}
	defer conn.c.Close()
	var ms []float64
	calls := 0
	for round := 0; round < o.rounds; round++ {
		began, rows := time.Now(), 0
		scan := &scanner{conn: conn, spec: r.spec, family: string(family), rowsPerCall: math.MaxInt32,
			bytesMax: resultBytesMax, start: []byte(wideRow), stop: []byte(wideRow), includeStop: true}
		err := scan.each(func(row []byte, cells []cell) error {
			rows++
			if string(row) != wideRow || len(cells) != s.cells {
				return fmt.Errorf("row %s with %d cells", row, len(cells))
			}
			for i, c := range cells {
				if !bytes.Equal(c.qualifier, s.qualifiers[i]) || !bytes.Equal(c.value, s.value(0, i)) {
					return fmt.Errorf("cell %s is not what was written", c.qualifier)
				}
			}
			return nil
		})
		if err == nil && rows != 1 {
			err = fmt.Errorf("%d rows", rows)
		}
		if err != nil {
			return nil, err
		}
		ms, calls = append(ms, float64(time.Since(began).Microseconds())/1000), scan.calls
	}
	return map[string]any{"ms": ms, "cells": s.cells, "calls": calls}, nil
}
