package store

import (
	"context"

	"fardel/site"
)

// Prune deletes what is kept of a former epoch of a log: its positions can no
// longer be checked after that. It takes many transactions; if it is cut short,
// another Prune finishes it.
func (s *Store) Prune(ctx context.Context, id site.LogID, epoch int64) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if !id.Valid() || epoch < 1 {
		return badLog(id)
	}
	// The head goes first, so that nobody relies on what is about to go.
	err := s.update(func(t *Tx) error {
		h, err := t.Head(id)
		if err != nil {
			return err
		}
		if epoch >= h.Epoch {
			return site.Internal.New("epoch %d of %s is not a former one", epoch, id).In("Nothing was changed")
		}
		return t.delete(oldHeadKey(id, epoch))
	})
	if err != nil {
		return err
	}
	for _, c := range []Collection{Rows, Subtrees, Entries} {
		if err := s.deleteAll(ctx, epochKey(c, id, epoch)); err != nil {
			return err
		}
	}
	s.collect()
	return nil
}

func (s *Store) deleteAll(ctx context.Context, prefix string) error {
	from := prefix
	for done := false; !done; {
		if ctx.Err() != nil {
			return site.Interrupted.New("interrupted while old entries were deleted").Because(ctx.Err())
		}
		err := s.update(func(t *Tx) error {
			keys, err := t.some(prefix, from)
			if err != nil {
				return err
			}
			done = len(keys) == 0
			for _, key := range keys {
				if err := t.delete(key); err != nil {
					return err
				}
				from = key
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// collect lets the engine give back the space of deleted values. It does so by
// whole files, when at least half of one is garbage; that there was none, or
// that it failed, changes nothing but the space.
func (s *Store) collect() {
	for range 100 {
		// A file is written anew before the old one goes.
		if s.room.check(valueLogSize) != nil || protect(func() error { return s.db.RunValueLogGC(0.5) }) != nil {
			return
		}
	}
}
