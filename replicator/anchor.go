package replicator

import (
	"fardel/site"
	"fardel/site/charter"
	"fardel/site/host"
	"fardel/site/journal"
	"fardel/site/store"
)

// settle decides between two histories of one log, both signed by its author.
// As a rule that is a fork. But where a key was revoked, a history that leads to
// the last good position, or that a good key has signed, is worth more than one
// that does neither: the thief may have been heard first.
func (in *incoming) settle(v *host.View, l *incomingLog) error {
	told, err := in.anchored(l.LogID, l.Checkpoint, func(size int64) (site.Digest, error) {
		if size != l.signed.Size {
			return site.Digest{}, nil // a revoked key covers no more, and less proves nothing
		}
		return site.Digest(l.signed.Root), nil
	})
	if err != nil {
		return err
	}
	head, err := v.Head(l.LogID)
	if err != nil {
		return err
	}
	held, err := in.anchored(l.LogID, head.Checkpoint, func(size int64) (site.Digest, error) {
		if size > head.Edge.Size {
			return site.Digest{}, nil
		}
		return v.RootAt(l.LogID, size)
	})
	switch {
	case err != nil:
		return err
	case held && !told:
		l.past, l.edge = true, l.start.Clone()
		return nil
	case told && !held && l.From == 0 && l.LogID.Site != in.r.host.Self:
		l.anew = true
		l.have, l.first, l.start, l.edge = site.Position{}, 0, journal.Edge{}, l.told.Clone()
		return nil
	}
	return in.fork(l, l.differs)
}

// anchored reports whether a history is signed with a good key, or leads to the
// last good position of a revoked one.
func (in *incoming) anchored(id site.LogID, checkpoint []byte, rootAt func(size int64) (site.Digest, error)) (bool, error) {
	_, sigs, err := journal.OpenCheckpoint(checkpoint, in.known.For(id.Site))
	if err != nil {
		return true, nil // nothing says that it is bad
	}
	verdict, end := in.known.Best(id.Site, sigs)
	if verdict != charter.RevokedKey || end == nil {
		return true, nil
	}
	good := end.Observations
	if id.Log == site.Decisions {
		good = end.Decisions
	}
	root, err := rootAt(good.Size)
	return good.Size == 0 || root == good.Root, err
}

// giveUp forgets the logs that the parcel tells anew, before their entries are
// written. If what follows is cut short, nothing of them is held, and the next
// import brings them.
func (in *incoming) giveUp() error {
	for _, l := range in.logs {
		if !l.anew {
			continue
		}
		err := in.r.host.Store.Update(func(tx *store.Tx) error { return tx.Forget(l.LogID) })
		if err != nil {
			return err
		}
	}
	return nil
}
