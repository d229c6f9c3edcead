package replicator

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"fardel/media"
	"fardel/site"
	"fardel/site/charter"
	"fardel/site/host"
	"fardel/site/journal"
	"fardel/site/store"
)

// A Carrier is a place that parcels lie in: a medium, a drop folder, an inbox.
// It is hostile: names and bytes may be anything, and may change between two
// readings, so that each file is read once.
type Carrier interface {
	// Writers returns the sites that have a folder there.
	Writers() ([]site.Code, error)
	// Names returns the files in a writer's folder, such as labels/x.label.
	Names(from site.Code) ([]string, error)
	// Open opens a file for one reading and says how long it is. A file that is
	// not there gives [fs.ErrNotExist]; a medium that has gone gives
	// [site.MediumGone].
	Open(from site.Code, name string) (io.ReadCloser, int64, error)
}

// ImportOptions say how an import is done.
type ImportOptions struct {
	Medium      string // what to call the carrier in the record
	DryRun      bool   // verify and report; change nothing
	AcceptClock bool   // a jump of the clock by more than 30 days was confirmed
	AcceptEpoch bool   // a new epoch that does not link to what is held was confirmed
}

// An Outcome says what became of a parcel.
type Outcome string

// The outcomes.
const (
	Imported  Outcome = "imported"
	Already   Outcome = "already imported"
	HeldBack  Outcome = "held"
	Relayed   Outcome = "relayed"
	Foreign   Outcome = "for another site"
	OwnParcel Outcome = "written by this site"
	Refused   Outcome = "refused"
	Verified  Outcome = "good" // dry run
)

// A ParcelReport says what became of one parcel.
type ParcelReport struct {
	Name    site.ParcelName
	Outcome Outcome
	Label   media.Label
	Before  string // when it was imported, if it was, and by whom
	Entries int64
	Fault   *site.Fault // why it was refused or held
	Warning string
}

// A Report says what an import came to.
type Report struct {
	Parcels   []ParcelReport
	Bundles   int      // taken in
	Unneeded  int      // on the carrier, and not wanted
	Files     int64    // new in the library
	Bytes     int64    // of them
	Void      []string // entries that their authors had no right to
	Installed []site.PackageID
	Waiting   []Waiting
	Faults    []*site.Fault // of bundles
	Healed    bool          // entries of this site's own came back and lifted the fence
	Senders   []site.Code   // of the parcels for this site that a receipt is owed to
}

// Waiting is a package that is not complete.
type Waiting struct {
	ID      site.PackageID
	Missing int64 // files; -1: not even the list of them has come
	Media   []int // on which media of the parcels seen they are
	Parcel  site.ParcelName
}

// arrival is a label on the carrier.
type arrival struct {
	writers []site.Code // in whose folders copies of it lie
	name    string
	msg     []byte
	label   media.Label
}

// Import takes in everything on a carrier that is for this site, relays what is
// for a site beyond, and refuses the rest by name. One bad parcel does not keep
// out the others: the error, if any, is the gravest fault, and the report tells
// of each.
func (r *Replicator) Import(ctx context.Context, c Carrier, opts ImportOptions) (*Report, error) {
	rep := &Report{}
	trust, err := r.readTrust(c, opts)
	if err != nil {
		return rep, err
	}
	arrivals, err := r.readLabels(c, rep)
	if err != nil {
		return rep, err
	}
	if len(arrivals) == 0 && len(rep.Parcels) == 0 {
		return rep, site.NoParcels.New("no parcels were found there").In("Nothing was changed")
	}
	before, err := r.installed()
	if err != nil {
		return rep, err
	}
	var mine []arrival
	for _, a := range arrivals {
		pr, err := r.take(ctx, c, a, trust, opts, rep)
		if err != nil {
			return rep, err
		}
		rep.Parcels = append(rep.Parcels, pr)
		if pr.Label.To == r.host.Self && pr.Outcome != Refused && pr.Outcome != OwnParcel {
			mine = append(mine, a)
		}
	}
	if opts.DryRun {
		return rep, rep.gravest()
	}
	if err := r.retryHeld(ctx, trust, opts, rep); err != nil {
		return rep, err
	}
	if err := r.takeContent(ctx, c, mine, rep); err != nil {
		return rep, err
	}
	if err := r.finish(ctx, before, mine, rep); err != nil {
		return rep, err
	}
	return rep, rep.gravest()
}

// gravest returns the fault that decides the exit code.
func (rep *Report) gravest() error {
	order := []*site.Class{site.Conflict, site.Revoked, site.Untrusted, site.Damaged, site.WrongKey, site.MediumGone,
		site.NoSpace, site.Gated, site.TooNew, site.Held, site.ForeignParcel}
	var all []*site.Fault
	applied := false
	for _, p := range rep.Parcels {
		applied = applied || p.Outcome == Imported || p.Outcome == Already || p.Outcome == Relayed
		if p.Fault != nil && p.Outcome != OwnParcel {
			all = append(all, p.Fault)
		}
	}
	all = append(all, rep.Faults...)
	if applied { // a stick for many sites is no fault at one of them
		all = slices.DeleteFunc(all, func(f *site.Fault) bool { return f.Class == site.ForeignParcel })
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortStableFunc(all, func(a, b *site.Fault) int {
		return cmp.Compare(rank(order, a.Class), rank(order, b.Class))
	})
	return all[0]
}

func rank(order []*site.Class, c *site.Class) int {
	if i := slices.Index(order, c); i >= 0 {
		return i
	}
	return -1
}

// readLabels reads every label on the carrier. Those that nobody known has
// signed are reported as refused.
func (r *Replicator) readLabels(c Carrier, rep *Report) ([]arrival, error) {
	writers, err := c.Writers()
	if err != nil {
		return nil, err
	}
	var out []arrival
	read := 0
	for _, w := range writers {
		names, err := c.Names(w)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			want, err := media.ParseLabelPath(name)
			if err != nil {
				continue
			}
			a := arrival{writers: []site.Code{w}, name: name}
			a.msg, err = readSmall(c, w, name, media.MaxLabel)
			if errors.Is(err, site.MediumGone) {
				return nil, err
			}
			if read += len(a.msg) + 1; read > maxLabels {
				return nil, site.Damaged.New("the labels on the medium have more than %s together, which no site writes", site.Bytes(maxLabels)).In("Nothing was opened")
			}
			if err == nil {
				a.label, err = media.ReadLabel(a.msg)
			}
			if err == nil && a.label.Name() != want {
				err = site.Damaged.New("the label in %s is that of parcel %s", name, a.label.Name())
			}
			if err != nil {
				rep.Parcels = append(rep.Parcels, ParcelReport{Name: want, Outcome: Refused,
					Fault: site.AsFault(err).In("Parcel %s was not opened", want)})
				continue
			}
			out = append(out, a)
		}
	}
	foreign := func(a arrival) int {
		if a.label.To == r.host.Self {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(out, func(a, b arrival) int {
		return cmp.Or(foreign(a)-foreign(b), strings.Compare(string(a.label.From), string(b.label.From)), cmp.Compare(a.label.Number, b.label.Number))
	})
	var list []arrival
	for _, a := range out {
		if n := len(list); n > 0 && string(list[n-1].msg) == string(a.msg) {
			list[n-1].writers = append(list[n-1].writers, a.writers...) // another copy
			continue
		}
		list = append(list, a)
	}
	return list, nil
}

// maxLabels bounds the bytes of labels that are read from one carrier, before
// anybody's signature is known to be good.
const maxLabels = 16 << 20

func readSmall(c Carrier, w site.Code, name string, limit int64) ([]byte, error) {
	f, size, err := c.Open(w, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > limit {
		return nil, site.Damaged.New("%s has %d bytes; the limit is %d", name, size, limit)
	}
	return io.ReadAll(io.LimitReader(f, limit+1))
}

// take decides what to do with one parcel, and does it, content aside.
func (r *Replicator) take(ctx context.Context, c Carrier, a arrival, trust []journal.TrustEntry, opts ImportOptions, rep *Report) (ParcelReport, error) {
	pr := ParcelReport{Name: a.label.Name(), Label: a.label, Outcome: Refused}
	// Looked at again for each parcel: the one before may have brought newer cards.
	extra, err := r.provedSites(trust)
	if err != nil {
		return pr, err
	}
	err = r.judge(a, extra, opts, &pr)
	if err == nil && pr.Outcome == Refused {
		switch {
		case a.label.From == r.host.Self:
			pr.Outcome = OwnParcel
		case a.label.To != r.host.Self:
			err = r.relay(ctx, c, a, extra, opts, &pr)
		default:
			err = r.apply(ctx, c, a, extra, opts, &pr, rep)
		}
	}
	if err == nil {
		return pr, nil
	}
	f := site.AsFault(err)
	if ctx.Err() != nil || f.Class == site.MediumGone || f.Class == site.StateDamaged || f.Class == site.NoSpace || f.Class == site.Failed || f.Class == site.Internal {
		return pr, err // no use to go on
	}
	pr.Fault = f
	return pr, nil
}

// judge verifies the label: its signature, the hierarchy, the sender's standing
// and the clock.
func (r *Replicator) judge(a arrival, extra map[site.Code]site.Site, opts ImportOptions, pr *ParcelReport) error {
	return r.host.View(func(v *host.View) error {
		l := a.label
		if l.Hierarchy != v.Hier.ID {
			return site.Untrusted.New("parcel %s belongs to another hierarchy", l.Name()).In("Nothing of it was opened")
		}
		if v.Hier.Top == "" {
			return site.Untrusted.New("the medium holds no charter, so the sender of parcel %s cannot be verified", l.Name()).
				In("Nothing of it was opened").Then("ask the sender to export again; the charter goes with every export")
		}
		hier, known := v.WithSites(extra)
		label, sigs, err := media.OpenLabel(a.msg, known.For(l.From))
		if err != nil {
			return r.wordLabelFault(err, l)
		}
		if s, ok := hier.Sites[label.From]; ok && s.State == site.SiteRemoved {
			return site.Revoked.New("parcel %s comes from %s, which was removed from the hierarchy", l.Name(), l.From).In("Nothing of it was opened")
		}
		if verdict, _ := known.Best(label.From, sigs); verdict < charter.Replaced {
			return site.Revoked.New("parcel %s is signed with a revoked key of %s", l.Name(), l.From).In("Nothing of it was opened").
				Then("do not use this medium; tell the administrator of %s by another way", v.Hier.Top)
		}
		if l.To == r.host.Self && !hier.Related(l.From, l.To) {
			return site.Untrusted.New("parcel %s comes from %s, which is neither above nor below %s", l.Name(), l.From, l.To).
				In("Nothing of it was opened").Then("ask the administrator of %s what it was sent for", l.From)
		}
		if err := label.Understood(); err != nil {
			return err
		}
		return r.clock(v, hier, label, opts, pr)
	})
}

func (r *Replicator) wordLabelFault(err error, l media.Label) error {
	f := site.AsFault(err)
	if f.Class == site.Untrusted {
		return site.Untrusted.New("the label of parcel %s is not signed by %s, or was changed", l.Name(), l.From).
			In("Nothing of it was opened").
			Then("do not use this medium; tell the sender by another way").Because(err)
	}
	return f
}

// maxJump is how far into the future a parcel may be dated before somebody has
// to confirm that this is right.
const maxJump = 30 * 24 * time.Hour

// clock warns of a clock that seems wrong. Nothing is ever ordered by time.
func (r *Replicator) clock(v *host.View, hier *site.Hierarchy, l media.Label, opts ImportOptions, pr *ParcelReport) error {
	if !hier.Above(l.From, r.host.Self) || l.To != r.host.Self {
		return nil
	}
	ahead := l.Created.Sub(r.host.Now())
	floor, ok, err := store.GetJSON[string](v.Tx, "floor")
	if err != nil {
		return err
	}
	if t, err := site.ParseTime(floor); ok && err == nil && l.Created.Sub(t) < ahead {
		ahead = l.Created.Sub(t)
	}
	if ahead > maxJump && !opts.AcceptClock {
		return site.Gated.New("parcel %s is dated %s, %d days after anything this site knows of", l.Name(),
			l.Created.Format("2006-01-02"), int(ahead.Hours()/24)).
			In("Nothing of it was opened").
			Then("set the clock right if it is wrong, and run again").
			Then("fardel import --accept-clock    if the date is right")
	}
	if ahead > 24*time.Hour {
		pr.Warning = "dated " + l.Created.Format("2006-01-02") + ", in this site's future; check the clock. Order is by number, not time."
	}
	return nil
}

// installed returns the packages that are complete here.
func (r *Replicator) installed() (map[site.PackageID]int64, error) {
	out := map[site.PackageID]int64{}
	err := r.host.View(func(v *host.View) error {
		return v.EachContent(func(id site.PackageID, c host.Content) error {
			if c.State == site.ContentInstalled {
				out[id] = c.Source
			}
			return nil
		})
	})
	return out, err
}

// finish settles what the site holds now and completes the report.
func (r *Replicator) finish(ctx context.Context, before map[site.PackageID]int64, mine []arrival, rep *Report) error {
	wants, err := r.host.Settle(ctx)
	if err != nil {
		return err
	}
	r.wants = wants
	after, err := r.installed()
	if err != nil {
		return err
	}
	for id, source := range after {
		if before[id] != source {
			rep.Installed = append(rep.Installed, id)
		}
	}
	slices.Sort(rep.Installed)
	if err := r.findOwed(ctx, mine, rep); err != nil {
		return err
	}
	return r.host.View(func(v *host.View) error {
		for id, n := range wants.Packages {
			w, err := r.whereIs(v, id, n, mine)
			if err != nil {
				return err
			}
			rep.Waiting = append(rep.Waiting, w)
		}
		slices.SortFunc(rep.Waiting, func(a, b Waiting) int { return strings.Compare(string(a.ID), string(b.ID)) })
		return nil
	})
}

// findOwed lists the senders that have still to hear from this site. That their
// parcels were applied just now is no condition: an earlier import may have been
// ended before its receipt was written, and content may have come with a later
// medium.
func (r *Replicator) findOwed(ctx context.Context, mine []arrival, rep *Report) error {
	for _, a := range mine {
		from := a.label.From
		if slices.Contains(rep.Senders, from) {
			continue
		}
		owed, err := r.owes(ctx, from)
		if err != nil {
			return err
		}
		if owed {
			rep.Senders = append(rep.Senders, from)
		}
	}
	return nil
}

// whereIs says on which media of the parcels just seen the rest of a package is.
func (r *Replicator) whereIs(v *host.View, id site.PackageID, missing int64, mine []arrival) (Waiting, error) {
	w := Waiting{ID: id, Missing: missing}
	for _, a := range mine {
		for _, b := range a.label.Bundles {
			k, ok, err := store.GetJSON[bundleKey](v.Tx, bundleKeyName(a.label.From, b.Digest))
			if err != nil {
				return w, err
			}
			if ok && k.Package == id && !k.Taken && !slices.Contains(w.Media, b.Medium) {
				w.Media, w.Parcel = append(w.Media, b.Medium), a.label.Name()
			}
		}
	}
	slices.Sort(w.Media)
	return w, nil
}

// isAbsent reports whether a carrier does not hold a file.
func isAbsent(err error) bool { return errors.Is(err, fs.ErrNotExist) }
