package store

import (
	"context"
	"encoding/binary"
	"iter"
	"slices"
	"strings"

	"fardel/site"
	"fardel/site/journal"
)

// A batch of a Stage ends with whichever of these comes first. 1,000 entries
// are about 2,000 records, of which one transaction of the engine takes 26,000.
const (
	batchEntries = 1000
	batchBytes   = 1 << 20
)

// An entryWriter turns lines into the records of a log: entry, row and, with
// every 256th, the root of the subtree that is now complete.
type entryWriter struct {
	id    site.LogID
	epoch int64
	edge  journal.Edge
	part  journal.Edge // of the subtree that is not yet complete
	keys  []string
	recs  [][]byte
	bytes int
}

func newEntryWriter(id site.LogID, epoch int64, start journal.Edge) *entryWriter {
	// The smallest subtrees of the edge are those of the incomplete part.
	open := journal.Edge{Size: start.Size % journal.SubtreeSize}
	for n := open.Size; n > 0; n &= n - 1 {
		open.Hashes = append(open.Hashes, journal.Hash{})
	}
	copy(open.Hashes, start.Hashes[len(start.Hashes)-len(open.Hashes):])
	return &entryWriter{id: id, epoch: epoch, edge: start.Clone(), part: open}
}

func (w *entryWriter) put(key string, value []byte) {
	w.keys = append(w.keys, key)
	w.recs = append(w.recs, seal(key, value))
	w.bytes += len(key) + len(value)
}

func (w *entryWriter) add(line []byte) error {
	index := w.edge.Size
	e, err := site.ParseEntry(line)
	if err != nil {
		return site.Damaged.New("entry %d of %s is malformed", index, w.id).
			In("Nothing of it was taken over").Because(err)
	}
	w.put(entryKey(w.id, w.epoch, index), line)
	w.put(rowKey(w.id, w.epoch, e, index), binary.BigEndian.AppendUint64(nil, uint64(index)))
	leaf := journal.LeafHash(line)
	w.edge.Append(leaf)
	w.part.Append(leaf)
	if w.part.Size == journal.SubtreeSize {
		root := w.part.Root()
		w.put(subtreeKey(w.id, w.epoch, index/journal.SubtreeSize), root[:])
		w.part = journal.Edge{}
	}
	return nil
}

// cut returns what add has collected, and begins anew.
func (w *entryWriter) cut() *entryWriter {
	batch := &entryWriter{id: w.id, keys: w.keys, recs: w.recs}
	w.keys, w.recs, w.bytes = make([]string, 0, len(batch.keys)), make([][]byte, 0, len(batch.recs)), 0
	return batch
}

// into writes what add has collected. The keys are known to be free.
func (w *entryWriter) into(t *Tx) error {
	for i, key := range w.keys {
		if err := t.putNew(key, w.recs[i]); err != nil {
			return err
		}
	}
	return nil
}

// beyond is into for a Stage that began at this mark. An Append or a SetHead
// since then may have given the places of these entries to others.
func (w *entryWriter) beyond(t *Tx, mark Head) error {
	now, err := t.Head(w.id)
	if err != nil {
		return err
	}
	if now.Epoch != mark.Epoch || now.Edge.Size != mark.Edge.Size {
		return site.Internal.New("the mark of %s moved while entries were written beyond it", w.id).In("Nothing was changed")
	}
	t.s.logs.setClean(w.id, false)
	return w.into(t)
}

// Stage writes entries of somebody else's log beyond its mark, from the index
// first on, and returns the edge that the log has with them. Nobody sees them
// before [Tx.SetHead]. Start is the edge before the first of them: that of the
// mark, the empty one for a later epoch, or what the Stage before returned, if
// this one continues it.
//
// If the mark moves while it is at work, it fails; lines must not append to the
// same log. Unless it continues another one, it begins by sweeping all that lies beyond
// the mark, of this epoch and of later ones. If it fails, what it wrote stays
// invisible, and goes with the next sweep.
func (s *Store) Stage(ctx context.Context, id site.LogID, epoch, first int64,
	lines iter.Seq2[[]byte, error], start journal.Edge) (journal.Edge, error) {
	if err := s.enter(); err != nil {
		return journal.Edge{}, err
	}
	defer s.leave()
	if !id.Valid() {
		return journal.Edge{}, badLog(id)
	}
	defer s.logs.take(id)()
	mark, err := s.startStage(id, epoch, first, start)
	if err != nil {
		return journal.Edge{}, err
	}
	st := &stager{s: s, mark: mark, w: newEntryWriter(id, epoch, start)}
	err = st.take(ctx, lines)
	if werr := st.wait(); err == nil {
		err = werr
	}
	if err != nil {
		return journal.Edge{}, err
	}
	s.logs.setStaged(id, Head{Epoch: epoch, Edge: st.w.edge})
	return st.w.edge.Clone(), nil
}

// A stager is a Stage that is running. While the writer has one batch, the next
// is being made.
type stager struct {
	s    *Store
	mark Head
	w    *entryWriter
	last <-chan outcome // of the batch that the writer has; nil: none
}

func (st *stager) take(ctx context.Context, lines iter.Seq2[[]byte, error]) error {
	begun := st.w.edge.Size
	for line, err := range lines {
		if err != nil {
			return err
		}
		if err := st.w.add(line); err != nil {
			return err
		}
		if st.w.edge.Size-begun < batchEntries && st.w.bytes < batchBytes {
			continue
		}
		if err := ctx.Err(); err != nil {
			return site.Interrupted.New("interrupted while entries of %s were written", st.w.id).Because(err)
		}
		if err := st.flush(); err != nil {
			return err
		}
		begun = st.w.edge.Size
	}
	return st.flush()
}

// flush hands what was collected to the writer.
func (st *stager) flush() error {
	if err := st.wait(); err != nil {
		return err
	}
	batch := st.w.cut()
	st.last = st.s.submit(func(t *Tx) error { return batch.beyond(t, st.mark) })
	return nil
}

// wait waits for the batch that the writer has.
func (st *stager) wait() error {
	if st.last == nil {
		return nil
	}
	last := st.last
	st.last = nil
	return wait(last)
}

// startStage checks that a Stage continues what is there, and sweeps. It
// returns the head beyond which the Stage writes.
func (s *Store) startStage(id site.LogID, epoch, first int64, start journal.Edge) (Head, error) {
	before := s.logs.stagedAt(id)
	s.logs.setStaged(id, Head{}) // until the new one has ended
	if !start.Valid() || start.Size != first || epoch < 1 || !site.InRange(epoch) {
		return Head{}, site.Internal.New("entries of %s shall follow %d others and start at %d of epoch %d", id, start.Size, first, epoch).
			In("Nothing was changed")
	}
	var now Head
	if err := s.View(func(t *Tx) (err error) {
		now, err = t.Head(id)
		return err
	}); err != nil {
		return Head{}, err
	}
	mark := journal.Edge{}
	if epoch == now.Epoch {
		mark = now.Edge
	}
	switch {
	case epoch < now.Epoch || first < mark.Size:
		return Head{}, site.Internal.New("entries of %s shall start at %d of epoch %d, and its mark is at %d of epoch %d",
			id, first, epoch, now.Edge.Size, now.Epoch).In("Nothing was changed")
	case first == mark.Size && start.Root() == mark.Root():
		return now, s.sweep(id)
	case before.Epoch == epoch && before.Edge.Size == first && before.Edge.Root() == start.Root():
		return now, nil
	}
	return Head{}, site.Internal.New("entries of %s shall follow others that are not here", id).In("Nothing was changed")
}

// Discard removes what Stages have left beyond the mark of a log. There is no
// need to: the next Stage or Append does the same.
func (s *Store) Discard(id site.LogID) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if !id.Valid() {
		return badLog(id)
	}
	return s.discard(id)
}

func (s *Store) discard(id site.LogID) error {
	defer s.logs.take(id)()
	s.logs.setStaged(id, Head{})
	return s.sweep(id)
}

// sweep deletes the entries beyond the mark and, with each, its row and its
// subtree; the caller holds the log. Each transaction takes some entries and
// all that belongs to them, so that a sweep which is cut short loses nothing
// that another one could still find.
func (s *Store) sweep(id site.LogID) error {
	from := ""
	for {
		done := true
		err := s.update(func(t *Tx) error {
			h, err := t.Head(id)
			if err != nil {
				return err
			}
			from = max(from, entryKey(id, h.Epoch, h.Edge.Size))
			keys, err := t.some(full(Entries, logKey(id)), from)
			if err != nil {
				return err
			}
			for _, key := range keys {
				if err := t.unstage(id, key); err != nil {
					return err
				}
				from, done = key, false
			}
			return nil
		})
		if err != nil {
			return err
		}
		if done {
			s.logs.setClean(id, true)
			return nil
		}
	}
}

// some returns the keys of the next records below a prefix, as many as one
// transaction should delete.
func (t *Tx) some(prefix, from string) ([]string, error) {
	var keys []string
	cur := t.cursor(prefix)
	defer cur.close()
	err := cur.seek(from)
	for ; err == nil && cur.ok && len(keys) < batchEntries; err = cur.next() {
		keys = append(keys, strings.Clone(cur.key))
	}
	return keys, err
}

// unstage deletes an entry and what was derived from it.
func (t *Tx) unstage(id site.LogID, key string) error {
	line, err := t.must(key)
	if err != nil {
		return err
	}
	e, err := site.ParseEntry(line)
	if err != nil || len(key) != 1+logKeyLen+16 {
		return damaged("%s is malformed", describe(key)).Because(err)
	}
	epoch := int64(binary.BigEndian.Uint64([]byte(key[1+logKeyLen:])))
	index := int64(binary.BigEndian.Uint64([]byte(key[1+logKeyLen+8:])))
	gone := []string{key, rowKey(id, epoch, e, index)}
	if (index+1)%journal.SubtreeSize == 0 {
		gone = append(gone, subtreeKey(id, epoch, index/journal.SubtreeSize))
	}
	slices.Reverse(gone)
	for _, k := range gone {
		if err := t.delete(k); err != nil {
			return err
		}
	}
	return nil
}
