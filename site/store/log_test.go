package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"fardel/site"
	"fardel/site/journal"
)

const hierarchy = "abcdefghijklmnop"

var (
	ownLog   = site.LogID{Site: "HQ0", Log: site.Decisions}
	otherLog = site.LogID{Site: "FLD", Log: site.Observations}
)

func line(kind site.Kind, id, text string) []byte {
	e, err := site.NewEntry(time.Unix(1e9, 0), kind, id, site.AlarmBody{About: id, Text: text})
	if err != nil {
		panic(err)
	}
	b, err := e.Line()
	if err != nil {
		panic(err)
	}
	return b
}

// lines returns n lines about 50 objects.
func lines(from, n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = line(site.KindAlarm, fmt.Sprint("o", (from+i)%50), strings.Repeat(fmt.Sprint("text ", from+i), 1+(from+i)%90))
	}
	return out
}

func sign(c journal.Checkpoint) ([]byte, error) { return append([]byte("signed\n"), c.Text()...), nil }

func appendTo(s *Store, id site.LogID, lines ...[]byte) (h Head, err error) {
	err = s.Update(func(tx *Tx) error {
		h, err = tx.Append(id, lines, sign, hierarchy)
		return err
	})
	return h, err
}

func head(t testing.TB, s *Store, id site.LogID) (h Head) {
	t.Helper()
	ok(t, s.View(func(tx *Tx) (err error) {
		h, err = tx.Head(id)
		return err
	}))
	return h
}

func each(lines [][]byte, last error) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, l := range lines {
			if !yield(l, nil) {
				return
			}
		}
		if last != nil {
			yield(nil, last)
		}
	}
}

func stage(t testing.TB, s *Store, id site.LogID, epoch int64, start journal.Edge, lines [][]byte) journal.Edge {
	t.Helper()
	e, err := s.Stage(context.Background(), id, epoch, start.Size, each(lines, nil), start)
	ok(t, err)
	return e
}

func edgeOf(lines ...[]byte) (e journal.Edge) {
	for _, l := range lines {
		e.Append(journal.LeafHash(l))
	}
	return e
}

func setHead(s *Store, id site.LogID, epoch int64, e journal.Edge) error {
	return s.Update(func(tx *Tx) error { return tx.SetHead(id, Head{Epoch: epoch, Edge: e}) })
}

// latest returns the latest entries of a kind as "object@index".
func latest(t testing.TB, s *Store, id site.LogID, kind site.Kind) string {
	t.Helper()
	var got []string
	ok(t, s.View(func(tx *Tx) error {
		return tx.Objects(id, kind, func(e site.Entry, index int64) error {
			got = append(got, fmt.Sprintf("%s@%d", e.ID, index))
			one, i, found, err := tx.Latest(id, kind, e.ID)
			if err != nil || !found || i != index || string(one.Body) != string(e.Body) {
				t.Errorf("Latest of %s: %v %d %v", e.ID, found, i, err)
			}
			return nil
		})
	}))
	return strings.Join(got, " ")
}

func TestAppend(t *testing.T) {
	dir := tempDir(t)
	s := openAt(t, dir)
	var all [][]byte
	for _, n := range []int{1, 3, 300, 0, 212, 500} {
		more := lines(len(all), n)
		all = append(all, more...)
		h, err := appendTo(s, ownLog, more...)
		ok(t, err)
		if h.Epoch != 1 || h.Edge.Root() != edgeOf(all...).Root() {
			t.Fatalf("after %d entries: %+v", len(all), h.Position())
		}
		c, err := journal.ParseCheckpoint(h.Checkpoint[len("signed\n"):])
		ok(t, err)
		if c.Position() != h.Position() || c.Origin.Hierarchy != hierarchy || c.Origin.LogID != ownLog {
			t.Errorf("checkpoint %+v of head %+v", c, h.Position())
		}
	}
	ok(t, s.Close())
	s = openAt(t, dir)
	if h := head(t, s, ownLog); h.Edge.Size != int64(len(all)) || h.Edge.Root() != edgeOf(all...).Root() {
		t.Errorf("after reopening: %+v", h.Position())
	}
	ok(t, s.View(func(tx *Tx) error {
		var got [][]byte
		err := tx.Lines(ownLog, 0, int64(len(all)), func(i int64, l []byte) error {
			got = append(got, l)
			return nil
		})
		if !slices.EqualFunc(got, all, slices.Equal) {
			t.Error("Lines differ")
		}
		return err
	}))
	verify(t, s)
}

func TestAppendRefuses(t *testing.T) {
	s := openAt(t, tempDir(t))
	no := errors.New("no key")
	err := s.Update(func(tx *Tx) error {
		_, err := tx.Append(ownLog, lines(0, 2), func(journal.Checkpoint) ([]byte, error) { return nil, no }, hierarchy)
		return err
	})
	if err != no {
		t.Errorf("unsigned: %v", err)
	}
	if _, err := appendTo(s, ownLog, []byte(`{"at":1}`)); !errors.Is(err, site.Damaged) {
		t.Errorf("malformed: %v", err)
	}
	if _, err := appendTo(s, site.LogID{Site: "x", Log: "y"}, lines(0, 1)...); !errors.Is(err, site.Internal) {
		t.Errorf("no log: %v", err)
	}
	h, err := appendTo(s, ownLog, lines(0, 3)...)
	ok(t, err)
	h.Stopped = "forked at 3"
	ok(t, s.Update(func(tx *Tx) error { return tx.SetHead(ownLog, h) }))
	if _, err := appendTo(s, ownLog, lines(3, 1)...); !errors.Is(err, site.Conflict) || !strings.Contains(err.Error(), h.Stopped) {
		t.Errorf("stopped: %v", err)
	}
	if got := head(t, s, ownLog); got.Edge.Size != 3 || got.Stopped != h.Stopped {
		t.Errorf("head %+v", got)
	}
	verify(t, s)
}

func TestSetHeadRefuses(t *testing.T) {
	s := openAt(t, tempDir(t))
	five := stage(t, s, otherLog, 2, journal.Edge{}, lines(0, 5))
	ok(t, setHead(s, otherLog, 2, five))
	for name, h := range map[string]Head{
		"back":                  {Epoch: 2, Edge: edgeOf(lines(0, 4)...)},
		"another root":          {Epoch: 2, Edge: edgeOf(lines(1, 5)...)},
		"a former epoch":        {Epoch: 1, Edge: five},
		"what was never staged": {Epoch: 2, Edge: edgeOf(lines(0, 6)...)},
		"a later epoch":         {Epoch: 3, Edge: five},
		"epoch 0":               {},
		"a malformed edge":      {Epoch: 3, Edge: journal.Edge{Size: 2}},
	} {
		if err := s.Update(func(tx *Tx) error { return tx.SetHead(otherLog, h) }); !errors.Is(err, site.Internal) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if h := head(t, s, otherLog); h.Position() != (Head{Epoch: 2, Edge: five}).Position() {
		t.Errorf("head %+v", h)
	}
}

// A crash between Stage and SetHead: the entries are there and speak for
// themselves.
func TestSetHeadAfterReopen(t *testing.T) {
	dir := tempDir(t)
	s := openAt(t, dir)
	end := stage(t, s, otherLog, 1, journal.Edge{}, lines(0, 300))
	ok(t, s.Close())
	s = openAt(t, dir)
	if err := setHead(s, otherLog, 1, edgeOf(lines(1, 300)...)); !errors.Is(err, site.Internal) {
		t.Errorf("another root: %v", err)
	}
	ok(t, setHead(s, otherLog, 1, end))
	verify(t, s)
}

func TestRewind(t *testing.T) {
	s := openAt(t, tempDir(t))
	ok(t, setHead(s, otherLog, 1, stage(t, s, otherLog, 1, journal.Edge{}, lines(0, 700))))
	ok(t, s.Update(func(tx *Tx) error { return tx.Rewind(otherLog, 520) }))
	mark := head(t, s, otherLog).Edge
	if mark.Root() != edgeOf(lines(0, 520)...).Root() {
		t.Error("another root")
	}
	if got := latest(t, s, otherLog, "alarm"); !strings.Contains(got, "o0@500 ") {
		t.Errorf("visible: %s", got)
	}
	ok(t, setHead(s, otherLog, 1, stage(t, s, otherLog, 1, mark, lines(2000, 3))))
	ok(t, s.View(func(tx *Tx) error {
		n, err := tx.Count(Entries)
		if n != 523 {
			t.Errorf("%d entries", n)
		}
		return err
	}))
	verify(t, s)
}

// A log that was given up may come again, with other entries and in an earlier
// epoch, as if nothing of it had ever been here.
func TestForget(t *testing.T) {
	s := openAt(t, tempDir(t))
	ok(t, setHead(s, otherLog, 1, stage(t, s, otherLog, 1, journal.Edge{}, lines(0, 300))))
	ok(t, setHead(s, otherLog, 7, stage(t, s, otherLog, 7, journal.Edge{}, lines(0, 700))))
	ok(t, s.Update(func(tx *Tx) error { return tx.Forget(otherLog) }))
	verify(t, s)
	if h := head(t, s, otherLog); h.Epoch != 0 {
		t.Errorf("head: %+v", h)
	}
	if got := latest(t, s, otherLog, "alarm"); got != "" {
		t.Errorf("visible: %s", got)
	}
	ok(t, setHead(s, otherLog, 1, stage(t, s, otherLog, 1, journal.Edge{}, lines(2000, 3))))
	ok(t, s.View(func(tx *Tx) error {
		n, err := tx.Count(Entries)
		if n != 3 {
			t.Errorf("%d entries", n)
		}
		return err
	}))
	verify(t, s)
}

func TestHeadsMoveTogether(t *testing.T) {
	s := openAt(t, tempDir(t))
	third := site.LogID{Site: "SEA", Log: site.Decisions}
	a := stage(t, s, otherLog, 1, journal.Edge{}, lines(0, 10))
	b := stage(t, s, third, 4, journal.Edge{}, lines(0, 20))
	move := func(last error) error {
		return s.Update(func(tx *Tx) error {
			ok(t, tx.SetHead(otherLog, Head{Epoch: 1, Edge: a, Checkpoint: []byte("a")}))
			ok(t, tx.SetHead(third, Head{Epoch: 4, Edge: b, Checkpoint: []byte("b")}))
			ok(t, PutJSON(tx, "link/FLD", map[string]int{"applied": 7}))
			return last
		})
	}
	if move(errors.New("no")) == nil {
		t.Error("no error")
	}
	if h := head(t, s, third); h.Epoch != 0 || contents(t, s) != "" {
		t.Error("a failed move left something")
	}
	ok(t, move(nil))
	var got []string
	ok(t, s.View(func(tx *Tx) error {
		return tx.Heads(func(id site.LogID, h Head) error {
			got = append(got, fmt.Sprintf("%s %d %d %s", id, h.Epoch, h.Edge.Size, h.Checkpoint))
			return nil
		})
	}))
	if want := "FLD/observations 1 10 a;SEA/decisions 4 20 b"; strings.Join(got, ";") != want {
		t.Errorf("heads %v", got)
	}
	if got := contents(t, s); got != `link/FLD={"applied":7}` {
		t.Errorf("records %s", got)
	}
}

func TestEpochs(t *testing.T) {
	s := openAt(t, tempDir(t))
	old := stage(t, s, otherLog, 1, journal.Edge{}, lines(0, 600))
	ok(t, setHead(s, otherLog, 1, old))
	next := stage(t, s, otherLog, 2, journal.Edge{}, [][]byte{line("alarm", "z", "only")})
	root := func(epoch, size int64) (d site.Digest, err error) {
		err = s.View(func(tx *Tx) (err error) {
			d, err = tx.RootAtEpoch(otherLog, epoch, size)
			return err
		})
		return d, err
	}
	if _, err := root(2, 1); !errors.Is(err, site.NoSuch) {
		t.Errorf("a staged epoch is visible: %v", err)
	}
	ok(t, setHead(s, otherLog, 2, next))
	if got := latest(t, s, otherLog, "alarm"); got != "z@0" {
		t.Errorf("the new epoch: %s", got)
	}
	for _, size := range []int64{0, 1, 255, 256, 257, 599, 600} {
		d, err := root(1, size)
		ok(t, err)
		if journal.Hash(d) != edgeOf(lines(0, int(size))...).Root() {
			t.Errorf("old root at %d", size)
		}
	}
	verify(t, s)
	ok(t, s.View(func(tx *Tx) error {
		list, err := tx.Epochs(otherLog)
		if !slices.Equal(list, []int64{1, 2}) {
			t.Errorf("epochs %v", list)
		}
		return err
	}))
	if err := s.Prune(context.Background(), otherLog, 2); !errors.Is(err, site.Internal) {
		t.Errorf("the current epoch was pruned: %v", err)
	}
	ok(t, s.Prune(context.Background(), otherLog, 1))
	if _, err := root(1, 600); !errors.Is(err, site.NoSuch) {
		t.Errorf("a pruned epoch: %v", err)
	}
	ok(t, s.View(func(tx *Tx) error {
		for c, want := range map[Collection]int64{Entries: 1, Rows: 1, Subtrees: 0, Heads: 1} {
			if n, err := tx.Count(c); n != want || err != nil {
				t.Errorf("%d %s, want %d: %v", n, c, want, err)
			}
		}
		return nil
	}))
	verify(t, s)
}

func TestProofs(t *testing.T) {
	s := openAt(t, tempDir(t))
	const n = 1500
	all := lines(0, n)
	ok(t, setHead(s, otherLog, 1, stage(t, s, otherLog, 1, journal.Edge{}, all)))
	ok(t, s.View(func(tx *Tx) error {
		tree := tx.Tree(otherLog)
		for range 60 {
			size := 1 + rand.Int64N(n)
			index := rand.Int64N(size)
			want := edgeOf(all[:size]...).Root()
			got, err := tx.RootAt(otherLog, size)
			ok(t, err)
			if journal.Hash(got) != want {
				t.Fatalf("root at %d", size)
			}
			proof, err := journal.Prove(tree, size, index)
			ok(t, err)
			ok(t, journal.Check(proof, size, want, index, journal.LeafHash(all[index])))
			proof, err = journal.ProveTree(tree, index, size)
			ok(t, err)
			ok(t, journal.CheckTree(proof, index, edgeOf(all[:index]...).Root(), size, want))
		}
		return nil
	}))
}

func TestObjectsWithLongHistories(t *testing.T) {
	s := openAt(t, tempDir(t))
	var all [][]byte
	for i := range 30 {
		for range 1 + i%7 {
			all = append(all, line("alarm", fmt.Sprintf("x%d", i), "v"), line("alarm-x", "other", "v"))
		}
	}
	ok(t, setHead(s, otherLog, 1, stage(t, s, otherLog, 1, journal.Edge{}, all)))
	want := map[string]int64{}
	for i, l := range all {
		e, err := site.ParseEntry(l)
		ok(t, err)
		if e.Kind == "alarm" {
			want[e.ID] = int64(i)
		}
	}
	n := 0
	ok(t, s.View(func(tx *Tx) error {
		return tx.Objects(otherLog, "alarm", func(e site.Entry, index int64) error {
			n++
			if want[e.ID] != index {
				t.Errorf("%s at %d, want %d", e.ID, index, want[e.ID])
			}
			return nil
		})
	}))
	if n != len(want) {
		t.Errorf("%d objects, want %d", n, len(want))
	}
}

func TestSinceFiltersKinds(t *testing.T) {
	s := openAt(t, tempDir(t))
	_, err := appendTo(s, ownLog, line("alarm", "a", ""), line("site", "b", ""), line("alarm", "c", ""), line("import", "d", ""))
	ok(t, err)
	var got []string
	ok(t, s.View(func(tx *Tx) error {
		return tx.Since(ownLog, 1, func(e site.Entry, i int64) error {
			got = append(got, fmt.Sprint(e.ID, i))
			return nil
		}, "alarm", "import")
	}))
	if !slices.Equal(got, []string{"c2", "d3"}) {
		t.Errorf("got %v", got)
	}
}
