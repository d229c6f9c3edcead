package media

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/klauspost/compress/zstd"

	"fardel/media/internal/block"
)

// FuzzZstd holds that frames end where the library sees their end, and that what
// is accepted reads the same to the library.
func FuzzZstd(f *testing.F) {
	f.Add(appendRawFrame(nil, []byte("hello")))
	f.Add(appendRawFrame(nil, nil))
	f.Add(compressed(f, Zstd, prose(2000), 1))
	f.Add(streamedZstd(f, prose(2000), 1<<20))
	f.Add(append(streamedZstd(f, noise(10), 1<<20), appendRawFrame(nil, noise(300))...))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := NewReader(bytes.NewReader(b), Zstd)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		got, err := io.ReadAll(io.LimitReader(r, 1<<20))
		if err != nil || len(got) == 1<<20 {
			return
		}
		dec, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		defer dec.Close()
		want, err := io.ReadAll(dec)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes; the library read %d, %v", len(got), len(want), err)
		}
	})
}

func BenchmarkCodec(b *testing.B) {
	for _, in := range []struct {
		name  string
		plain []byte
	}{{"prose", prose(8 * block.Size)}, {"noise", noise(16 * block.Size)}} {
		packed := compressed(b, Zstd, in.plain, 2)
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("zstd/%s/write/workers=%d", in.name, workers), func(b *testing.B) {
				b.SetBytes(int64(len(in.plain)))
				for b.Loop() {
					w, err := NewWriter(io.Discard, Zstd, workers)
					if err != nil {
						b.Fatal(err)
					}
					w.Write(in.plain)
					w.Close()
				}
			})
			b.Run(fmt.Sprintf("zstd/%s/read/workers=%d", in.name, workers), func(b *testing.B) {
				b.SetBytes(int64(len(in.plain)))
				for b.Loop() {
					r, err := newZstdReader(bytes.NewReader(packed), workers)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := io.Copy(io.Discard, r); err != nil {
						b.Fatal(err)
					}
					r.Close()
				}
			})
		}
	}
}
