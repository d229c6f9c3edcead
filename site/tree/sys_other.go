//go:build !linux

package tree

import (
	"errors"
	"io/fs"
	"os"
)

const noWait = 0

func changeTime(fs.FileInfo) int64 { return 0 }
func flushTree(dir *os.File) error { return nil }

func replace(part, dest string) error {
	os.Remove(dest) // succeeds only if it is empty
	return os.Rename(part, dest)
}

func tryLock(*os.File) (bool, error) { return false, errors.ErrUnsupported }
func clone(dst, src *os.File) error  { return errors.ErrUnsupported }
