package store

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

// The engine writes its tables in the background, and when the disk does not
// take one, it tries again every second, for ever; a commit or a Close that
// needs the room waits as long. With a disk that has failed for good that would
// be a program that says nothing and never ends. So we listen to the engine's
// complaints, and after some of them in a row we do not wait any longer. Nothing
// is lost by that: what was reported as done is in the engine's log.
type patience struct {
	mu    sync.Mutex
	tries int
	last  time.Time
	any   bool // it has complained at all
	why   error
	spent chan struct{} // closed when there have been enough

	ghosts func() // puts the engine's list of tables in order, while it stands still
}

const (
	enoughTries = 5
	inARow      = 10 * time.Second // longer between two: it has succeeded meanwhile
	complaint   = "error flushing memtable"
)

func newPatience() *patience { return &patience{spent: make(chan struct{})} }

// Errorf implements [badger.Logger].
func (p *patience) Errorf(format string, args ...any) {
	if !strings.HasPrefix(format, complaint) {
		return
	}
	p.mu.Lock()
	if time.Since(p.last) > inARow {
		p.tries = 0
	}
	p.tries, p.last, p.any = p.tries+1, time.Now(), true
	if p.tries == enoughTries {
		p.ghosts()
		p.why = shorten(fmt.Errorf(format, args...))
		for _, a := range args {
			if err, ok := a.(error); ok {
				p.why = shorten(err)
			}
		}
		close(p.spent)
		p.mu.Unlock()
		select {} // what the engine's list says now shall stay so: it would write over it
	}
	p.mu.Unlock()
}

func (p *patience) complained() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.any
}

// Warningf implements [badger.Logger].
func (p *patience) Warningf(string, ...any) {}

// Infof implements [badger.Logger].
func (p *patience) Infof(string, ...any) {}

// Debugf implements [badger.Logger].
func (p *patience) Debugf(string, ...any) {}

// errStuck says that the engine was left to itself. It may still be writing, so
// the lock has to stay taken until the process ends.
var errStuck = errors.New("the disk takes no more records")

// wait runs a call of the engine, under protect, for as long as there is hope.
func (p *patience) wait(f func() error) error {
	done := make(chan error, 1)
	go func() {
		debug.SetPanicOnFault(true) // as in View
		done <- protect(f)
	}()
	select {
	case err := <-done:
		return err
	case <-p.spent:
		return fmt.Errorf("%w: %w", errStuck, p.why)
	}
}
