package replicator

import (
	"fmt"

	"fardel/media"
	"fardel/site"
	"fardel/site/charter"
	"fardel/site/host"
	"fardel/site/journal"
)

// maxForgotten bounds by how much a receipt may lift the number of this site's
// next parcel. A restored state has forgotten some; a peer that says more than
// this wants to use the numbers up.
const maxForgotten = 1 << 20

// look reads what the parcel says about this site itself, before anything is
// decided about it: the receipt, and the checkpoints of this site's own logs.
// Those are signed with its own key, so that they prove, whoever sends them, how
// far it had come. What else is wrong with the body shows when it is verified.
func (in *incoming) look() {
	self := in.r.host.Self
	_ = in.read(func(it media.BodyItem) error {
		switch it := it.(type) {
		case media.BodyHead:
			return it.Agrees(in.a.label)
		case media.Receipt:
			in.rec = it
		case media.BodyLog:
			if it.Site > self {
				return errStopped
			}
			if cp, err := in.checkpoint(it); err == nil && it.Site == self && in.goodKey(it) {
				in.proved = append(in.proved, site.LogPosition{LogID: it.LogID, Position: cp.Position()})
			}
		case media.BodyBundle:
			return errStopped
		}
		return nil
	})
}

// goodKey reports whether a key that was not revoked has signed a checkpoint: a
// thief's word must not fence the site that it was stolen from.
func (in *incoming) goodKey(l media.BodyLog) bool {
	_, sigs, err := journal.OpenCheckpoint(l.Checkpoint, in.known.For(l.Site))
	if err != nil {
		return false
	}
	verdict, _ := in.known.Best(l.Site, sigs)
	return verdict > charter.RevokedKey
}

// heed acts on what look has found in a parcel that is not applied, so that a
// site that came out of a backup notices even if the parcel builds on what it
// has lost.
func (in *incoming) heed(opts ImportOptions) error {
	if opts.DryRun {
		return nil
	}
	return in.r.host.Update(func(v *host.View) error {
		link, err := v.Link(in.a.label.From)
		if err != nil {
			return err
		}
		if sent := in.rec.Applied; sent > link.Sent && sent-link.Sent <= maxForgotten {
			link.Sent = sent
			if err := v.PutLink(in.a.label.From, link); err != nil {
				return err
			}
		}
		return in.fence(v)
	})
}

// fence keeps this site from signing anything while it has not come as far as it
// had signed before, or has come there by another way.
func (in *incoming) fence(v *host.View) error {
	for _, p := range in.proved {
		why := fmt.Sprintf("%s holds entries of %s that this site has signed and lost", in.a.label.From, p.LogID)
		if err := v.FenceBehind(why, p); err != nil {
			return err
		}
	}
	return nil
}

// boast raises an alarm when a peer says that it holds more of this site's logs
// than this site has signed, and proves nothing. Believing it would let every
// site below bring this one to a halt.
func (in *incoming) boast(v *host.View) error {
	if _, fenced, err := v.Fenced(); err != nil || fenced {
		return err
	}
	for _, p := range in.rec.Positions {
		if p.Site != v.Host.Self {
			continue
		}
		have, err := v.Position(p.LogID)
		if err != nil {
			return err
		}
		lie := journal.Compare(have, p.Position) == journal.Older
		if !lie && have.Epoch == p.Epoch {
			root, err := v.RootAt(p.LogID, p.Size)
			if err != nil {
				return err
			}
			lie = p.Size > 0 && root != p.Root
		}
		if lie {
			text := fmt.Sprintf("it says that it holds entries of %s that this site has not signed", p.LogID)
			if err := v.Alarm(string(in.a.label.From), text); err != nil {
				return err
			}
		}
	}
	return nil
}
