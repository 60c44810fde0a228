package main

import (
	"errors"
	"time"
)

// What AdminService of a region server does to the regions of a table.

const (
	askAgain         = 10 * time.Millisecond
	compactedTimeout = 120 * time.Second
)

// cleanUp flushes all regions and compacts them, and waits until that is done: only live cells are left on the disk.
func cleanUp(_ options, _ *shape, found *regions) (map[string]any, error) {
	began := time.Now()
	if err := eachAsked(found, "FlushRegion", nil); err != nil {
		return nil, err
	}
	flushed := time.Since(began)
	err := eachAsked(found, "CompactRegion", appendVarintField(nil, 2, 1)) // major
	if err == nil {
		err = compacted(found)
	}
	return map[string]any{"flush_ms": flushed.Seconds() * 1000, "ms": time.Since(began).Seconds() * 1000}, err
}

func compacted(found *regions) error {
	until := time.Now().Add(compactedTimeout)
	return eachRegionOf(found, adminService, func(conn *dataConn, r *region) error {
		for time.Now().Before(until) {
			got, err := conn.ask("GetRegionInfo", appendVarintField(appendBytesField(nil, 1, r.spec), 2, 1), nil)
			if err != nil {
				return err
			}
			if number(got.body, 2) == 0 { // NONE
				return nil
			}
			time.Sleep(askAgain)
		}
		return errors.New(r.name + " is still being compacted")
	})
}

// eachAsked makes a call for each region; `more` follows the region in the message.
func eachAsked(found *regions, method string, more []byte) error {
	return eachRegionOf(found, adminService, func(conn *dataConn, r *region) error {
		_, err := conn.ask(method, append(appendBytesField(nil, 1, r.spec), more...), nil)
		return err
	})
}
