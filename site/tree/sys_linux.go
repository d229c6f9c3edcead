package tree

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// noWait keeps the open of a pipe that took a file's place from waiting.
const noWait = unix.O_NONBLOCK

// changeTime returns the inode's time of change, in nanoseconds. A program can
// set a file's time of writing back, but not this one.
func changeTime(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ctim.Nano()
	}
	return 0
}

// flushTree brings everything below the folder to the disk.
func flushTree(dir *os.File) error { return unix.Syncfs(int(dir.Fd())) }

// replace renames a folder to a name that is free or that an empty folder has.
// The package os refuses the latter.
func replace(part, dest string) error {
	if err := unix.Rename(part, dest); err != nil {
		return &os.LinkError{Op: "rename", Old: part, New: dest, Err: err}
	}
	return nil
}

// tryLock takes the lock on f if nobody else has it. An error means that the
// file system knows no locks.
func tryLock(f *os.File) (bool, error) {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == unix.EWOULDBLOCK {
		return false, nil
	}
	return err == nil, err
}

func clone(dst, src *os.File) error { return unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())) }
