package replicator

import (
	"context"

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
		s.Relays = append(s.Relays, relays...)
		if plan.Active || idle {
			plans = append(plans, plan)
		}
	}
	var err error
	if len(plans) > 0 {
		if s.Parcels, err = r.Pack(ctx, plans, opts); err != nil {
			return nil, err
		}
	}
	s.Trust, err = r.trust(s)
	return s, err
}

// trust returns the charters, and the cards of all that have signed something in
// the shipment and do not stand in the charter.
func (r *Replicator) trust(s *Shipment) ([]TrustFile, error) {
	var out []TrustFile
	err := r.host.View(func(v *host.View) error {
		for i, note := range v.Chain.Notes() {
			out = append(out, TrustFile{media.CharterPath(int64(i + 1)), note})
		}
		signers := map[site.Code]bool{r.host.Self: len(s.Parcels) > 0}
		for _, p := range s.Relays {
			signers[p.Name.From] = true
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
				return nil // the medium is read again when it is written
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
