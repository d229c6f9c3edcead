package media

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"fardel/site"
)

func makeSegment(t testing.TB, lines [][]byte) ([]byte, Segment) {
	t.Helper()
	key, to, _ := testKey(t)
	var buf bytes.Buffer
	plain, err := WriteSegment(&buf, to, sequence(lines))
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes(), Segment{fileOfBytes(buf.Bytes()), key, 5, int64(len(lines)), plain}
}

// segmentOf seals any bytes as if they were the lines of a segment.
func segmentOf(t testing.TB, raw []byte, count int64) ([]byte, Segment) {
	t.Helper()
	key, to, _ := testKey(t)
	msg := sealedWith(t, raw, XZ, to)
	return msg, Segment{fileOfBytes(msg), key, 0, count, int64(len(raw))}
}

func readLines(r io.Reader, s Segment) (lines [][]byte, err error) {
	for line, err := range ReadSegment(r, s) {
		if err != nil {
			return lines, err
		}
		lines = append(lines, line)
	}
	return lines, nil
}

func TestSegmentRoundTrip(t *testing.T) {
	want := testEntries(t, 300, 400)
	msg, s := makeSegment(t, want)
	got, err := readLines(bytes.NewReader(msg), s)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(got, want, bytes.Equal) {
		t.Error("the entries differ")
	}
}

func TestSegmentReaderMayStop(t *testing.T) {
	msg, s := makeSegment(t, testEntries(t, 10, 10))
	n := 0
	for _, err := range ReadSegment(bytes.NewReader(msg), s) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("%d entries", n)
	}
}

func TestSegmentDamageIsAlwaysFound(t *testing.T) {
	msg, s := makeSegment(t, testEntries(t, 20, 50))
	for i := 0; i < len(msg); i += 5 {
		if _, err := readLines(bytes.NewReader(msg[:i]), s); !errors.Is(err, site.Damaged) {
			t.Fatalf("cut at %d: %v", i, err)
		}
		changed := bytes.Clone(msg)
		changed[i] ^= 1
		if _, err := readLines(bytes.NewReader(changed), s); !errors.Is(err, site.Damaged) {
			t.Fatalf("changed at %d: %v", i, err)
		}
	}
}

func TestSegmentFactsAreChecked(t *testing.T) {
	other, _, _ := testKey(t)
	tests := map[string]struct {
		spoil func(*Segment)
		class *site.Class
		cause error
	}{
		"count below": {func(s *Segment) { s.Count-- }, site.Damaged, ErrMalformed},
		"count above": {func(s *Segment) { s.Count++ }, site.Damaged, ErrMalformed},
		"plain below": {func(s *Segment) { s.Plain-- }, site.Damaged, ErrMalformed},
		"plain above": {func(s *Segment) { s.Plain++ }, site.Damaged, ErrMalformed},
		"plain limit": {func(s *Segment) { s.Plain = MaxSegmentPlain + 1 }, site.Damaged, ErrLimit},
		"size limit":  {func(s *Segment) { s.Size = MaxSegment + 1 }, site.Damaged, ErrLimit},
		"size":        {func(s *Segment) { s.Size-- }, site.Damaged, nil},
		"digest":      {func(s *Segment) { s.Digest = testDigest(1) }, site.Damaged, nil},
		"other key":   {func(s *Segment) { s.Key = other }, site.WrongKey, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			msg, s := makeSegment(t, testEntries(t, 20, 50))
			tt.spoil(&s)
			_, err := readLines(bytes.NewReader(msg), s)
			wantFault(t, err, tt.class, tt.cause)
		})
	}
}

func TestSegmentLinesAreFramed(t *testing.T) {
	tests := map[string]struct {
		raw   string
		count int64
	}{
		"empty line":       {"{\"a\":1}\n\n{\"b\":1}\n", 3},
		"no last line end": {"{\"a\":1}\n{\"b\":1}", 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			msg, s := segmentOf(t, []byte(tt.raw), tt.count)
			_, err := readLines(bytes.NewReader(msg), s)
			wantFault(t, err, site.Damaged, ErrMalformed)
		})
	}
	t.Run("long entry", func(t *testing.T) {
		msg, s := segmentOf(t, append(bytes.Repeat([]byte("x"), site.MaxEntry+1), '\n'), 1)
		_, err := readLines(bytes.NewReader(msg), s)
		wantFault(t, err, site.Damaged, ErrLimit)
	})
	t.Run("longest entry", func(t *testing.T) {
		msg, s := segmentOf(t, append(bytes.Repeat([]byte("x"), site.MaxEntry), '\n'), 1)
		if lines, err := readLines(bytes.NewReader(msg), s); err != nil || len(lines[0]) != site.MaxEntry {
			t.Error(err)
		}
	})
}

func TestSegmentWriterRefuses(t *testing.T) {
	_, to, _ := testKey(t)
	tests := map[string][][]byte{
		"nothing":    nil,
		"empty line": {nil},
		"line end":   {[]byte("{\n}")},
		"too long":   {bytes.Repeat([]byte("x"), site.MaxEntry+1)},
	}
	for name, lines := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := WriteSegment(io.Discard, to, sequence(lines)); err == nil {
				t.Error("no error")
			}
		})
	}
	t.Run("source fails", func(t *testing.T) {
		disk := errors.New("disk")
		_, err := WriteSegment(io.Discard, to, func(yield func([]byte, error) bool) { yield(nil, disk) })
		if !errors.Is(err, disk) {
			t.Error(err)
		}
	})
}

// FuzzSegment gives the reader any lines under a good seal; what it accepts must
// be the lines again.
func FuzzSegment(f *testing.F) {
	f.Add([]byte("{\"a\":1}\n{\"b\":1}\n"), int64(2))
	f.Add([]byte("\n"), int64(1))
	f.Fuzz(func(t *testing.T, raw []byte, count int64) {
		msg, s := segmentOf(t, raw, count)
		lines, err := readLines(bytes.NewReader(msg), s)
		if err != nil {
			return
		}
		if again := append(bytes.Join(lines, []byte("\n")), '\n'); !bytes.Equal(again, raw) || int64(len(lines)) != count {
			t.Fatalf("read %q, wrote %q", raw, again)
		}
	})
}
