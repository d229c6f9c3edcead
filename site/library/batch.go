package library

import (
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"

	"fardel/site"
)

// A Batch takes files into the library, all at once when it is committed. Its
// methods may be called from several goroutines; Commit and Abort come last.
type Batch struct {
	lib   *Library
	wants func(site.Digest) bool
	sync  map[*root]*os.File // opened before the first write, so that no error is missed
	again atomic.Bool        // big files have turned out to be here already

	mu     sync.Mutex
	ended  bool
	broken error // why Begin could not prepare the batch
	staged map[site.Digest]staged
	parts  map[site.Digest]*part
	kept   map[site.Digest]*root // skipped, since they were visible already
	stats  Stats
}

// Stats tells what a batch did so far.
type Stats struct {
	Files   int64 // new files, without those that are still incomplete
	Bytes   int64 // their sizes in sum
	Skipped int64 // files that were here already
	Parts   int64 // parts taken of big files
}

// staged is a file that is complete, but has no name yet.
type staged struct {
	root *root
	path string
	size int64
}

// Begin opens a batch. With wants nil it takes what is made here, by
// [Batch.Add]; otherwise it takes the files of which wants reports true, by
// [Batch.Receive] and [Batch.ReceivePart], and wants must bear being called from
// wherever they are. Every batch has to end with Commit or Abort.
func (l *Library) Begin(wants func(site.Digest) bool) *Batch {
	b := &Batch{
		lib: l, wants: wants,
		sync:   map[*root]*os.File{},
		staged: map[site.Digest]staged{},
		parts:  map[site.Digest]*part{},
		kept:   map[site.Digest]*root{},
	}
	for _, r := range l.roots {
		f, err := os.Open(r.path)
		if err != nil {
			b.broken = fault(err, "open", r.path)
			break
		}
		b.sync[r] = f
	}
	return b
}

// Stats returns what the batch did so far.
func (b *Batch) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stats
}

// Add takes content that is made here: it reads r to its end and returns the
// digest and the length of what it read. An error of r is returned as it is.
// If r can also seek, it has to stand at its beginning; it may be read twice.
func (b *Batch) Add(r io.Reader) (site.Digest, int64, error) {
	if b.wants != nil {
		return site.Digest{}, 0, errors.New("a batch for files of others takes none of our own")
	}
	if err := b.usable(); err != nil {
		return site.Digest{}, 0, err
	}
	var first site.Digest
	if s, ok := r.(io.ReadSeeker); ok && b.again.Load() && big(s) {
		// What changed little is not written a second time only to be dropped.
		d, n, err := digestOf(s)
		if err != nil || b.present(d, n) {
			return d, n, err
		}
		if _, err := s.Seek(0, io.SeekStart); err != nil {
			return d, n, err
		}
		first = d
		b.again.Store(false)
	}
	in := intake{batch: b, limit: site.MaxInt}
	defer in.drop()
	d, n, err := in.take(r)
	if err != nil {
		return d, n, err
	}
	if !first.IsZero() && first != d {
		return d, n, site.Changing.New("a file changed between two readings")
	}
	if b.present(d, n) {
		if in.file != nil {
			b.again.Store(true) // written for nothing
		}
		return d, n, nil
	}
	return d, n, in.keep(d)
}

// big reports whether s holds more than the buffer, and leaves it at its start.
func big(s io.Seeker) bool {
	n, err := s.Seek(0, io.SeekEnd)
	if _, back := s.Seek(0, io.SeekStart); err != nil || back != nil {
		return false
	}
	return n > bufferSize
}

// Receive takes a file that others sent, if it is wanted: [ErrUnwanted] says
// that it is not. A file that is here already is skipped without reading r.
// Otherwise r must yield exactly size bytes, with this digest; if it does not,
// the fault is of class [site.Damaged], nothing is kept of the file, and the
// batch may go on. An error of r is returned as it is.
func (b *Batch) Receive(d site.Digest, size int64, r io.Reader) error {
	if err := b.usable(); err != nil {
		return err
	}
	if b.wants == nil || !b.wants(d) {
		return ErrUnwanted
	}
	if !site.InRange(size) {
		return site.Damaged.New("file %s cannot have %d bytes", d.Short(), size)
	}
	if b.present(d, size) {
		return nil
	}
	in := intake{batch: b, limit: size}
	defer in.drop()
	got, n, err := in.take(r)
	if errors.Is(err, errTooLong) {
		return site.Damaged.New("file %s is longer than the %d bytes announced", d.Short(), size)
	}
	if err != nil {
		return err
	}
	if n != size {
		return site.Damaged.New("file %s ends after %d of %d bytes", d.Short(), n, size)
	}
	if got != d {
		return site.Damaged.New("file %s does not have the digest that it was announced with", d.Short())
	}
	return in.keep(d)
}

func (b *Batch) usable() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return errEnded
	}
	return b.broken
}

// present reports whether the file is here or in the batch already, and counts
// it as skipped if so. A file of another length was damaged; it is replaced.
func (b *Batch) present(d site.Digest, size int64) bool {
	b.mu.Lock()
	_, ok := b.staged[d]
	if ok {
		b.stats.Skipped++
	}
	b.mu.Unlock()
	if ok {
		return true
	}
	r, have, err := b.lib.locate(d)
	if err != nil || r == nil || have != size {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stats.Skipped++
	b.kept[d] = r
	return true
}

var errTooLong = errors.New("longer than announced")

// An intake is one file on its way in. What fits into the buffer is hashed
// before anything is written; the rest goes to a temporary file.
type intake struct {
	batch *Batch
	limit int64 // in bytes
	buf   *[]byte
	small []byte // the whole content, when it fitted
	root  *root
	file  *os.File
	path  string
	size  int64
}

// take reads r to its end. After it, the content is in the buffer or in the
// temporary file, and keep or drop has to follow.
func (in *intake) take(r io.Reader) (site.Digest, int64, error) {
	in.buf = buffers.Get().(*[]byte)
	h := sha256.New()
	var d site.Digest
	for {
		n, end, err := fill(r, *in.buf)
		if err != nil {
			return d, in.size, err
		}
		in.size += int64(n)
		if in.size > in.limit {
			return d, in.size, errTooLong
		}
		chunk := (*in.buf)[:n]
		if end && in.file == nil {
			in.small = chunk
			h.Write(chunk)
			h.Sum(d[:0])
			return d, in.size, nil
		}
		hashed := make(chan struct{})
		go func() { h.Write(chunk); close(hashed) }() // takes about as long as writing
		err = in.write(chunk, in.size-int64(n))
		<-hashed
		if err != nil {
			return d, in.size, err
		}
		if end {
			h.Sum(d[:0])
			return d, in.size, nil
		}
	}
}

// fill reads until the buffer is full or r ends. Unlike [io.ReadFull] it does
// not mix up the end of r with an r that was cut off.
func fill(r io.Reader, buf []byte) (n int, end bool, err error) {
	for idle := 0; n < len(buf); {
		k, err := r.Read(buf[n:])
		n += k
		if err == io.EOF {
			return n, true, nil
		}
		if err != nil {
			return n, false, err
		}
		if idle++; k > 0 {
			idle = 0
		}
		if idle > 100 {
			return n, false, io.ErrNoProgress
		}
	}
	return n, false, nil
}

func (in *intake) write(chunk []byte, offset int64) error {
	l := in.batch.lib
	if in.file == nil {
		size := in.limit
		if size == site.MaxInt {
			size = 0
		}
		root, err := l.pick(size)
		if err != nil {
			return err
		}
		path := l.temporary(root)
		f, err := l.disk.create(path)
		if err != nil {
			return fault(err, "create", path)
		}
		in.root, in.path, in.file = root, path, f
	}
	if err := l.disk.writeAt(in.file, chunk, offset); err != nil {
		return fault(err, "write", in.path)
	}
	return nil
}

func (l *Library) temporary(r *root) string {
	return filepath.Join(r.own, strconv.FormatInt(l.count.Add(1), 36))
}

// Files of this size are sent to the disk at once, see startWriting.
const bigFile = 1 << 20

// keep hands the file over to the batch under this digest, which it has.
func (in *intake) keep(d site.Digest) error {
	if in.file == nil {
		if err := in.write(in.small, 0); err != nil {
			return err
		}
	}
	if in.size > bigFile {
		startWriting(in.file)
	}
	err := in.file.Close()
	in.file = nil
	if err != nil {
		return fault(err, "write", in.path)
	}
	b := in.batch
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return errEnded
	}
	if _, twice := b.staged[d]; twice {
		b.stats.Skipped++ // another goroutine was faster
		return nil
	}
	b.staged[d] = staged{in.root, in.path, in.size}
	b.stats.Files++
	b.stats.Bytes += in.size
	in.path = ""
	return nil
}

// drop gives back the buffer, and removes the file unless it was kept.
func (in *intake) drop() {
	if in.buf != nil {
		buffers.Put(in.buf)
	}
	if in.file != nil {
		in.file.Close()
	}
	if in.path != "" {
		in.batch.lib.disk.remove(in.path)
	}
}
