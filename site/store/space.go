package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"fardel/site"
)

const defaultReserve = 64 << 20

// A room watches the space on the disk under a store. The engine writes through
// mapped memory, where a full disk is not an error but the end of the process,
// and a store that cannot flush cannot be opened either. So there is a reserve,
// and a ballast file of the same size that is given up when others have eaten
// the reserve: what was begun can then end in good order.
type room struct {
	dir     string
	reserve int64 // negative: not watched
	tables  int64 // size of the engine's tables when it was opened
}

func newRoom(dir string, reserve int64) *room {
	if reserve == 0 {
		reserve = defaultReserve
	}
	return &room{dir: dir, reserve: reserve}
}

// free returns the bytes that an ordinary user can still write.
func (r *room) free() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(r.dir, &st); err != nil {
		return 0, site.Failed.New("the free space of %s is not known", r.dir).Because(err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// floor is what has to stay free: the reserve, and as much as the engine may
// need when it merges tables in the background.
func (r *room) floor() int64 { return r.reserve + min(r.tables/2, 128<<20) }

// check returns a fault unless need bytes are free above the floor.
func (r *room) check(need int64) error {
	if r.reserve < 0 {
		return nil
	}
	return r.checkAbove(need, r.floor())
}

func (r *room) checkAbove(need, floor int64) error {
	free, err := r.free()
	if err != nil {
		return err
	}
	if free >= floor && free-floor >= need {
		return nil
	}
	return site.NoSpace.New("the disk under %s has %s free; %s are needed and %s are kept in reserve",
		r.dir, size(free), size(need), size(floor)).
		In("Nothing was changed").
		Then("Free at least %s there and run again.", size(max(floor-free+need, 1<<20)))
}

// forWriting is check for the writer, which may give up the ballast.
func (r *room) forWriting(need int64) error {
	if r.reserve < 0 {
		return nil
	}
	return r.orBallast(need, r.floor())
}

// forOpening asks for half of the reserve only: reading must be possible when
// writing is not, and opening flushes what a crash left in the engine's log.
func (r *room) forOpening() error {
	if r.reserve < 0 {
		return nil
	}
	return r.orBallast(0, r.reserve/2)
}

func (r *room) orBallast(need, floor int64) error {
	err := r.checkAbove(need, floor)
	if err == nil || !errors.Is(err, site.NoSpace) {
		return err
	}
	if os.Remove(filepath.Join(r.dir, ballastName)) != nil {
		return err // there was none
	}
	return r.checkAbove(need, floor)
}

// fill makes the ballast if there is none and there is ample room for it. That
// it could not be made is no fault: it is a second line of defence.
func (r *room) fill() {
	path := filepath.Join(r.dir, ballastName)
	free, err := r.free()
	if r.reserve <= 0 || err != nil || free-r.reserve < r.floor()+r.reserve {
		return
	}
	if st, err := os.Lstat(path); err == nil && st.Size() == r.reserve {
		return
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return
	}
	err = unix.Fallocate(int(f.Fd()), 0, 0, r.reserve)
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = pad(f, r.reserve)
	}
	if cerr := f.Close(); err != nil || cerr != nil {
		os.Remove(path) // half a ballast would pass for a whole one
	}
}

// pad fills a file where space cannot be reserved otherwise.
func pad(f *os.File, n int64) error {
	block := make([]byte, 1<<20)
	for i := range block {
		block[i] = byte(i*7 + i>>8) // not what a file system would fold away
	}
	for n > 0 {
		k, err := f.Write(block[:min(n, int64(len(block)))])
		if err != nil {
			return err
		}
		n -= int64(k)
	}
	return nil
}

// size spells a number of bytes for people.
func size(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}
