//go:build !linux

package library

import (
	"errors"
	"math"
	"os"
	"strconv"
)

// Elsewhere than on Linux every file is flushed on its own, and room is only
// found to be missing when it is.

func keepsSyncfs(string) (bool, error) { return false, nil }
func freeSpace(string) (int64, error)  { return math.MaxInt64 / 1024, nil }
func deviceOf(string) (uint64, error)  { return 0, nil }
func syncfs(*os.File) error            { return errNoSyncfs }
func startWriting(*os.File)            {}
func dropCache(*os.File)               {}
func clone(dst, src *os.File) error    { return errors.ErrUnsupported }
func tryLock(f *os.File) (bool, error) { return false, errors.ErrUnsupported }

func alive(pid string) bool {
	n, err := strconv.Atoi(pid)
	if err != nil {
		return true
	}
	_, err = os.FindProcess(n) // fails on Windows if there is none
	return err == nil
}
