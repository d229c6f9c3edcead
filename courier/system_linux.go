package courier

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// openFlags keep a pipe on the medium from blocking us.
const (
	openFlags    = os.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY
	noAccessTime = unix.O_NOATIME
)

var goneErrors = []error{unix.EIO, unix.ENODEV, unix.ENXIO, unix.ENOMEDIUM, unix.ENOTCONN, unix.ESTALE, unix.ESHUTDOWN}

func unsupported(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOSYS)
}

// syncAll makes durable everything on the file system that f is on.
func syncAll(f *os.File) error { return unix.Syncfs(int(f.Fd())) }

// push waits until [wait, begun) has reached the device and starts writing out
// [begun, end). File systems that cannot do that write when they like.
func push(f *os.File, wait, begun, end int64) error {
	const all = unix.SYNC_FILE_RANGE_WAIT_BEFORE | unix.SYNC_FILE_RANGE_WRITE | unix.SYNC_FILE_RANGE_WAIT_AFTER
	fd := int(f.Fd())
	if begun > wait {
		if err := unix.SyncFileRange(fd, wait, begun-wait, all); err != nil && !pushless(err) {
			return os.NewSyscallError("sync_file_range", err)
		}
	}
	if err := unix.SyncFileRange(fd, begun, end-begun, unix.SYNC_FILE_RANGE_WRITE); err != nil && !pushless(err) {
		return os.NewSyscallError("sync_file_range", err)
	}
	return nil
}

func pushless(err error) bool { return unsupported(err) || errors.Is(err, unix.ESPIPE) }

// room is how much a file system holds, in bytes.
type room struct {
	free, size int64
	cluster    int64 // what a file's size is rounded up to
	readOnly   bool
}

func roomOf(path string) (room, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return room{}, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	unit := max(int64(s.Bsize), 512)
	return room{
		free: bytesOf(s.Bavail, unit), size: bytesOf(s.Blocks, unit), cluster: unit,
		readOnly: s.Flags&unix.ST_RDONLY != 0,
	}, nil
}

// bytesOf multiplies without overflow: a FUSE file system may claim anything.
func bytesOf(blocks uint64, unit int64) int64 {
	const most = 1 << 60
	if blocks > most/uint64(unit) {
		return most
	}
	return int64(blocks) * unit
}

// dropCache throws the file's pages out of memory, so that the next read comes
// from the medium, and reports whether they are really gone.
func dropCache(f *os.File, size int64) bool {
	fd := int(f.Fd())
	if unix.Fsync(fd) != nil || unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED) != nil {
		return false
	}
	for off := int64(0); off < size; off += residentWindow {
		if resident(fd, off, min(residentWindow, size-off)) {
			return false
		}
	}
	return true
}

const residentWindow = 256 << 20

// resident reports whether any page of the range is in memory. The advice above
// is not an order: tmpfs ignores it, and so do pages that others have mapped.
func resident(fd int, off, length int64) bool {
	mem, err := unix.Mmap(fd, off, int(length), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return true
	}
	defer unix.Munmap(mem)
	page := os.Getpagesize()
	vec := make([]byte, (len(mem)+page-1)/page)
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&mem[0])), uintptr(len(mem)), uintptr(unsafe.Pointer(&vec[0])))
	if errno != 0 {
		return true
	}
	for _, v := range vec {
		if v&1 != 0 {
			return true
		}
	}
	return false
}
