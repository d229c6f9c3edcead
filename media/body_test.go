package media

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"fardel/site"
)

const testSecret = "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ"

func testHead() BodyHead {
	return BodyHead{
		Hierarchy: testHierarchy, From: "HQ0", To: "FLD", Number: 42, After: 41, Created: testTime,
		Secret: [16]byte{1, 2, 3}, Speaks: Speaks{1, []string{"xz", "zstd"}, []string{}}, Receipts: "medium",
	}
}

func testReceipt() Receipt {
	return Receipt{
		Applied: 7, Label: testDigest(1),
		Positions: []LogPosition{
			{LogID: site.LogID{Site: "FLD", Log: site.Decisions}, Position: site.Position{Epoch: 1, Size: 3, Root: testDigest(2)}},
			{LogID: site.LogID{Site: "FLD", Log: site.Observations}, Position: site.Position{Epoch: 2, Size: 9, Root: testDigest(3)}},
		},
		Wants: Wants{2, []site.Digest{testDigest(4)}},
	}
}

func testLog(segments ...Segment) BodyLog {
	l := BodyLog{
		LogID: site.LogID{Site: "HQ0", Log: site.Decisions}, Epoch: 1, From: 10, Count: 2,
		Checkpoint: []byte("fardel/abc\n2\nroot\n\n— sig\n"), Segments: segments,
	}
	for _, s := range segments {
		l.Count += s.Count
	}
	return l
}

func testBodyBundle(n byte) BodyBundle {
	return BodyBundle{testDigest(n), testSecret, 2048, "HQ000001", 3}
}

// writeTestBody writes a body with everything in it.
func writeTestBody(t testing.TB, w io.Writer) *BodyWriter {
	t.Helper()
	b := NewBodyWriter(w)
	segment := Segment{File{testDigest(5), 100}, testSecret, 10, 50, 1000}
	steps := []error{
		b.Head(testHead()),
		b.Receipt(testReceipt()),
		b.Log(testLog(segment), sequence(testEntries(t, 2, 20))),
		b.Bundle(testBodyBundle(6)),
		b.Bundle(testBodyBundle(7)),
		b.Close(),
	}
	for i, err := range steps {
		if err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
	return b
}

func testBodyLines(t testing.TB) []string {
	t.Helper()
	var buf bytes.Buffer
	writeTestBody(t, &buf)
	lines := strings.SplitAfter(buf.String(), "\n")
	return lines[:len(lines)-1]
}

func readBody(r io.Reader) (items []BodyItem, err error) {
	b := NewBodyReader(r)
	for {
		it, err := b.Next()
		if err == io.EOF {
			return items, nil
		}
		if err != nil {
			return items, err
		}
		items = append(items, it)
	}
}

func TestBodyRoundTrip(t *testing.T) {
	var buf bytes.Buffer
	w := writeTestBody(t, &buf)
	if w.Plain() != int64(buf.Len()) {
		t.Errorf("plain %d, want %d", w.Plain(), buf.Len())
	}
	got, err := readBody(bytes.NewReader(buf.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	entries := testEntries(t, 2, 20)
	want := []BodyItem{
		testHead(), testReceipt(), testLog(Segment{File{testDigest(5), 100}, testSecret, 10, 50, 1000}),
		BodyLine(entries[0]), BodyLine(entries[1]), testBodyBundle(6), testBodyBundle(7),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestSmallestBody(t *testing.T) {
	var buf bytes.Buffer
	b := NewBodyWriter(&buf)
	h := testHead()
	h.Speaks, h.Receipts = Speaks{Format: 1}, ""
	for _, err := range []error{b.Head(h), b.Receipt(Receipt{}), b.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := `{"after":41,"body":1,"created":"2026-03-04T05:06:07Z","from":"HQ0","hierarchy":"abcdefghij234567","number":42,"receipts":"","secret":"01020300000000000000000000000000","speaks":{"codecs":[],"deltas":[],"format":1},"to":"FLD"}
{"receipt":{"applied":0,"label":"","positions":[],"wants":{"digests":[],"files":0}}}
{"end":2}
`
	if buf.String() != want {
		t.Errorf("got\n%s", buf.String())
	}
	if items, err := readBody(&buf); err != nil || len(items) != 2 {
		t.Errorf("%v, %v", items, err)
	}
}

func TestSealedBodyRoundTrip(t *testing.T) {
	_, to, id := testKey(t)
	var buf bytes.Buffer
	seal, err := SealBody(&buf, to)
	if err != nil {
		t.Fatal(err)
	}
	w := writeTestBody(t, seal)
	if err := seal.Close(); err != nil {
		t.Fatal(err)
	}
	read := func(msg []byte, maxPlain int64) error {
		in, err := OpenBody(bytes.NewReader(msg), ids(id), maxPlain)
		if err != nil {
			return err
		}
		defer in.Close()
		_, err = readBody(in)
		return err
	}
	if err := read(buf.Bytes(), w.Plain()); err != nil {
		t.Fatal(err)
	}
	wantFault(t, read(buf.Bytes(), w.Plain()-1), site.Damaged, ErrLimit)
	for i := 0; i < buf.Len(); i += 7 {
		if err := read(buf.Bytes()[:i], 0); !errors.Is(err, site.Damaged) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
	_, err = OpenBody(bytes.NewReader(buf.Bytes()), ids(second(testKey(t))), 0)
	wantFault(t, err, site.WrongKey, nil)
}

func TestBodyAgrees(t *testing.T) {
	if err := testHead().Agrees(testLabel()); err != nil {
		t.Fatal(err)
	}
	tests := map[string]func(*Label){
		"hierarchy": func(l *Label) { l.Hierarchy = "bbcdefghij234567" },
		"from":      func(l *Label) { l.From = "SEA" },
		"to":        func(l *Label) { l.To = "SEA" },
		"number":    func(l *Label) { l.Number++ },
		"after":     func(l *Label) { l.After-- },
		"created":   func(l *Label) { l.Created = l.Created.Add(1e9) },
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			l := testLabel()
			spoil(&l)
			wantFault(t, testHead().Agrees(l), site.Damaged, ErrMalformed)
		})
	}
}

// Each test spoils the lines of a good body: 0 head, 1 receipt, 2 log, 3 and 4
// entries, 5 and 6 bundles, 7 end.
func TestBodyIsStrict(t *testing.T) {
	good := testBodyLines(t)
	replace := func(i int, old, new string) func([]string) []string {
		return func(l []string) []string {
			if !strings.Contains(l[i], old) {
				t.Fatalf("line %d has no %s", i, old)
			}
			l[i] = strings.Replace(l[i], old, new, 1)
			return l
		}
	}
	drop := func(i int) func([]string) []string {
		return func(l []string) []string { return append(l[:i], l[i+1:]...) }
	}
	swap := func(i, j int) func([]string) []string {
		return func(l []string) []string { l[i], l[j] = l[j], l[i]; return l }
	}
	tests := map[string]func([]string) []string{
		"no head":            drop(0),
		"no receipt":         drop(1),
		"no end":             drop(7),
		"an entry too few":   drop(3),
		"bundle before log":  swap(2, 5),
		"receipt first":      swap(0, 1),
		"two receipts":       func(l []string) []string { return append(l[:2:2], l[1:]...) },
		"two heads":          func(l []string) []string { return append(l[:1:1], l...) },
		"log twice":          func(l []string) []string { return append(l[:5:5], l[2:]...) },
		"bundle twice":       func(l []string) []string { l[6] = l[5]; return l },
		"bundle is segment":  func(l []string) []string { l[5] = replaceDigest(l[5], testDigest(6), testDigest(5)); return l },
		"count wrong":        replace(7, "7", "8"),
		"after the end":      func(l []string) []string { return append(l, "\n") },
		"no line end":        replace(7, "\n", ""),
		"crlf":               replace(0, "\n", "\r\n"),
		"unknown field":      replace(0, `"body":1`, `"body":1,"bodz":1`),
		"head site":          replace(0, `"to":"FLD"`, `"to":"HQ0"`),
		"head after":         replace(0, `"after":41`, `"after":42`),
		"head format":        replace(0, `"format":1`, `"format":0`),
		"head codec":         replace(0, `"xz"`, `"x z"`),
		"head receipts":      replace(0, `"medium"`, `"Medium"`),
		"receipt label":      replace(1, `"label":"4bf5`, `"label":"4BF5`),
		"end negative":       replace(7, "7", "-7"),
		"body 0":             replace(0, `"body":1`, `"body":0`),
		"key order":          replace(7, `{"end":7}`, `{"end":7, }`),
		"null list":          replace(0, `"deltas":[]`, `"deltas":null`),
		"secret upper case":  replace(0, `"secret":"010203`, `"secret":"0102A3`),
		"secret short":       replace(0, `"secret":"010203`, `"secret":"0102`),
		"time":               replace(0, "05:06:07Z", "05:06:07+00:00"),
		"wants":              replace(1, `"files":2`, `"files":0`),
		"wants negative":     replace(1, `"files":2`, `"files":-1`),
		"label without 7":    replace(1, `"applied":7`, `"applied":0`),
		"positions unsorted": replace(1, `"observations"`, `"decisions"`),
		"position epoch 0":   replace(1, `"epoch":1`, `"epoch":0`),
		"log name":           replace(2, `"decisions"`, `"decision"`),
		"count above":        replace(2, `"count":52`, `"count":53`),
		"count below":        replace(2, `"count":52`, `"count":49`),
		"segment hole":       replace(2, `"from":10,"key"`, `"from":11,"key"`),
		"segment key":        replace(2, `AGE-SECRET`, `AGE-PLUGIN`),
		"segment empty":      replace(2, `"count":50`, `"count":0`),
		"no checkpoint":      replace(2, `"checkpoint":"fardel/abc\u000a2\u000aroot\u000a\u000a— sig\u000a"`, `"checkpoint":""`),
		"entry":              replace(3, `"kind":"alarm"`, `"kind":"Alarm"`),
		"entry blank":        func(l []string) []string { l[3] = "\n"; return l },
		"package":            replace(5, `HQ000001`, `hq000001`),
		"source":             replace(5, `"source":3`, `"source":0`),
		"plain":              replace(5, `"plain":2048`, `"plain":2047`),
		"unknown line":       func(l []string) []string { l[5] = "{\"parity\":{}}\n"; return l },
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			lines := spoil(append([]string(nil), good...))
			_, err := readBody(strings.NewReader(strings.Join(lines, "")))
			wantFault(t, err, site.Damaged, ErrMalformed)
		})
	}
}

func replaceDigest(line string, old, new site.Digest) string {
	return strings.Replace(line, old.String(), new.String(), 1)
}

func TestBodyOfALaterVersion(t *testing.T) {
	_, err := readBody(strings.NewReader(`{"body":2,"news":true}` + "\n"))
	wantFault(t, err, site.TooNew, nil)
}

func TestBodyLimits(t *testing.T) {
	lines := testBodyLines(t)
	_, err := readBody(strings.NewReader(lines[0] + `{"receipt":"` + strings.Repeat("x", MaxBodyLine) + "\"}\n"))
	wantFault(t, err, site.Damaged, ErrLimit)

	entry := strings.Repeat("x", site.MaxEntry+1) + "\n"
	_, err = readBody(strings.NewReader(strings.Join(lines[:3], "") + entry))
	wantFault(t, err, site.Damaged, ErrLimit)

	long := NewBodyWriter(io.Discard)
	if err := long.Head(testHead()); err != nil {
		t.Fatal(err)
	}
	many := Wants{Files: 40_000, Digests: make([]site.Digest, 40_000)}
	wantFault(t, long.Receipt(Receipt{Wants: many}), site.Damaged, ErrLimit)

	full := NewBodyWriter(io.Discard)
	full.plain = MaxBodyPlain
	wantFault(t, full.Head(testHead()), site.Damaged, ErrLimit)

	large := testLog(Segment{File{testDigest(5), MaxSegment + 1}, testSecret, 10, 50, 1000})
	b := NewBodyWriter(io.Discard)
	if err := errors.Join(b.Head(testHead()), b.Receipt(testReceipt())); err != nil {
		t.Fatal(err)
	}
	wantFault(t, b.Log(large, nil), site.Damaged, ErrLimit)
}

func TestBodyWriterKeepsOrder(t *testing.T) {
	fresh := func() *BodyWriter {
		b := NewBodyWriter(io.Discard)
		if err := errors.Join(b.Head(testHead()), b.Receipt(testReceipt())); err != nil {
			t.Fatal(err)
		}
		return b
	}
	entries := testEntries(t, 3, 5)
	tests := map[string]func() error{
		"receipt first": func() error { return NewBodyWriter(io.Discard).Receipt(testReceipt()) },
		"empty":         func() error { return NewBodyWriter(io.Discard).Close() },
		"head twice":    func() error { return fresh().Head(testHead()) },
		"few entries":   func() error { return fresh().Log(testLog(), sequence(entries[:1])) },
		"many entries":  func() error { return fresh().Log(testLog(), sequence(entries)) },
		"log after bundle": func() error {
			b := fresh()
			if err := b.Bundle(testBodyBundle(1)); err != nil {
				t.Fatal(err)
			}
			return b.Log(testLog(), sequence(entries[:2]))
		},
		"after close": func() error {
			b := fresh()
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			return b.Bundle(testBodyBundle(1))
		},
		"source of entries fails": func() error {
			return fresh().Log(testLog(), func(yield func([]byte, error) bool) { yield(nil, errors.New("disk")) })
		},
	}
	for name, try := range tests {
		t.Run(name, func(t *testing.T) {
			if err := try(); err == nil {
				t.Error("no error")
			}
		})
	}
}

// FuzzBody gives the reader any lines; what it accepts must be written again
// to the same bytes.
func FuzzBody(f *testing.F) {
	f.Add([]byte(strings.Join(testBodyLines(f), "")))
	f.Fuzz(func(t *testing.T, raw []byte) {
		items, err := readBody(bytes.NewReader(raw))
		if err != nil {
			return
		}
		var buf bytes.Buffer
		if err := writeItems(NewBodyWriter(&buf), items); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(buf.Bytes(), raw) {
			t.Fatalf("read %q, wrote %q", raw, buf.Bytes())
		}
	})
}

func writeItems(b *BodyWriter, items []BodyItem) error {
	for i := 0; i < len(items); i++ {
		var err error
		switch it := items[i].(type) {
		case BodyHead:
			err = b.Head(it)
		case Receipt:
			err = b.Receipt(it)
		case BodyBundle:
			err = b.Bundle(it)
		case BodyLog:
			var lines [][]byte
			for range it.Lines() {
				i++
				lines = append(lines, items[i].(BodyLine))
			}
			err = b.Log(it, sequence(lines))
		}
		if err != nil {
			return err
		}
	}
	return b.Close()
}
