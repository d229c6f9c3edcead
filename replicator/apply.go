package replicator

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path"
	"slices"

	"fardel/media"
	"fardel/site"
	"fardel/site/charter"
	"fardel/site/host"
	"fardel/site/journal"
	"fardel/site/store"

	"filippo.io/age"
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
	if err := r.host.View(func(v *host.View) error {
		in.hier, in.known = v.WithSites(extra)
		return in.verify(v)
	}); err != nil {
		return err
	}
	for _, l := range in.logs {
		pr.Entries += l.news()
	}
	if opts.DryRun {
		pr.Outcome = Verified
		return nil
	}
	if pr.Fault, err = r.hold(c, in); err != nil || pr.Fault != nil {
		pr.Outcome = HeldBack
		return err
	}
	if err := in.store(ctx); err != nil {
		return err
	}
	healed, err := in.commit(opts)
	if err != nil {
		return err
	}
	rep.Healed = rep.Healed || healed
	if !slices.Contains(rep.Senders, a.label.From) {
		rep.Senders = append(rep.Senders, a.label.From)
	}
	pr.Outcome = Imported
	r.forgetHeld(a.label.Name())
	void, err := in.void()
	rep.Void = append(rep.Void, void...)
	return err
}

// seen answers for parcels that came before.
func (r *Replicator) seen(a arrival, pr *ParcelReport, opts ImportOptions) (done bool, err error) {
	err = r.host.View(func(v *host.View) error {
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
	err := copyChecked(c, in.a.writer, name, want, path.Join(in.dir, path.Base(name)))
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
// and digest. A file that is wrong is not left behind.
func copyChecked(c Carrier, writer site.Code, name string, want media.File, dst string) error {
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

// read calls fn for each item of the staged body.
func (in *incoming) read(fn func(media.BodyItem) error) error {
	f, err := os.Open(path.Join(in.dir, path.Base(media.BodyPath(in.a.label.Name()))))
	if err != nil {
		return err
	}
	defer f.Close()
	plain, err := media.OpenBody(bufio.NewReader(f), []age.Identity{in.r.host.Keys.Identity()}, 0)
	if err != nil {
		return in.wordWrongKey(err)
	}
	defer plain.Close()
	br := media.NewBodyReader(plain)
	for {
		it, err := br.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = fn(it)
		}
		if err != nil {
			return err
		}
	}
}

func (in *incoming) wordWrongKey(err error) error {
	if !errors.Is(err, site.WrongKey) {
		return err
	}
	return site.WrongKey.New("parcel %s was sealed for another key of %s than this site has", in.a.label.Name(), in.a.label.To).
		In("Nothing of it was applied").
		Then("if this site was re-keyed, carry its card %s to %s, and have it export again", in.r.host.CardPath(), in.a.label.From).Because(err)
}

// verify reads the whole parcel without storing anything.
func (in *incoming) verify(v *host.View) error {
	var cur *incomingLog
	var count int64
	err := in.read(func(it media.BodyItem) error {
		switch it := it.(type) {
		case media.BodyHead:
			in.head = it
			return it.Agrees(in.a.label)
		case media.Receipt:
			in.rec = it
			return nil
		case media.BodyBundle:
			in.keys = append(in.keys, it)
			return nil
		case media.BodyLog:
			if err := in.close(v, cur); err != nil {
				return err
			}
			l, err := in.open(v, it)
			if err != nil {
				return err
			}
			cur, in.logs = l, append(in.logs, l)
			for _, s := range it.Segments {
				for line, err := range in.segment(s) {
					if err == nil {
						err = in.line(v, cur, line)
					}
					if err != nil {
						return err
					}
				}
			}
			return nil
		case media.BodyLine:
			count++
			return in.line(v, cur, it)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return in.close(v, cur)
}

// segment yields the entries of a staged segment. Its digest stands in the label
// as well: a body that names another file is refused.
func (in *incoming) segment(s media.Segment) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if !slices.Contains(in.a.label.Segments, s.File) {
			yield(nil, site.Damaged.New("the body of parcel %s names a segment that its label does not", in.a.label.Name()))
			return
		}
		f, err := os.Open(path.Join(in.dir, path.Base(media.SegmentPath(s.Digest))))
		if err != nil {
			yield(nil, err)
			return
		}
		defer f.Close()
		for line, err := range media.ReadSegment(bufio.NewReaderSize(f, 1<<20), s) {
			if !yield(line, err) {
				return
			}
		}
	}
}

// open decides whether entries of this log may come in this parcel, and where
// they join what is held.
func (in *incoming) open(v *host.View, b media.BodyLog) (*incomingLog, error) {
	self := in.r.host.Self
	if !in.hier.Carries(in.a.label.From, self, b.LogID) {
		return nil, site.Untrusted.New("parcel %s holds entries of %s, which %s may not send to %s", in.a.label.Name(), b.LogID, in.a.label.From, self).
			In("Nothing of it was applied")
	}
	head, err := v.Head(b.LogID)
	if err != nil {
		return nil, err
	}
	if head.Stopped != "" {
		return nil, site.Conflict.New("%s is stopped here: %s", b.LogID, head.Stopped).In("Nothing of parcel %s was applied", in.a.label.Name())
	}
	have, err := v.Position(b.LogID)
	if err != nil {
		return nil, err
	}
	l := &incomingLog{BodyLog: b, have: have, next: b.From}
	switch {
	case b.Epoch < have.Epoch:
		return nil, site.Conflict.New("parcel %s holds an older epoch of %s than is held here", in.a.label.Name(), b.LogID).
			In("Nothing of it was applied").Then("ask %s to export again", in.a.label.From)
	case b.Epoch == have.Epoch:
		if b.From > have.Size {
			return nil, hole(in, b, have)
		}
		l.start = head.Edge.Clone()
	default:
		if b.From > 0 {
			return nil, hole(in, b, have)
		}
		l.fresh = true
	}
	l.first, l.edge = l.start.Size, l.start.Clone()
	return l, nil
}

// hole is what a parcel meets that builds on entries that are not here.
func hole(in *incoming, b media.BodyLog, have site.Position) error {
	return site.Held.New("parcel %s builds on entry %d of %s; this site has %d", in.a.label.Name(), b.From, b.LogID, have.Size).
		In("Nothing of it was applied; this site's state may be older than %s believes", in.a.label.From).
		Then("carry a medium from here to %s, or ask it for: fardel export %s --full", in.a.label.From, in.r.host.Self)
}

// line takes one entry: it must equal what is held, or extend it.
func (in *incoming) line(v *host.View, l *incomingLog, line []byte) error {
	if l == nil {
		return site.Damaged.New("the body of parcel %s holds an entry of no log", in.a.label.Name())
	}
	index := l.next
	l.next++
	if !l.fresh && index < l.start.Size {
		mine, err := v.Entry(l.LogID, index)
		if err != nil {
			return err
		}
		if string(mine) != string(line) {
			return in.fork(l, index)
		}
		return nil
	}
	e, err := site.ParseEntry(line)
	if err != nil {
		return site.Damaged.New("parcel %s holds an entry that is malformed: %v", in.a.label.Name(), err)
	}
	if index == 0 && l.Epoch > 1 {
		if err := in.link(v, l, e); err != nil {
			return err
		}
	} else if e.Kind == site.KindEpoch {
		return site.Damaged.New("parcel %s begins a new epoch of %s in the middle of one", in.a.label.Name(), l.LogID)
	}
	l.edge.Append(journal.LeafHash(line))
	return nil
}

// link checks that a new epoch names a position of the old one that is held
// here. If it does not, somebody has to say that it is right.
func (in *incoming) link(v *host.View, l *incomingLog, e site.Entry) error {
	var body site.EpochBody
	if e.Kind != site.KindEpoch || e.ID != fmt.Sprint(l.Epoch) || e.Decode(&body) != nil {
		return site.Damaged.New("epoch %d of %s does not begin as it must", l.Epoch, l.LogID)
	}
	if l.have.Epoch == 0 || in.accept {
		return nil
	}
	prev := body.Previous
	if prev.Epoch == l.have.Epoch && prev.Size <= l.have.Size {
		root, err := v.RootAt(l.LogID, prev.Size)
		if err != nil {
			return err
		}
		if root == prev.Root {
			return nil
		}
	}
	return site.Conflict.New("%s begins a new epoch of %s that does not follow from what is held here", l.LogID.Site, l.LogID).
		In("Nothing of parcel %s was applied", in.a.label.Name()).
		Then("ask the administrator of %s whether the site was restored", l.LogID.Site).
		Then("fardel import --accept-epoch    if it was")
}

func (in *incoming) fork(l *incomingLog, index int64) error {
	who := l.LogID.Site
	return site.Conflict.New("entry %d of %s is not the one that was received before: its history was told twice", index, l.LogID).
		In("Nothing of parcel %s was applied", in.a.label.Name()).
		Then("ask the administrator of %s whether the site was copied or restored", who)
}

// close compares what the entries come to with the signed checkpoint.
func (in *incoming) close(v *host.View, l *incomingLog) error {
	if l == nil {
		return nil
	}
	if l.next != l.From+l.Count {
		return site.Damaged.New("parcel %s lacks entries of %s", in.a.label.Name(), l.LogID)
	}
	cp, sigs, err := journal.OpenCheckpoint(l.Checkpoint, in.known.For(l.LogID.Site))
	if err != nil {
		return site.Untrusted.New("the checkpoint of %s in parcel %s is not signed by %s", l.LogID, in.a.label.Name(), l.LogID.Site).
			In("Nothing of it was applied").Because(err)
	}
	if cp.Origin.Hierarchy != in.hier.ID || cp.Origin.LogID != l.LogID || cp.Origin.Epoch != l.Epoch {
		return site.Untrusted.New("parcel %s holds a checkpoint of another log than %s", in.a.label.Name(), l.LogID).In("Nothing of it was applied")
	}
	if verdict, end := in.known.Best(l.LogID.Site, sigs); verdict == charter.Unknown ||
		verdict == charter.RevokedKey && !charter.Covers(end, l.LogID.Log, cp.Position()) {
		return site.Revoked.New("the entries of %s in parcel %s are signed with a revoked key", l.LogID, in.a.label.Name()).
			In("Nothing of it was applied")
	}
	if cp.Size != l.next {
		return site.Damaged.New("the checkpoint of %s in parcel %s is for %d entries, not %d", l.LogID, in.a.label.Name(), cp.Size, l.next)
	}
	root := site.Digest(l.edge.Root())
	if cp.Size < l.edge.Size { // all of it is held already
		if root, err = v.RootAt(l.LogID, cp.Size); err != nil {
			return err
		}
	}
	if root != cp.Position().Root {
		return in.fork(l, cp.Size)
	}
	return nil
}

// store writes the new entries beyond the marks, where nobody sees them.
func (in *incoming) store(ctx context.Context) error {
	byID := map[site.LogID]*incomingLog{}
	for _, l := range in.logs {
		byID[l.LogID] = l
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
				rec := bundleKey{k.Key, k.Plain, k.Package, k.Source, b.Codec, b.Size, in.a.label.From, in.a.label.Number}
				if err := store.PutJSON(tx, bundleKeyName(k.Digest), rec); err != nil {
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
				if why := v.Hier.May(l.LogID, e.Kind, e.ID); why != nil {
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
