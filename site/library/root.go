package library

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"

	"fardel/site"
)

// A root is one folder of the library, on one file system.
type root struct {
	path   string
	device uint64
	sync   bool     // the file system keeps its promise about syncfs
	own    string   // this process's folder below tmp
	lock   *os.File // held on own for as long as the library is open

	// unsettled is set while names may be visible that are not yet durable.
	unsettled atomic.Bool
}

func (r *root) file(name string) string    { return filepath.Join(r.path, "files", name[:2], name) }
func (r *root) partial(name string) string { return filepath.Join(r.path, "partial", name) }
func (r *root) ranges(name string) string  { return filepath.Join(r.path, "partial", name+".ranges") }

func openRoot(path, nonce string, k disk) (*root, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	r := &root{path: path}
	for i, sub := range []string{"files", "partial", "tmp"} {
		dir := filepath.Join(path, sub)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fault(err, "create", dir)
		}
		device, err := deviceOf(dir)
		if err != nil {
			return nil, fault(err, "examine", dir)
		}
		if i > 0 && device != r.device {
			return nil, site.BadConfig.New("%s lies on another file system than the rest of the library", dir).
				Then("mount the whole of %s, not a part of it", path)
		}
		r.device = device
	}
	if r.sync, err = keepsSyncfs(path); err != nil {
		return nil, fault(err, "examine", path)
	}
	if err := r.claim(nonce); err != nil {
		return nil, err
	}
	if err := r.sweep(k); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// claim makes this process's own folder for temporary files and locks it. The
// lock tells others that the process lives, even where they cannot see it, as
// between containers that share a disk.
func (r *root) claim(nonce string) error {
	for try := range 3 {
		dir := filepath.Join(r.path, "tmp", fmt.Sprintf("%d-%s%d", os.Getpid(), nonce, try))
		if err := os.Mkdir(dir, 0o700); err != nil {
			return fault(err, "create", dir)
		}
		f, err := os.Open(dir)
		if err != nil {
			continue // somebody who just opens the library swept it
		}
		if held, err := tryLock(f); err != nil || held && sameFile(f, dir) {
			r.own, r.lock = dir, f
			return nil // a file system without locks is judged by process ids
		}
		f.Close()
	}
	return site.Failed.New("cannot keep a temporary folder in %s", filepath.Join(r.path, "tmp"))
}

func sameFile(f *os.File, path string) bool {
	a, err1 := f.Stat()
	b, err2 := os.Lstat(path)
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}

var ownFolder = regexp.MustCompile(`^([1-9][0-9]{0,9})-[0-9a-f]{17}$`)

// sweep removes the folders of dead processes, and records of parts whose file
// is gone. Names that the library does not make are left alone.
//
// A process may have died between making files visible and making them durable.
// So all names are flushed first: what is visible after Open stays.
func (r *root) sweep(k disk) error {
	tmp := filepath.Join(r.path, "tmp")
	list, err := os.ReadDir(tmp)
	if err != nil {
		return fault(err, "read", tmp)
	}
	var left []string
	for _, e := range list {
		dir := filepath.Join(tmp, e.Name())
		if m := ownFolder.FindStringSubmatch(e.Name()); m != nil && dir != r.own && dead(dir, m[1]) {
			left = append(left, dir)
		}
	}
	if len(left) > 0 {
		if err := r.settle(k); err != nil {
			return err
		}
	}
	for _, dir := range left {
		if err := os.RemoveAll(dir); err != nil {
			return fault(err, "remove", dir)
		}
	}
	return r.sweepRecords()
}

// settle makes all names durable.
func (r *root) settle(k disk) error {
	dir, err := os.Open(r.path)
	if err != nil {
		return fault(err, "open", r.path)
	}
	defer dir.Close()
	paths := []string{filepath.Join(r.path, "files"), filepath.Join(r.path, "partial")}
	for i := range 256 {
		paths = append(paths, filepath.Join(r.path, "files", fmt.Sprintf("%02x", i)))
	}
	return r.flush(k, dir, paths)
}

// sweepRecords removes records of parts whose file is gone, and parts of files
// that came as a whole.
func (r *root) sweepRecords() error {
	list, err := r.partials()
	if err != nil {
		return fault(err, "read", filepath.Join(r.path, "partial"))
	}
	for _, d := range list {
		name := d.String()
		_, parts := os.Lstat(r.partial(name))
		_, whole := os.Lstat(r.file(name))
		if whole != nil && parts == nil {
			continue
		}
		if err := r.drop(disk{}, d); err != nil {
			return fault(err, "remove", r.partial(name))
		}
	}
	return nil
}

// partials returns the files of which there are parts, or a record of them.
func (r *root) partials() ([]site.Digest, error) {
	list, err := os.ReadDir(filepath.Join(r.path, "partial"))
	var out []site.Digest
	for _, e := range list {
		name, _ := strings.CutSuffix(e.Name(), ".ranges")
		d, err := site.ParseDigest(name)
		if err == nil && (len(out) == 0 || out[len(out)-1] != d) {
			out = append(out, d)
		}
	}
	return out, err
}

// drop removes the parts of a file. The record goes first: one of parts that
// are gone would be a lie.
func (r *root) drop(k disk, d site.Digest) error {
	for _, path := range []string{r.ranges(d.String()), r.partial(d.String())} {
		if err := k.remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// dead reports whether nobody holds the folder any more.
func dead(dir, pid string) bool {
	f, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer f.Close()
	held, err := tryLock(f)
	if err != nil {
		return !alive(pid)
	}
	return held
}

// list adds the root's files whose names begin with the prefix.
func (r *root) list(prefix string, found map[site.Digest]int64) error {
	dir := filepath.Join(r.path, "files", prefix)
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fault(err, "read", dir)
	}
	for _, e := range list {
		d, err := site.ParseDigest(e.Name())
		if err != nil || !strings.HasPrefix(e.Name(), prefix) || !e.Type().IsRegular() {
			continue
		}
		st, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return fault(err, "read", filepath.Join(dir, e.Name()))
		}
		if _, twice := found[d]; !twice {
			found[d] = st.Size()
		}
	}
	return nil
}

func (r *root) close() error {
	if r.lock == nil {
		return nil
	}
	var err error
	if !r.unsettled.Load() { // otherwise the next Open shall see that something is left
		err = os.RemoveAll(r.own)
	}
	return errors.Join(err, r.lock.Close())
}
