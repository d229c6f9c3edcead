package library

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"fardel/site"
)

// A world is a disk that fails at its n-th operation. It remembers what was not
// yet flushed, so that it can also lose it, as a disk does in a power cut.
type world struct {
	failAt int
	stays  bool // everything after the failure fails too: the process is dead
	count  int
	failed bool

	dirty   map[string]bool // written, or created, since the last flush
	renames [][2]string     // since the last flush
}

var errWorld = errors.New("the world ended")

func (w *world) step(op, path, to string) error {
	w.count++
	if w.count == w.failAt || w.failed && w.stays {
		w.failed = true
		return errWorld
	}
	switch op {
	case "create", "write":
		w.dirty[path] = true
	case "rename":
		if w.dirty[path] {
			w.dirty[to] = true
			delete(w.dirty, path)
		}
		w.renames = append(w.renames, [2]string{path, to})
	case "syncfs":
		w.dirty, w.renames = map[string]bool{}, nil
	case "fsync":
		delete(w.dirty, path)
	}
	return nil
}

// cut loses the contents of what was not flushed and, if it undoes names, the
// names that were not.
func (w *world) cut(t *testing.T, undo bool) {
	t.Helper()
	for path := range w.dirty {
		if _, err := os.Lstat(path); err != nil {
			continue
		}
		if err := errors.Join(os.Chmod(path, 0o600), os.Truncate(path, 0)); err != nil {
			t.Fatal(err)
		}
	}
	for i := len(w.renames) - 1; undo && i >= 0; i-- {
		// A record that was replaced is gone; that counts for nothing.
		if err := os.Rename(w.renames[i][1], w.renames[i][0]); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

// A cargo is what the crash tests bring in: small files, a big one, one that is
// there before, and one in two parts, by two batches.
type cargo struct {
	before []byte
	files  [][]byte
	parts  []byte
}

func newCargo() cargo {
	return cargo{
		before: content(100, 300),
		files:  [][]byte{nil, content(1, 10), content(2, 5000), content(3, bufferSize+9), content(100, 300)},
		parts:  content(4, 2*bufferSize+100),
	}
}

// first brings the first part of the big file and some of the files.
func (c cargo) first(l *Library) error {
	b := l.Begin(all)
	defer b.Abort()
	return errors.Join(c.receive(b, c.files[:2]), c.part(b, 0, bufferSize+5), b.Commit())
}

// second brings the rest, and the first part once more.
func (c cargo) second(l *Library) error {
	b := l.Begin(all)
	defer b.Abort()
	size := int64(len(c.parts))
	return errors.Join(c.receive(b, c.files), c.part(b, 0, bufferSize+5), c.part(b, bufferSize, size-bufferSize), b.Commit())
}

func (c cargo) receive(b *Batch, files [][]byte) error {
	var errs []error
	for _, f := range files {
		errs = append(errs, b.Receive(site.DigestOf(f), int64(len(f)), bytes.NewReader(f)))
	}
	return errors.Join(errs...)
}

func (c cargo) part(b *Batch, offset, length int64) error {
	return b.ReceivePart(site.DigestOf(c.parts), int64(len(c.parts)), offset, bytes.NewReader(c.parts[offset:offset+length]), length)
}

// Whatever operation fails, and however the process or the machine ends: no
// wrong file is visible, none is lost that was there, nothing is lost for which
// Commit had returned nil, and the same again succeeds.
func TestEveryFailure(t *testing.T) {
	for _, c := range []struct {
		name                       string
		stays, cut, undo, oneByOne bool
	}{
		{name: "one operation fails"},
		{name: "one operation fails, flushing one by one", oneByOne: true},
		{name: "the process dies", stays: true},
		{name: "power cut, names reached the disk", stays: true, cut: true},
		{name: "power cut, names did not", stays: true, cut: true, undo: true},
		{name: "power cut, flushing one by one", stays: true, cut: true, oneByOne: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i := 1; ; i++ {
				w := &world{failAt: i, stays: c.stays, dirty: map[string]bool{}}
				if end := oneFailure(t, w, c.cut, c.undo, c.oneByOne); end {
					if i < 30 {
						t.Errorf("only %d operations were seen", i)
					}
					return
				}
			}
		})
	}
}

// scratch returns a folder in memory where there is one: the tests lose power
// by themselves, and real flushes would only take time.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "library")
	if err != nil {
		return t.TempDir()
	}
	return dir
}

// oneFailure runs both batches in this world. It reports whether the world held
// to the end.
func oneFailure(t *testing.T, w *world, cut, undo, oneByOne bool) bool {
	t.Helper()
	dir, goods := scratch(t), newCargo()
	defer os.RemoveAll(dir)
	add(t, newLibrary(t, dir), goods.before)
	l, err := open([]string{dir}, disk{step: w.step})
	if err != nil {
		t.Fatal(err)
	}
	l.roots[0].sync = l.roots[0].sync && !oneByOne
	first := goods.first(l)
	second := goods.second(l)
	held := !w.failed
	if w.stays {
		kill(l)
		if cut {
			w.cut(t, undo)
		}
	} else {
		l.Close()
	}

	l = newLibrary(t, dir)
	found := visible(t, l)
	kept := [][]byte{goods.before}
	if first == nil {
		kept = append(kept, goods.files[:2]...)
	}
	if second == nil {
		kept = append(append(kept, goods.files...), goods.parts)
	}
	for _, b := range kept {
		if _, ok := found[site.DigestOf(b)]; !ok {
			t.Errorf("operation %d: a file of %d bytes was lost", w.failAt, len(b))
		}
	}
	if err := errors.Join(goods.first(l), goods.second(l)); err != nil {
		t.Errorf("operation %d: the retry failed: %v", w.failAt, err)
	}
	if n := len(visible(t, l)); n != 6 {
		t.Errorf("operation %d: %d files after the retry", w.failAt, n)
	}
	if left := leftovers(t, l); len(left) > 0 {
		t.Errorf("operation %d: left over %v", w.failAt, left)
	}
	if parts, _ := filepath.Glob(filepath.Join(dir, "partial", "*")); len(parts) > 0 {
		t.Errorf("operation %d: parts left over %v", w.failAt, parts)
	}
	return held
}

// A batch that finds everything visible must not call it durable when the batch
// that brought it failed to.
func TestSkippedFilesAreMadeDurable(t *testing.T) {
	for _, restart := range []bool{false, true} {
		dir := scratch(t)
		defer os.RemoveAll(dir)
		goods, flushes, fail := newCargo(), 0, 2
		step := func(op, path, to string) error {
			if op == "syncfs" {
				if flushes++; flushes == fail {
					return errWorld
				}
			}
			return nil
		}
		l, err := open([]string{dir}, disk{step: step})
		if err != nil {
			t.Fatal(err)
		}
		if !l.roots[0].sync {
			t.Skip("no syncfs here")
		}
		b := l.Begin(all)
		if err := errors.Join(goods.receive(b, goods.files), b.Commit()); !errors.Is(err, errWorld) {
			t.Fatalf("the second flush failed, Commit = %v", err)
		}
		flushes, fail = 0, 0
		if restart {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if l, err = open([]string{dir}, disk{step: step}); err != nil {
				t.Fatal(err)
			}
		}
		b = l.Begin(all)
		if err := errors.Join(goods.receive(b, goods.files), b.Commit()); err != nil || b.Stats().Files != 0 {
			t.Fatalf("Commit = %v, stats %+v", err, b.Stats())
		}
		if flushes != 1 {
			t.Errorf("restart %v: %d flushes before the files were called durable", restart, flushes)
		}
		l.Close()
	}
}
