package replicator

import (
	"context"
	"slices"

	"fardel/media"
	"fardel/site"
	"fardel/site/host"
)

// A Shipment is everything that goes onto one set of media: parcels made here,
// parcels of others on their way, and the trust files that prove who signed
// them.
type Shipment struct {
	Parcels []*Outgoing
	Relays  []RelayedParcel
	Trust   []TrustFile
}

// A TrustFile is a charter or a trust entry.
type TrustFile struct {
	Name string // such as trust/charter-000001.note
	Data []byte
}

// Export plans and packs parcels to the given sites. Sites that nothing waits
// for are left out if idle is false.
func (r *Replicator) Export(ctx context.Context, to []site.Code, full, idle bool, opts PackOptions) (*Shipment, error) {
	if err := r.Gate(to...); err != nil {
		return nil, err
	}
	if err := r.Prepare(ctx); err != nil {
		return nil, err
	}
	var plans []Plan
	s := &Shipment{}
	for _, code := range to {
		plan, err := r.Plan(ctx, code, full)
		if err != nil {
			return nil, err
		}
		relays, err := r.Relays(code)
		if err != nil {
			return nil, err
		}
		fresh := slices.ContainsFunc(relays, func(p RelayedParcel) bool { return !p.Gone })
		if plan.Active || idle || fresh { // a parcel of our own brings the receipt for what rides beside it
			plans = append(plans, plan)
			s.Relays = append(s.Relays, relays...)
		}
	}
	var err error
	if len(plans) > 0 {
		if s.Parcels, err = r.Pack(ctx, plans, opts); err != nil {
			return nil, err
		}
	}
	if err := r.rides(s); err != nil {
		return nil, err
	}
	s.Trust, err = r.trust(s)
	return s, err
}

// trust returns the charters, the cards of all that have signed something in the
// shipment and do not stand in the charter, and those that show a site below a
// child of the sender where it belongs: it may never have heard of the sites
// between.
func (r *Replicator) trust(s *Shipment) ([]TrustFile, error) {
	var out []TrustFile
	err := r.host.View(func(v *host.View) error {
		for i, note := range v.Chain.Notes() {
			out = append(out, TrustFile{media.CharterPath(int64(i + 1)), note})
		}
		signers := map[site.Code]bool{r.host.Self: len(s.Parcels) > 0}
		for _, p := range s.Parcels {
			for _, code := range between(v.Hier, p.From, p.To) {
				signers[code] = true
			}
			// A site that gets its own entries back may not know its own former keys.
			signers[p.To] = signers[p.To] || slices.ContainsFunc(p.Plan.Runs, func(run Run) bool { return run.Site == p.To && run.From < run.To })
		}
		for _, p := range s.Relays {
			signers[p.Name.From] = true
			for _, code := range between(v.Hier, p.Name.From, p.Name.To) {
				signers[code] = true
			}
		}
		for code, needed := range signers {
			if !needed || code == v.Hier.Top {
				continue
			}
			data, index, err := v.TrustEntry(code)
			if err != nil {
				return err
			}
			out = append(out, TrustFile{media.TrustPath(code, index), data})
		}
		return nil
	})
	return out, err
}

// between returns a destination and the sites on the way there, if there are any.
func between(hier *site.Hierarchy, from, to site.Code) []site.Code {
	path := hier.Path(to)
	if i := slices.Index(path, from); i > 1 {
		return path[:i]
	}
	return nil
}

// Files returns the files of all parcels in the shipment. A file that several
// of them need stands in it several times.
func (s *Shipment) Files() []OutFile {
	var out []OutFile
	for _, p := range s.Parcels {
		out = append(out, p.Files...)
	}
	for _, p := range s.Relays {
		out = append(out, p.Files...)
	}
	return out
}

// Confirmed looks through the labels that this site has left on a medium. It
// returns the parcels that receipts have confirmed, and the files that no other
// parcel on the medium needs, so that they can be removed.
func (r *Replicator) Confirmed(labels []string, read func(name string) ([]byte, error)) ([]site.ParcelName, []string, error) {
	var done []site.ParcelName
	gone, kept := map[string]bool{}, map[string]bool{}
	err := r.host.View(func(v *host.View) error {
		for _, name := range labels {
			msg, err := read(name)
			if err != nil {
				return err
			}
			l, err := media.ReadLabel(msg)
			if err != nil || l.From != r.host.Self {
				continue
			}
			p, err := outParcel(v, l.To, l.Number)
			if err != nil {
				return err
			}
			set := kept
			if p.State == StateConfirmed && p.Label == site.DigestOf(msg) {
				done, set = append(done, l.Name()), gone
			}
			set[name], set[media.BodyPath(l.Name())] = true, true
			for _, f := range l.Segments {
				set[media.SegmentPath(f.Digest)] = true
			}
			for _, b := range l.Bundles {
				set[media.BundlePath(b.Digest, b.Codec)] = true
			}
		}
		return nil
	})
	var names []string
	for n := range gone {
		if !kept[n] {
			names = append(names, n)
		}
	}
	return done, names, err
}
