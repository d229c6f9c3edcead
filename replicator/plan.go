package replicator

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"fardel/site"
	"fardel/site/host"
	"fardel/site/store"
)

// A Plan is what a parcel to one site would hold.
type Plan struct {
	To       site.Code
	After    int64 // the parcel that this one builds on
	Runs     []Run
	Loads    []Load
	Entries  int64 // in all runs
	Active   bool  // something in it is a reason to send
	Baseline bool  // it builds on nothing
	Fenced   bool  // nothing but a receipt may be sent
	Later    []Postponed
}

// A Run is a stretch of one log.
type Run struct {
	site.LogID
	Epoch    int64
	From, To int64 // indices of its first entry, and behind its last
}

// A Load is what a site lacks of one package.
type Load struct {
	Package    *host.Package
	Generation int64
	Files      []Need // the manifest first
	Bytes      int64
}

// A Need is one file that a site lacks.
type Need struct {
	Digest site.Digest
	Size   int64
}

// A Postponed package is to go to the site, but is not complete here.
type Postponed struct {
	ID  site.PackageID
	Why string
}

// Bytes is the size of the content in the plan, before compression.
func (p Plan) Bytes() int64 {
	var n int64
	for _, l := range p.Loads {
		n += l.Bytes
	}
	return n
}

// Plan says what a parcel to a site would hold now. Full builds on nothing, as
// if the site had never been heard of.
func (r *Replicator) Plan(ctx context.Context, to site.Code, full bool) (Plan, error) {
	var plan Plan
	err := r.host.View(func(v *host.View) (err error) {
		plan, err = r.plan(ctx, v, to, r.route(to), full)
		return err
	})
	return plan, err
}

// Waiting says what no parcel has carried to the site yet. It is what status
// shows, and what a schedule acts on.
func (r *Replicator) Waiting(ctx context.Context, to site.Code) (Plan, error) {
	rt := r.route(to)
	rt.Carry = CarryLean
	var plan Plan
	err := r.host.View(func(v *host.View) (err error) {
		plan, err = r.plan(ctx, v, to, rt, false)
		return err
	})
	return plan, err
}

func (r *Replicator) plan(ctx context.Context, v *host.View, to site.Code, rt Route, full bool) (Plan, error) {
	if err := reachable(v, to); err != nil {
		return Plan{}, err
	}
	link, err := v.Link(to)
	if err != nil {
		return Plan{}, err
	}
	plan := Plan{To: to}
	if _, plan.Fenced, err = v.Fenced(); err != nil || plan.Fenced {
		return plan, err
	}
	base, err := r.base(v, to, link, rt, full)
	if err != nil {
		return plan, err
	}
	plan.After, plan.Baseline = base.number, base.number == 0
	if err := plan.addRuns(v, link, base); err != nil {
		return plan, err
	}
	return plan, r.addLoads(ctx, v, &plan, link, base)
}

// reachable refuses sites that no parcel can go to.
func reachable(v *host.View, to site.Code) error {
	self := v.Host.Self
	if to == self {
		return site.BadUsage.New("%s is this site", to)
	}
	s, known := v.Hier.Sites[to]
	switch {
	case !known && v.Hier.Top == "":
		return site.NoSuch.New("%s has not heard from its hierarchy yet", self).
			In("Nothing was done").Then("fardel import    the first medium from above")
	case !known:
		return site.NoSuch.New("%s is not a member of the hierarchy", to).
			Then("fardel site add %s.card    if it has been set up", to.Lower()).Then("fardel site list")
	case s.State == site.SiteRemoved:
		return site.NoSuch.New("%s was removed from the hierarchy", to)
	case !v.Hier.Related(self, to):
		return site.Unreachable.New("%s is neither above nor below %s", to, self).
			Then("fardel site list    shows the tree")
	}
	return nil
}

// base is what the destination is taken to hold.
type base struct {
	number  int64 // the parcel that the new one builds on
	holds   map[site.LogID]site.Position
	carried bool // content in parcels up to horizon counts as held
	horizon int64
	full    bool
}

func (r *Replicator) base(v *host.View, to site.Code, link host.Link, rt Route, full bool) (base, error) {
	b := base{holds: map[site.LogID]site.Position{}, full: full}
	if full {
		return b, nil
	}
	var positions []site.LogPosition
	switch rt.Carry {
	case CarryLean:
		b.number, b.carried, b.horizon = link.Handed, link.Handed > 0, math.MaxInt64
		positions = link.Carried
		if link.Handed == 0 {
			positions = link.Holds
		}
	case CarryAssumed:
		p, ok, err := assumed(v, to, rt)
		if err != nil || !ok {
			b.full = true
			return b, err
		}
		b.number, b.carried, b.horizon, positions = p.Number, true, p.Number, p.Positions
	default:
		b.number, positions = link.Confirmed, link.Holds
	}
	for _, p := range positions {
		b.holds[p.LogID] = p.Position
	}
	return b, nil
}

// assumed returns the parcel that counts as arrived on a route without receipts:
// the one that k others have followed. There is none in the beginning, nor when a
// baseline is due.
func assumed(v *host.View, to site.Code, rt Route) (Parcel, bool, error) {
	list, err := Parcels(v, to)
	if err != nil {
		return Parcel{}, false, err
	}
	left := slices.DeleteFunc(list, func(p Parcel) bool { return p.State == StatePacked || p.State == StateVoid })
	n := int64(len(left))
	if n < rt.After || (n+1)%rt.Baseline == 0 {
		return Parcel{}, false, nil
	}
	return left[n-rt.After], true, nil
}

// addRuns adds what the destination lacks of each log that it may have.
func (plan *Plan) addRuns(v *host.View, link host.Link, b base) error {
	logs, err := v.Logs()
	if err != nil {
		return err
	}
	for _, l := range logs {
		if !v.Hier.Carries(v.Host.Self, plan.To, l.LogID) {
			continue
		}
		if head, err := v.Head(l.LogID); err != nil || len(head.Checkpoint) == 0 {
			if err != nil {
				return err
			}
			continue // rewound after a revocation: nothing proves what is left
		}
		has := b.holds[l.LogID]
		if l.Site == plan.To {
			// Its own log: only to a site that is known to have lost some of it.
			has = positionOf(link.Holds, l.LogID)
			if b.full || link.Fresh {
				has = site.Position{}
			} else if !link.Behind || !older(has, l.Position) {
				// No entries, but the proof of how far it had come: if its
				// state is older by now, that is how it notices.
				plan.Runs = append(plan.Runs, Run{LogID: l.LogID, Epoch: l.Epoch, From: l.Size, To: l.Size})
				continue
			}
		}
		run := Run{LogID: l.LogID, Epoch: l.Epoch, To: l.Size}
		if other, err := differs(v, run, has); err != nil {
			return err
		} else if other {
			has = site.Position{}
		}
		if has.Epoch == l.Epoch {
			run.From = min(has.Size, l.Size)
		} else if has.Epoch > l.Epoch {
			continue
		}
		if run.From == run.To && !b.full {
			continue
		}
		plan.Runs = append(plan.Runs, run)
		plan.Entries += run.To - run.From
		if err := plan.weigh(v, run); err != nil {
			return err
		}
	}
	return nil
}

func positionOf(list []site.LogPosition, id site.LogID) site.Position {
	for _, p := range list {
		if p.LogID == id {
			return p.Position
		}
	}
	return site.Position{}
}

func older(a, b site.Position) bool {
	return a.Epoch < b.Epoch || a.Epoch == b.Epoch && a.Size < b.Size
}

// differs reports whether the destination says that it holds another history than
// stands here. Then nothing is built on it and all is told: the entries prove to
// the destination who contradicts himself, if anybody does, and a lie about it
// costs no more than their transport.
func differs(v *host.View, run Run, has site.Position) (bool, error) {
	if has.Epoch != run.Epoch || has.Size == 0 || has.Size > run.To {
		return false, nil
	}
	root, err := v.RootAt(run.LogID, has.Size)
	return root != has.Root, err
}

// weigh looks for an entry in the run that is a reason to send.
func (plan *Plan) weigh(v *host.View, run Run) error {
	if plan.Active {
		return nil
	}
	stop := fmt.Errorf("found")
	err := v.Lines(run.LogID, run.From, run.To, func(_ int64, line []byte) error {
		e, err := site.ParseEntry(line)
		if err != nil || !e.Kind.Passive() {
			return stop
		}
		return nil
	})
	if err == stop {
		plan.Active = true
		return nil
	}
	return err
}

// addLoads adds the content that the destination, or a site below it, is to
// hold and lacks.
func (r *Replicator) addLoads(ctx context.Context, v *host.View, plan *Plan, link host.Link, b base) error {
	if !v.Hier.Above(v.Host.Self, plan.To) {
		return nil // content goes down
	}
	packages, err := v.Packages()
	if err != nil {
		return err
	}
	peer, err := v.PeerContent(plan.To)
	if err != nil {
		return err
	}
	if b.full || link.Fresh {
		peer = nil // whatever it said, it may have lost since
	}
	var held map[site.Digest]bool
	for _, p := range packages {
		has := peer[p.ID]
		gen, lacks, err := plan.lacks(v, p, has, b)
		if err != nil {
			return err
		}
		if !lacks {
			continue
		}
		own, err := v.Content(p.ID)
		if err != nil {
			return err
		}
		if own.State != site.ContentInstalled || own.Source != p.Source {
			plan.Later = append(plan.Later, Postponed{p.ID, own.Describe()})
			continue
		}
		if held == nil {
			if held, err = r.heldBy(v, peer); err != nil {
				return err
			}
		}
		load := Load{Package: p, Generation: gen}
		again := has.State == site.ContentInstalled && has.Source == p.Source // distributed again: every file
		if err := load.fill(r.host, held, again, named(link, has, p)); err != nil {
			return err
		}
		if len(load.Files) > 0 {
			plan.Loads, plan.Active = append(plan.Loads, load), true
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	slices.SortStableFunc(plan.Loads, func(a, b Load) int {
		return a.Package.Priority.Rank() - b.Package.Priority.Rank()
	})
	return nil
}

// lacks reports whether the destination has to get the package's current
// version, and in which generation.
func (plan *Plan) lacks(v *host.View, p *host.Package, has site.ContentBody, b base) (gen int64, lacks bool, err error) {
	gen, wanted, err := v.WantedAt(plan.To, p, !has.Held.IsZero())
	if err != nil || !wanted || has.Has(p.Source, gen) {
		return gen, false, err
	}
	if !b.carried {
		return gen, true, nil
	}
	carried, err := wasCarried(v, plan.To, p, gen, b.horizon)
	return gen, !carried, err
}

// named returns the files that the destination has asked for by name, if its
// receipt was written after it had looked for this version's files and names
// all that it lacks; nil otherwise.
func named(link host.Link, has site.ContentBody, p *host.Package) map[site.Digest]bool {
	if has.State != site.ContentWaiting || has.Source != p.Source || int64(len(link.Wants)) != link.Missing || link.Missing == 0 {
		return nil
	}
	set := make(map[site.Digest]bool, len(link.Wants))
	for _, d := range link.Wants {
		set[d] = true
	}
	if set[p.Manifest] {
		return nil // without the manifest it cannot know the rest
	}
	return set
}

// fill lists what is needed of a package, its manifest first: a receiver that
// has the manifest knows which of the other files it wants.
func (l *Load) fill(h *host.Host, held map[site.Digest]bool, again bool, named map[site.Digest]bool) error {
	p := l.Package
	l.Files = []Need{{p.Manifest, p.Listing}}
	l.Bytes = p.Listing
	err := h.EachFile(p.Manifest, p.Listing, func(d site.Digest, size int64) error {
		// What it asks for by name it lacks, whatever it said before.
		if d == p.Manifest || !again && (named == nil && held[d] || named != nil && !named[d]) {
			return nil
		}
		l.Files, l.Bytes = append(l.Files, Need{d, size}), l.Bytes+size
		return nil
	})
	if err != nil {
		return err
	}
	if len(l.Files) == 1 && (held[p.Manifest] && !again || named != nil) {
		l.Files, l.Bytes = nil, 0
	}
	return nil
}

// heldCache keeps the set of files that sites hold, because many sites hold the
// same.
type heldCache struct {
	key string
	set map[site.Digest]bool
}

// heldBy returns the files that a site holds, as far as it said so and their
// manifests are still here.
func (r *Replicator) heldBy(v *host.View, peer map[site.PackageID]site.ContentBody) (map[site.Digest]bool, error) {
	var manifests []site.Digest
	for _, c := range peer {
		if !c.Held.IsZero() && r.host.Library.Has(c.Held) {
			manifests = append(manifests, c.Held)
		}
	}
	slices.SortFunc(manifests, func(a, b site.Digest) int { return strings.Compare(string(a[:]), string(b[:])) })
	key := fmt.Sprintf("%x", manifests)
	if r.held.set != nil && r.held.key == key {
		return r.held.set, nil
	}
	set := map[site.Digest]bool{}
	for _, m := range manifests {
		set[m] = true
		size, err := r.host.Library.Size(m)
		if err != nil {
			return nil, err
		}
		if err := r.host.EachFile(m, size, func(d site.Digest, _ int64) error { set[d] = true; return nil }); err != nil && !errors.Is(err, host.ErrManifest) {
			return nil, err
		}
	}
	r.held = heldCache{key, set}
	return set, nil
}

// carried remembers, per site and package, which parcel first carried a version.
type carried struct {
	Source     int64 `json:"source"`
	Generation int64 `json:"generation"`
	Number     int64 `json:"number"`
}

func carriedKey(to site.Code, id site.PackageID) string {
	return "carried/" + string(to) + "/" + string(id)
}

func wasCarried(v *host.View, to site.Code, p *host.Package, gen, horizon int64) (bool, error) {
	c, ok, err := store.GetJSON[carried](v.Tx, carriedKey(to, p.ID))
	return ok && c.Source == p.Source && c.Generation >= gen && c.Number <= horizon, err
}
