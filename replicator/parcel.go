package replicator

import (
	"fmt"

	"fardel/media"
	"fardel/site"
	"fardel/site/host"
	"fardel/site/store"
)

// A State is how far a parcel of ours has come. It never goes back.
type State string

// The states of a parcel that leaves.
const (
	StatePacked    State = "packed"    // in the outbox; on no medium that was read back
	StateCreated   State = "created"   // on a medium, read back
	StateSent      State = "sent"      // the medium has left
	StateConfirmed State = "confirmed" // a receipt says that all of it arrived
	StateAssumed   State = "assumed"   // no receipt comes on this route
	StateVoid      State = "void"      // it never left: a later parcel took its place
)

// A Parcel is the record of a parcel that was made here.
type Parcel struct {
	From      site.Code          `json:"from"`
	To        site.Code          `json:"to"`
	Number    int64              `json:"number"`
	After     int64              `json:"after"`
	Label     site.Digest        `json:"label"` // of the label file
	State     State              `json:"state"`
	Entries   int64              `json:"entries"`
	Files     int64              `json:"files"` // bundles and segments
	Bytes     int64              `json:"bytes"` // all files together
	Media     int64              `json:"media"`
	Written   []string           `json:"written,omitempty"` // the media that were written and read back
	Loads     []LoadRef          `json:"loads,omitempty"`
	Positions []site.LogPosition `json:"positions,omitempty"` // reached with this parcel
	Confirms  int64              `json:"confirms,omitempty"`  // the destination's parcel that its receipt names
	Secret    string             `json:"secret,omitempty"`
	Plan      string             `json:"plan"`              // what was planned: an equal plan resumes the parcel
	Bundles   []site.Digest      `json:"bundles,omitempty"` // and segments: what it needs of the outbox
	Arrived   bool               `json:"arrived,omitempty"` // its entries were applied; content may still be missing
	Hold      bool               `json:"hold,omitempty"`    // kept back by an operator
	HeldBy    string             `json:"held_by,omitempty"` // by whom, and since when
	Priority  site.Priority      `json:"priority,omitempty"`
	By        string             `json:"by"`
	Carrier   string             `json:"carrier,omitempty"`
	Tracking  string             `json:"tracking,omitempty"`
	Made      string             `json:"made"`
	Sent      string             `json:"sent,omitempty"`
	Confirmed string             `json:"confirmed,omitempty"`
}

// A LoadRef names the version of a package that a parcel carried.
type LoadRef struct {
	ID         site.PackageID `json:"id"`
	Source     int64          `json:"source"`
	Generation int64          `json:"generation"`
}

// Name returns the parcel's name.
func (p Parcel) Name() site.ParcelName {
	return site.ParcelName{From: p.From, To: p.To, Number: p.Number}
}

func outKey(to site.Code, n int64) string  { return fmt.Sprintf("parcel/out/%s/%016d", to, n) }
func inKey(from site.Code, n int64) string { return fmt.Sprintf("parcel/in/%s/%016d", from, n) }

// outParcel reads the record of a parcel; the zero value if there is none.
func outParcel(v *host.View, to site.Code, n int64) (Parcel, error) {
	p, _, err := store.GetJSON[Parcel](v.Tx, outKey(to, n))
	return p, err
}

func putParcel(v *host.View, p Parcel) error { return store.PutJSON(v.Tx, outKey(p.To, p.Number), p) }

// Arrival is the record of a parcel that came in.
type Arrival struct {
	From    site.Code   `json:"from"`
	To      site.Code   `json:"to"`
	Number  int64       `json:"number"`
	After   int64       `json:"after"`
	Label   site.Digest `json:"label"`
	State   string      `json:"state"` // applied or held
	At      string      `json:"at"`
	By      string      `json:"by"`
	Bytes   int64       `json:"bytes"`
	Created string      `json:"created"`
	Loads   []LoadRef   `json:"loads,omitempty"` // the packages that its bundles are of
}

// The states of an arrival.
const (
	ArrivalApplied = "applied"
	ArrivalHeld    = "held"
)

// Name returns the parcel's name.
func (a Arrival) Name() site.ParcelName {
	return site.ParcelName{From: a.From, To: a.To, Number: a.Number}
}

// Parcels returns the parcels that were made here for a site, or for all sites
// if to is empty, oldest first.
func Parcels(v *host.View, to site.Code) ([]Parcel, error) {
	prefix := "parcel/out/"
	if to != "" {
		prefix += string(to) + "/"
	}
	return scan[Parcel](v, prefix)
}

// Arrivals returns the parcels that came in, oldest first within each sender.
func Arrivals(v *host.View) ([]Arrival, error) { return scan[Arrival](v, "parcel/in/") }

func scan[T any](v *host.View, prefix string) ([]T, error) {
	var out []T
	err := v.Scan(store.Records, prefix, func(_ string, value []byte) error {
		var rec T
		if err := site.DecodeCanonical(value, &rec); err != nil {
			return site.StateDamaged.New("a record of a parcel cannot be read").Because(err)
		}
		out = append(out, rec)
		return nil
	})
	return out, err
}

// bundleKey is what is needed to open a bundle that a parcel announced.
type bundleKey struct {
	Key     string         `json:"key"`
	Plain   int64          `json:"plain"`
	Package site.PackageID `json:"package"`
	Source  int64          `json:"source"`
	Codec   media.Codec    `json:"codec"`
	Size    int64          `json:"size"`
	From    site.Code      `json:"from"`
	Number  int64          `json:"number"`          // the parcel that announced it last
	Taken   bool           `json:"taken,omitempty"` // it was read to its end since
}

// bundleKeyName names the record by who announced the bundle, too: what another
// site says about it must not take its place.
func bundleKeyName(from site.Code, d site.Digest) string {
	return "bundle/" + string(from) + "/" + d.String()
}

// Find returns the record of a parcel, as it left or as it arrived.
func Find(v *host.View, n site.ParcelName) (*Parcel, *Arrival, error) {
	if n.From == v.Host.Self {
		if p, ok, err := store.GetJSON[Parcel](v.Tx, outKey(n.To, n.Number)); ok || err != nil {
			return &p, nil, err
		}
	}
	if a, ok, err := store.GetJSON[Arrival](v.Tx, inKey(n.From, n.Number)); ok && a.To == n.To || err != nil {
		return nil, &a, err
	}
	return nil, nil, site.NoSuch.New("parcel %s is not known here", n).Then("fardel parcel list")
}

// ChangeParcel changes the record of a parcel that was made here.
func (r *Replicator) ChangeParcel(n site.ParcelName, fn func(*Parcel) error) error {
	return r.host.Update(func(v *host.View) error {
		p, _, err := Find(v, n)
		if err != nil {
			return err
		}
		if p == nil {
			return site.BadUsage.New("parcel %s did not leave from here", n).In("Nothing was changed")
		}
		if err := fn(p); err != nil {
			return err
		}
		return putParcel(v, *p)
	})
}

// Resend has the content of a parcel planned again, on routes that would take it
// as carried.
func (r *Replicator) Resend(n site.ParcelName) error {
	return r.host.Update(func(v *host.View) error {
		p, _, err := Find(v, n)
		if err != nil {
			return err
		}
		if p == nil {
			return site.BadUsage.New("parcel %s did not leave from here", n).In("Nothing was changed")
		}
		for _, l := range p.Loads {
			if err := v.Delete(store.Records, carriedKey(n.To, l.ID)); err != nil {
				return err
			}
		}
		link, err := v.Link(n.To)
		if err != nil {
			return err
		}
		link.Carried = link.Holds
		link.Handed = min(link.Handed, link.Confirmed)
		return v.PutLink(n.To, link)
	})
}

// MarkSent notes that the medium of a parcel has left. It reports whether that
// is news.
func (r *Replicator) MarkSent(n site.ParcelName) (bool, error) {
	news := false
	err := r.host.Update(func(v *host.View) error {
		p, ok, err := store.GetJSON[Parcel](v.Tx, outKey(n.To, n.Number))
		news = ok && p.State == StateCreated
		if err != nil || !news {
			return err
		}
		if p.Hold {
			return p.heldFault("It is not marked as sent")
		}
		p.State, p.Sent = StateSent, site.Moment(r.host.Now())
		return putParcel(v, p)
	})
	return news, err
}
