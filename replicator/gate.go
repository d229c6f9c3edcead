package replicator

import (
	"fmt"

	"fardel/site"
	"fardel/site/host"
)

// Holding returns the parcel that an operator keeps from leaving for a site, if
// there is one. As long as there is, nothing else is made for that site: what
// the parcel holds would only leave in the next one.
func Holding(v *host.View, to site.Code) (Parcel, bool, error) {
	list, err := Parcels(v, to)
	for _, p := range list {
		if p.Hold && p.holdable() {
			return p, true, err
		}
	}
	return Parcel{}, false, err
}

// holdable reports whether the parcel can still be kept from leaving.
func (p Parcel) holdable() bool { return p.State == StatePacked || p.State == StateCreated }

// heldFault says that a parcel is held, by whom, and how that ends.
func (p Parcel) heldFault(state string) *site.Fault {
	who := ""
	if p.HeldBy != "" {
		who = " by " + p.HeldBy
	}
	return site.Gated.New("parcel %s is held%s: it is not to leave, and nothing else is exported for %s", p.Name(), who, p.To).
		In("%s", state).
		Then("fardel parcel release %s    if it may leave", p.Name())
}

// Gate refuses an export to sites for which a parcel is held.
func (r *Replicator) Gate(to ...site.Code) error {
	return r.host.View(func(v *host.View) error {
		for _, code := range to {
			p, held, err := Holding(v, code)
			if err != nil {
				return err
			}
			if held {
				return p.heldFault("Nothing was written")
			}
		}
		return nil
	})
}

// SetHold keeps a parcel from leaving, or lets it go again.
func (r *Replicator) SetHold(n site.ParcelName, hold bool, by string) error {
	return r.ChangeParcel(n, func(p *Parcel) error {
		if !p.holdable() {
			return site.BadUsage.New("parcel %s is %s: only one that has not left can be held", n, p.State).
				In("Nothing was changed").Then("fardel parcel show %s", n)
		}
		p.Hold, p.HeldBy = hold, ""
		if hold {
			p.HeldBy = fmt.Sprintf("%s since %s", by, site.Moment(r.host.Now())[:10])
		}
		return nil
	})
}

// Held refuses when one of these parcels of ours is held by an operator.
func (r *Replicator) Held(list []site.ParcelName) error {
	return r.host.View(func(v *host.View) error {
		for _, n := range list {
			p, err := outParcel(v, n.To, n.Number)
			if err != nil {
				return err
			}
			if p.Hold && p.holdable() {
				return p.heldFault("The medium stays where it is")
			}
		}
		return nil
	})
}
