package xz

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	library "github.com/ulikunitz/xz"

	"fardel/media/internal/block"
)

func FuzzBlockHeader(f *testing.F) {
	f.Add(blockHeader{packed: 1, plain: 2, dict: 3}.append(nil))
	f.Add(blockHeader{packed: -1, plain: -1, dict: 28}.append(nil))
	f.Add(blockHeader{packed: 1 << 40, plain: 0, dict: 0}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseBlockHeader(b)
		if err != nil {
			return
		}
		if n, err := h.dictCap(); err != nil || n > MaxDict {
			t.Fatalf("dictionary of %d, %v", n, err)
		}
		again := h.append(nil)
		if len(again) == len(b) && !bytes.Equal(again, b) {
			t.Fatalf("% x became % x", b, again)
		}
		if h2, err := parseBlockHeader(again); err != nil || h2 != h {
			t.Fatalf("%+v became %+v, %v", h, h2, err)
		}
	})
}

func FuzzStreamHeader(f *testing.F) {
	for _, c := range []check{checkNone, checkCRC32, checkCRC64, checkSHA256} {
		f.Add(appendStreamHeader(nil, c))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := parseStreamHeader(b); err == nil && !bytes.Equal(appendStreamHeader(nil, c), b) {
			t.Fatalf("% x became % x", b, appendStreamHeader(nil, c))
		}
	})
}

// FuzzReader holds that whatever is accepted reads the same to the library.
func FuzzReader(f *testing.F) {
	f.Add(pack(f, []byte("hello"), 1))
	f.Add(pack(f, nil, 1))
	f.Add(pack(f, noise(300), 1))
	f.Add(append(pack(f, []byte("one"), 1), pack(f, prose(500), 1)...))
	f.Add(hostile(blockHeader{packed: -1, plain: -1, dict: 10}, []byte{0xE0, 0, 1, 0, 1, 0x5D, 0, 0}))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReader(bytes.NewReader(b), 2)
		defer r.Close()
		got, err := io.ReadAll(io.LimitReader(r, 1<<20))
		if err != nil || len(got) == 1<<20 {
			return
		}
		l, err := library.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("accepted %d bytes that the library refuses: %v", len(b), err)
		}
		want, err := io.ReadAll(l)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes; the library read %d, %v", len(got), len(want), err)
		}
	})
}

func BenchmarkWriter(b *testing.B) {
	for _, c := range []struct {
		name  string
		plain []byte
	}{{"prose", prose(4 * block.Size)}, {"noise", noise(16 * block.Size)}} {
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/workers=%d", c.name, workers), func(b *testing.B) {
				b.SetBytes(int64(len(c.plain)))
				for b.Loop() {
					w := NewWriter(io.Discard, workers)
					w.Write(c.plain)
					w.Close()
				}
			})
		}
	}
}

func BenchmarkReader(b *testing.B) {
	for _, c := range []struct {
		name  string
		plain []byte
	}{{"prose", prose(4 * block.Size)}, {"noise", noise(16 * block.Size)}} {
		packed := pack(b, c.plain, 2)
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/workers=%d", c.name, workers), func(b *testing.B) {
				b.SetBytes(int64(len(c.plain)))
				for b.Loop() {
					r := NewReader(bytes.NewReader(packed), workers)
					if _, err := io.Copy(io.Discard, r); err != nil {
						b.Fatal(err)
					}
					r.Close()
				}
			})
		}
	}
}
