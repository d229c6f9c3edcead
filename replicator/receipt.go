package replicator

import (
	"context"
	"slices"
	"strings"

	"fardel/media"
	"fardel/site"
	"fardel/site/host"
	"fardel/site/store"

	"filippo.io/age"
)

// maxWants is how many missing files a receipt names. Above it, it only counts
// them, and the parent plans from manifests.
const maxWants = 1000

// Prepare brings the site's own logs up to date before a plan is made: what
// content is missing is looked up, and the top site puts the position of its
// observations, which go nowhere, on record with the sites below.
func (r *Replicator) Prepare(ctx context.Context) error {
	wants, err := r.host.Settle(ctx)
	if err != nil {
		return err
	}
	r.wants = wants
	return r.host.Update(func(v *host.View) error {
		if _, fenced, err := v.Fenced(); err != nil || fenced || !v.IsTop() {
			return err
		}
		pos, err := v.Position(r.host.Own(site.Observations))
		if err != nil || pos.Epoch == 0 {
			return err
		}
		last, _, ok, err := v.Latest(r.host.Own(site.Decisions), site.KindCheckpoint, string(site.Observations))
		if err != nil {
			return err
		}
		var body site.CheckpointBody
		if ok && last.Decode(&body) == nil && body.Position == pos {
			return nil
		}
		e, err := site.NewEntry(r.host.Now(), site.KindCheckpoint, string(site.Observations), site.CheckpointBody{Position: pos})
		if err != nil {
			return err
		}
		return v.Append(site.Decisions, e)
	})
}

// recipient returns the key that parcels to a site are sealed to.
func (r *Replicator) recipient(to site.Code) (age.Recipient, error) {
	var key string
	err := r.host.View(func(v *host.View) error {
		if to == v.Hier.Top {
			key = v.Chain.Latest().TopRecipient
			return nil
		}
		s, ok := v.Hier.Active(to)
		if !ok || s.Key() == nil {
			return site.NoSuch.New("the key of %s is not known here", to).
				Then("import the first medium from a site above")
		}
		key = s.Key().Recipient
		return nil
	})
	if err != nil {
		return nil, err
	}
	return media.ParseRecipient(key)
}

// receipt says to a peer how far this site has come, and what it lacks.
func (r *Replicator) receipt(to site.Code) (media.Receipt, error) {
	var rec media.Receipt
	err := r.host.View(func(v *host.View) error {
		link, err := v.Link(to)
		if err != nil {
			return err
		}
		rec.Applied, rec.Label = link.Applied, link.Label
		positions, err := sharedPositions(v, to)
		if err != nil {
			return err
		}
		rec.Positions = positions
		if v.Hier.Above(to, r.host.Self) && r.wants != nil {
			rec.Wants.Files = int64(len(r.wants.Files))
			if len(r.wants.Files) <= maxWants {
				for d := range r.wants.Files {
					rec.Wants.Digests = append(rec.Wants.Digests, d)
				}
				slices.SortFunc(rec.Wants.Digests, func(a, b site.Digest) int { return strings.Compare(string(a[:]), string(b[:])) })
			}
		}
		return nil
	})
	return rec, err
}

// owes reports whether a peer has still to hear what became of its parcels: the
// last one was applied after our last parcel was made, or something else has
// happened here since.
func (r *Replicator) owes(ctx context.Context, to site.Code) (bool, error) {
	var link host.Link
	err := r.host.View(func(v *host.View) (err error) {
		link, err = v.Link(to)
		return err
	})
	if err != nil || link.Told < link.Applied {
		return err == nil, err
	}
	plan, err := r.Waiting(ctx, to)
	return plan.Active, err
}

// accept takes in what a peer's parcel says of its own state, as part of the
// transaction that applies the parcel. Receipts only ever move forward: an older
// parcel changes nothing.
func (r *Replicator) accept(v *host.View, head media.BodyHead, rec media.Receipt) error {
	link, err := v.Link(head.From)
	if err != nil || head.Number < link.Heard {
		return err
	}
	if rec.Applied-link.Sent > maxForgotten {
		return site.Untrusted.New("parcel %s-%s-%06d says that %d parcels of this site were applied; it has made %d", head.From, head.To, head.Number, rec.Applied, link.Sent).
			In("Nothing of it was applied").Then("ask the administrator of %s what happened there", head.From)
	}
	link.Heard = head.Number
	if err := v.Heard(&link, rec.Positions); err != nil {
		return err
	}
	if link.Behind, err = behind(v, head.From, rec.Positions); err != nil {
		return err
	}
	link.Confirmed = rec.Applied
	link.Missing, link.Wants = rec.Wants.Files, rec.Wants.Digests
	link.Receipts, link.Codecs = head.Receipts, head.Speaks.Codecs
	link.Sent = max(link.Sent, rec.Applied) // numbers that a restored state has forgotten
	if link.Fresh && rec.Applied > 0 {
		link.Fresh = false
	}
	if err := v.PutLink(head.From, link); err != nil {
		return err
	}
	return confirm(v, head.From, rec)
}

// behind reports whether a peer says of its own logs that it holds less than is
// held here once its parcel is applied: it has lost something. It is asked at
// that moment alone. Entries that come later, by another way, show nothing.
func behind(v *host.View, peer site.Code, positions []site.LogPosition) (bool, error) {
	for _, name := range []site.LogName{site.Decisions, site.Observations} {
		id := site.LogID{Site: peer, Log: name}
		have, err := v.Position(id)
		if err != nil || older(positionOf(positions, id), have) {
			return err == nil, err
		}
	}
	return false, nil
}

// confirm moves the parcels that the receipt covers.
func confirm(v *host.View, peer site.Code, rec media.Receipt) error {
	held, err := v.PeerContent(peer)
	if err != nil {
		return err
	}
	return eachOpen(v, peer, func(p Parcel) error {
		if p.Number > rec.Applied {
			return nil
		}
		p.Arrived = true
		if p.allHeld(v, held) {
			p.State, p.Confirmed = StateConfirmed, site.Moment(v.Host.Now())
		} else if p.State == StateCreated {
			p.State, p.Sent = StateSent, site.Moment(v.Host.Now())
		}
		return putParcel(v, p)
	})
}

// eachOpen calls fn for each parcel to the peer that left and is not settled.
func eachOpen(v *host.View, peer site.Code, fn func(Parcel) error) error {
	list, err := Parcels(v, peer)
	if err != nil {
		return err
	}
	for _, p := range list {
		if p.State == StateCreated || p.State == StateSent || p.State == StatePacked || p.State == StateAssumed {
			if err := fn(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// allHeld reports whether the destination holds each package of the parcel, or
// a later version of it, or is no longer to hold it.
func (p Parcel) allHeld(v *host.View, held map[site.PackageID]site.ContentBody) bool {
	for _, l := range p.Loads {
		if held[l.ID].Has(l.Source, l.Generation) {
			continue
		}
		if pkg, err := v.Package(l.ID); err == nil {
			if _, wanted, err := v.WantedAt(p.To, pkg, !held[l.ID].Held.IsZero()); err == nil && !wanted {
				continue
			}
		}
		return false
	}
	return true
}

// Handed records that parcels were written to a medium and read back. Each
// leaves an observation, the record of the crossing.
func (r *Replicator) Handed(list []*Outgoing, medium string, done bool) error {
	if err := r.handed(list, medium, done); err != nil || !done {
		return err
	}
	return r.tidyOutbox()
}

func (r *Replicator) handed(list []*Outgoing, medium string, done bool) error {
	return r.host.Update(func(v *host.View) error {
		var entries []site.Entry
		for _, o := range list {
			p, err := outParcel(v, o.To, o.Number)
			if err != nil {
				return err
			}
			if medium != "" && !slices.Contains(p.Written, medium) {
				p.Written = append(p.Written, medium)
			}
			if done && p.State == StatePacked {
				p.State = StateCreated
				e, err := r.handOver(v, &p)
				if err != nil {
					return err
				}
				entries = append(entries, e)
			}
			o.Parcel = p
			if err := putParcel(v, p); err != nil {
				return err
			}
		}
		if _, fenced, err := v.Fenced(); err != nil || fenced {
			return err
		}
		return v.Append(site.Observations, entries...)
	})
}

func (r *Replicator) handOver(v *host.View, p *Parcel) (site.Entry, error) {
	link, err := v.Link(p.To)
	if err != nil {
		return site.Entry{}, err
	}
	link.Handed, link.Carried = p.Number, p.Positions
	link.Told = max(link.Told, p.Confirms)
	if err := v.PutLink(p.To, link); err != nil {
		return site.Entry{}, err
	}
	if link.Receipts == "never" || r.route(p.To).Carry == CarryAssumed {
		p.State = StateAssumed
	}
	for _, l := range p.Loads {
		if err := r.carry(v, p, l); err != nil {
			return site.Entry{}, err
		}
	}
	return site.NewEntry(r.host.Now(), site.KindExport, p.Name().String(), site.CrossingBody{
		From: p.From, To: p.To, Number: p.Number, Label: p.Label, By: p.By, Files: p.Files, Bytes: p.Bytes,
		Medium: strings.Join(p.Written, ", "), Outcome: string(p.State),
	})
}

// carry remembers which parcel first carried a version. On a route without
// receipts, a version that enough parcels have carried since counts as held when
// the next one takes its place: the next update can be small.
func (r *Replicator) carry(v *host.View, p *Parcel, l LoadRef) error {
	key := carriedKey(p.To, l.ID)
	old, _, err := store.GetJSON[carried](v.Tx, key)
	if err != nil || old.Source == l.Source && old.Generation >= l.Generation {
		return err
	}
	if rt := r.route(p.To); rt.Carry == CarryAssumed && old.Source > 0 && old.Number <= p.Number-rt.After {
		if err := v.Assume(p.To, l.ID, old.Source, old.Generation); err != nil {
			return err
		}
	}
	return store.PutJSON(v.Tx, key, carried{l.Source, l.Generation, p.Number})
}
