package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/gofrs/flock"

	"fardel/site"
)

// Options say how a store is opened. The zero value is good.
type Options struct {
	Command string           // what is shown to a second process; empty: the program's name
	Wait    time.Duration    // how long to wait for the lock; 0: 2 s; negative: not at all
	Reserve int64            // bytes of disk that are kept free, and of the ballast; 0: 64 MiB; negative: neither
	Now     func() time.Time // nil: time.Now; only for the text in the lock file
}

// A Store is the state of one site. Its methods may be called from several
// goroutines.
type Store struct {
	dir  string
	lock *flock.Flock
	room *room
	seen *seenFile
	db   *badger.DB
	hope *patience
	left bool // the engine was left to itself: the lock stays taken

	requests chan *request
	stopped  chan struct{} // closed when the writer has ended
	commits  uint64        // the writer's: number of the last commit
	broken   error         // the writer's: why nothing more is written

	mu     sync.Mutex
	idle   *sync.Cond
	active int // Views, Updates and Stages that are running
	closed bool

	logs logs
}

// Names within the folder of a store.
const (
	engineDir   = "records"
	lockName    = "lock"
	ballastName = "ballast"
	seenName    = "commits"
	closedName  = "closed"
)

// Open opens the store in dir, and makes one if there is none; its folder is
// for its owner only. It takes the lock, looks at the free space, checks that
// the files are those of the last Close or, after a crash, that no commit that
// was reported is missing, and opens the engine.
//
// Faults: [site.Locked] names the process that has the store open,
// [site.NoSpace], [site.StateDamaged], [site.Interrupted].
func Open(ctx context.Context, dir string, opts Options) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, site.Failed.New("the state folder %s cannot be made", dir).Because(err)
	}
	if st, err := os.Stat(dir); err == nil && st.Mode().Perm() != 0o700 {
		if err := os.Chmod(dir, 0o700); err != nil {
			return nil, site.Failed.New("the state folder %s cannot be closed to others", dir).Because(err)
		}
	}
	s := &Store{dir: dir, requests: make(chan *request, 64), stopped: make(chan struct{}), hope: newPatience()}
	s.idle = sync.NewCond(&s.mu)
	s.logs.init()
	var err error
	if s.lock, err = takeLock(ctx, dir, opts); err != nil {
		return nil, err
	}
	if err := s.start(opts); err != nil {
		s.release()
		return nil, err
	}
	go s.write()
	return s, nil
}

// start does what Open does after it has the lock.
func (s *Store) start(opts Options) error {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // as in View
	s.room = newRoom(s.dir, opts.Reserve)
	if err := s.room.forOpening(); err != nil {
		return err
	}
	files := filepath.Join(s.dir, engineDir)
	if err := os.MkdirAll(files, 0o700); err != nil {
		return site.Failed.New("the state folder %s cannot be used", s.dir).Because(err)
	}
	var err error
	if s.seen, err = openSeen(s.dir); err != nil {
		return err
	}
	left, err := readInventory(s.dir) // nil after a crash
	if err != nil {
		return err
	}
	if err := undoMerge(s.dir, left != nil); err != nil {
		return err
	}
	if err := left.check(files); err != nil {
		return err
	}
	have, err := checkTables(files, s.seen.number > 0)
	if err != nil {
		return err
	}
	s.room.tables = have.size
	merge := s.mayMerge(have, left) && setAside(s.dir) == nil
	// From here on the engine changes the files.
	if err := removeInventory(s.dir); err != nil {
		return err
	}
	s.hope.ghosts = func() { dropGhosts(files) }
	if s.db, err = openEngine(files, s.hope); err != nil {
		return err
	}
	if merge {
		if err := s.merge(); err != nil {
			return err
		}
	}
	if err := s.checkCommits(left); err != nil {
		return err
	}
	s.room.fill()
	return nil
}

// checkCommits makes sure that the engine still has the last commit that was
// reported to anyone and, after a crash, all records; it makes the first commit
// of a new store.
func (s *Store) checkCommits(left *inventory) error {
	t := s.begin()
	defer t.snap.Discard()
	b, ok, err := t.get(commitsKey)
	if err != nil {
		return err
	}
	if !ok {
		if s.seen.number > 0 {
			return damaged("the records of this site are gone")
		}
		return s.firstCommit()
	}
	if len(b) != 8 {
		return damaged("the number of the last commit has %d bytes", len(b))
	}
	s.commits = parseCommits(b)
	if s.commits < s.seen.number || left != nil && s.commits != left.commits {
		return damaged("%d commits are missing at the end", int64(max(s.seen.number, left.number())-s.commits))
	}
	if left == nil {
		if err := t.recount(); err != nil {
			return err
		}
	}
	return s.seen.note(s.commits)
}

// Close waits for what is running, ends the writer, closes the engine and notes
// how it left the files. A second Close does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	for s.active > 0 {
		s.idle.Wait()
	}
	s.mu.Unlock()
	close(s.requests)
	<-s.stopped
	err := s.closeEngine()
	s.release()
	if err != nil {
		return site.Failed.New("the state in %s could not be closed in good order", s.dir).
			In("What was done is kept; the next start looks at all of it").Because(err)
	}
	return nil
}

func (s *Store) closeEngine() error {
	db := s.db
	s.db = nil
	err := s.hope.wait(db.Close)
	s.left = errors.Is(err, errStuck)
	if !s.left && s.hope.complained() {
		err = errors.Join(err, dropGhosts(filepath.Join(s.dir, engineDir)))
	}
	if err != nil {
		return err
	}
	if s.broken != nil {
		return nil // it was reported; the next start has to look closely
	}
	if err := s.seen.sync(); err != nil {
		return err
	}
	return writeInventory(s.dir, s.commits)
}

// release gives back what start and Open took.
func (s *Store) release() {
	if s.db != nil {
		s.left = errors.Is(s.hope.wait(s.db.Close), errStuck) // the reason why we are here is the one to report
		s.db = nil
	}
	if s.seen != nil {
		s.seen.close()
	}
	if s.left {
		return
	}
	s.lock.Unlock() // closes the file, which gives back the lock in any case
}

var errClosed = errors.New("store: closed")

func (s *Store) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	s.active++
	return nil
}

func (s *Store) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active--; s.active == 0 {
		s.idle.Broadcast()
	}
}

func (s *Store) begin() *Tx { return &Tx{s: s, snap: s.db.NewTransaction(false)} }

// View calls fn with the state as it is now; later changes do not show. It
// returns fn's error.
func (s *Store) View(fn func(*Tx) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	// The engine maps its files into memory. A disk that fails while they are
	// read shall be an error, not the end of the process.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	t := s.begin()
	defer t.snap.Discard()
	return fn(t)
}

// CheckSpace returns a [site.NoSpace] fault if the disk under the store has not
// at least need bytes besides the reserve.
func (s *Store) CheckSpace(need int64) error { return s.room.check(need) }

// Dir returns the folder of the store.
func (s *Store) Dir() string { return s.dir }

// protect turns a panic of the engine into a fault: it panics when it finds
// something in its files that it does not expect.
func protect(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = damaged("the record files cannot be read").Because(shorten(fmt.Errorf("engine: %v", r)))
		}
	}()
	return f()
}

// shorten cuts the text of the engine's errors, which hold keys and values.
func shorten(err error) error {
	text := err.Error()
	if len(text) > 200 {
		return errors.New(text[:200] + "...")
	}
	return err
}
