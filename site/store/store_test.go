package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"fardel/site"
)

// openAt opens a store without a reserve, which most tests do not need.
func openAt(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(context.Background(), dir, Options{Command: "test", Reserve: -1, Wait: -1})
	if err != nil {
		t.Fatalf("Open: %v", explain(err))
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// tempDir returns a folder in memory, where there is one: the tests open and
// close hundreds of stores, and each waits for the disk several times.
func tempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "fardel-store-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func explain(err error) string {
	text := err.Error()
	for err = errors.Unwrap(err); err != nil; err = errors.Unwrap(err) {
		text += ": " + err.Error()
	}
	return text
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(explain(err))
	}
}

func put(key, value string) func(*Tx) error {
	return func(tx *Tx) error { return tx.Put(Records, key, []byte(value)) }
}

// contents returns all records as "key=value" and checks that the count fits.
func contents(t testing.TB, s *Store) string {
	t.Helper()
	var all []string
	ok(t, s.View(func(tx *Tx) error {
		n, err := tx.Count(Records)
		if err != nil {
			return err
		}
		err = tx.Scan(Records, "", func(key string, value []byte) error {
			all = append(all, key+"="+string(value))
			return nil
		})
		if int64(len(all)) != n {
			t.Errorf("count is %d, and there are %d", n, len(all))
		}
		return err
	}))
	return strings.Join(all, " ")
}

func verify(t testing.TB, s *Store) {
	t.Helper()
	if r, err := s.Verify(context.Background()); err != nil {
		t.Fatalf("Verify: %s\n%s", explain(err), strings.Join(r.Damage, "\n"))
	}
}

func TestUpdateSurvivesReopen(t *testing.T) {
	dir := tempDir(t)
	s := openAt(t, dir)
	ok(t, s.Update(put("b", "2")))
	ok(t, s.Update(put("a", "1")))
	ok(t, s.Update(put("c", "3")))
	ok(t, s.Update(func(tx *Tx) error { return tx.Delete(Records, "b") }))
	ok(t, s.Update(put("c", "4")))
	ok(t, s.Close())
	s = openAt(t, dir)
	if got := contents(t, s); got != "a=1 c=4" {
		t.Errorf("after reopening: %s", got)
	}
	verify(t, s)
}

// What Close notes about the files must be what the next Open finds.
func TestReopenOften(t *testing.T) {
	dir := tempDir(t)
	for i := range 15 {
		s := openAt(t, dir)
		ok(t, s.Update(put(fmt.Sprintf("k/%02d", i%7), strings.Repeat("v", 50*i))))
		if i%4 == 0 {
			verify(t, s)
		}
		ok(t, s.Close())
		if _, err := os.Stat(filepath.Join(dir, closedName)); err != nil {
			t.Fatal("Close noted nothing")
		}
	}
}

func TestFailedUpdateChangesNothing(t *testing.T) {
	s := openAt(t, tempDir(t))
	ok(t, s.Update(put("a", "1")))
	want := errors.New("no")
	err := s.Update(func(tx *Tx) error {
		ok(t, tx.Put(Records, "a", []byte("2")))
		ok(t, tx.Put(Records, "b", []byte("2")))
		return want
	})
	if err != want {
		t.Errorf("error %v", err)
	}
	if got := contents(t, s); got != "a=1" {
		t.Errorf("left behind: %s", got)
	}
}

// Updates that share a commit must not share their failures.
func TestGroupCommit(t *testing.T) {
	s := openAt(t, tempDir(t))
	var all sync.WaitGroup
	for i := range 300 {
		all.Go(func() {
			err := s.Update(func(tx *Tx) error {
				n, _, err := GetJSON[int](tx, "sum")
				if err != nil {
					return err
				}
				if err := PutJSON(tx, "sum", n+1); err != nil {
					return err
				}
				if i%3 == 0 {
					return errors.New("spoilt")
				}
				return tx.Put(Records, fmt.Sprintf("u/%03d", i), nil)
			})
			if failed := err != nil; failed != (i%3 == 0) {
				t.Errorf("update %d: %v", i, err)
			}
		})
	}
	all.Wait()
	ok(t, s.View(func(tx *Tx) error {
		n, _, err := GetJSON[int](tx, "sum")
		if err != nil || n != 200 {
			t.Errorf("sum %d, %v", n, err)
		}
		c, err := tx.Count(Records)
		if c != 201 {
			t.Errorf("count %d", c)
		}
		return err
	}))
	verify(t, s)
}

// A change that does not fit into the group's commit has seen the group's
// changes. If that commit fails, it has to look again.
func TestChangeAfterFailedCommit(t *testing.T) {
	s := openAt(t, tempDir(t))
	count := func(tx *Tx) error {
		n, _, err := GetJSON[int](tx, "n")
		if err != nil {
			return err
		}
		for i := range 20_000 {
			if err := tx.Put(Records, fmt.Sprintf("%d/%d", n, i), nil); err != nil {
				return err
			}
		}
		return PutJSON(tx, "n", n+1)
	}
	first := &request{fn: count, done: make(chan outcome, 1)}
	second := &request{fn: count, done: make(chan outcome, 1)}
	g := s.run(s.newGroup(), first)
	s.room.reserve = 1 << 60 // no disk has that
	g = s.run(g, second)
	s.room.reserve = -1
	s.commit(g)
	if err := wait(first.done); !errors.Is(err, site.NoSpace) {
		t.Errorf("first: %v", err)
	}
	ok(t, wait(second.done))
	ok(t, s.View(func(tx *Tx) error {
		n, _, err := GetJSON[int](tx, "n")
		if n != 1 {
			t.Errorf("n is %d", n)
		}
		return err
	}))
	verify(t, s)
}

func TestViewIsASnapshot(t *testing.T) {
	s := openAt(t, tempDir(t))
	ok(t, s.Update(put("a", "1")))
	ok(t, s.View(func(tx *Tx) error {
		ok(t, s.Update(put("a", "2")))
		v, _, err := tx.Get(Records, "a")
		if string(v) != "1" {
			t.Errorf("a View saw %q", v)
		}
		return err
	}))
}

func TestScanMergesPending(t *testing.T) {
	s := openAt(t, tempDir(t))
	ok(t, s.Update(func(tx *Tx) error {
		for _, k := range []string{"p/b", "p/d", "p/f", "q"} {
			ok(t, tx.Put(Records, k, []byte("old")))
		}
		return nil
	}))
	var got []string
	ok(t, s.Update(func(tx *Tx) error {
		ok(t, tx.Put(Records, "p/a", []byte("new")))
		ok(t, tx.Put(Records, "p/d", []byte("new")))
		ok(t, tx.Put(Records, "p/g", []byte("new")))
		ok(t, tx.Delete(Records, "p/b"))
		ok(t, tx.Delete(Records, "p/g"))
		ok(t, tx.Delete(Records, "p/none"))
		return tx.Scan(Records, "p/", func(key string, value []byte) error {
			got = append(got, key+"="+string(value))
			return nil
		})
	}))
	if want := "p/a=new p/d=new p/f=old"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if got := contents(t, s); got != "p/a=new p/d=new p/f=old q=old" {
		t.Errorf("committed: %s", got)
	}
}

func TestPanicReachesCaller(t *testing.T) {
	s := openAt(t, tempDir(t))
	func() {
		defer func() {
			if r := recover(); r != "mine" {
				t.Errorf("recovered %v", r)
			}
		}()
		s.Update(func(*Tx) error { panic("mine") })
	}()
	ok(t, s.Update(put("a", "1"))) // the writer is alive
}

func TestTooMuchForOneChange(t *testing.T) {
	s := openAt(t, tempDir(t))
	err := s.Update(func(tx *Tx) error {
		for i := range 40_000 {
			if err := tx.Put(Records, fmt.Sprint(i), nil); err != nil {
				return err
			}
		}
		return nil
	})
	if !errors.Is(err, site.Internal) {
		t.Errorf("error %v", err)
	}
	if got := contents(t, s); got != "" {
		t.Errorf("some of it was kept: %.100s", got)
	}
}

func TestLargeValue(t *testing.T) {
	s := openAt(t, tempDir(t))
	big := strings.Repeat("x", maxValue)
	ok(t, s.Update(put("big", big)))
	ok(t, s.View(func(tx *Tx) error {
		v, _, err := tx.Get(Records, "big")
		if string(v) != big {
			t.Error("it came back different")
		}
		return err
	}))
	if s.Update(put("more", big+"x")) == nil {
		t.Error("a value above the limit was taken")
	}
}

func TestWhatCannotBeWritten(t *testing.T) {
	s := openAt(t, tempDir(t))
	for name, fn := range map[string]func(*Tx) error{
		"the log layer's": func(tx *Tx) error { return tx.Put(Entries, "x", nil) },
		"without a key":   func(tx *Tx) error { return tx.Put(Records, "", nil) },
		"a long key":      func(tx *Tx) error { return tx.Put(Records, strings.Repeat("k", 2000), nil) },
		"a float":         func(tx *Tx) error { return PutJSON(tx, "f", 1.5) },
	} {
		if s.Update(fn) == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if s.View(put("a", "1")) == nil {
		t.Error("a View wrote")
	}
}

func TestFolderIsPrivate(t *testing.T) {
	dir := filepath.Join(tempDir(t), "state")
	ok(t, os.Mkdir(dir, 0o755))
	openAt(t, dir)
	st, err := os.Stat(dir)
	ok(t, err)
	if st.Mode().Perm() != 0o700 {
		t.Errorf("mode %v", st.Mode())
	}
}

func TestClosedStoreRefuses(t *testing.T) {
	s := openAt(t, tempDir(t))
	ok(t, s.Close())
	ok(t, s.Close())
	if s.Update(put("a", "1")) == nil || s.View(func(*Tx) error { return nil }) == nil {
		t.Error("a closed store was used")
	}
}

// The engine's first Open after a crash can stumble over a file of length zero.
func TestOpenAfterCrashWithEmptyFile(t *testing.T) {
	for _, name := range []string{"00009.mem", "000009.vlog"} {
		t.Run(name, func(t *testing.T) {
			dir := tempDir(t)
			s := openAt(t, dir)
			ok(t, s.Update(put("a", "1")))
			ok(t, s.Close())
			ok(t, os.Remove(filepath.Join(dir, closedName)))
			ok(t, os.WriteFile(filepath.Join(dir, engineDir, name), nil, 0o600))
			s = openAt(t, dir)
			if got := contents(t, s); got != "a=1" {
				t.Errorf("after reopening: %s", got)
			}
		})
	}
}
