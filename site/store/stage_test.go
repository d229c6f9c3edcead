package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"fardel/site"
	"fardel/site/journal"
)

func TestNothingBeyondTheMarkIsVisible(t *testing.T) {
	s := openAt(t, tempDir(t))
	first := [][]byte{line("alarm", "a", "1"), line("alarm", "b", "1")}
	mark := stage(t, s, otherLog, 1, journal.Edge{}, first)
	if h := head(t, s, otherLog); h.Epoch != 0 {
		t.Errorf("head before SetHead: %+v", h)
	}
	if got := latest(t, s, otherLog, "alarm"); got != "" {
		t.Errorf("visible before SetHead: %s", got)
	}
	ok(t, setHead(s, otherLog, 1, mark))
	next := [][]byte{line("alarm", "a", "2"), line("alarm", "0", "new"), line("alarm", "c", "new")}
	end := stage(t, s, otherLog, 1, mark, next)

	if got := latest(t, s, otherLog, "alarm"); got != "a@0 b@1" {
		t.Errorf("visible: %s", got)
	}
	ok(t, s.View(func(tx *Tx) error {
		if _, err := tx.Entry(otherLog, 2); !errors.Is(err, site.NoSuch) {
			t.Errorf("Entry: %v", err)
		}
		if err := tx.Lines(otherLog, 0, 3, nil); !errors.Is(err, site.NoSuch) {
			t.Errorf("Lines: %v", err)
		}
		if _, err := tx.RootAt(otherLog, 3); !errors.Is(err, site.NoSuch) {
			t.Errorf("RootAt: %v", err)
		}
		if _, err := tx.Tree(otherLog).Leaf(2); !errors.Is(err, site.NoSuch) {
			t.Errorf("Leaf: %v", err)
		}
		if _, _, found, err := tx.Latest(otherLog, "alarm", "c"); found || err != nil {
			t.Errorf("Latest: %v %v", found, err)
		}
		n := 0
		err := tx.Since(otherLog, 0, func(site.Entry, int64) error { n++; return nil })
		if n != 2 {
			t.Errorf("Since saw %d", n)
		}
		return err
	}))
	ok(t, setHead(s, otherLog, 1, end))
	if got := latest(t, s, otherLog, "alarm"); got != "0@3 a@2 b@1 c@4" {
		t.Errorf("after SetHead: %s", got)
	}
	verify(t, s)
}

// Whatever an abandoned Stage has left, a later one with other entries must not
// bring to light, in the same process or in another.
func TestAbandonedStageLeavesNothing(t *testing.T) {
	stopped := errors.New("stopped")
	bad := func(n int) [][]byte {
		var out [][]byte
		for i := range n {
			out = append(out, line("alarm", fmt.Sprint("bad", i), "bad"), line("alarm", "a", "bad"))
		}
		return out
	}
	for name, abandon := range map[string]func(t *testing.T, s *Store, mark journal.Edge){
		"failed": func(t *testing.T, s *Store, mark journal.Edge) {
			_, err := s.Stage(context.Background(), otherLog, 1, mark.Size, each(bad(600), stopped), mark)
			if err != stopped {
				t.Fatal(err)
			}
		},
		"malformed at the end": func(t *testing.T, s *Store, mark journal.Edge) {
			_, err := s.Stage(context.Background(), otherLog, 1, mark.Size, each(append(bad(150), []byte("{}")), nil), mark)
			if !errors.Is(err, site.Damaged) {
				t.Fatal(err)
			}
		},
		"finished, never accepted": func(t *testing.T, s *Store, mark journal.Edge) {
			stage(t, s, otherLog, 1, mark, bad(150))
		},
		"in two parts": func(t *testing.T, s *Store, mark journal.Edge) {
			stage(t, s, otherLog, 1, stage(t, s, otherLog, 1, mark, bad(200)), bad(300))
		},
		"of a later epoch": func(t *testing.T, s *Store, mark journal.Edge) {
			stage(t, s, otherLog, 3, journal.Edge{}, bad(300))
		},
		"interrupted": func(t *testing.T, s *Store, mark journal.Edge) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			_, err := s.Stage(ctx, otherLog, 1, mark.Size, each(bad(600), nil), mark)
			if !errors.Is(err, site.Interrupted) {
				t.Fatal(err)
			}
		},
	} {
		for _, reopen := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/reopen=%v", name, reopen), func(t *testing.T) {
				dir := tempDir(t)
				s := openAt(t, dir)
				mark := stage(t, s, otherLog, 1, journal.Edge{}, [][]byte{line("alarm", "a", "1"), line("alarm", "b", "1")})
				ok(t, setHead(s, otherLog, 1, mark))
				abandon(t, s, mark)
				if reopen {
					ok(t, s.Close())
					s = openAt(t, dir)
				}
				end := stage(t, s, otherLog, 1, mark, [][]byte{line("alarm", "b", "good"), line("site", "a", "good")})
				ok(t, setHead(s, otherLog, 1, end))
				if got := latest(t, s, otherLog, "alarm"); got != "a@0 b@2" {
					t.Errorf("visible: %s", got)
				}
				// The same for what a longer log would expose later.
				ok(t, s.View(func(tx *Tx) error {
					for c, want := range map[Collection]int64{Entries: 4, Rows: 4, Subtrees: 0, Heads: 1} {
						if n, err := tx.Count(c); n != want || err != nil {
							t.Errorf("%d %s, want %d: %v", n, c, want, err)
						}
					}
					return nil
				}))
				verify(t, s)
			})
		}
	}
}

func TestAppendSweepsFirst(t *testing.T) {
	s := openAt(t, tempDir(t))
	_, err := appendTo(s, ownLog, lines(0, 10)...)
	ok(t, err)
	stage(t, s, ownLog, 1, head(t, s, ownLog).Edge, lines(1000, 2500))
	h, err := appendTo(s, ownLog, lines(10, 5)...)
	ok(t, err)
	if h.Edge.Root() != edgeOf(lines(0, 15)...).Root() {
		t.Errorf("head %+v", h.Position())
	}
	ok(t, s.View(func(tx *Tx) error {
		n, err := tx.Count(Entries)
		if n != 15 {
			t.Errorf("%d entries", n)
		}
		return err
	}))
	verify(t, s)
}

// A Stage that began before an Append must not write over it.
func TestStageGivesWayToAppend(t *testing.T) {
	s := openAt(t, tempDir(t))
	_, err := appendTo(s, ownLog, lines(0, 4)...)
	ok(t, err)
	mark := head(t, s, ownLog).Edge
	slow := func(yield func([]byte, error) bool) {
		_, err := appendTo(s, ownLog, lines(4, 2)...)
		ok(t, err)
		yield(lines(900, 1)[0], nil)
	}
	if _, err := s.Stage(context.Background(), ownLog, 1, 4, slow, mark); !errors.Is(err, site.Internal) {
		t.Errorf("error %v", err)
	}
	if h := head(t, s, ownLog); h.Edge.Root() != edgeOf(lines(0, 6)...).Root() {
		t.Errorf("head %+v", h.Position())
	}
	verify(t, s)
}

func TestStageRefusesGaps(t *testing.T) {
	s := openAt(t, tempDir(t))
	three := stage(t, s, otherLog, 1, journal.Edge{}, lines(0, 3))
	ok(t, setHead(s, otherLog, 1, three))
	ok(t, setHead(s, otherLog, 2, stage(t, s, otherLog, 2, journal.Edge{}, lines(0, 3))))
	for name, c := range map[string]struct {
		epoch, first int64
		start        journal.Edge
	}{
		"below the mark":    {2, 2, edgeOf(lines(0, 2)...)},
		"above it":          {2, 5, edgeOf(lines(0, 5)...)},
		"another past":      {2, 3, edgeOf(lines(7, 3)...)},
		"a former epoch":    {1, 3, three},
		"not from 0":        {3, 3, three},
		"epoch 0":           {0, 0, journal.Edge{}},
		"another first":     {2, 0, three},
		"a malformed start": {2, 3, journal.Edge{Size: 3}},
	} {
		if _, err := s.Stage(context.Background(), otherLog, c.epoch, c.first, each(lines(50, 1), nil), c.start); !errors.Is(err, site.Internal) {
			t.Errorf("%s: %v", name, err)
		}
	}
	verify(t, s)
}

// Every way to cut a log into Stages gives the same records.
func TestStageInParts(t *testing.T) {
	s := openAt(t, tempDir(t))
	all := lines(0, 1100)
	var e journal.Edge
	for e.Size < int64(len(all)) {
		n := min(e.Size+1+rand.Int64N(400), int64(len(all)))
		e = stage(t, s, otherLog, 1, e, all[e.Size:n])
		if rand.IntN(3) == 0 {
			ok(t, setHead(s, otherLog, 1, e))
		}
	}
	ok(t, setHead(s, otherLog, 1, e))
	if e.Root() != edgeOf(all...).Root() {
		t.Error("another root")
	}
	verify(t, s)
}

func TestHundredThousandEntries(t *testing.T) {
	s := openAt(t, tempDir(t))
	n := 100_000
	if testing.Short() {
		n = 20_000
	}
	many := func(yield func([]byte, error) bool) {
		for i := range n {
			if !yield(fmt.Appendf(nil, `{"at":"2026-01-02T03:04:05Z","body":{"n":%d},"id":"o%05d","kind":"content"}`, i, i%20_000), nil) {
				return
			}
		}
	}
	begun := time.Now()
	end, err := s.Stage(context.Background(), otherLog, 1, 0, many, journal.Edge{})
	ok(t, err)
	t.Logf("staged in %v", time.Since(begun))
	ok(t, setHead(s, otherLog, 1, end))
	begun = time.Now()
	seen := 0
	ok(t, s.View(func(tx *Tx) error {
		return tx.Objects(otherLog, "content", func(e site.Entry, index int64) error {
			if want := int64(n - 20_000 + seen); index != want {
				t.Fatalf("%s at %d, want %d", e.ID, index, want)
			}
			seen++
			return nil
		})
	}))
	t.Logf("folded in %v", time.Since(begun))
	if seen != 20_000 {
		t.Errorf("%d objects", seen)
	}
}

func BenchmarkStage(b *testing.B) {
	s := openAt(b, tempDir(b))
	pad := strings.Repeat("x", 500)
	all := func(yield func([]byte, error) bool) {
		for i := range b.N {
			if !yield(fmt.Appendf(nil, `{"at":"2026-01-02T03:04:05Z","body":{"n":%d,"p":"%s"},"id":"o%d","kind":"content"}`, i, pad, i), nil) {
				return
			}
		}
	}
	b.ResetTimer()
	_, err := s.Stage(context.Background(), otherLog, 1, 0, all, journal.Edge{})
	ok(b, err)
	b.StopTimer()
	status, err := os.ReadFile("/proc/self/status")
	ok(b, err)
	var kib float64
	if _, rest, found := strings.Cut(string(status), "RssAnon:"); found {
		fmt.Sscan(rest, &kib)
	}
	b.ReportMetric(kib/1024, "anon-MiB")
}
