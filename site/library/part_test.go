package library

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"fardel/site"
)

func bring(b *Batch, whole []byte, offset, length int) error {
	r := bytes.NewReader(whole[offset : offset+length])
	return b.ReceivePart(site.DigestOf(whole), int64(len(whole)), int64(offset), r, int64(length))
}

func TestPartsOverSeveralBatches(t *testing.T) {
	dir := t.TempDir()
	whole := content(1, 4*bufferSize)
	d := site.DigestOf(whole)
	cut := 3*bufferSize - 7
	for i, p := range [][2]int{{cut, len(whole) - cut}, {100, 50}, {0, bufferSize}, {90, cut}} {
		l := newLibrary(t, dir) // each time another process
		b := l.Begin(all)
		if err := bring(b, whole, p[0], p[1]); err != nil {
			t.Fatal(err)
		}
		if l.Has(d) {
			t.Fatal("visible before Commit")
		}
		if err := b.Commit(); err != nil {
			t.Fatal(err)
		}
		if l.Has(d) != (i == 3) {
			t.Fatalf("after part %d: visible %v", i, l.Has(d))
		}
		if have, size := l.Partial(d); i < 3 && (have == 0 || size != int64(len(whole))) || i == 3 && size != 0 {
			t.Errorf("after part %d: %d of %d bytes", i, have, size)
		}
		l.Close()
	}
	if found := visible(t, newLibrary(t, dir)); found[d] != int64(len(whole)) {
		t.Errorf("visible: %v", found)
	}
}

func TestPartsOfAnAbortedBatchDoNotCount(t *testing.T) {
	l := newLibrary(t)
	const size, half = 3 * bufferSize, 2*bufferSize + 500
	whole := content(1, size)
	good := l.Begin(all)
	if err := errors.Join(bring(good, whole, 0, half), good.Commit()); err != nil {
		t.Fatal(err)
	}
	bad := l.Begin(all)
	// It overlaps what is there, and does not come to its end.
	r := io.MultiReader(strings.NewReader(strings.Repeat("x", size-1)), iotest.ErrReader(site.Damaged.New("the bundle is bad")))
	if err := bad.ReceivePart(site.DigestOf(whole), size, 0, r, size); !errors.Is(err, site.Damaged) {
		t.Fatalf("error %v", err)
	}
	bad.Abort()
	if have, _ := l.Partial(site.DigestOf(whole)); have != half {
		t.Errorf("%d bytes count", have)
	}
	rest := l.Begin(all)
	if err := errors.Join(bring(rest, whole, half, size-half), rest.Commit()); err != nil {
		t.Fatal(err)
	}
	if found := visible(t, l); len(found) != 1 {
		t.Errorf("visible: %v", found)
	}
}

func TestWrongWholeIsThrownAway(t *testing.T) {
	l := newLibrary(t)
	whole := content(1, 1000)
	forged := slices.Clone(whole)
	forged[10] ^= 1
	b := l.Begin(all)
	err := b.ReceivePart(site.DigestOf(whole), 1000, 0, bytes.NewReader(forged[:500]), 500)
	if err := errors.Join(err, b.Commit()); err != nil {
		t.Fatal(err)
	}
	b = l.Begin(all)
	if err := bring(b, whole, 500, 500); !errors.Is(err, site.Damaged) {
		t.Errorf("error %v", err)
	}
	if err := bring(b, whole, 0, 1000); err != nil {
		t.Errorf("another try in the same batch: %v", err)
	}
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	if found := visible(t, l); len(found) != 1 {
		t.Errorf("visible: %v", found)
	}
}

func TestImpossibleParts(t *testing.T) {
	whole := content(1, 1000)
	d := site.DigestOf(whole)
	for _, c := range []struct {
		name                 string
		size, offset, length int64
		bytes                int
	}{
		{"nothing", 1000, 0, 0, 0},
		{"negative offset", 1000, -1, 10, 10},
		{"negative length", 1000, 0, -10, 10},
		{"beyond the end", 1000, 995, 10, 10},
		{"overflow", 1 << 53, 1 << 53, 1 << 62, 10},
		{"absurd size", 1 << 62, 0, 10, 10},
		{"too few bytes", 1000, 0, 10, 9},
		{"too many bytes", 1000, 0, 10, 11},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newLibrary(t).Begin(all)
			defer b.Abort()
			if err := b.ReceivePart(d, c.size, c.offset, bytes.NewReader(whole[:c.bytes]), c.length); !errors.Is(err, site.Damaged) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestOneBatchAtATimeCompletesAFile(t *testing.T) {
	l := newLibrary(t)
	whole := content(1, 1000)
	a, b := l.Begin(all), l.Begin(all)
	defer b.Abort()
	if err := bring(a, whole, 0, 10); err != nil {
		t.Fatal(err)
	}
	if err := bring(b, whole, 10, 10); !errors.Is(err, site.Locked) {
		t.Errorf("error %v", err)
	}
	a.Abort()
	if err := bring(b, whole, 10, 10); err != nil {
		t.Errorf("after the other batch: %v", err)
	}
}

func TestWholeFileEndsItsParts(t *testing.T) {
	l := newLibrary(t)
	whole := content(1, 1000)
	d := site.DigestOf(whole)
	b := l.Begin(all)
	if err := errors.Join(bring(b, whole, 0, 10), b.Commit()); err != nil {
		t.Fatal(err)
	}
	b = l.Begin(all)
	if err := errors.Join(b.Receive(d, 1000, bytes.NewReader(whole)), b.Commit()); err != nil {
		t.Fatal(err)
	}
	if have, size := l.Partial(d); have != 0 || size != 0 || len(visible(t, l)) != 1 {
		t.Errorf("%d of %d bytes are kept as parts", have, size)
	}
}

// The spans must agree with a plain table of bytes.
func TestSpans(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		const size = 60
		var s spans
		var have [size]bool
		for range 1 + rng.IntN(12) {
			from := rng.IntN(size)
			to := from + 1 + rng.IntN(size-from)
			for _, gap := range s.missing(span{int64(from), int64(to)}) {
				for i := gap.from; i < gap.to; i++ {
					if have[i] {
						t.Fatalf("%v: byte %d is not missing", s, i)
					}
					have[i] = true
				}
			}
			s.add(span{int64(from), int64(to)})
			for i := range have {
				in := slices.ContainsFunc(s, func(n span) bool { return n.from <= int64(i) && int64(i) < n.to })
				if in != have[i] {
					t.Fatalf("%v: byte %d: %v, want %v", s, i, in, have[i])
				}
			}
			got, n, err := parseRanges(s.encode(size))
			if err != nil || n != size || !slices.Equal(got, s) {
				t.Fatalf("%v read back as %v, %v", s, got, err)
			}
		}
	}
}

func FuzzRanges(f *testing.F) {
	f.Add(spans{{0, 5}, {7, 9}}.encode(9))
	f.Add([]byte(rangesHead + "size 5\n0 5\n"))
	f.Add([]byte(rangesHead + "size 5\n0 05\n"))
	f.Add([]byte(rangesHead + "size 9\n0 5\n5 6\n"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, size, err := parseRanges(text)
		if err != nil {
			return
		}
		if !bytes.Equal(s.encode(size), text) {
			t.Errorf("%q has a second spelling", text)
		}
		for i, n := range s {
			if n.from < 0 || n.to > size || n.from >= n.to || i > 0 && n.from <= s[i-1].to {
				t.Errorf("%q: impossible run %v", text, n)
			}
		}
	})
}
