package replicator

import (
	"bufio"
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

	"filippo.io/age"
)

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
