package replicator

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"fardel/media"
	"fardel/site"
	"fardel/site/charter"
	"fardel/site/host"
	"fardel/site/journal"
	"fardel/site/store"
)

// incoming is a parcel that is being applied: staged on the local disk, read
// once to verify it and once more to store it.
type incoming struct {
	r      *Replicator
	a      arrival
	hier   *site.Hierarchy
	known  *charter.Known
	dir    string // where body and segments are staged
	head   media.BodyHead
	rec    media.Receipt
	logs   []*incomingLog
	keys   []media.BodyBundle
	accept bool // of an epoch that does not link

	disputed site.LogID         // the log whose author has contradicted itself
	proved   []site.LogPosition // what this site had signed itself
	quarrels []site.AlarmBody   // logs of others that were passed over, and why
	plain    int64              // bytes of its segments, unpacked
}

// incomingLog is one log of the parcel, and what verifying it has shown.
type incomingLog struct {
	media.BodyLog
	have  site.Position
	start journal.Edge // before the new entries
	first int64        // index of the first entry that is new here
	edge  journal.Edge // after them
	next  int64        // index of the next line
	fresh bool         // a new epoch
	anew  bool         // what is held of it was signed with a stolen key, and is given up
	past  bool         // of an epoch that its author has given up since: passed over

	signed  journal.Checkpoint // what the author says it comes to
	told    journal.Edge       // what the parcel says, with what is held before its first entry
	differs int64              // the first entry that is not the one held; -1: none
	begin   site.Entry         // the first entry of all, if it is new here
}

// news returns how many entries of the log are new here.
func (l *incomingLog) news() int64 { return l.edge.Size - l.start.Size }

// apply takes in one parcel for this site: its entries wholly, once, or not at
// all.
func (r *Replicator) apply(ctx context.Context, c Carrier, a arrival, extra map[site.Code]site.Site, opts ImportOptions, pr *ParcelReport, rep *Report) error {
	done, err := r.seen(a, pr, opts)
	if err != nil || done {
		return err
	}
	in := &incoming{r: r, a: a, accept: opts.AcceptEpoch}
	in.dir, err = os.MkdirTemp(r.host.Path("inbox"), "stage-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(in.dir)
	if err := in.stage(c); err != nil {
		return err
	}
	if err := r.host.View(func(v *host.View) error { in.hier, in.known = v.WithSites(extra); return nil }); err != nil {
		return err
	}
	in.look()
	if pr.Fault, err = r.mustWait(a.label); err != nil {
		return err
	}
	if pr.Fault != nil {
		pr.Outcome = HeldBack
		return errors.Join(in.keep(pr.Fault, opts.DryRun), in.heed(opts))
	}
	if err := r.host.View(in.verify); err != nil {
		return in.dispute(errors.Join(err, in.heed(opts)), opts)
	}
	for _, l := range in.logs {
		pr.Entries += l.news()
	}
	if opts.DryRun {
		pr.Outcome = Verified
		return nil
	}
	if err := r.host.Store.CheckSpace(3 * in.plain); err != nil {
		return err
	}
	if err := in.store(ctx); err != nil {
		return err
	}
	healed, err := in.commit(opts)
	if err != nil {
		return err
	}
	mended, err := r.host.Mend(ctx)
	if err != nil {
		return err
	}
	rep.Healed = rep.Healed || healed || mended
	for _, q := range in.quarrels {
		pr.Warning = strings.TrimSpace(pr.Warning + " " + q.Text + ": it was passed over.")
	}
	pr.Outcome = Imported
	r.forgetHeld(a.label.Name())
	void, err := in.void()
	rep.Void = append(rep.Void, void...)
	return err
}

// dispute raises an alarm when a log's author has contradicted itself, so that
// every site above hears of it. It returns err, and what else went wrong.
func (in *incoming) dispute(err error, opts ImportOptions) error {
	if opts.DryRun || !in.disputed.Valid() || !errors.Is(err, site.Conflict) {
		return err
	}
	return errors.Join(err, in.r.alarm(in.disputed.String(), site.AsFault(err).What))
}

// seen answers for parcels that came before.
func (r *Replicator) seen(a arrival, pr *ParcelReport, opts ImportOptions) (done bool, err error) {
	err = r.host.View(func(v *host.View) error {
		link, err := v.Link(a.label.From)
		if err != nil {
			return err
		}
		if a.label.Number-link.Applied > maxForgotten {
			return site.Untrusted.New("parcel %s has a number far beyond %d, the last that was applied", a.label.Name(), link.Applied).
				In("Nothing of it was opened").Then("ask the administrator of %s what happened there", a.label.From)
		}
		rec, ok, err := store.GetJSON[Arrival](v.Tx, inKey(a.label.From, a.label.Number))
		if err != nil || !ok {
			return err
		}
		if rec.Label != site.DigestOf(a.msg) {
			return site.Conflict.New("there are two different parcels %s: one came on %s, this is another", a.label.Name(), rec.At).
				In("Nothing of this one was opened").
				Then("ask the administrator of %s whether the site was copied or restored", a.label.From)
		}
		if rec.State == ArrivalApplied {
			pr.Outcome, pr.Before, done = Already, rec.At+" by "+rec.By, true
		}
		return nil
	})
	if err != nil && !opts.DryRun && errors.Is(err, site.Conflict) {
		err = errors.Join(err, r.alarm(a.label.Name().String(), "two different parcels have this number"))
	}
	return done, err
}

func (r *Replicator) alarm(about, text string) error {
	return r.host.Update(func(v *host.View) error {
		if _, fenced, err := v.Fenced(); err != nil || fenced {
			return err
		}
		return v.Alarm(about, text)
	})
}

// stage copies the body and the segments to the local disk, and compares their
// digests. From here on the carrier is not asked for them again.
func (in *incoming) stage(c Carrier) error {
	l := in.a.label
	need := l.Body.Size
	for _, s := range l.Segments {
		need += s.Size
	}
	if err := in.r.host.Store.CheckSpace(2 * need); err != nil {
		return err
	}
	if err := in.stageFile(c, media.BodyPath(l.Name()), l.Body); err != nil {
		return err
	}
	for _, s := range l.Segments {
		if err := in.stageFile(c, media.SegmentPath(s.Digest), s); err != nil {
			return err
		}
	}
	return nil
}

func (in *incoming) stageFile(c Carrier, name string, want media.File) error {
	err := copyChecked(c, in.a.writers, name, want, path.Join(in.dir, path.Base(name)))
	if isAbsent(err) {
		return site.Damaged.New("parcel %s lacks its file %s", in.a.label.Name(), path.Base(name)).
			In("Nothing of the parcel was applied").
			Then("look for the rest of the medium, or ask %s to export again", in.a.label.From)
	}
	if errors.Is(err, site.Damaged) {
		return site.Damaged.New("parcel %s is damaged in %s", in.a.label.Name(), path.Base(name)).
			In("Nothing of the parcel was applied; parcels and bundles that are good are kept").
			Then("try another port or drive; else ask %s to export again", in.a.label.From).Because(err)
	}
	return err
}

// copyChecked copies a file from a carrier to the local disk and compares size
// and digest. Of several copies it takes the first that is right. One that is
// wrong is not left behind.
func copyChecked(c Carrier, writers []site.Code, name string, want media.File, dst string) error {
	var first error
	for _, w := range writers {
		err := copyOne(c, w, name, want, dst)
		if err == nil || !isAbsent(err) && !errors.Is(err, site.Damaged) {
			return err
		}
		if first == nil || isAbsent(first) {
			first = err
		}
	}
	return first
}

func copyOne(c Carrier, writer site.Code, name string, want media.File, dst string) error {
	f, size, err := c.Open(writer, name)
	if err != nil {
		return err
	}
	defer f.Close()
	if size != want.Size {
		return site.Damaged.New("%s has %d bytes, not %d", name, size, want.Size)
	}
	out, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, media.Checked(f, want))
	if err = errors.Join(err, out.Close()); err != nil {
		return errors.Join(err, os.Remove(dst))
	}
	return nil
}

// store writes the new entries beyond the marks, where nobody sees them.
func (in *incoming) store(ctx context.Context) error {
	byID := map[site.LogID]*incomingLog{}
	for _, l := range in.logs {
		byID[l.LogID] = l
	}
	if err := in.giveUp(); err != nil {
		return err
	}
	lines := newFeed(in)
	defer lines.stop()
	for _, l := range in.logs {
		if l.news() == 0 {
			if err := lines.skip(l); err != nil {
				return err
			}
			continue
		}
		edge, err := in.r.host.Store.Stage(ctx, l.LogID, l.Epoch, l.first, lines.of(l), l.start)
		if err != nil {
			return err
		}
		if edge.Root() != l.edge.Root() {
			return site.Internal.New("%s came to another root when it was stored", l.LogID)
		}
	}
	return in.storeKeys()
}

// storeKeys remembers how to open the parcel's bundles. That is harmless before
// the parcel counts: a key opens only what its digest names.
func (in *incoming) storeKeys() error {
	sizes := map[site.Digest]media.Bundle{}
	for _, b := range in.a.label.Bundles {
		sizes[b.Digest] = b
	}
	for chunk := range slices.Chunk(in.keys, 500) {
		err := in.r.host.Store.Update(func(tx *store.Tx) error {
			for _, k := range chunk {
				b, ok := sizes[k.Digest]
				if !ok {
					return site.Damaged.New("the body of parcel %s names a bundle that its label does not", in.a.label.Name())
				}
				rec := bundleKey{k.Key, k.Plain, k.Package, k.Source, b.Codec, b.Size, in.a.label.From, in.a.label.Number, false}
				if err := store.PutJSON(tx, bundleKeyName(in.a.label.From, k.Digest), rec); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// commit moves all marks, and writes receipt, record and observation, in one
// transaction: the parcel is applied or it is not.
func (in *incoming) commit(opts ImportOptions) (healed bool, err error) {
	name := in.a.label.Name()
	err = in.r.host.Update(func(v *host.View) error {
		for _, l := range in.logs {
			now, err := v.Position(l.LogID)
			if err != nil {
				return err
			}
			if now != l.have {
				return site.Locked.New("another import moved %s meanwhile", l.LogID).Then("run the import again")
			}
			if l.news() == 0 {
				continue
			}
			head := store.Head{Epoch: l.Epoch, Edge: l.edge, Checkpoint: l.Checkpoint}
			if err := v.SetHead(l.LogID, head); err != nil {
				return err
			}
		}
		if err := in.r.accept(v, in.head, in.rec); err != nil {
			return err
		}
		if err := in.fence(v); err != nil {
			return err
		}
		if err := in.record(v, opts); err != nil {
			return err
		}
		if err := v.EnforceRevocations(); err != nil {
			return err
		}
		healed, err = v.LiftFence()
		if err != nil {
			return err
		}
		if _, fenced, err := v.Fenced(); err != nil || fenced {
			return err // nothing new is signed; the next import tells
		}
		if err := errors.Join(in.boast(v), in.tellQuarrels(v)); err != nil {
			return err
		}
		e, err := site.NewEntry(in.r.host.Now(), site.KindImport, name.String(), site.CrossingBody{
			From: name.From, To: name.To, Number: name.Number, Label: site.DigestOf(in.a.msg), By: host.Operator(),
			Medium: opts.Medium, Files: int64(len(in.a.label.Bundles) + len(in.a.label.Segments)), Bytes: in.bytes(), Outcome: string(Imported),
		})
		if err != nil {
			return err
		}
		return v.Append(site.Observations, e)
	})
	return healed, err
}

func (in *incoming) bytes() int64 {
	n := int64(len(in.a.msg)) + in.a.label.Body.Size
	for _, s := range in.a.label.Segments {
		n += s.Size
	}
	for _, b := range in.a.label.Bundles {
		n += b.Size
	}
	return n
}

// record notes that the parcel was applied.
func (in *incoming) record(v *host.View, opts ImportOptions) error {
	l := in.a.label
	link, err := v.Link(l.From)
	if err != nil {
		return err
	}
	if l.Number > link.Applied {
		link.Applied, link.Label, link.AppliedAt = l.Number, site.DigestOf(in.a.msg), site.Moment(in.r.host.Now())
		if err := v.PutLink(l.From, link); err != nil {
			return err
		}
	}
	rec := Arrival{
		From: l.From, To: l.To, Number: l.Number, After: l.After, Label: site.DigestOf(in.a.msg), State: ArrivalApplied,
		At: site.Moment(in.r.host.Now()), By: host.Operator(), Bytes: in.bytes(), Created: site.Moment(l.Created),
		Loads: in.loads(),
	}
	if err := store.PutJSON(v.Tx, inKey(l.From, l.Number), rec); err != nil {
		return err
	}
	if err := store.PutJSON(v.Tx, secretKey(l.Name()), hex.EncodeToString(in.head.Secret[:])); err != nil {
		return err
	}
	if in.hier.Above(l.From, in.r.host.Self) {
		floor, _, err := store.GetJSON[string](v.Tx, "floor")
		if err != nil {
			return err
		}
		if at := site.Moment(l.Created); at > floor {
			return store.PutJSON(v.Tx, "floor", at)
		}
	}
	return nil
}

// loads names the packages that the parcel's bundles are of.
func (in *incoming) loads() []LoadRef {
	var out []LoadRef
	for _, k := range in.keys {
		if ref := (LoadRef{ID: k.Package, Source: k.Source}); !slices.Contains(out, ref) {
			out = append(out, ref)
		}
	}
	return out
}

func secretKey(n site.ParcelName) string { return "secret/" + n.String() }

// arrivalSecret returns the receipt secret of a parcel that was applied here.
func arrivalSecret(v *host.View, n site.ParcelName) ([]byte, bool, error) {
	s, ok, err := store.GetJSON[string](v.Tx, secretKey(n))
	if err != nil || !ok {
		return nil, ok, err
	}
	b, err := hex.DecodeString(s)
	return b, err == nil, err
}

// void names the new entries that their authors had no right to, and raises an
// alarm for them. They are kept, and mean nothing.
func (in *incoming) void() ([]string, error) {
	var out []string
	err := in.r.host.View(func(v *host.View) error {
		for _, l := range in.logs {
			if l.news() == 0 || l.LogID.Site == v.Hier.Top {
				continue
			}
			err := v.Lines(l.LogID, l.first, l.edge.Size, func(_ int64, line []byte) error {
				e, err := site.ParseEntry(line)
				if err != nil || len(out) >= 20 {
					return err
				}
				if why := v.Hier.Void(l.LogID, e); why != nil {
					out = append(out, fmt.Sprintf("%s in %s: %v", e.Kind, l.LogID, why))
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || len(out) == 0 {
		return out, err
	}
	return out, in.r.alarm(in.a.label.Name().String(), "void entries: "+out[0])
}
