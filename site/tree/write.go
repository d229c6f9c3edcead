package tree

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"fardel/site"
)

// Write makes the folder dest, which must be absent or empty, equal to the
// items; they have to come in the order of a manifest, as [ReadManifest] and
// [Each] yield them. open opens a file of the library, and is called from
// several goroutines. progress, if not nil, is called with what is done so far.
//
// Each file is hashed while it is copied; one that is not what the manifest
// says gives a fault of class [site.Damaged]. Permissions are exact, whatever
// the umask. Everything is written beside dest and brought to the disk before it
// gets that name, so that dest is either whole or not there.
func Write(ctx context.Context, items iter.Seq2[Item, error], open func(site.Digest) (*os.File, error), dest string, progress func(files, bytes int64)) error {
	dest, mode, err := vacant(dest)
	if err != nil {
		return err
	}
	sweep(dest)
	part, lock, err := makePart(dest)
	if err != nil {
		return err
	}
	defer lock.Close()
	root, err := os.OpenRoot(part)
	if err == nil {
		w := &writer{root: root, open: open, progress: progress, dest: dest}
		err = errors.Join(w.write(ctx, items), root.Close())
	}
	if err == nil && mode != 0 {
		err = lock.Chmod(mode)
	}
	if err == nil {
		err = settle(part, dest, lock)
	}
	if err != nil {
		removeTree(part)
		return writeFault(err, dest)
	}
	return nil
}

// vacant returns the absolute path of dest and, if it is an empty folder, its
// permissions, which the new one will have.
func vacant(dest string) (string, fs.FileMode, error) {
	path, err := filepath.Abs(dest)
	if err != nil {
		return "", 0, err
	}
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		parent := filepath.Dir(path)
		if st, err := os.Stat(parent); err != nil || !st.IsDir() {
			return "", 0, site.BadUsage.New("there is no folder %s", parent)
		}
		return path, 0, nil
	}
	if err != nil {
		return "", 0, writeFault(err, dest)
	}
	taken := site.Exists.New("%s exists already", dest).In("nothing was written").
		Then("name a folder that does not exist, or an empty one")
	if !info.IsDir() {
		return "", 0, taken
	}
	f, err := os.Open(path)
	if err != nil {
		return "", 0, writeFault(err, dest)
	}
	defer f.Close()
	if names, err := f.Readdirnames(1); len(names) > 0 || err != io.EOF {
		return "", 0, taken
	}
	return path, info.Mode().Perm(), nil
}

func partPrefix(dest string) string { return "." + filepath.Base(dest) + ".fardel-part-" }

// makePart makes the folder in which everything is written, and locks it: the
// lock tells a later command that this one lives.
func makePart(dest string) (string, *os.File, error) {
	var nonce [8]byte
	rand.Read(nonce[:])
	part := filepath.Join(filepath.Dir(dest), fmt.Sprintf("%s%d-%s", partPrefix(dest), os.Getpid(), hex.EncodeToString(nonce[:])))
	if err := os.Mkdir(part, 0o777); err != nil {
		return "", nil, writeFault(err, dest)
	}
	f, err := os.Open(part)
	if err != nil {
		os.Remove(part)
		return "", nil, writeFault(err, dest)
	}
	tryLock(f) // where there are no locks, nothing is swept either
	return part, f, nil
}

// sweep removes what earlier commands for the same dest left when they died. It
// is a courtesy: whatever goes wrong stays where it is.
func sweep(dest string) {
	parent := filepath.Dir(dest)
	list, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	for _, e := range list {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), partPrefix(dest)) {
			continue
		}
		f, err := os.Open(filepath.Join(parent, e.Name()))
		if err != nil {
			continue
		}
		if held, err := tryLock(f); err == nil && held {
			removeTree(f.Name())
		}
		f.Close()
	}
}

// removeTree removes the folder, also if folders in it are not writable.
func removeTree(dir string) {
	if os.RemoveAll(dir) == nil {
		return
	}
	filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			os.Chmod(path, 0o700)
		}
		return nil
	})
	os.RemoveAll(dir)
}

// settle brings the tree to the disk and gives it its name.
func settle(part, dest string, dir *os.File) error {
	if err := flushTree(dir); err != nil {
		return err
	}
	if err := replace(part, dest); err != nil {
		return err
	}
	// The name itself may still be lost in a power cut, but not half of it.
	if parent, err := os.Open(filepath.Dir(dest)); err == nil {
		parent.Sync()
		parent.Close()
	}
	return nil
}

// A writer writes one tree.
type writer struct {
	root     *os.Root
	open     func(site.Digest) (*os.File, error)
	progress func(files, bytes int64)
	dest     string
	dirs     []Item
	links    []Item

	mu    sync.Mutex
	files int64
	bytes int64
}

// write makes folders as they come, files on all cores, then links, which
// therefore nothing can follow, and permissions of folders last, since those of
// a folder may forbid to write into it.
func (w *writer) write(ctx context.Context, items iter.Seq2[Item, error]) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	jobs := make(chan []Item)
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for job := range jobs {
				if err := w.copyAll(ctx, job); err != nil {
					cancel(err)
				}
			}
		})
	}
	if err := w.dispatch(ctx, items, jobs); err != nil {
		cancel(err)
	}
	close(jobs)
	group.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	for _, it := range w.links {
		if err := w.root.Symlink(filepath.FromSlash(it.Target), it.Path); err != nil {
			return pathFault(err, it.Path)
		}
	}
	for i := len(w.dirs) - 1; i >= 0; i-- {
		if err := w.chmodDir(w.dirs[i]); err != nil {
			return pathFault(err, w.dirs[i].Path)
		}
	}
	return nil
}

// chmodDir sets a folder's permissions through its descriptor, so that no link
// in its place is followed.
func (w *writer) chmodDir(it Item) error {
	f, err := w.root.Open(it.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Chmod(it.Mode)
}

// dispatch reads the items and hands out files, a few of one folder at a time.
func (w *writer) dispatch(ctx context.Context, items iter.Seq2[Item, error], jobs chan<- []Item) error {
	var c checker
	var job []Item
	flush := func() {
		if len(job) > 0 {
			jobs <- job
			job = nil
		}
	}
	defer flush()
	for it, err := range items {
		if err == nil {
			err = c.check(it)
		}
		if err != nil {
			return manifestFault(err)
		}
		if ctx.Err() != nil {
			return nil // the cause is known
		}
		switch it.Type {
		case Dir:
			if err := w.root.Mkdir(it.Path, 0o700); err != nil {
				return pathFault(err, it.Path)
			}
			w.dirs = append(w.dirs, it)
		case Link:
			w.links = append(w.links, it)
		case File:
			if len(job) > 0 {
				if a, _ := split(job[0].Path); len(job) == chunk || a != parentOf(it.Path) {
					flush()
				}
			}
			job = append(job, it)
		}
	}
	return nil
}

// manifestFault says that the manifest is bad, unless somebody knows better.
func manifestFault(err error) error {
	_, fault := errors.AsType[*site.Fault](err)
	_, path := errors.AsType[*fs.PathError](err)
	if fault || path || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return site.Damaged.New("the manifest of the package is wrong: %v", err).In("nothing was written").Because(err)
}

func parentOf(path string) string {
	parent, _ := split(path)
	return parent
}

// copyAll writes files of one folder.
func (w *writer) copyAll(ctx context.Context, job []Item) error {
	root, parent := w.root, parentOf(job[0].Path)
	if parent != "" {
		sub, err := w.root.OpenRoot(parent)
		if err != nil {
			return pathFault(err, parent)
		}
		defer sub.Close()
		root = sub
	}
	for _, it := range job {
		if err := w.copy(ctx, root, it); err != nil {
			return err
		}
		w.mu.Lock()
		w.files++
		w.bytes += it.Size
		if w.progress != nil {
			w.progress(w.files, w.bytes)
		}
		w.mu.Unlock()
	}
	return nil
}

func (w *writer) copy(ctx context.Context, root *os.Root, it Item) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	src, err := w.open(it.Digest)
	if err != nil {
		return err
	}
	defer src.Close()
	_, name := split(it.Path)
	dst, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return pathFault(err, it.Path)
	}
	defer dst.Close()
	got, n, err := copyHashed(ctx, dst, src, it.Size)
	if err != nil {
		return pathFault(err, it.Path)
	}
	if got != it.Digest || n != it.Size {
		return site.Damaged.New("file %s (%s) of the library has changed on the disk", it.Digest.Short(), shown(it.Path)).
			In("nothing was delivered").
			Then("run fardel library verify; what is damaged is then fetched again")
	}
	// Not through the name, and after the file is made: neither a link nor the
	// umask may have a say.
	if err := dst.Chmod(it.Mode); err != nil {
		return pathFault(err, it.Path)
	}
	if err := dst.Close(); err != nil {
		return pathFault(err, it.Path)
	}
	return nil
}

// bigFile is the size from which sharing bytes is tried.
const bigFile = 1 << 20

// copyHashed copies src to dst and returns the digest of what dst now holds: of
// the very bytes that were written, or, if the file system made dst share the
// bytes of src, of those read back from dst. It stops when src is longer than
// it should be.
func copyHashed(ctx context.Context, dst, src *os.File, size int64) (site.Digest, int64, error) {
	h := sha256.New()
	var r io.Reader
	if size >= bigFile && clone(dst, src) == nil {
		r = dst
	} else {
		r = io.TeeReader(src, dst)
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	n, err := io.CopyBuffer(h, struct{ io.Reader }{io.LimitReader(contextReader{ctx, r}, size+1)}, *buf)
	var d site.Digest
	h.Sum(d[:0])
	return d, n, err
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}

// contextReader ends a long copy when its context does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// pathFault names the path that could not be written.
func pathFault(err error, path string) error {
	if _, ok := errors.AsType[*site.Fault](err); ok || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return err // writeFault speaks of the disk
	}
	if errors.Is(err, fs.ErrExist) {
		return site.Failed.New("%s exists twice: this disk takes two names of the package for one", shown(path)).
			In("nothing was written").Then("name a folder on a disk that tells upper and lower case apart").Because(err)
	}
	return site.Failed.New("cannot write %s: %v", shown(path), reason(err)).In("nothing was written").Because(err)
}

func writeFault(err error, dest string) error {
	if _, ok := errors.AsType[*site.Fault](err); ok || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return site.NoSpace.New("the disk of %s is full", dest).In("nothing was written").
			Then("free space there, or name a folder on another disk").Because(err)
	}
	if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST) {
		return site.Exists.New("%s was filled meanwhile", dest).In("nothing was written").Because(err)
	}
	return site.Failed.New("cannot write %s: %v", dest, reason(err)).In("nothing was written").Because(err)
}
