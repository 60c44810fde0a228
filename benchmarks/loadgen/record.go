package main

import (
	"math"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// record is what one run measured; workers hold their own samples and hand them over once, at the end.
type record struct {
	measuring atomic.Bool
	stopped   atomic.Bool
	errors    atomic.Int64
	answered  atomic.Int64 // by clients of ClientService, measured or not
	counted   atomic.Int64 // of these, in the time that is measured
	firstErr  atomic.Value

	mu         sync.Mutex
	samples    []time.Duration
	frameBytes int64
}

func (r *record) fail(text string) {
	r.errors.Add(1)
	r.firstErr.CompareAndSwap(nil, text)
}

func (r *record) add(samples []time.Duration, frameBytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.samples = append(r.samples, samples...)
	r.frameBytes += frameBytes
}

// quantile of sorted samples in microseconds; -1 where there are none.
func quantile(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return -1
	}
	i := int(float64(len(sorted)) * q)
	if i >= len(sorted) {
		i = len(sorted) - 1
	}
	return float64(sorted[i].Nanoseconds()) / 1000
}

// histogram counts samples in buckets an eighth of a doubling wide; keys are the upper bounds in microseconds.
func histogram(sorted []time.Duration) [][2]float64 {
	var out [][2]float64
	for _, s := range sorted {
		us := math.Max(float64(s.Nanoseconds())/1000, 1)
		bound := math.Round(math.Exp2(math.Ceil(math.Log2(us)*8)/8)*10) / 10
		if len(out) == 0 || out[len(out)-1][0] != bound {
			out = append(out, [2]float64{bound, 0})
		}
		out[len(out)-1][1]++
	}
	return out
}

// report is the one line of JSON that this program prints.
func (r *record) report(o options, elapsed time.Duration) map[string]any {
	sort.Slice(r.samples, func(i, j int) bool { return r.samples[i] < r.samples[j] })
	n := len(r.samples)
	out := map[string]any{
		"op": o.op, "targets": o.targets, "connections": o.connections, "outstanding": o.outstanding,
		"seconds": elapsed.Seconds(), "n": n, "per_s": float64(n) / elapsed.Seconds(),
		"p50_us": quantile(r.samples, .5), "p90_us": quantile(r.samples, .9), "p99_us": quantile(r.samples, .99),
		"p999_us": quantile(r.samples, .999), "max_us": quantile(r.samples, 1),
		"histogram_us": histogram(r.samples), "errors": r.errors.Load(),
	}
	if o.rowsPerCall > 0 {
		out["rows_per_s"] = float64(n*o.rowsPerCall) / elapsed.Seconds()
	}
	if n > 0 && r.frameBytes > 0 {
		out["answer_bytes"] = r.frameBytes / int64(n)
	}
	if text := r.firstErr.Load(); text != nil {
		out["error"] = text
	}
	return out
}
