package main

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// watched runs work under a clock of its own, and returns what was shown.
func watched(t *testing.T, mode progressMode, work func(m *meter)) string {
	t.Helper()
	var b bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(&b, mode, time.Now)
		work(m)
		m.close(true)
	})
	return b.String()
}

func TestProgressLines(t *testing.T) {
	got := watched(t, plainProgress, func(m *meter) {
		m.Phase("Copying", 1000<<20)
		for range 10 {
			time.Sleep(2 * time.Second)
			m.Add(100 << 20)
		}
		m.Done()
	})
	lines := strings.Split(strings.TrimSpace(got), "\n")
	if len(lines) != 10 {
		t.Fatalf("%d lines, want one for each tenth:\n%s", len(lines), got)
	}
	if lines[0] != "Copying: 100.0 MiB of 1000.0 MiB, 10%, 50.0 MiB/s, 18 s left" {
		t.Errorf("first line: %s", lines[0])
	}
	if lines[9] != "Copying: 1000.0 MiB of 1000.0 MiB, 100%, 50.0 MiB/s" {
		t.Errorf("last line: %s", lines[9])
	}
}

func TestProgressOfStalledWork(t *testing.T) {
	got := watched(t, plainProgress, func(m *meter) {
		m.Phase("Syncing", 0)
		m.Add(5 << 20)
		time.Sleep(95 * time.Second)
		m.Done()
	})
	if n := strings.Count(got, "Syncing: 5.0 MiB, "); n != 4 {
		t.Errorf("%d lines, want one each 30 s and one at the end:\n%s", n, got)
	}
}

func TestProgressOfShortWorkIsSilent(t *testing.T) {
	for _, mode := range []progressMode{plainProgress, barProgress, jsonProgress} {
		got := watched(t, mode, func(m *meter) {
			for range 100 {
				m.Phase("Hashing", 10)
				time.Sleep(9 * time.Millisecond)
				m.Add(10)
			}
			m.Done()
		})
		if got != "" {
			t.Errorf("mode %d: %q", mode, got)
		}
	}
}

func TestProgressBar(t *testing.T) {
	got := watched(t, barProgress, func(m *meter) {
		m.Phase("Packing", 4<<20)
		time.Sleep(3050 * time.Millisecond) // between two ticks
		m.Add(1 << 20)
		time.Sleep(time.Second)
		m.interrupt(func() { m.w.Write([]byte("Warning: x\n")) })
		m.Add(3 << 20)
		m.Done()
	})
	for _, want := range []string{
		"Packing        [#####...............]  25%  1.0 MiB  256.0 KiB/s  12 s left",
		"\r\x1b[KWarning: x\nPacking        [####################] 100%  4.0 MiB  in 4 s\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
	for part := range strings.SplitSeq(got, "\r\x1b[K") {
		if columns(part) > 80 {
			t.Errorf("the bar is %d columns wide: %s", columns(part), part)
		}
	}
}

func TestFailedWorkLeavesNoBar(t *testing.T) {
	var b bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(&b, barProgress, time.Now)
		m.Phase("Packing", 4<<20)
		time.Sleep(3 * time.Second)
		m.close(false)
	})
	if !strings.HasSuffix(b.String(), "\r\x1b[K") {
		t.Errorf("got %q", b.String())
	}
}

func TestProgressFromManyGoroutines(t *testing.T) {
	got := watched(t, jsonProgress, func(m *meter) {
		m.Phase("Hashing", 800)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 100 {
					time.Sleep(20 * time.Millisecond)
					m.Add(1)
				}
			})
		}
		wg.Wait()
		m.Done()
	})
	if !strings.Contains(got, `"done":800,"total":800,"seconds":2}`) {
		t.Errorf("got %s", got)
	}
}
