package host

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"iter"
	"slices"

	"fardel/site"
	"fardel/site/journal"
	"fardel/site/store"
)

// Recover ends a fence by beginning a new epoch of each of the site's own logs
// that are behind what was signed: the entries that are held here are written
// again, and the first of them names the last position that a neighbour is known
// to hold too. It is for when nobody can give the lost entries back.
//
// The new epochs begin, and the fence goes, in one transaction: a crash leaves the
// fence as it was.
func (h *Host) Recover(ctx context.Context, reason string) ([]site.LogPosition, error) {
	heads := map[site.LogID]store.Head{}
	for _, name := range []site.LogName{site.Decisions, site.Observations} {
		head, needed, err := h.newEpoch(ctx, h.Own(name), reason)
		if err != nil {
			return nil, err
		}
		if needed {
			heads[h.Own(name)] = head
		}
	}
	var done []site.LogPosition
	err := h.Update(func(v *View) error {
		done = nil
		for id, head := range heads {
			if err := v.SetHead(id, head); err != nil {
				return err
			}
			done = append(done, site.LogPosition{LogID: id, Position: head.Position()})
		}
		if err := v.recount(); err != nil {
			return err
		}
		return v.Delete(store.Records, fenceKey)
	})
	return done, err
}

// newEpoch writes the new epoch of a log beyond its mark, if the fence is about
// that log.
func (h *Host) newEpoch(ctx context.Context, id site.LogID, reason string) (head store.Head, needed bool, err error) {
	lines, epoch, err := h.epochLines(id, reason)
	if err != nil || len(lines) == 0 {
		return head, false, err
	}
	edge, err := h.Store.Stage(ctx, id, epoch, 0, all(lines), journal.Edge{})
	if err != nil {
		return head, false, err
	}
	note, err := journal.SignCheckpoint(journal.Checkpoint{
		Origin: journal.Origin{Hierarchy: h.Me.Hierarchy, LogID: id, Epoch: epoch}, Size: edge.Size, Root: edge.Root(),
	}, h.Keys.Signer())
	return store.Head{Epoch: epoch, Edge: edge, Checkpoint: note}, true, err
}

// epochLines returns the entries of the new epoch: the one that begins it, and
// all that are held here. None are needed if the log is not behind.
func (h *Host) epochLines(id site.LogID, reason string) (lines [][]byte, epoch int64, err error) {
	err = h.View(func(v *View) error {
		f, fenced, err := v.Fenced()
		if err != nil {
			return err
		}
		if !fenced {
			return site.BadUsage.New("this site needs no recovery: nothing shows that its state is old").In("Nothing was changed").Then("fardel status")
		}
		i := slices.IndexFunc(f.Needs, func(p site.LogPosition) bool { return p.LogID == id })
		if i < 0 {
			return nil
		}
		if old, err := v.behind(f.Needs[i]); err != nil || !old {
			return err
		}
		have, err := v.Position(id)
		if err != nil {
			return err
		}
		epoch = max(have.Epoch, f.Needs[i].Epoch) + 1
		first, err := v.epochEntry(id, epoch, have, reason)
		if err != nil {
			return err
		}
		lines = append(lines, first)
		return v.Lines(id, 0, have.Size, func(_ int64, line []byte) error {
			if e, err := site.ParseEntry(line); err == nil && e.Kind != site.KindEpoch {
				lines = append(lines, bytes.Clone(line))
			}
			return nil
		})
	})
	return lines, epoch, err
}

// epochEntry makes the first entry of a new epoch. The position that it names is
// the highest one that a neighbour confirmed and that is still part of what is
// held here; failing that, the beginning: what else is held here may be a story
// that nobody was told.
func (v *View) epochEntry(id site.LogID, epoch int64, have site.Position, reason string) ([]byte, error) {
	prev := site.Position{Epoch: have.Epoch, Root: site.Digest(journal.Edge{}.Root())}
	if agreed, ok, err := v.agreed(id, have); err != nil {
		return nil, err
	} else if ok {
		prev = agreed
	}
	var nonce [16]byte
	if _, err := rand.Read(nonce[:]); err != nil {
		return nil, err
	}
	e, err := site.NewEntry(v.Host.Now(), site.KindEpoch, fmt.Sprint(epoch), site.EpochBody{
		Previous: prev, Nonce: hex.EncodeToString(nonce[:]), Reason: reason,
	})
	if err != nil {
		return nil, err
	}
	return e.Line()
}

func (v *View) agreed(id site.LogID, have site.Position) (best site.Position, ok bool, err error) {
	for code := range v.Hier.Sites {
		l, err := v.Link(code)
		if err != nil {
			return best, false, err
		}
		for _, p := range slices.Concat(l.Holds, l.Agreed) {
			if p.LogID != id || p.Size < best.Size {
				continue
			}
			same, err := v.holds(id, have, p.Position)
			if err != nil {
				return best, false, err
			}
			if same {
				best, ok = p.Position, true
			}
		}
	}
	return best, ok, nil
}

// holds reports whether a position is part of a log as it stands here.
func (v *View) holds(id site.LogID, have, p site.Position) (bool, error) {
	if p.Epoch != have.Epoch || p.Size > have.Size {
		return false, nil
	}
	root, err := v.RootAt(id, p.Size)
	return root == p.Root, err
}

// Heard replaces what a peer is known to hold by what its newest receipt says,
// and keeps in mind up to where it agreed with this site about this site's own
// logs.
func (v *View) Heard(l *Link, positions []site.LogPosition) error {
	for _, p := range slices.Concat(l.Holds, positions) {
		if p.Site != v.Host.Self {
			continue
		}
		have, err := v.Position(p.LogID)
		if err != nil {
			return err
		}
		same, err := v.holds(p.LogID, have, p.Position)
		if err != nil {
			return err
		}
		if same {
			l.Agreed = raise(l.Agreed, p)
		}
	}
	l.Holds = positions
	return nil
}

// Mend ends a fence of the top site that only its observations keep up. They go
// nowhere, so that no neighbour can give them back, and nobody but this site is
// misled if they go on in a new epoch. It reports whether it did.
func (h *Host) Mend(ctx context.Context) (bool, error) {
	id := h.Own(site.Observations)
	mend := false
	err := h.View(func(v *View) error {
		f, found, err := v.Fenced()
		if err != nil || !found || !v.IsTop() {
			return err
		}
		mend = true
		for _, p := range f.Needs {
			old, err := v.behind(p)
			if err != nil {
				return err
			}
			mend = mend && (!old || p.LogID == id)
		}
		return nil
	})
	if err != nil || !mend {
		return false, err
	}
	head, needed, err := h.newEpoch(ctx, id, "restored from a backup; nobody else holds these observations")
	if err != nil {
		return false, err
	}
	lifted := false
	err = h.Update(func(v *View) (err error) {
		if needed {
			if err := v.SetHead(id, head); err != nil {
				return err
			}
		}
		lifted, err = v.LiftFence()
		return err
	})
	return lifted, err
}

func all(lines [][]byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, l := range lines {
			if !yield(l, nil) {
				return
			}
		}
	}
}
