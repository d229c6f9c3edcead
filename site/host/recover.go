package host

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"iter"

	"fardel/site"
	"fardel/site/journal"
	"fardel/site/store"
)

// Recover ends a fence by beginning a new epoch of each of the site's own logs
// that are behind what was signed: the entries that are held here are written
// again, and the first of them names the last position that a neighbour is known
// to hold too. It is for when nobody can give the lost entries back.
func (h *Host) Recover(ctx context.Context, reason string) ([]site.LogPosition, error) {
	var done []site.LogPosition
	for _, name := range []site.LogName{site.Decisions, site.Observations} {
		pos, began, err := h.newEpoch(ctx, h.Own(name), reason)
		if err != nil {
			return done, err
		}
		if began {
			done = append(done, site.LogPosition{LogID: h.Own(name), Position: pos})
		}
	}
	return done, h.Update(func(v *View) error {
		if err := v.recount(); err != nil {
			return err
		}
		return v.Delete(store.Records, fenceKey)
	})
}

func (h *Host) newEpoch(ctx context.Context, id site.LogID, reason string) (pos site.Position, began bool, err error) {
	var lines [][]byte
	var epoch int64
	err = h.View(func(v *View) error {
		have, err := v.Position(id)
		if err != nil {
			return err
		}
		f, fenced, err := v.Fenced()
		if err != nil {
			return err
		}
		if !fenced {
			return site.BadUsage.New("this site needs no recovery: nothing shows that its state is old").In("Nothing was changed")
		}
		if have.Epoch == 0 && f.Needs.LogID != id {
			return nil
		}
		epoch = max(have.Epoch, v.highestEpoch(f, id)) + 1
		first, err := v.epochEntry(id, epoch, have, reason)
		if err != nil {
			return err
		}
		lines = append(lines, first)
		return v.Lines(id, 0, have.Size, func(_ int64, line []byte) error {
			if e, err := site.ParseEntry(line); err == nil && e.Kind != site.KindEpoch {
				lines = append(lines, append([]byte(nil), line...))
			}
			return nil
		})
	})
	if err != nil || len(lines) == 0 {
		return pos, false, err
	}
	edge, err := h.Store.Stage(ctx, id, epoch, 0, all(lines), journal.Edge{})
	if err != nil {
		return pos, false, err
	}
	note, err := journal.SignCheckpoint(journal.Checkpoint{
		Origin: journal.Origin{Hierarchy: h.Me.Hierarchy, LogID: id, Epoch: epoch}, Size: edge.Size, Root: edge.Root(),
	}, h.Keys.Signer())
	if err != nil {
		return pos, false, err
	}
	head := store.Head{Epoch: epoch, Edge: edge, Checkpoint: note}
	return head.Position(), true, h.Update(func(v *View) error { return v.SetHead(id, head) })
}

func (v *View) highestEpoch(f Fence, id site.LogID) int64 {
	if f.Needs.LogID == id {
		return f.Needs.Epoch
	}
	return 0
}

// epochEntry makes the first entry of a new epoch. The position that it names is
// the highest one that a neighbour confirmed and that is still part of what is
// held here; failing that, all that is held here.
func (v *View) epochEntry(id site.LogID, epoch int64, have site.Position, reason string) ([]byte, error) {
	prev := have
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
		for _, p := range l.Holds {
			if p.LogID != id || p.Epoch != have.Epoch || p.Size > have.Size || p.Size < best.Size {
				continue
			}
			root, err := v.RootAt(id, p.Size)
			if err != nil {
				return best, false, err
			}
			if root == p.Root {
				best, ok = p.Position, true
			}
		}
	}
	return best, ok, nil
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
