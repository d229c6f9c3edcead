package media

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"

	"filippo.io/age"

	"fardel/site"
)

// SealBody returns a writer onto which a body's lines are written, compressed
// with xz and sealed to the recipient. The body is whole only after Close, which
// does not close w.
func SealBody(w io.Writer, to age.Recipient) (io.WriteCloser, error) {
	return sealCodec(w, XZ, to, codecWorkers)
}

// A BodyWriter writes the lines of a body. Its methods are called in the order
// of the format: Head, Receipt, Log for each log in order of site and name,
// Bundle for each bundle, Close. It refuses what a [BodyReader] would refuse.
type BodyWriter struct {
	w     *bufio.Writer
	order order
	lines int64
	plain int64
	err   error
}

// NewBodyWriter returns a writer of plain lines onto w.
func NewBodyWriter(w io.Writer) *BodyWriter { return &BodyWriter{w: bufio.NewWriterSize(w, 64<<10)} }

// Head writes the first line.
func (b *BodyWriter) Head(h BodyHead) error { return b.item(h, h.check(), h.encode) }

// Receipt writes the second line.
func (b *BodyWriter) Receipt(r Receipt) error { return b.item(r, r.check(), r.encode) }

// Bundle writes how to open one bundle of the label.
func (b *BodyWriter) Bundle(u BodyBundle) error { return b.item(u, u.check(), u.encode) }

// Log writes a log's line and the entries that stand in no segment: exactly
// [BodyLog.Lines] of them. lines may be nil if there are none.
func (b *BodyWriter) Log(l BodyLog, lines iter.Seq2[[]byte, error]) error {
	if err := b.item(l, l.check(), l.encode); err != nil {
		return err
	}
	if lines == nil {
		lines = func(func([]byte, error) bool) {}
	}
	for line, err := range lines {
		if err != nil {
			return b.fail(err)
		}
		entry := BodyLine(line)
		if err := b.item(entry, entry.check(), func() ([]byte, error) { return line, nil }); err != nil {
			return err
		}
	}
	if b.order.lines > 0 {
		return b.fail(fmt.Errorf("body: log %s lacks %d entries", l.LogID, b.order.lines))
	}
	return nil
}

// Plain returns how many bytes were written so far.
func (b *BodyWriter) Plain() int64 { return b.plain }

// Close writes the last line. It does not close the writer below.
func (b *BodyWriter) Close() error {
	if b.err != nil {
		return b.err
	}
	if err := b.order.end(); err != nil {
		return b.fail(err)
	}
	line, err := site.Canonical(endLine{b.lines})
	if err != nil {
		return b.fail(err)
	}
	if err := b.put(line); err != nil {
		return err
	}
	if err := b.w.Flush(); err != nil {
		return b.fail(err)
	}
	b.err = errors.New("body: closed")
	return nil
}

func (b *BodyWriter) item(it BodyItem, invalid error, encode func() ([]byte, error)) error {
	if b.err != nil {
		return b.err
	}
	if invalid != nil {
		return b.fail(invalid)
	}
	if err := b.order.next(it); err != nil {
		return b.fail(err)
	}
	line, err := encode()
	if err != nil {
		return b.fail(err)
	}
	return b.put(line)
}

func (b *BodyWriter) put(line []byte) error {
	if len(line) >= MaxBodyLine {
		return b.fail(beyond("a line of a body would have %d bytes; the limit is %d", len(line)+1, MaxBodyLine))
	}
	if b.plain += int64(len(line)) + 1; b.plain > MaxBodyPlain {
		return b.fail(beyond("the body would have more than %d bytes", MaxBodyPlain))
	}
	b.lines++
	b.w.Write(line) // the first error sticks and comes out of Flush
	if err := b.w.WriteByte('\n'); err != nil {
		return b.fail(err)
	}
	return nil
}

func (b *BodyWriter) fail(err error) error {
	b.err = err
	return err
}

// order holds the rules of which item may follow which. Writer and reader share
// it, so that they cannot disagree.
type order struct {
	stage stage
	log   site.LogID // the last log
	lines int64      // entries of it still to come
	seen  map[site.Digest]bool
}

type stage int

const (
	stageStart stage = iota
	stageHead
	stageLogs // after the receipt
	stageBundles
)

// next takes note of an item, or returns an error if it may not come now.
func (o *order) next(it BodyItem) error {
	if _, ok := it.(BodyLine); ok != (o.lines > 0) {
		return errors.New("more or fewer entries than the log's line says")
	}
	ok := false
	switch it := it.(type) {
	case BodyHead:
		ok = o.stage == stageStart
		o.stage = stageHead
	case Receipt:
		ok = o.stage == stageHead
		o.stage = stageLogs
	case BodyLog:
		ok = o.stage == stageLogs && (o.log == site.LogID{} || before(o.log, it.LogID))
		for _, s := range it.Segments {
			ok = o.first(s.Digest) && ok
		}
		o.log, o.lines = it.LogID, it.Lines()
	case BodyLine:
		ok = true
		o.lines--
	case BodyBundle:
		ok = o.stage >= stageLogs && o.first(it.Digest)
		o.stage = stageBundles
	}
	if !ok {
		return errors.New("a line is out of its order, or stands twice")
	}
	return nil
}

// first reports whether the file was not named before.
func (o *order) first(d site.Digest) bool {
	if o.seen == nil {
		o.seen = map[site.Digest]bool{}
	}
	if o.seen[d] {
		return false
	}
	o.seen[d] = true
	return true
}

// end returns an error if the body may not end now.
func (o *order) end() error {
	if o.stage < stageLogs || o.lines > 0 {
		return errors.New("the body is not complete")
	}
	return nil
}
