package courier

import (
	"errors"
	"io/fs"
	"os"
	"path"
)

// files is every operation by which courier changes a medium. All changes go
// through it, so that a test can fail or end the world at any one of them, and
// the order of changes can be read as a list. Names are relative to the medium.
type files interface {
	Folder(name string) (folder, error) // made if it is absent, never a link
	Create(name string) (sink, error)   // a new file; it must not exist
	Rename(from, to string) error       // within one folder; replaces
	Remove(name string) error           // a file or an empty folder
}

// A folder can be made durable: which names stand in it.
type folder interface {
	Sync() error
	Close() error
}

// A sink is a file that is being written.
type sink interface {
	Write(p []byte) (int, error)
	Sync() error
	Close() error
}

// disk is the real medium.
type disk struct {
	root    *os.Root
	folders map[string]*os.Root // those opened so far
}

func newDisk(root *os.Root) *disk {
	return &disk{root: root, folders: map[string]*os.Root{".": root}}
}

// Close closes the folders that were opened, but not the root.
func (d *disk) Close() {
	for name, r := range d.folders {
		if name != "." {
			r.Close()
		}
	}
}

// at returns the folder that holds name.
func (d *disk) at(name string) (*os.Root, string, error) {
	dir := path.Dir(name)
	r, ok := d.folders[dir]
	if !ok {
		parent, base, err := d.at(dir)
		if err != nil {
			return nil, "", err
		}
		if r, err = openFolder(parent, base); err != nil {
			return nil, "", err
		}
		d.folders[dir] = r
	}
	return r, path.Base(name), nil
}

// Folder makes and opens a folder.
func (d *disk) Folder(name string) (folder, error) {
	if name != "." {
		parent, base, err := d.at(name)
		if err != nil {
			return nil, err
		}
		if err := parent.Mkdir(base, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	r, _, err := d.at(name + "/.")
	if err != nil {
		return nil, err
	}
	f, err := quietOpen(r, ".", os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	return dirHandle{f}, nil
}

// Create opens a new file. O_EXCL keeps it from following a link.
func (d *disk) Create(name string) (sink, error) {
	r, base, err := d.at(name)
	if err != nil {
		return nil, err
	}
	f, err := r.OpenFile(base, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	return &steady{File: f}, nil
}

// Rename gives a file its final name.
func (d *disk) Rename(from, to string) error {
	r, base, err := d.at(from)
	if err != nil {
		return err
	}
	return r.Rename(base, path.Base(to))
}

// Remove deletes a file, a link as such, or an empty folder.
func (d *disk) Remove(name string) error {
	r, base, err := d.at(name)
	if err != nil {
		return err
	}
	if gone := d.folders[name]; gone != nil {
		gone.Close()
		delete(d.folders, name)
	}
	return r.Remove(base)
}

type dirHandle struct{ *os.File }

// Sync makes the folder's names durable. Where a file system cannot do that for
// one folder, the whole medium is synced instead.
func (h dirHandle) Sync() error {
	err := h.File.Sync()
	if err != nil && unsupported(err) {
		return syncAll(h.File)
	}
	return err
}

// steady writes in a steady flow: without it, the system would take gigabytes
// into memory, show progress that is none, and stand still in the last fsync.
type steady struct {
	*os.File
	written, begun int64 // begun: up to here, writing out has been started
}

const window = 8 << 20

// Write writes p, starts writing it out, and waits for the window before.
func (s *steady) Write(p []byte) (int, error) {
	n, err := s.File.Write(p)
	s.written += int64(n)
	if err == nil && s.written-s.begun >= window {
		err = push(s.File, max(0, s.begun-window), s.begun, s.written)
		s.begun = s.written
	}
	return n, err
}
