package courier

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"fardel/media"
)

// A faulty medium counts the changes that are made to it, writes them down, and
// fails or ends the world at one of them. It knows what has been made durable,
// so that afterwards it can lose everything else.
type faulty struct {
	disk *disk
	dir  string // where the medium is

	at   int // the operation that goes wrong, counted from 1; 0: none
	mode mode
	n    int
	dead bool
	log  []string

	unsynced map[string]bool     // files whose bytes are in memory only
	undo     map[string][]func() // per folder: how to lose the names that are in memory only
}

type mode int

const (
	failBefore mode = iota // the operation returns an error and has done nothing
	failAfter              // it returns an error and has been done
	cut                    // nothing happens any more
)

var errCut = errors.New("the lights went out")

func newFaulty(t *testing.T, dir string, at int, m mode) *faulty {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	f := &faulty{disk: newDisk(root), dir: dir, at: at, mode: m, unsynced: map[string]bool{}, undo: map[string][]func(){}}
	t.Cleanup(f.close)
	return f
}

func (f *faulty) close() {
	f.disk.Close()
	f.disk.root.Close()
}

// do runs one operation, unless its time has come.
func (f *faulty) do(text string, op func() error) error {
	if f.dead {
		return errCut
	}
	f.n++
	f.log = append(f.log, text)
	if f.n != f.at {
		return op()
	}
	switch f.mode {
	case cut:
		f.dead = true
		return errCut
	case failAfter:
		if err := op(); err != nil {
			return err
		}
	}
	return &fs.PathError{Op: "test", Path: text, Err: syscall.EINVAL}
}

// loses remembers how to undo a change of a folder that is not durable yet.
func (f *faulty) loses(name string, undo func()) {
	dir := path.Dir(name)
	f.undo[dir] = append(f.undo[dir], undo)
}

// changed reports whether the job had begun to write files.
func (f *faulty) changed() bool {
	return slices.ContainsFunc(f.log, func(op string) bool { return strings.HasPrefix(op, "create") })
}

func (f *faulty) real(name string) string { return filepath.Join(f.dir, filepath.FromSlash(name)) }

func (f *faulty) Folder(name string) (folder, error) {
	var out folder
	err := f.do("folder "+name, func() error {
		_, absent := os.Lstat(f.real(name))
		in, err := f.disk.Folder(name)
		if err == nil && absent != nil {
			f.loses(name, func() { os.RemoveAll(f.real(name)) })
		}
		out = faultyFolder{f, in, name}
		return err
	})
	return out, err
}

func (f *faulty) Create(name string) (sink, error) {
	var out sink
	err := f.do("create "+name, func() error {
		in, err := f.disk.Create(name)
		if err == nil {
			f.unsynced[name] = true
			f.loses(name, func() { os.Remove(f.real(name)) })
		}
		out = &faultySink{f: f, in: in, name: name}
		return err
	})
	return out, err
}

func (f *faulty) Rename(from, to string) error {
	return f.do("rename "+from+" to "+path.Base(to), func() error {
		before, absent := os.ReadFile(f.real(to))
		if err := f.disk.Rename(from, to); err != nil {
			return err
		}
		if f.unsynced[from] {
			f.unsynced[to] = true
			delete(f.unsynced, from)
		}
		f.loses(to, func() {
			os.Rename(f.real(to), f.real(from))
			if absent == nil {
				os.WriteFile(f.real(to), before, 0o644)
			}
		})
		return nil
	})
}

func (f *faulty) Remove(name string) error {
	return f.do("remove "+name, func() error {
		before, err := os.ReadFile(f.real(name))
		isDir := err != nil
		if err := f.disk.Remove(name); err != nil {
			return err
		}
		f.loses(name, func() {
			if isDir {
				os.Mkdir(f.real(name), 0o755)
			} else {
				os.WriteFile(f.real(name), before, 0o644)
			}
		})
		return nil
	})
}

type faultyFolder struct {
	f    *faulty
	in   folder
	name string
}

func (d faultyFolder) Sync() error {
	return d.f.do("sync folder "+d.name, func() error {
		delete(d.f.undo, d.name)
		return nil // the model keeps the books: a real one would only be slow
	})
}

func (d faultyFolder) Close() error { return d.in.Close() }

type faultySink struct {
	f    *faulty
	in   sink
	name string
}

func (s *faultySink) Write(p []byte) (int, error) {
	n := 0
	err := s.f.do(fmt.Sprintf("write %d bytes", len(p)), func() (err error) {
		n, err = s.in.Write(p)
		return err
	})
	if errors.Is(err, errCut) || err != nil && n == 0 {
		n, _ = s.in.Write(p[:len(p)/2]) // half of it got through
	}
	return n, err
}

func (s *faultySink) Sync() error {
	return s.f.do("sync", func() error { delete(s.f.unsynced, s.name); return nil })
}

func (s *faultySink) Close() error {
	defer s.in.Close()
	return s.f.do("close", func() error { return nil })
}

// loss is what a power cut takes with it.
type loss int

const (
	loseNothing loss = iota // the process was killed, and no more
	loseBytes               // names are there, bytes that were not synced are not
	loseNames               // neither are names that were not synced
	loseLabels              // of these, only those of labels
	loseOthers              // of these, all but those of labels
)

// powerCut takes away what was not durable.
func (f *faulty) powerCut(l loss) {
	if l == loseNothing {
		return
	}
	for name := range f.unsynced {
		os.Truncate(f.real(name), 0)
	}
	if l == loseBytes {
		return
	}
	for dir, undo := range f.undo {
		isLabels := path.Base(dir) == media.LabelsDir
		if l == loseLabels && !isLabels || l == loseOthers && isLabels {
			continue // a device writes in the order that it likes
		}
		for i := len(undo) - 1; i >= 0; i-- {
			undo[i]()
		}
	}
}

// enumerate runs job with every operation going wrong in every way, in a fresh
// copy of the world that setup makes, and calls check after each.
func enumerate(t *testing.T, setup func(t *testing.T) string, job func(dir string, f *faulty) error, check func(t *testing.T, f *faulty)) {
	t.Helper()
	all := newFaulty(t, setup(t), 0, cut)
	if err := job(all.dir, all); err != nil {
		t.Fatalf("without faults: %v", err)
	}
	if all.n < 5 {
		t.Fatalf("only %d operations: this would show nothing", all.n)
	}
	for at := 1; at <= all.n; at++ {
		for _, how := range []struct {
			mode mode
			loss loss
		}{{failBefore, loseNothing}, {failAfter, loseNothing}, {failAfter, loseNames}, {cut, loseNothing}, {cut, loseBytes}, {cut, loseNames}, {cut, loseLabels}, {cut, loseOthers}} {
			f := newFaulty(t, setup(t), at, how.mode)
			err := job(f.dir, f)
			if err == nil {
				t.Fatalf("operation %d (%s) went wrong, and the job says that it is done", at, f.log[at-1])
			}
			f.powerCut(how.loss)
			check(t, f)
			if t.Failed() {
				t.Fatalf("after operation %d of %d (%s), mode %d, loss %d", at, all.n, f.log[at-1], how.mode, how.loss)
			}
			f.close()
			os.RemoveAll(f.dir)
		}
	}
}
