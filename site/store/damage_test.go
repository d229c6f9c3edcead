package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fardel/site"
)

// fill makes a store with records of all sizes and a log, in several tables.
func fill(t *testing.T, dir string) {
	for part := range 3 {
		s := openAt(t, dir)
		ok(t, s.Update(func(tx *Tx) error {
			for i := range 60 {
				v := strings.Repeat(fmt.Sprintf("%d-%d ", part, i), 1+i*i/8)
				if err := tx.Put(Records, fmt.Sprintf("k/%d/%d", part, i), []byte(v)); err != nil {
					return err
				}
			}
			return nil
		}))
		_, err := appendTo(s, ownLog, lines(part*100, 100)...)
		ok(t, err)
		ok(t, s.Close())
	}
}

// photograph returns all that can be read, as one text, or the first error.
func photograph(s *Store) (string, error) {
	var b strings.Builder
	err := s.View(func(tx *Tx) error {
		for _, c := range collections {
			n, err := tx.Count(c)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "%s %d\n", c, n)
			err = tx.Scan(c, "", func(key string, value []byte) error {
				got, found, err := tx.Get(c, key)
				if err != nil {
					return err
				}
				fmt.Fprintf(&b, "%q %q %q %v\n", key, value, got, found)
				return nil
			})
			if err != nil {
				return err
			}
		}
		return tx.Objects(ownLog, site.KindAlarm, func(e site.Entry, index int64) error {
			fmt.Fprintf(&b, "%s %d %s\n", e.ID, index, e.Body)
			return nil
		})
	})
	return b.String(), err
}

// judge opens a damaged store and fails the test unless everything is as it
// was, or the damage is reported.
func judge(t *testing.T, dir, what, want string) (noticed bool) {
	s, err := Open(context.Background(), dir, Options{Reserve: -1, Wait: -1})
	if err == nil {
		defer s.Close()
		var got string
		got, err = photograph(s)
		if err == nil && got != want {
			t.Errorf("%s: silently wrong", what)
		}
		if _, verr := s.Verify(context.Background()); (verr == nil) != (err == nil) {
			t.Errorf("%s: reading says %v, Verify says %v", what, err, verr)
		}
	}
	if err != nil && !errors.Is(err, site.StateDamaged) {
		t.Errorf("%s: %s", what, explain(err))
	}
	return err != nil
}

func TestFlippedBytesAreNeverSilent(t *testing.T) {
	pristine := filepath.Join(tempDir(t), "pristine")
	fill(t, pristine)
	flipAll(t, imageOf(t, pristine), 5)
}

// The same after a crash, when what was written last is only in the engine's
// log, whose damaged end it takes for the crash itself.
func TestFlippedBytesAfterCrash(t *testing.T) {
	dir := filepath.Join(tempDir(t), "live")
	fill(t, dir)
	cmd, out := start(t, "late", dir)
	if !out.Scan() || out.Text() != "written" {
		t.Fatalf("the child said %q", out.Text())
	}
	ok(t, cmd.Process.Kill())
	cmd.Wait()
	flipAll(t, imageOf(t, dir), 5)
}

// flipAll flips bytes in copies of a store, some in each file.
func flipAll(t *testing.T, pristine image, each int) {
	work := tempDir(t)
	pristine.write(t, work+"/whole")
	s := openAt(t, work+"/whole")
	want, err := photograph(s)
	ok(t, err)
	ok(t, s.Close())
	flips, noticed := 0, 0
	for name, f := range pristine {
		if filepath.Base(name) == lockName || filepath.Base(name) == "LOCK" {
			continue // nothing is read from them
		}
		for n := range each {
			at := rand.IntN(len(f.used))
			switch n {
			case 0:
				at = 0
			case 1:
				at = len(f.used) - 1
			}
			dir := filepath.Join(work, fmt.Sprint(flips))
			bit := byte(1) << rand.IntN(8)
			f.used[at] ^= bit
			pristine.write(t, dir)
			f.used[at] ^= bit
			flips++
			if judge(t, dir, fmt.Sprintf("%s at %d", name, at), want) {
				noticed++
			}
			os.RemoveAll(dir)
		}
	}
	t.Logf("%d flips, %d noticed, the others harmless", flips, noticed)
	if noticed < flips/4 {
		t.Error("hardly any flip was noticed: the test does not test")
	}
}

// An image is a copy of a store's files, by their paths.
type image map[string]fileImage

// A fileImage is a file without the zeros at its end: the engine makes its
// files far larger than what it writes to them.
type fileImage struct {
	used []byte
	size int64
}

func imageOf(t *testing.T, dir string) image {
	t.Helper()
	m := image{}
	ok(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil || len(b) == 0 {
			return err
		}
		used := len(bytes.TrimRight(b, "\x00"))
		if used == 0 {
			used = 1 // a byte to flip
		}
		rel, err := filepath.Rel(dir, path)
		m[rel] = fileImage{slices.Clone(b[:used]), int64(len(b))}
		return err
	}))
	return m
}

func (m image) write(t *testing.T, dir string) {
	t.Helper()
	for name, f := range m {
		path := filepath.Join(dir, name)
		ok(t, os.MkdirAll(filepath.Dir(path), 0o700))
		ok(t, os.WriteFile(path, f.used, 0o600))
		ok(t, os.Truncate(path, f.size))
	}
}

func TestMissingFileIsDamage(t *testing.T) {
	source := filepath.Join(tempDir(t), "source")
	fill(t, source)
	pristine := imageOf(t, source)
	for _, crash := range []bool{false, true} {
		for _, name := range slices.Sorted(maps.Keys(pristine)) {
			base := filepath.Base(name)
			if base == lockName || base == closedName || crash && (base == "DISCARD" || base == "KEYREGISTRY") {
				continue // made again, with nothing in them that matters
			}
			dir := tempDir(t)
			pristine.write(t, dir)
			ok(t, os.Remove(filepath.Join(dir, name)))
			if crash {
				ok(t, os.Remove(filepath.Join(dir, closedName)))
			}
			s, err := Open(context.Background(), dir, Options{Reserve: -1, Wait: -1})
			if err == nil {
				_, err = photograph(s)
				s.Close()
			}
			if !errors.Is(err, site.StateDamaged) {
				t.Errorf("without %s (crash: %v): %v", name, crash, err)
			}
		}
	}
}

// What the engine itself lost or brought back, without any trace in its files.
func TestVerifySeesWhatTheEngineLost(t *testing.T) {
	for name, harm := range map[string]func(tx *Tx, set func(key string, rec []byte)){
		"a record": func(_ *Tx, set func(string, []byte)) {
			set(full(Records, "k/0/3"), nil)
		},
		"an older value": func(_ *Tx, set func(string, []byte)) {
			key := full(Records, "k/0/3")
			set(key, seal(key, []byte("older")))
		},
		"a value of another key": func(tx *Tx, set func(string, []byte)) {
			rec, _, _ := tx.lookup(full(Records, "k/0/4"))
			set(full(Records, "k/0/3"), rec)
		},
		"an entry": func(_ *Tx, set func(string, []byte)) {
			set(entryKey(ownLog, 1, 250), nil)
		},
		"a subtree": func(_ *Tx, set func(string, []byte)) {
			set(subtreeKey(ownLog, 1, 0), nil)
		},
		"a count": func(_ *Tx, set func(string, []byte)) {
			set(tallyKey(Rows), nil)
		},
		"an empty value": func(_ *Tx, set func(string, []byte)) {
			set(full(Records, "k/0/3"), []byte{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tempDir(t)
			fill(t, dir)
			s := openAt(t, dir)
			txn := s.db.NewTransaction(true)
			ok(t, s.View(func(tx *Tx) error {
				harm(tx, func(key string, rec []byte) {
					if rec == nil {
						ok(t, txn.Delete([]byte(key)))
					} else {
						ok(t, txn.Set([]byte(key), rec))
					}
				})
				return nil
			}))
			ok(t, txn.Commit())
			r, err := s.Verify(context.Background())
			if !errors.Is(err, site.StateDamaged) || len(r.Damage) == 0 {
				t.Errorf("Verify: %v %v", err, r)
			}
		})
	}
}
