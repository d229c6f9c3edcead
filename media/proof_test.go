package media

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"fardel/site"
)

// prove writes items into a proved bundle on w and closes it, whatever happens.
func prove(t *testing.T, w io.Writer, c Codec, items ...content) (key string, plain int64, err error) {
	t.Helper()
	key, to, _ := testKey(t)
	b, err := NewProvedBundle(w, c, key, to, 2)
	if err != nil {
		return key, 0, err
	}
	for _, it := range items {
		if err = b.Add(it.it, bytes.NewReader(it.data)); err != nil {
			break
		}
	}
	plain, proved := b.Close()
	if err == nil {
		err = proved
	}
	return key, plain, err
}

func wholeOf(data []byte) content {
	n := int64(len(data))
	return content{Item{Kind: Whole, Digest: site.DigestOf(data), Size: n, Length: n}, data}
}

// A proved bundle is an ordinary one: the reader finds in it what went in.
func TestProvedBundle(t *testing.T) {
	for _, c := range []Codec{XZ, Zstd} {
		items := []content{wholeOf([]byte("short")), wholeOf(noise(5 << 20)), wholeOf(nil), wholeOf(bytes.Repeat([]byte("long "), 1<<20))}
		var buf bytes.Buffer
		key, plain, err := prove(t, &buf, c, items...)
		if err != nil {
			t.Fatalf("%s: %v", c, err)
		}
		got, err := readAll(OpenBundle(bytes.NewReader(buf.Bytes()), fileOfBytes(buf.Bytes()), c, key, plain))
		if err != nil || len(got) != len(items) {
			t.Fatalf("%s: %d items, %v", c, len(got), err)
		}
		for i := range got {
			if got[i].it != items[i].it || !bytes.Equal(got[i].data, items[i].data) {
				t.Errorf("%s: item %d differs", c, i)
			}
		}
	}
}

// A file that is not what its digest says does not get through, wherever in the
// bundle it stands.
func TestProvedBundleOfWrongFile(t *testing.T) {
	wrong := wholeOf(noise(1000))
	wrong.it.Digest = site.DigestOf([]byte("something else"))
	big := wholeOf(noise(9 << 20))
	for name, items := range map[string][]content{
		"alone": {wrong}, "first": {wrong, big}, "last": {big, wrong},
		"short": {{wrong.it, wrong.data[:999]}},
	} {
		if _, _, err := prove(t, io.Discard, Zstd, items...); !errors.Is(err, site.Damaged) {
			t.Errorf("%s: %v, want %v", name, err, site.Damaged)
		}
	}
}

// An error of the disk is what the caller gets to hear, and nobody waits for
// bytes that do not come.
func TestProvedBundleOnFullDisk(t *testing.T) {
	for _, room := range []int{0, 100, 1 << 20, 6 << 20} {
		if _, _, err := prove(t, &full{room}, Zstd, wholeOf(noise(9<<20))); !errors.Is(err, errFull) {
			t.Errorf("%v, want %v", err, errFull)
		}
	}
}

// liar gives other bytes than those that were written to whoever comes after it.
type liar struct{ io.Writer }

func (l liar) Write(p []byte) (int, error) {
	q := bytes.Clone(p)
	q[len(q)/2] ^= 1
	_, err := l.Writer.Write(q)
	return len(p), err
}

// What is proved is what came out of the sealing: bytes that a bad memory has
// turned since are not a bundle.
func TestProofRefusesChangedBytes(t *testing.T) {
	key, to, id := testKey(t)
	p := startProof(Zstd, id)
	b, err := NewBundleWriter(liar{p}, Zstd, to, 1)
	if err != nil {
		t.Fatal(err)
	}
	it := wholeOf(noise(1 << 20))
	if err := b.Add(it.it, bytes.NewReader(it.data)); err != nil {
		t.Fatal(err)
	}
	plain, err := b.Close()
	if err = p.finish(plain, err); !errors.Is(err, site.Damaged) && !errors.Is(err, site.WrongKey) {
		t.Fatalf("%v, want %v", err, site.Damaged)
	}
	if strings.Contains(err.Error(), key) {
		t.Error("the fault tells the key")
	}
}

// A whole bundle, with all that stands between a file and a medium: what an
// export does with it, and what an import does.
func BenchmarkBundle(b *testing.B) {
	for name, it := range map[string]content{"prose": wholeOf(prose(64 << 20)), "noise": wholeOf(noise(64 << 20))} {
		key, to, _ := testKey(b)
		var buf bytes.Buffer
		sum := NewSum()
		var plain int64
		write := func(b *testing.B) {
			buf.Reset()
			*sum = *NewSum()
			w, err := NewProvedBundle(io.MultiWriter(&buf, sum), Zstd, key, to, 2)
			if err == nil {
				err = w.Add(it.it, bytes.NewReader(it.data))
			}
			if err != nil {
				b.Fatal(err)
			}
			if plain, err = w.Close(); err != nil {
				b.Fatal(err)
			}
		}
		write(b)
		b.Run("write/"+name, func(b *testing.B) {
			b.SetBytes(it.it.Size)
			for b.Loop() {
				write(b)
			}
		})
		b.Run("read/"+name, func(b *testing.B) {
			b.SetBytes(it.it.Size)
			for b.Loop() {
				r, err := OpenBundle(bytes.NewReader(buf.Bytes()), File{sum.Digest(), sum.Size()}, Zstd, key, plain)
				if err == nil {
					_, _, err = r.Next()
				}
				if err == nil {
					_, _, err = r.Next()
				}
				if err != io.EOF {
					b.Fatal(err)
				}
				r.Close()
			}
		})
	}
}

// Who compares the digests of files himself gets them unchecked; the bundle as
// such is checked all the same.
func TestLeaveDigests(t *testing.T) {
	wrong := wholeOf([]byte("some bytes"))
	wrong.it.Digest = site.DigestOf([]byte("other bytes"))
	var buf bytes.Buffer
	key, _, err := prove(t, &buf, Zstd, wrong)
	if !errors.Is(err, site.Damaged) {
		t.Fatalf("%v, want %v", err, site.Damaged)
	}
	for _, bad := range []bool{false, true} {
		msg := bytes.Clone(buf.Bytes())
		f := fileOfBytes(msg)
		if bad {
			msg[len(msg)-1] ^= 1
		}
		b, err := OpenBundle(bytes.NewReader(msg), f, Zstd, key, tarBlock*2+tarEnd)
		if err == nil {
			b.LeaveDigests()
		}
		got, err := readAll(b, err)
		if bad && !errors.Is(err, site.Damaged) {
			t.Errorf("a damaged bundle: %v, want %v", err, site.Damaged)
		}
		if !bad && (err != nil || len(got) != 1 || !bytes.Equal(got[0].data, wrong.data)) {
			t.Errorf("%d items, %v", len(got), err)
		}
	}
}
