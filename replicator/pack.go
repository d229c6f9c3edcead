package replicator

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"fardel/media"
	"fardel/site"
	"fardel/site/host"
)

// A Slot says which medium holds a bundle.
type Slot struct {
	Digest   site.Digest
	Size     int64
	Priority site.Priority
	Medium   int // counted from 1
}

// PackOptions say how parcels are packed.
type PackOptions struct {
	Largest  int64                     // no file may be larger than this; 0: no limit but the format's
	Assign   func([]Slot) (int, error) // sets Medium in each slot and returns the number of media; nil: one medium
	Marking  string
	Priority site.Priority // of the parcels; empty: medium
}

// An Outgoing parcel lies complete in the outbox.
type Outgoing struct {
	Parcel
	Plan   Plan
	Header media.Label
	// Files are all files of the parcel: paths below FARDEL/FROM on a carrier,
	// and where they lie.
	Files []OutFile
}

// An OutFile is one file of a parcel.
type OutFile struct {
	Name   string // below FARDEL/FROM, such as labels/hq0-fld-000042.label
	Path   string // in the outbox
	Digest site.Digest
	Size   int64
	Medium int // 0: every medium
}

// Pack turns plans into parcels. What several parcels need, bundles and
// segments, is sealed once. When Pack returns, everything is durable in the
// outbox and the parcels have their numbers.
func (r *Replicator) Pack(ctx context.Context, plans []Plan, opts PackOptions) ([]*Outgoing, error) {
	var content int64
	for _, plan := range plans {
		content += plan.Bytes()
	}
	r.sealing.begin(content)
	boxes := make([]*box, len(plans))
	for i, plan := range plans {
		b, err := r.load(ctx, plan, len(plans) > 1, opts)
		if err != nil {
			return nil, err
		}
		boxes[i] = b
	}
	if err := assign(boxes, opts); err != nil {
		return nil, err
	}
	if err := r.number(boxes, opts); err != nil {
		return nil, err
	}
	out := make([]*Outgoing, len(boxes))
	for i, b := range boxes {
		o, err := r.write(b, opts)
		if err != nil {
			return nil, err
		}
		out[i] = o
	}
	if err := errors.Join(host.SyncDir(r.host.Path("outbox", "bundles")), host.SyncDir(r.host.Path("outbox", "parcels"))); err != nil {
		return nil, err
	}
	return out, r.host.Update(func(v *host.View) error {
		for _, o := range out {
			if err := voidEarlier(v, o); err != nil {
				return err
			}
			if err := putParcel(v, o.Parcel); err != nil {
				return err
			}
		}
		return nil
	})
}

// voidEarlier gives up parcels to the same site that were packed and never left.
func voidEarlier(v *host.View, o *Outgoing) error {
	for n := o.Number - 1; n > 0 && n > o.Number-100; n-- {
		p, err := outParcel(v, o.To, n)
		if err != nil {
			return err
		}
		if p.State != StatePacked {
			continue
		}
		p.State = StateVoid
		if err := putParcel(v, p); err != nil {
			return err
		}
	}
	return nil
}

// A box is a parcel in the making.
type box struct {
	plan      Plan
	stretches []stretch
	bundles   []shipment
	media     []int // by bundle
	total     int   // media
	receipt   media.Receipt
	parcel    Parcel
	label     media.Label
	resumed   bool
}

func (r *Replicator) load(ctx context.Context, plan Plan, shared bool, opts PackOptions) (*box, error) {
	b := &box{plan: plan, total: 1}
	var link host.Link
	err := r.host.View(func(v *host.View) (err error) {
		link, err = v.Link(plan.To)
		return err
	})
	if err != nil {
		return nil, err
	}
	if b.receipt, err = r.receipt(plan.To); err != nil {
		return nil, err
	}
	if b.stretches, err = r.stretches(plan, shared); err != nil {
		return nil, err
	}
	limit := r.opts.BundleBytes
	if opts.Largest > 0 {
		limit = min(limit, opts.Largest-opts.Largest/64-1<<20)
	}
	if limit < 1<<20 {
		return nil, site.NoSpace.New("a medium of %d bytes is too small for any bundle", opts.Largest)
	}
	for _, l := range plan.Loads {
		s, err := r.sealLoad(ctx, l, r.codecFor(l.Package, r.route(plan.To), link), limit)
		if err != nil {
			return nil, err
		}
		b.bundles = append(b.bundles, s...)
	}
	return b, nil
}

// assign spreads the bundles of all parcels over media: one that several need
// lies on one medium for all of them.
func assign(boxes []*box, opts PackOptions) error {
	var slots []Slot
	at := map[site.Digest]int{}
	for _, b := range boxes {
		for _, s := range b.bundles {
			if _, ok := at[s.Digest]; !ok {
				at[s.Digest] = len(slots)
				slots = append(slots, Slot{s.Digest, s.Size, s.priority, 1})
			}
		}
	}
	total := 1
	if opts.Assign != nil && len(slots) > 0 {
		var err error
		if total, err = opts.Assign(slots); err != nil {
			return err
		}
	}
	for _, b := range boxes {
		b.total = total
		for _, s := range b.bundles {
			b.media = append(b.media, slots[at[s.Digest]].Medium)
		}
	}
	return nil
}

// signature names what a plan came to: an equal one finds the same parcel.
func (b *box) signature(opts PackOptions) string {
	var s bytes.Buffer
	fmt.Fprintf(&s, "%s %d %d %q %s\n", b.plan.To, b.plan.After, b.total, opts.Marking, opts.Priority)
	fmt.Fprintf(&s, "%d %s %v %d %v\n", b.receipt.Applied, b.receipt.Label, b.receipt.Positions, b.receipt.Wants.Files, b.receipt.Wants.Digests)
	for _, t := range b.stretches {
		fmt.Fprintf(&s, "%s %d %d %d\n", t.LogID, t.Epoch, t.From, t.To)
	}
	for i, x := range b.bundles {
		fmt.Fprintf(&s, "%s %d\n", x.Digest, b.media[i])
	}
	return site.DigestOf(s.Bytes()).String()
}

// number takes the next number for each parcel, durably, before anything is
// written under it: a number leaves the site with one content or not at all. A
// parcel that was packed and not yet finished keeps its number.
func (r *Replicator) number(boxes []*box, opts PackOptions) error {
	numbers := map[site.Code]int64{}
	err := r.host.Update(func(v *host.View) error {
		for _, b := range boxes {
			link, err := v.Link(b.plan.To)
			if err != nil {
				return err
			}
			last, err := outParcel(v, b.plan.To, link.Sent)
			if err != nil {
				return err
			}
			b.resumed = last.State == StatePacked && last.Plan == b.signature(opts) && r.complete(last)
			if b.resumed {
				b.parcel = last
				continue
			}
			link.Sent = max(link.Sent, b.plan.After) + 1
			b.parcel = Parcel{From: r.host.Self, To: b.plan.To, Number: link.Sent, After: b.plan.After, Plan: b.signature(opts)}
			numbers[b.plan.To] = link.Sent
			if err := v.PutLink(b.plan.To, link); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return r.host.View(func(v *host.View) error { return r.host.RaiseSentinel(v, numbers) })
}

func (r *Replicator) labelPath(n site.ParcelName) string {
	return r.host.Path("outbox", "parcels", path.Base(media.LabelPath(n)))
}

func (r *Replicator) bodyPath(n site.ParcelName) string {
	return r.host.Path("outbox", "parcels", path.Base(media.BodyPath(n)))
}

// write seals the body and signs the label.
func (r *Replicator) write(b *box, opts PackOptions) (*Outgoing, error) {
	if !b.resumed {
		if err := r.writeNew(b, opts); err != nil {
			return nil, err
		}
	}
	msg, err := os.ReadFile(r.labelPath(b.parcel.Name()))
	if err != nil {
		return nil, err
	}
	if b.label, err = media.ReadLabel(msg); err != nil {
		return nil, err
	}
	o := &Outgoing{Parcel: b.parcel, Plan: b.plan, Header: b.label}
	n := b.parcel.Name()
	o.Files = append(o.Files,
		OutFile{media.LabelPath(n), r.labelPath(n), site.DigestOf(msg), int64(len(msg)), 0},
		OutFile{media.BodyPath(n), r.bodyPath(n), b.label.Body.Digest, b.label.Body.Size, 0})
	for _, s := range b.label.Segments {
		p := media.SegmentPath(s.Digest)
		o.Files = append(o.Files, OutFile{p, r.outbox(p), s.Digest, s.Size, 0})
	}
	for _, x := range b.label.Bundles {
		p := media.BundlePath(x.Digest, x.Codec)
		o.Files = append(o.Files, OutFile{p, r.outbox(p), x.Digest, x.Size, x.Medium})
	}
	return o, nil
}

func (r *Replicator) writeNew(b *box, opts PackOptions) error {
	prio := opts.Priority
	if prio == "" {
		prio = site.PriorityMedium
	}
	created := r.host.Now()
	b.label = media.Label{
		Hierarchy: r.host.Me.Hierarchy, From: r.host.Self, To: b.plan.To, Number: b.parcel.Number, After: b.parcel.After,
		Created: created, Needs: media.FormatVersion, Marking: opts.Marking, Priority: prio, Media: b.total,
	}
	seen := map[site.Digest]bool{}
	for _, t := range b.stretches {
		for _, s := range t.segments {
			if !seen[s.Digest] {
				b.label.Segments = append(b.label.Segments, s.File)
				seen[s.Digest] = true
			}
		}
	}
	for i, s := range b.bundles {
		if !seen[s.Digest] {
			b.label.Bundles = append(b.label.Bundles, media.Bundle{File: s.file(), Codec: s.Codec, Medium: b.media[i], Priority: s.priority})
			seen[s.Digest] = true
		}
	}
	var secret [16]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return err
	}
	body, err := r.writeBody(b, secret)
	if err != nil {
		return err
	}
	b.label.Body = body
	msg, err := b.label.Sign(r.host.Keys.Signer())
	if err != nil {
		return err
	}
	if err := host.WriteFile(r.labelPath(b.parcel.Name()), msg, 0o600); err != nil {
		return err
	}
	return r.fillRecord(b, secret, msg, prio)
}

func (r *Replicator) fillRecord(b *box, secret [16]byte, label []byte, prio site.Priority) error {
	p := &b.parcel
	p.Label, p.State, p.Priority = site.DigestOf(label), StatePacked, prio
	p.Secret, p.Confirms = hex.EncodeToString(secret[:]), b.receipt.Applied
	p.By, p.Made = host.Operator(), site.Moment(r.host.Now())
	p.Media, p.Entries = int64(b.total), b.plan.Entries
	p.Bytes = int64(len(label)) + b.label.Body.Size
	for _, s := range b.label.Segments {
		p.Bytes, p.Files = p.Bytes+s.Size, p.Files+1
		p.Bundles = append(p.Bundles, s.Digest)
	}
	for _, x := range b.label.Bundles {
		p.Bytes, p.Files = p.Bytes+x.Size, p.Files+1
		p.Bundles = append(p.Bundles, x.Digest)
	}
	for _, l := range b.plan.Loads {
		p.Loads = append(p.Loads, LoadRef{l.Package.ID, l.Package.Source, l.Generation})
	}
	return r.host.View(func(v *host.View) (err error) {
		p.Positions, err = sharedPositions(v, p.To)
		return err
	})
}

// sharedPositions returns how far the logs have come that a peer may hold or
// send. In a receipt they say what is here; in a record, what the parcel reached.
func sharedPositions(v *host.View, peer site.Code) ([]site.LogPosition, error) {
	logs, err := v.Logs()
	if err != nil {
		return nil, err
	}
	var out []site.LogPosition
	self := v.Host.Self
	for _, l := range logs {
		if v.Hier.Carries(self, peer, l.LogID) || v.Hier.Carries(peer, self, l.LogID) {
			out = append(out, l)
		}
	}
	return out, nil
}

func (r *Replicator) writeBody(b *box, secret [16]byte) (file media.File, err error) {
	to, err := r.recipient(b.plan.To)
	if err != nil {
		return file, err
	}
	f, err := os.Create(r.bodyPath(b.parcel.Name()))
	if err != nil {
		return file, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	sum := media.NewSum()
	w, err := media.SealBody(io.MultiWriter(f, sum), to)
	if err != nil {
		return file, err
	}
	if err := r.fillBody(w, b, secret); err != nil {
		return file, err
	}
	if err := w.Close(); err != nil {
		return file, err
	}
	return media.File{Digest: sum.Digest(), Size: sum.Size()}, f.Sync()
}

func (r *Replicator) fillBody(w io.Writer, b *box, secret [16]byte) error {
	bw := media.NewBodyWriter(w)
	err := bw.Head(media.BodyHead{
		Hierarchy: b.label.Hierarchy, From: b.label.From, To: b.label.To, Number: b.label.Number, After: b.label.After,
		Created: b.label.Created, Secret: secret, Receipts: r.opts.Receipts,
		Speaks: media.Speaks{Format: media.FormatVersion, Codecs: []string{string(media.XZ), string(media.Zstd)}, Deltas: []string{}},
	})
	if err != nil {
		return err
	}
	if err := bw.Receipt(b.receipt); err != nil {
		return err
	}
	for _, t := range b.stretches {
		l := media.BodyLog{LogID: t.LogID, Epoch: t.Epoch, From: t.From, Count: t.To - t.From, Checkpoint: t.checkpoint, Segments: t.segments}
		if err := bw.Log(l, r.lines(Run{t.LogID, t.Epoch, t.inline, t.To})); err != nil {
			return err
		}
	}
	for _, s := range b.bundles {
		if err := bw.Bundle(media.BodyBundle{Digest: s.Digest, Key: s.Key, Plain: s.Plain, Package: s.pkg, Source: s.source}); err != nil {
			return err
		}
	}
	return bw.Close()
}
