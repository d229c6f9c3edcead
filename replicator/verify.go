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
			if err := in.end(v, cur); err != nil {
				return err
			}
			l, err := in.begin(v, it)
			if err != nil {
				return err
			}
			cur, in.logs = l, append(in.logs, l)
			for _, s := range it.Segments {
				if in.plain += s.Plain; in.plain > maxEntries {
					return site.Damaged.New("parcel %s holds more than %s of entries, which no site sends at once", in.a.label.Name(), site.Bytes(maxEntries)).
						In("Nothing of it was applied")
				}
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
			return in.line(v, cur, it)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return in.end(v, cur)
}

// maxEntries bounds the entries in the segments of one parcel, in bytes: they
// compress so well that a stick could fill the disk.
const maxEntries = 2 << 30

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
// they join what is held. Who signed them is settled first: what a parcel claims
// about a site is that site's word only under its own checkpoint.
func (in *incoming) open(v *host.View, b media.BodyLog) (*incomingLog, error) {
	self := in.r.host.Self
	if !in.hier.Carries(in.a.label.From, self, b.LogID) {
		return nil, site.Untrusted.New("parcel %s holds entries of %s, which %s may not send to %s", in.a.label.Name(), b.LogID, in.a.label.From, self).
			In("Nothing of it was applied")
	}
	signed, err := in.checkpoint(b)
	if err != nil {
		return nil, err
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
	l := &incomingLog{BodyLog: b, have: have, next: b.From, signed: signed, differs: -1}
	switch {
	case b.LogID.Site == self && b.Count == 0:
		l.past = true // no more than the proof of how far this site had come
		return l, nil
	case b.Epoch < have.Epoch:
		l.past = true // its author has begun anew since; whoever sent this has not heard of it
		return l, nil
	case b.Epoch == have.Epoch:
		if b.From > have.Size {
			return nil, hole(in, b, have)
		}
		l.start = head.Edge.Clone()
		if l.told, err = journal.EdgeAt(v.Tree(b.LogID), b.From); err != nil {
			return nil, err
		}
	default:
		if b.From > 0 {
			return nil, hole(in, b, have)
		}
		l.fresh = true
	}
	l.first, l.edge = l.start.Size, l.start.Clone()
	return l, nil
}

// checkpoint verifies what the log's author is said to have signed.
func (in *incoming) checkpoint(b media.BodyLog) (journal.Checkpoint, error) {
	who, name := b.LogID.Site, in.a.label.Name()
	cp, sigs, err := journal.OpenCheckpoint(b.Checkpoint, in.known.For(who))
	if err != nil {
		return cp, site.Untrusted.New("the checkpoint of %s in parcel %s is not signed by %s", b.LogID, name, who).
			In("Nothing of it was applied").Because(err)
	}
	if cp.Origin.Hierarchy != in.hier.ID || cp.Origin.LogID != b.LogID || cp.Origin.Epoch != b.Epoch {
		return cp, site.Untrusted.New("parcel %s holds a checkpoint of another log than %s", name, b.LogID).In("Nothing of it was applied")
	}
	if !believed(in.known, b.LogID, sigs, cp) {
		return cp, site.Revoked.New("the entries of %s in parcel %s are signed with a revoked key", b.LogID, name).
			In("Nothing of it was applied")
	}
	if cp.Size != b.From+b.Count {
		return cp, site.Untrusted.New("the checkpoint of %s in parcel %s is for %d entries, and the parcel goes to %d: %s left some out or added some",
			b.LogID, name, cp.Size, b.From+b.Count, in.a.label.From).In("Nothing of it was applied")
	}
	return cp, nil
}

// hole is what a parcel meets that builds on entries that are not here.
func hole(in *incoming, b media.BodyLog, have site.Position) error {
	return site.Held.New("parcel %s builds on entry %d of %s; this site has %d", in.a.label.Name(), b.From, b.LogID, have.Size).
		In("Nothing of it was applied; this site's state may be older than %s believes", in.a.label.From).
		Then("carry a medium from here to %s, or ask it for: fardel export %s --full", in.a.label.From, in.r.host.Self)
}

// line takes one entry: it must equal what is held, or extend it. Whether an
// entry that differs was really written by the log's author shows at the end,
// when all that was told comes to the root that the author signed, or does not.
func (in *incoming) line(v *host.View, l *incomingLog, line []byte) error {
	if l == nil {
		return site.Damaged.New("the body of parcel %s holds an entry of no log", in.a.label.Name())
	}
	index := l.next
	l.next++
	if l.past {
		return nil
	}
	l.told.Append(journal.LeafHash(line))
	if index < l.start.Size {
		mine, err := v.Entry(l.LogID, index)
		if err == nil && l.differs < 0 && string(mine) != string(line) {
			l.differs = index
		}
		return err
	}
	e, err := site.ParseEntry(line)
	if err != nil {
		return site.Damaged.New("parcel %s holds an entry that is malformed: %v", in.a.label.Name(), err)
	}
	if index == 0 {
		l.begin = e
	} else if e.Kind == site.KindEpoch {
		return site.Damaged.New("parcel %s begins a new epoch of %s in the middle of one", in.a.label.Name(), l.LogID)
	}
	l.edge.Append(journal.LeafHash(line))
	return nil
}

// link checks that a new epoch names a position of the old one that is held
// here. If it does not, somebody has to say that it is right.
func (in *incoming) link(v *host.View, l *incomingLog) error {
	var body site.EpochBody
	e := l.begin
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
	in.disputed = l.LogID
	return site.Conflict.New("%s begins a new epoch of %s that does not follow from what is held here", l.LogID.Site, l.LogID).
		In("Nothing of parcel %s was applied", in.a.label.Name()).
		Then("ask the administrator of %s whether the site was restored", l.LogID.Site).
		Then("fardel import --accept-epoch    if it was")
}

// fork is what a parcel meets whose author has signed another history before.
func (in *incoming) fork(l *incomingLog, index int64) error {
	who := l.LogID.Site
	in.disputed = l.LogID
	return site.Conflict.New("entry %d of %s is not the one that was received before: %s has told its history twice", index, l.LogID, who).
		In("Nothing of parcel %s was applied", in.a.label.Name()).
		Then("ask the administrator of %s whether the site was copied or restored", who)
}

// close compares what the entries come to with what their author signed.
func (in *incoming) close(v *host.View, l *incomingLog) error {
	if l == nil {
		return nil
	}
	if l.next != l.From+l.Count {
		return site.Damaged.New("parcel %s lacks entries of %s", in.a.label.Name(), l.LogID)
	}
	if l.past {
		return nil
	}
	if l.told.Root() != l.signed.Root {
		return in.notSigned(v, l)
	}
	if l.differs >= 0 {
		return in.settle(v, l)
	}
	switch {
	case l.fresh && l.Epoch > 1:
		return in.link(v, l)
	case l.fresh && l.begin.Kind == site.KindEpoch:
		return site.Damaged.New("parcel %s begins the first epoch of %s as if there had been another", in.a.label.Name(), l.LogID)
	}
	return nil
}

// notSigned says whose fault it is that a parcel's entries are not what their
// author has signed: the author's, if it signed something else than what is held
// here, and otherwise that of the sender.
func (in *incoming) notSigned(v *host.View, l *incomingLog) error {
	if l.From > 0 && l.signed.Size <= l.start.Size {
		root, err := v.RootAt(l.LogID, l.signed.Size)
		if err != nil {
			return err
		}
		if root != site.Digest(l.signed.Root) {
			return in.fork(l, l.signed.Size-1)
		}
	}
	f := site.Untrusted.New("the entries of %s in parcel %s are not those that %s signed", l.LogID, in.a.label.Name(), l.LogID.Site).
		In("Nothing of it was applied")
	if l.From > 0 {
		f = site.Untrusted.New("the entries of %s in parcel %s do not join what is held here to what %s signed", l.LogID, in.a.label.Name(), l.LogID.Site).
			In("Nothing of it was applied").
			Then("ask for all of it: fardel export %s --full    at %s", in.r.host.Self, in.a.label.From)
	}
	return f.Then("ask the administrator of %s what happened there", in.a.label.From)
}
