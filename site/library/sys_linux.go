package library

import (
	"errors"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// trusted are the file systems on which a power cut was tried and syncfs kept
// its promise (or which forget everything anyway). On others, FAT above all,
// each file is flushed on its own.
var trusted = map[int64]bool{
	unix.EXT4_SUPER_MAGIC:      true,
	unix.XFS_SUPER_MAGIC:       true,
	unix.BTRFS_SUPER_MAGIC:     true,
	unix.OVERLAYFS_SUPER_MAGIC: true,
	unix.TMPFS_MAGIC:           true,
}

func keepsSyncfs(path string) (bool, error) {
	var st unix.Statfs_t
	err := unix.Statfs(path, &st)
	return err == nil && trusted[int64(st.Type)], err
}

func freeSpace(path string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

func deviceOf(path string) (uint64, error) {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	return uint64(st.Dev), err
}

// syncfs flushes the file system that f lies on. It reports what went wrong
// since f was opened.
func syncfs(f *os.File) error {
	err := unix.Syncfs(int(f.Fd()))
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) {
		return errNoSyncfs
	}
	return err
}

// startWriting asks the kernel to begin writing the file out. Otherwise a big
// batch piles up in memory and makes every fsync of others wait.
func startWriting(f *os.File) {
	unix.SyncFileRange(int(f.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
}

func dropCache(f *os.File) { unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) }

// clone makes dst share the bytes of src; most file systems cannot.
func clone(dst, src *os.File) error { return unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())) }

// tryLock takes the lock on f if nobody else has it. An error means that the
// file system knows no locks.
func tryLock(f *os.File) (bool, error) {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

func alive(pid string) bool {
	n, err := strconv.Atoi(pid)
	return err != nil || !errors.Is(unix.Kill(n, 0), syscall.ESRCH)
}
