package courier

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"fardel/media"
	"fardel/site"
)

// A Carrier is a medium that is being read. It has no method that writes, it
// opens files for reading only, and leaves no times of access behind where the
// system allows that. It follows no link, and opens nothing but regular files.
// Its methods may be called at the same time.
type Carrier struct {
	path string
	root *os.Root

	mu      sync.Mutex
	folders map[string]*os.Root
}

// OpenCarrier opens the medium that is mounted at path, or any folder that holds
// a FARDEL folder. It fails with site.NoMedium if there is no such path and with
// site.NoParcels if nothing there was written by Fardel.
func OpenCarrier(path string) (*Carrier, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, noMedium(path, err)
	}
	c := newCarrier(path, root)
	_, err = c.folder(media.Top)
	if err == nil {
		return c, nil
	}
	defer root.Close()
	if errors.Is(err, fs.ErrNotExist) && still(root, path) {
		return nil, site.NoParcels.New("%s has no parcels", path).In("Nothing was read or changed").Because(err)
	}
	return nil, c.explain(err, "opening", media.Top)
}

func newCarrier(path string, root *os.Root) *Carrier {
	return &Carrier{path: path, root: root, folders: map[string]*os.Root{}}
}

// Path returns the path that the carrier was opened with.
func (c *Carrier) Path() string { return c.path }

// Close lets the medium go, so that it can be unmounted.
func (c *Carrier) Close() error {
	c.drop()
	return c.root.Close()
}

func (c *Carrier) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, r := range c.folders {
		r.Close()
		delete(c.folders, name)
	}
}

// folder opens a folder such as FARDEL/HQ0/labels, or returns it from before.
func (c *Carrier) folder(name string) (*os.Root, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.folders[name]; r != nil {
		return r, nil
	}
	r, err := descend(c.root, name)
	if err == nil {
		c.folders[name] = r
	}
	return r, err
}

// open opens a file by its full name, such as FARDEL/HQ0/labels/x.
func (c *Carrier) open(dir, base string) (*os.File, int64, error) {
	r, err := c.folder(dir)
	if err != nil {
		return nil, 0, err
	}
	return openFile(r, base)
}

// Open opens a file that the site from has written; the name is such as
// bundles/x. How large it is can be asked before anything of it is read. A file
// that is not there gives an error for which errors.Is(err, fs.ErrNotExist)
// holds; a medium that went away gives site.MediumGone.
func (c *Carrier) Open(from site.Code, name string) (*Incoming, error) {
	dir, base, ok := splitName(name)
	if !ok || !from.Valid() {
		return nil, site.Internal.New("%q is no name of a file on a medium", shown(name))
	}
	f, size, err := c.open(media.Dir(from)+"/"+dir, base)
	if err != nil {
		return nil, c.explain(err, "opening", name)
	}
	return &Incoming{carrier: c, file: f, name: name, size: size, left: size}, nil
}

// ReadFile returns a whole file of at most max bytes. A larger one is refused
// before any of it is read.
func (c *Carrier) ReadFile(from site.Code, name string, max int64) ([]byte, error) {
	in, err := c.Open(from, name)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	if in.size > max {
		return nil, foreign(c.path, name, fmt.Errorf("has %s where at most %s can be", human(in.size), human(max)))
	}
	b := make([]byte, in.size)
	_, err = io.ReadFull(in, b)
	return b, err
}

func (c *Carrier) explain(err error, verb, name string) error {
	switch {
	case errors.Is(err, errLink), errors.Is(err, errKind), errors.Is(err, errNotDir), errors.Is(err, errCrowded):
		return foreign(c.path, name, err)
	case errors.Is(err, fs.ErrNotExist) && still(c.root, c.path):
		return site.NoSuch.New("%s is not on %s", name, c.path).Because(err)
	}
	return explain(err, c.path, c.root, verb, name)
}

// An Incoming is a file on a medium, to be read once: what is read is what has
// to be verified, for a second reading of a hostile device may differ.
type Incoming struct {
	carrier    *Carrier
	file       *os.File
	name       string
	size, left int64
}

// Size returns the file's size in bytes when it was opened. Reading gives
// exactly so many bytes, or an error.
func (in *Incoming) Size() int64 { return in.size }

// Stat implements [fs.File].
func (in *Incoming) Stat() (fs.FileInfo, error) { return in.file.Stat() }

// Read implements [io.Reader]. A file that has become shorter gives site.Damaged.
func (in *Incoming) Read(p []byte) (int, error) {
	if in.left == 0 {
		return 0, io.EOF
	}
	n, err := in.file.Read(p[:min(int64(len(p)), in.left)])
	in.left -= int64(n)
	switch {
	case err == io.EOF:
		return n, foreign(in.carrier.path, in.name, fmt.Errorf("%w: %w", errChanged, io.ErrUnexpectedEOF))
	case err != nil:
		return n, in.carrier.explain(err, "reading", in.name)
	}
	return n, nil
}

// Close closes the file.
func (in *Incoming) Close() error { return in.file.Close() }
