package library

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

var errNoSyncfs = errors.New("the file system knows no syncfs")

// disk is every change that a batch makes to the file system. They go through
// one place so that tests can end the world before each of them.
type disk struct {
	step func(op, path, to string) error // nil outside tests
}

func (k disk) before(op, path, to string) error {
	if k.step == nil {
		return nil
	}
	return k.step(op, path, to)
}

func (k disk) create(path string) (*os.File, error) {
	if err := k.before("create", path, ""); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400)
}

// openPartial opens a file that grows over several batches.
func (k disk) openPartial(path string) (*os.File, error) {
	if err := k.before("create", path, ""); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
}

func (k disk) writeAt(f *os.File, b []byte, offset int64) error {
	if err := k.before("write", f.Name(), ""); err != nil {
		return err
	}
	_, err := f.WriteAt(b, offset)
	return err
}

func (k disk) truncate(f *os.File, size int64) error {
	if err := k.before("write", f.Name(), ""); err != nil {
		return err
	}
	return f.Truncate(size)
}

// rename makes the folder of the new name if it is missing.
func (k disk) rename(path, to string) error {
	if err := k.before("rename", path, to); err != nil {
		return err
	}
	err := os.Rename(path, to)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Mkdir(filepath.Dir(to), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Rename(path, to)
}

func (k disk) remove(path string) error {
	if err := k.before("remove", path, ""); err != nil {
		return err
	}
	return os.Remove(path)
}

// syncfs flushes the file system on which dir was opened.
func (k disk) syncfs(dir *os.File) error {
	if err := k.before("syncfs", dir.Name(), ""); err != nil {
		return err
	}
	return syncfs(dir)
}

// fsync flushes one file or folder.
func (k disk) fsync(path string) error {
	if err := k.before("fsync", path, ""); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
