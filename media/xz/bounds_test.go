package xz

import (
	"bytes"
	"io"
	"runtime"
	"testing"

	"fardel/media/internal/block"
)

// hostile returns a file of one block with this header and LZMA2 data.
func hostile(h blockHeader, data []byte) []byte {
	b := appendStreamHeader(nil, checkNone)
	b = h.append(b)
	return append(b, data...)
}

func TestDictionaryIsBounded(t *testing.T) {
	zero := []byte{1, 0, 0, 0, 0}
	for _, c := range []struct {
		dict byte
		fits bool
	}{{0, true}, {22, true}, {28, true}, {29, false}, {36, false}, {40, false}, {41, false}, {255, false}} {
		_, err := parseBlockHeader(blockHeader{packed: 1, plain: 1, dict: c.dict}.append(nil))
		if (err == nil) != c.fits {
			t.Errorf("dictionary byte %d: %v", c.dict, err)
		}
	}
	before := allocated()
	if _, err := unpack(hostile(blockHeader{packed: -1, plain: -1, dict: 40}, zero)); err == nil {
		t.Error("a dictionary of 4 GiB was accepted")
	}
	if n := allocated() - before; n > 1<<20 {
		t.Errorf("%d bytes were allocated for a file that is refused", n)
	}
}

// The second block is as dangerous as the first.
func TestDictionaryOfLaterBlockIsBounded(t *testing.T) {
	file := appendStreamHeader(nil, checkCRC32)
	file = append(file, packBlock(prose(1000), nil).Data...)
	file = append(file, blockHeader{packed: -1, plain: -1, dict: 37}.append(nil)...)
	file = append(file, make([]byte, 100)...)
	before := allocated()
	if _, err := unpack(file); err == nil {
		t.Error("a dictionary of 1.5 GiB was accepted")
	}
	if n := allocated() - before; n > 4<<20 {
		t.Errorf("%d bytes were allocated for a file that is refused", n)
	}
}

// A file of a few bytes that asks for the largest legal dictionary and promises
// much content gets little memory, since its content is not there.
func TestPromisesAreNotBelieved(t *testing.T) {
	chunk := []byte{0xE0 | 0x1F, 0xFF, 0xFF, 0xFF, 0xFF, 0x5D} // 2 MiB in 64 KiB
	file := hostile(blockHeader{packed: 1 << 60, plain: 1 << 61, dict: 28}, chunk)
	before := allocated()
	if _, err := unpack(file); err == nil {
		t.Error("accepted")
	}
	if n := allocated() - before; n > 1<<20 {
		t.Errorf("%d bytes were allocated for %d", n, len(file))
	}
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// A bomb comes out piece by piece, so that the caller can stop.
func TestBombIsBounded(t *testing.T) {
	bomb := bytes.Repeat(pack(t, make([]byte, 8<<20), 2), 40)
	if len(bomb) > 1<<20 {
		t.Fatalf("bomb of %d bytes", len(bomb))
	}
	r := NewReader(bytes.NewReader(bomb), 2)
	defer r.Close()
	before := allocated()
	if n, err := io.CopyN(io.Discard, r, 1<<20); n != 1<<20 || err != nil {
		t.Fatal(n, err)
	}
	if n := allocated() - before; n > 40<<20 {
		t.Errorf("%d bytes were allocated to read 1 MiB", n)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	var peak uint64
	measure := func() {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapAlloc)
	}
	plain := append(noise(2*block.Size), make([]byte, block.Size)...)
	packed := pack(t, plain, 1)
	measure()
	base := peak
	w := NewWriter(writerFunc(func(p []byte) (int, error) { measure(); return len(p), nil }), 2)
	for range 4 {
		w.Write(plain)
	}
	w.Close()
	t.Logf("writer: %d MiB", (peak-base)>>20)
	if peak-base > 64<<20 {
		t.Errorf("the writer held %d MiB", (peak-base)>>20)
	}
	peak = base
	r := NewReader(bytes.NewReader(bytes.Repeat(packed, 4)), 2)
	defer r.Close()
	io.CopyBuffer(writerFunc(func(p []byte) (int, error) { measure(); return len(p), nil }), r, make([]byte, block.Size))
	t.Logf("reader: %d MiB", (peak-base)>>20)
	if peak-base > 64<<20 {
		t.Errorf("the reader held %d MiB", (peak-base)>>20)
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
