package store

import (
	"fardel/site"
	"fardel/site/journal"
)

// Forget gives up all of somebody else's log: it is as unknown as if nothing of
// it had ever come. What was held is swept by the next [Store.Stage].
func (t *Tx) Forget(id site.LogID) error {
	if t.top == nil {
		return errReadOnly
	}
	if !id.Valid() {
		return badLog(id)
	}
	keys, err := t.some(full(Heads, logKey(id)), "")
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := t.delete(key); err != nil {
			return err
		}
	}
	t.keep(id, Head{})
	t.s.logs.setClean(id, false)
	return nil
}

// Rewind moves the mark of somebody else's log back to an earlier size: what
// lies above turned out to be signed with a revoked key. The head then has no
// checkpoint until the author's next one arrives, and what lies beyond the mark
// is swept by the next [Store.Stage].
func (t *Tx) Rewind(id site.LogID, size int64) error {
	if t.top == nil {
		return errReadOnly
	}
	h, err := t.Head(id)
	if err != nil {
		return err
	}
	if size < 0 || size > h.Edge.Size {
		return site.Internal.New("%s cannot go back to size %d from %d", id, size, h.Edge.Size).In("Nothing was changed")
	}
	if h.Edge, err = journal.EdgeAt(t.Tree(id), size); err != nil {
		return err
	}
	h.Checkpoint = nil
	if err := t.putHead(headKey(id), h); err != nil {
		return err
	}
	t.keep(id, h)
	t.s.logs.setClean(id, false)
	return nil
}
