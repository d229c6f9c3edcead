package replicator

import (
	"fmt"

	"fardel/site"
	"fardel/site/host"
	"fardel/site/store"
)

// A ride is what is remembered of a parcel of others that went on from here:
// beside which of our own parcels it lay on the medium. When the next site has
// applied that one, it has read the medium, and what lay beside it is in its
// hands. Without this, parcels on their way up would wait here for ever: what
// the top has imported is recorded in a log that nobody below reads.
type ride struct {
	Hop    site.Code `json:"hop"`
	Number int64     `json:"number"`
}

func rideKey(n site.ParcelName) string { return "ride/" + n.String() }

// rides notes what goes on beside the parcels of a shipment.
func (r *Replicator) rides(s *Shipment) error {
	return r.host.Update(func(v *host.View) error {
		for _, p := range s.Relays {
			hop := v.Hier.NextHop(r.host.Self, p.Name.To)
			for _, o := range s.Parcels {
				if o.To != hop && o.To != p.Name.To {
					continue
				}
				old, ok, err := store.GetJSON[ride](v.Tx, rideKey(p.Name))
				if err != nil {
					return err
				}
				if ok && old.Hop == o.To {
					continue // every later medium carries it too, so the first number will do
				}
				if err := store.PutJSON(v.Tx, rideKey(p.Name), ride{o.To, o.Number}); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// handedOn reports whether a parcel has gone on from here, and whether it is
// known to have arrived at the next site.
func handedOn(v *host.View, n site.ParcelName) (gone, arrived bool, err error) {
	rec, ok, err := store.GetJSON[ride](v.Tx, rideKey(n))
	if err != nil || !ok {
		return false, false, err
	}
	link, err := v.Link(rec.Hop)
	if err != nil {
		return true, false, fmt.Errorf("the route to %s: %w", rec.Hop, err)
	}
	return true, link.Confirmed >= rec.Number, nil
}
