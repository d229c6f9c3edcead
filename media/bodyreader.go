package media

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"fardel/site"
)

// OpenBody returns a reader of a body's lines, to be given to [NewBodyReader].
// It returns io.EOF only after the end of xz and of age was found right. The
// digest of the body file is not checked here: the file is staged before it is
// opened, and checked there.
//
// A body of more than maxPlain bytes is refused when it goes beyond them; values
// outside 1 to [MaxBodyPlain] mean that. Close gives memory back and does not
// close r.
func OpenBody(r io.Reader, ids []age.Identity, maxPlain int64) (io.ReadCloser, error) {
	if maxPlain < 1 || maxPlain > MaxBodyPlain {
		maxPlain = MaxBodyPlain
	}
	in, err := openCodec(&capped{r: r, left: MaxBody, what: "the body"}, XZ, ids...)
	if err != nil {
		return nil, err
	}
	plain := &capped{r: in, left: maxPlain, what: "the body, unpacked,"}
	return struct {
		io.Reader
		io.Closer
	}{plain, in}, nil
}

// A BodyReader reads the lines of a body, strictly and one at a time.
type BodyReader struct {
	r     *bufio.Reader
	long  []byte // a line that is longer than the reader's buffer
	order order
	lines int64
	err   error
}

// NewBodyReader returns a reader of plain lines, such as [OpenBody] gives.
func NewBodyReader(r io.Reader) *BodyReader {
	return &BodyReader{r: bufio.NewReaderSize(r, 64<<10)} // most bodies are smaller than their longest line may be
}

// Next returns the next item: [BodyHead], [Receipt], [BodyLog], [BodyLine] or
// [BodyBundle], in this order. It returns io.EOF only after a correct last line
// with nothing behind it; until then nothing may be acted on. Items are the
// caller's to keep.
func (b *BodyReader) Next() (BodyItem, error) {
	if b.err != nil {
		return nil, b.err
	}
	it, err := b.next()
	b.err = err
	return it, err
}

func (b *BodyReader) next() (BodyItem, error) {
	line, err := b.readLine()
	if err == bufio.ErrBufferFull {
		return nil, beyond("line %d of the body has more than %d bytes", b.lines+1, MaxBodyLine)
	}
	if err == io.EOF {
		return nil, malformed("the body ends too early")
	}
	if err != nil {
		return nil, err
	}
	line = line[:len(line)-1]
	it, err := b.parse(line)
	if err == io.EOF {
		return nil, b.end()
	}
	if err == nil {
		err = b.order.next(it)
	}
	b.lines++
	if _, ok := errors.AsType[*site.Fault](err); err != nil && !ok {
		err = malformed("line %d of the body is malformed: %s", b.lines, err)
	}
	if err != nil {
		return nil, err
	}
	return it, nil
}

// readLine returns the next line with its end. It is valid until the next call.
func (b *BodyReader) readLine() ([]byte, error) {
	line, err := b.r.ReadSlice('\n')
	if err != bufio.ErrBufferFull {
		return line, err
	}
	b.long = append(b.long[:0], line...)
	for err == bufio.ErrBufferFull && len(b.long) <= MaxBodyLine {
		line, err = b.r.ReadSlice('\n')
		b.long = append(b.long, line...)
	}
	if len(b.long) > MaxBodyLine {
		return nil, bufio.ErrBufferFull
	}
	return b.long, err
}

// end is called with the last line read, and returns io.EOF if all is well.
func (b *BodyReader) end() error {
	if err := b.order.end(); err != nil {
		return malformed("the body is malformed: %s", err)
	}
	if err := atEnd(b.r, "the body"); err != nil {
		return err
	}
	return io.EOF
}

// parse reads one line; the end line gives io.EOF. What a line is follows from
// where it stands for entries, and from its one key for all others.
func (b *BodyReader) parse(line []byte) (BodyItem, error) {
	if b.order.lines > 0 {
		entry := BodyLine(bytes.Clone(line))
		return entry, entry.check()
	}
	switch {
	case b.order.stage == stageStart:
		return parseHead(line)
	case bytes.HasPrefix(line, []byte(`{"receipt":`)):
		return parseReceipt(line)
	case bytes.HasPrefix(line, []byte(`{"log":`)):
		return parseLog(line)
	case bytes.HasPrefix(line, []byte(`{"bundle":`)):
		return parseBodyBundle(line)
	case bytes.HasPrefix(line, []byte(`{"end":`)):
		return nil, parseEnd(line, b.lines)
	}
	return nil, errors.New("a line of an unknown kind")
}

func parseEnd(line []byte, lines int64) error {
	var w endLine
	if err := site.DecodeCanonical(line, &w); err != nil {
		return err
	}
	if w.End != lines {
		return fmt.Errorf("it counts %d lines; there are %d", w.End, lines)
	}
	return io.EOF
}

func parseHead(line []byte) (BodyItem, error) {
	var version struct {
		Body int64 `json:"body"`
	}
	// A later version may have other fields, so its number is looked at first.
	if site.IsCanonical(line) && json.Unmarshal(line, &version) == nil && version.Body > FormatVersion {
		return nil, site.TooNew.New("a body of version %d; this fardel knows %d", version.Body, FormatVersion)
	}
	var w headLine
	if err := site.DecodeCanonical(line, &w); err != nil {
		return nil, err
	}
	created, err := site.ParseTime(w.Created)
	if err != nil {
		return nil, err
	}
	h := BodyHead{
		Hierarchy: w.Hierarchy, From: w.From, To: w.To, Number: w.Number, After: w.After,
		Created: created, Speaks: w.Speaks, Receipts: w.Receipts,
	}
	if len(w.Secret) != 2*len(h.Secret) {
		return nil, errors.New("a secret of the wrong length")
	}
	if _, err := hex.Decode(h.Secret[:], []byte(w.Secret)); err != nil {
		return nil, errors.New("a secret that is not hexadecimal")
	}
	return accept(line, h, h.check(), h.encode)
}

func parseReceipt(line []byte) (BodyItem, error) {
	var w receiptLine
	if err := site.DecodeCanonical(line, &w); err != nil {
		return nil, err
	}
	r := Receipt{Applied: w.Receipt.Applied, Positions: w.Receipt.Positions, Wants: w.Receipt.Wants}
	if w.Receipt.Label != "" {
		var err error
		if r.Label, err = site.ParseDigest(w.Receipt.Label); err != nil {
			return nil, err
		}
	}
	return accept(line, r, r.check(), r.encode)
}

func parseLog(line []byte) (BodyItem, error) {
	var w logLine
	if err := site.DecodeCanonical(line, &w); err != nil {
		return nil, err
	}
	l := BodyLog{
		LogID: w.Log.LogID, Epoch: w.Log.Epoch, From: w.Log.From, Count: w.Log.Count,
		Checkpoint: []byte(w.Log.Checkpoint),
	}
	for _, s := range w.Log.Segments {
		l.Segments = append(l.Segments, Segment{File{s.Digest, s.Size}, s.Key, s.From, s.Count, s.Plain})
	}
	return accept(line, l, l.check(), l.encode)
}

func parseBodyBundle(line []byte) (BodyItem, error) {
	var w bundleLine
	if err := site.DecodeCanonical(line, &w); err != nil {
		return nil, err
	}
	b := BodyBundle{w.Bundle.Digest, w.Bundle.Key, w.Bundle.Plain, w.Bundle.Package, w.Bundle.Source}
	return accept(line, b, b.check(), b.encode)
}

// accept returns the item if it is valid and spells the line again.
func accept(line []byte, it BodyItem, invalid error, encode func() ([]byte, error)) (BodyItem, error) {
	if invalid != nil {
		return nil, invalid
	}
	again, err := encode()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, line) {
		return nil, errors.New("not in its one legal spelling")
	}
	return it, nil
}
