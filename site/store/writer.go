package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"fardel/site"
)

// A request is one Update on its way to the writer.
type request struct {
	fn   func(*Tx) error
	done chan outcome // of capacity one: the writer never waits
}

type outcome struct {
	err      error
	panicked any
}

// Update calls fn and makes its changes durable before it returns, all of them
// or, if fn returns an error, none. Updates run one after the other, and those
// that wait share a commit; a failing one does not touch the others. Since fn
// runs in the writer's goroutine, it must not call Update itself, and should
// not take long. In the rare case that it has to be called again, the changes
// of the first call are dropped.
//
// One Update can hold some thousand records; more is an error.
func (s *Store) Update(fn func(*Tx) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	err := s.update(fn)
	if left, ok := errors.AsType[leftover](err); ok {
		if err := s.discard(left.id); err != nil {
			return err
		}
		err = s.update(fn)
	}
	return err
}

func (s *Store) update(fn func(*Tx) error) error { return wait(s.submit(fn)) }

func (s *Store) submit(fn func(*Tx) error) <-chan outcome {
	r := &request{fn: fn, done: make(chan outcome, 1)}
	s.requests <- r
	return r.done
}

func wait(done <-chan outcome) error {
	o := <-done
	if o.panicked != nil {
		panic(o.panicked) // it is the caller's: let it end the caller's goroutine
	}
	return o.err
}

// enough is the number of records from which on a commit does not wait for
// more requests.
const enough = 1000

// A group is what goes into one commit.
type group struct {
	tx      *Tx // reads the state below the group; its top is the group's layer
	waiting []*request
}

func (s *Store) newGroup() *group {
	t := s.begin()
	t.top = newLayer()
	return &group{tx: t}
}

// write is the writer's goroutine.
func (s *Store) write() {
	defer close(s.stopped)
	debug.SetPanicOnFault(true) // as in View
	for r := range s.requests {
		g := s.newGroup()
		g = s.run(g, r)
		for more := true; more && len(g.tx.top.writes) < enough; {
			select {
			case r, ok := <-s.requests:
				if ok {
					g = s.run(g, r)
				}
				more = ok
			default:
				more = false
			}
		}
		s.commit(g)
	}
}

// run calls the request's function and adds its changes to the group; a group
// that has no room for them is committed and followed by another.
func (s *Store) run(g *group, r *request) *group {
	t := &Tx{s: s, snap: g.tx.snap, below: g.tx.top, top: newLayer()}
	if o := call(r.fn, t); o.err != nil || o.panicked != nil {
		r.done <- o
		return g
	}
	if !s.fits(t.top) {
		r.done <- outcome{err: site.Internal.New("one change of the state holds %d records, which is too much", len(t.top.writes)).
			In("Nothing of it was done")}
		return g
	}
	if !s.fits(g.tx.top, t.top) {
		err := s.commit(g)
		g = s.newGroup()
		if err != nil {
			// The function has seen changes that were not made.
			return s.run(g, r)
		}
	}
	g.waiting = append(g.waiting, r)
	for key, rec := range t.top.writes {
		g.tx.top.put(key, rec)
	}
	for c, d := range t.top.tally {
		g.tx.top.count(c, d)
	}
	return g
}

func call(fn func(*Tx) error, t *Tx) (o outcome) {
	defer func() {
		if r := recover(); r != nil {
			o.panicked = r
		}
	}()
	return outcome{err: fn(t)}
}

// fits reports whether the layers together fit into one transaction of the
// engine, with room for the counts.
func (s *Store) fits(layers ...*layer) bool {
	var n, size int64
	for _, l := range layers {
		n += int64(len(l.writes))
		size += l.size
	}
	return n+32 < s.db.MaxBatchCount() && size+4096 < s.db.MaxBatchSize()
}

// commit writes the group and tells those who wait for it.
func (s *Store) commit(g *group) (err error) {
	defer g.tx.snap.Discard()
	if len(g.tx.top.writes) > 0 {
		err = s.commitLayer(g.tx)
	}
	for _, r := range g.waiting {
		r.done <- outcome{err: err}
	}
	return err
}

func (s *Store) commitLayer(t *Tx) error {
	if s.broken != nil {
		return s.broken
	}
	var bytes int64
	for key, rec := range t.top.writes {
		bytes += int64(len(key) + len(rec) + 64)
	}
	// Once into the engine's log, once into its tables.
	if err := s.room.forWriting(2 * bytes); err != nil {
		return err
	}
	touched := make([]Collection, 0, len(collections))
	for c := range t.top.tally {
		touched = append(touched, c)
	}
	slices.Sort(touched)
	counts := map[string][]byte{}
	for _, c := range touched {
		n, err := t.tally(c)
		if err != nil {
			return err
		}
		if n.count < 0 {
			return damaged("the count of the %s fell below zero", c)
		}
		counts[tallyKey(c)] = n.encode()
	}
	return s.writeAll(t.top.writes, counts)
}

// writeAll is one transaction of the engine. If it fails, nobody can say what
// is on disk, so nothing more is written before the store was opened again.
func (s *Store) writeAll(writes, counts map[string][]byte) error {
	next := s.commits + 1
	db := s.db
	err := s.hope.wait(func() error {
		txn := db.NewTransaction(true)
		defer txn.Discard()
		for key, rec := range writes {
			var err error
			if rec == nil {
				err = txn.Delete([]byte(key))
			} else {
				err = txn.Set([]byte(key), rec)
			}
			if err != nil {
				return err
			}
		}
		for key, value := range counts {
			if err := txn.Set([]byte(key), seal(key, value)); err != nil {
				return err
			}
		}
		value := binary.BigEndian.AppendUint64(nil, next)
		if err := txn.Set([]byte(commitsKey), seal(commitsKey, value)); err != nil {
			return err
		}
		return txn.Commit()
	})
	if err == nil {
		s.commits = next
		err = s.seen.note(next)
	}
	if err != nil {
		s.broken = site.Failed.New("a change of the state could not be written").
			In("It was either done as a whole or not at all").
			Then("Run the same command again: it looks at what is there and continues.").
			Because(fmt.Errorf("commit %d: %w", next, shorten(err)))
		return s.broken
	}
	return nil
}

// firstCommit makes the counts of a new store.
func (s *Store) firstCommit() error {
	counts := map[string][]byte{}
	for _, c := range collections {
		counts[tallyKey(c)] = tally{}.encode()
	}
	return s.writeAll(nil, counts)
}

func parseCommits(b []byte) uint64 { return binary.BigEndian.Uint64(b) }
