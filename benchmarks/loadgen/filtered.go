package main

import (
	"fmt"
	"hash/crc32"
	"math"
	"time"
)

// A table of people, and scans of all of it with a filter: rows of five columns whose values differ in length, written
// at times of their own.

const (
	peopleFirstMs = 1_700_000_000_000
	peopleTimes   = 1000 // row n is written at the time of that number, modulo so many
	cities        = 100
)

var peopleColumns = [][]byte{[]byte("age"), []byte("city"), []byte("mail"), []byte("name"), []byte("note")}

func peopleValue(number, column int) []byte {
	switch column {
	case 0:
		return fmt.Appendf(nil, "%d", number%97)
	case 1:
		return fmt.Appendf(nil, "city%02d", number*7%cities)
	case 2:
		return fmt.Appendf(nil, "user%d@example%d.com", number, number%7)
	case 3:
		return fmt.Appendf(nil, "Person %d of %s", number, []string{"Ada", "Barbara", "Grace", "Hedy"}[number%4])
	}
	return fmt.Appendf(nil, "note %0*d", 20+number%40, number)
}

// loadPeople writes all rows.
func loadPeople(o options, _ *shape, found *regions) (map[string]any, error) {
	began := time.Now()
	err := eachRegion(found, func(conn *dataConn, r *region) error {
		for from := r.first; from < r.last; from += loadBatch {
			var rows [][]byte
			var block []byte
			for n := from; n < atMost(from+loadBatch, r.last); n++ {
				row := appendRow(nil, n)
				rows = append(rows, row)
				for column, qualifier := range peopleColumns {
					at := uint64(peopleFirstMs + n%peopleTimes)
					block = appendCell(block, row, qualifier, at, peopleValue(n, column))
				}
			}
			if err := conn.puts(r.spec, rows, len(peopleColumns), block); err != nil {
				return err
			}
		}
		return nil
	})
	return map[string]any{"rows": o.rows, "seconds": time.Since(began).Seconds()}, err
}

// seen is what a scan has given: a sum of all rows, columns and values tells it from any other.
type seen struct {
	rows, cells int
	sum         uint64
}

func scanOnce(o options, found *regions) (seen, error) {
	all := make(chan seen, len(found.all))
	err := eachRegion(found, func(conn *dataConn, r *region) error {
		var of seen
		scan := &scanner{conn: conn, spec: r.spec, family: string(family), rowsPerCall: math.MaxInt32,
			bytesMax: resultBytesMax, start: r.start, stop: r.end, filter: o.filter, raw: o.raw}
		err := scan.each(func(row []byte, cells []cell) error {
			of.rows++
			of.cells += len(cells)
			sum := crc32.Checksum(row, castagnoli)
			for _, c := range cells {
				sum = crc32.Update(crc32.Update(sum, castagnoli, c.qualifier), castagnoli, c.value)
			}
			of.sum += uint64(sum)
			return nil
		})
		all <- of
		return err
	})
	close(all)
	var total seen
	for each := range all {
		total = seen{total.rows + each.rows, total.cells + each.cells, total.sum + each.sum}
	}
	return total, err
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// filteredScans reads the whole table with a filter, again and again for the measured time, and at least once.
func filteredScans(o options, _ *shape, found *regions) (map[string]any, error) {
	first, err := scanOnce(o, found)
	for until := time.Now().Add(o.warmUp); err == nil && time.Now().Before(until); {
		_, err = scanOnce(o, found)
	}
	var ms []float64
	spent := processorTime()
	for until := time.Now().Add(o.measured); err == nil && (len(ms) == 0 || time.Now().Before(until)); {
		began := time.Now()
		var again seen
		again, err = scanOnce(o, found)
		if err == nil && again != first {
			err = fmt.Errorf("%+v, and at first %+v", again, first)
		}
		ms = append(ms, float64(time.Since(began).Microseconds())/1000)
	}
	load := float64((processorTime() - spent).Microseconds()) / 1000
	return map[string]any{"ms": ms, "rows": first.rows, "cells": first.cells, "sum": first.sum,
		"load_cpu_ms": load / float64(atLeast(1, len(ms)))}, err
}

func atLeast(a, b int) int { return a + b - atMost(a, b) }
