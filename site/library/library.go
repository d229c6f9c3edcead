package library

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"fardel/site"
)

// A Library is the set of files that a site holds. Its methods may be called
// from several goroutines at once.
type Library struct {
	roots []*root
	disk  disk
	count atomic.Int64 // numbers temporary files

	committing sync.Mutex
}

// Open opens the library in these root folders, creates what is missing, and
// removes what dead processes left half-written. The first root is the one that
// messages name when none in particular is meant.
func Open(roots []string) (*Library, error) { return open(roots, disk{}) }

func open(paths []string, d disk) (*Library, error) {
	if len(paths) == 0 {
		return nil, site.BadConfig.New("the library has no root folder").
			Then("name at least one folder for the library in the configuration")
	}
	var id [8]byte
	rand.Read(id[:])
	l := &Library{disk: d}
	for _, p := range paths {
		r, err := openRoot(p, hex.EncodeToString(id[:]), d)
		if err != nil {
			l.Close()
			return nil, err
		}
		l.roots = append(l.roots, r)
	}
	return l, nil
}

// Close gives up the temporary folders. Batches must have ended before.
func (l *Library) Close() error {
	var errs []error
	for _, r := range l.roots {
		errs = append(errs, r.close())
	}
	return errors.Join(errs...)
}

// locate returns the root that has the file, and its size. The root is nil if
// none has.
func (l *Library) locate(d site.Digest) (*root, int64, error) {
	name := d.String()
	for _, r := range l.roots {
		path := r.file(name)
		st, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, 0, fault(err, "read", path)
		}
		if st.Mode().IsRegular() {
			return r, st.Size(), nil
		}
	}
	return nil, 0, nil
}

// Has reports whether the library holds the file. It is false also when the
// disk cannot be read; whoever then opens the file learns why.
func (l *Library) Has(d site.Digest) bool {
	r, _, _ := l.locate(d)
	return r != nil
}

// Size returns the file's length in bytes, or a fault of class [site.NoSuch].
func (l *Library) Size(d site.Digest) (int64, error) {
	r, size, err := l.locate(d)
	if err == nil && r == nil {
		err = absent(d)
	}
	return size, err
}

// Open opens the file for reading, or returns a fault of class [site.NoSuch].
// Its bytes were right when they were written; whoever passes them on where
// nobody checks again has to hash them.
func (l *Library) Open(d site.Digest) (*os.File, error) {
	r, _, err := l.locate(d)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, absent(d)
	}
	path := r.file(d.String())
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, absent(d)
	}
	if err != nil {
		return nil, fault(err, "open", path)
	}
	return f, nil
}

// Remove deletes the file, and what has arrived of it in parts. A file that is
// not there is no error. Whether somebody still needs it is the caller's matter.
func (l *Library) Remove(d site.Digest) error {
	name := d.String()
	for _, r := range l.roots {
		path := r.file(name)
		if err := l.disk.remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fault(err, "remove", path)
		}
		if err := r.drop(l.disk, d); err != nil {
			return fault(err, "remove", r.partial(name))
		}
	}
	return nil
}

// Walk calls fn for each file of the library, in order of the digests, with its
// size in bytes. An error of fn ends the walk and is returned.
func (l *Library) Walk(fn func(d site.Digest, size int64) error) error {
	for i := range 256 {
		prefix := hex.EncodeToString([]byte{byte(i)})
		found := map[site.Digest]int64{}
		for _, r := range l.roots {
			if err := r.list(prefix, found); err != nil {
				return err
			}
		}
		names := make([]site.Digest, 0, len(found))
		for d := range found {
			names = append(names, d)
		}
		slices.SortFunc(names, func(a, b site.Digest) int { return slices.Compare(a[:], b[:]) })
		for _, d := range names {
			if err := fn(d, found[d]); err != nil {
				return err
			}
		}
	}
	return nil
}

// Verify reads the file from the disk and compares its digest. It returns a
// fault of class [site.Damaged] if the bytes have changed, and of class
// [site.NoSuch] if there is no such file.
func (l *Library) Verify(ctx context.Context, d site.Digest) error {
	f, err := l.Open(d)
	if err != nil {
		return err
	}
	defer f.Close()
	// The page cache would show what was written, not what the disk kept.
	dropCache(f)
	got, _, err := digestOf(contextReader{ctx, f})
	if err != nil {
		return fault(err, "read", f.Name())
	}
	if got != d {
		return rotten(d)
	}
	return nil
}

// CopyTo writes the file to dst, which must be empty, and verifies what it
// writes. Where the file system can share the bytes of two files, it does.
// A fault of class [site.Damaged] means that dst must not be used.
func (l *Library) CopyTo(d site.Digest, dst *os.File) error {
	src, err := l.Open(d)
	if err != nil {
		return err
	}
	defer src.Close()
	var got site.Digest
	if clone(dst, src) == nil {
		got, _, err = digestOf(src)
	} else {
		got, _, err = digestOf(io.TeeReader(src, dst))
	}
	if err != nil {
		return fault(err, "copy to", dst.Name())
	}
	if got != d {
		return rotten(d)
	}
	return nil
}

// Space returns how many bytes can still be written to the library, over all
// its roots. Roots on one file system count once.
func (l *Library) Space() (int64, error) {
	var total int64
	seen := map[uint64]bool{}
	for _, r := range l.roots {
		if seen[r.device] {
			continue
		}
		seen[r.device] = true
		free, err := freeSpace(r.path)
		if err != nil {
			return 0, fault(err, "examine", r.path)
		}
		total += free
	}
	return total, nil
}

// Warnings returns what is wrong with the disks below the library, in sentences
// for a person; usually nothing.
func (l *Library) Warnings() []string {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil // not Linux
	}
	var out []string
	for _, r := range l.roots {
		if volatile(string(mounts), r.path) {
			out = append(out, fmt.Sprintf("%s lies on an overlay mounted as volatile: a power cut may lose files that were called durable", r.path))
		}
	}
	return out
}

// volatile reports whether the path lies on an overlay that ignores every
// flush. mounts is the text of /proc/self/mountinfo.
func volatile(mounts, path string) bool {
	best, found := -1, false
	for line := range strings.Lines(mounts) {
		head, tail, ok := strings.Cut(line, " - ")
		fields, kind := strings.Fields(head), strings.Fields(tail)
		if !ok || len(fields) < 5 || len(kind) < 3 {
			continue
		}
		// The longest mount point counts, and of equal ones the last.
		point := strings.TrimSuffix(strings.ReplaceAll(fields[4], `\040`, " "), "/")
		if (path == point || strings.HasPrefix(path, point+"/")) && len(point) >= best {
			best = len(point)
			found = kind[0] == "overlay" && slices.Contains(strings.Split(kind[2], ","), "volatile")
		}
	}
	return found
}

// pick returns the root that has the most room for a file of this size.
func (l *Library) pick(size int64) (*root, error) {
	if len(l.roots) == 1 {
		return l.roots[0], nil
	}
	best, most := (*root)(nil), int64(-1)
	for _, r := range l.roots {
		free, err := freeSpace(r.path)
		if err != nil {
			return nil, fault(err, "examine", r.path)
		}
		if free > most {
			best, most = r, free
		}
	}
	if most < size {
		return nil, noSpace(best.path).In("a file of %d bytes needs room, %d bytes are free", size, most)
	}
	return best, nil
}

const bufferSize = 256 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, bufferSize); return &b }}

// digestOf reads r to its end.
func digestOf(r io.Reader) (site.Digest, int64, error) {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	h := sha256.New()
	n, err := io.CopyBuffer(h, struct{ io.Reader }{r}, *buf)
	var d site.Digest
	h.Sum(d[:0])
	return d, n, err
}

// contextReader ends a long read when its context does.
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
