package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/klauspost/compress/zstd"

	"fardel/media/internal/block"
	"fardel/site"
)

// needTool skips the test where the tool is missing.
func needTool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("needs tool: %s", name)
	}
	return path
}

// noise returns n bytes that do not compress.
func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// prose returns n bytes that compress like source code.
func prose(n int) []byte {
	words := strings.Fields("func return if err != nil { } range for site entry label body bundle " +
		"digest := 0x2f, position epoch = append(out, b[i:j]...) // why the order matters here")
	r := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, "%s %s\t%d\n", words[r.IntN(len(words))], words[r.IntN(len(words))], r.IntN(5000))
	}
	return b.Bytes()[:n]
}

func compressed(t testing.TB, c Codec, plain []byte, workers int) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, c, workers)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func decompressed(t testing.TB, c Codec, packed []byte) ([]byte, error) {
	t.Helper()
	r, err := NewReader(bytes.NewReader(packed), c)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return io.ReadAll(r)
}

var bothCodecs = []Codec{XZ, Zstd}

func codecSamples() map[string][]byte {
	return map[string][]byte{
		"empty":       nil,
		"one byte":    {7},
		"prose":       prose(100_000),
		"noise":       noise(300_000),
		"block":       noise(block.Size),
		"block and 1": noise(block.Size + 1),
		"mixed":       append(append(noise(block.Size), prose(50_000)...), noise(70_000)...),
		"zeros":       make([]byte, 2*block.Size+5),
	}
}

func TestCodecRoundTrip(t *testing.T) {
	for name, plain := range codecSamples() {
		for _, c := range bothCodecs {
			got, err := decompressed(t, c, compressed(t, c, plain, 2))
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%s, %s: %d bytes, %v; want %d", c, name, len(got), err, len(plain))
			}
		}
	}
}

func TestZstdProseOfManyBlocks(t *testing.T) {
	plain := prose(3*block.Size + 1000)
	one, three := compressed(t, Zstd, plain, 1), compressed(t, Zstd, plain, 3)
	if !bytes.Equal(one, three) {
		t.Error("one worker and three write different files")
	}
	r, err := NewReader(iotest.HalfReader(bytes.NewReader(one)), Zstd)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("%d bytes, %v; want %d", len(got), err, len(plain))
	}
}

func TestCodecReaderContract(t *testing.T) {
	plain := append(prose(20_000), noise(20_000)...)
	for _, c := range bothCodecs {
		r, err := NewReader(iotest.OneByteReader(bytes.NewReader(compressed(t, c, plain, 1))), c)
		if err != nil {
			t.Fatal(err)
		}
		if err := iotest.TestReader(r, plain); err != nil {
			t.Errorf("%s: %v", c, err)
		}
	}
}

func TestNoiseIsNotRecompressed(t *testing.T) {
	plain := noise(block.Size + 10_000)
	for _, c := range bothCodecs {
		if n := len(compressed(t, c, plain, 2)); n > len(plain)+len(plain)/1000 {
			t.Errorf("%s: %d bytes became %d", c, len(plain), n)
		}
	}
}

func TestUnknownCodec(t *testing.T) {
	_, err := NewReader(nil, "lzh")
	wantFault(t, err, site.TooNew, nil)
	_, err = NewWriter(nil, "", 1)
	wantFault(t, err, site.TooNew, nil)
}

func TestZstdToolReadsOurs(t *testing.T) {
	tool := needTool(t, "zstd")
	for name, plain := range codecSamples() {
		cmd := exec.Command(tool, "-dc")
		cmd.Stdin = bytes.NewReader(compressed(t, Zstd, plain, 2))
		got, err := cmd.Output()
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s: zstd gave %d bytes, %v; want %d", name, len(got), err, len(plain))
		}
	}
}

func TestReadsZstdToolFiles(t *testing.T) {
	tool := needTool(t, "zstd")
	plain := append(append(prose(500_000), noise(100_000)...), make([]byte, 4<<20)...)
	for _, args := range []string{"-1", "-3", "-19", "-1 -T2 -B262144", "--no-check", "-1 --ultra --zstd=wlog=23", "--no-content-size"} {
		for _, plain := range [][]byte{plain, prose(1000), nil} {
			cmd := exec.Command(tool, append(strings.Fields(args), "-c")...)
			cmd.Stdin = bytes.NewReader(plain)
			packed, err := cmd.Output()
			if err != nil {
				t.Fatal(args, err)
			}
			got, err := decompressed(t, Zstd, bytes.Repeat(packed, 2))
			if err != nil || !bytes.Equal(got, bytes.Repeat(plain, 2)) {
				t.Errorf("zstd %s: %d bytes, %v; want twice %d", args, len(got), err, len(plain))
			}
		}
	}
}

// Levels of the library state sizes in all ways that there are.
func TestReadsLibraryZstd(t *testing.T) {
	plain := append(prose(300_000), noise(50_000)...)
	for _, n := range []int{0, 1, 255, 256, 70_000, len(plain)} {
		enc, err := zstd.NewWriter(nil, zstd.WithZeroFrames(true))
		if err != nil {
			t.Fatal(err)
		}
		got, err := decompressed(t, Zstd, enc.EncodeAll(plain[:n], nil))
		if err != nil || !bytes.Equal(got, plain[:n]) {
			t.Errorf("%d bytes became %d, %v", n, len(got), err)
		}
	}
}

func TestZstdWindowIsBounded(t *testing.T) {
	plain := prose(100_000)
	file := streamedZstd(t, plain, maxWindow)
	const descriptor = 5 // where the window stands
	for _, c := range []struct {
		window byte
		fits   bool
	}{{file[descriptor], true}, {file[descriptor] + 1, false}, {14 << 3, false}, {19 << 3, false}, {0xFF, false}} {
		file[descriptor] = c.window
		before := allocatedBytes()
		got, err := decompressed(t, Zstd, file)
		if (err == nil) != c.fits || c.fits && !bytes.Equal(got, plain) {
			t.Errorf("window %x: %d bytes, %v", c.window, len(got), err)
		}
		if n := allocatedBytes() - before; n > 40<<20 {
			t.Errorf("window %x: %d MiB were allocated", c.window, n>>20)
		}
	}
	single := appendRawFrame(nil, plain) // the window is the content
	binary.LittleEndian.PutUint32(single[5:], maxWindow+1)
	_, err := decompressed(t, Zstd, single)
	wantFault(t, err, site.Damaged, nil)
}

func TestWhatFollowsIsRefused(t *testing.T) {
	tails := map[string][]byte{
		"a zero": {0}, "zeros": make([]byte, 12), "rubbish": []byte("rubbish, and a lot of it"),
		"half a header": {0xFD, '7', 'z'}, "a skippable frame": {0x50, 0x2A, 0x4D, 0x18, 0, 0, 0, 0},
		"a magic number": {0x28, 0xB5, 0x2F, 0xFD},
	}
	for _, c := range bothCodecs {
		for _, plain := range [][]byte{[]byte("content"), noise(block.Size + 9)} {
			packed := compressed(t, c, plain, 1)
			for name, tail := range tails {
				_, err := decompressed(t, c, slices.Concat(packed, tail))
				if !errors.Is(err, site.Damaged) {
					t.Errorf("%s: %d bytes and %s: %v", c, len(plain), name, err)
				}
			}
		}
	}
}

func TestNothingIsNoFile(t *testing.T) {
	for _, c := range bothCodecs {
		_, err := decompressed(t, c, nil)
		wantFault(t, err, site.Damaged, nil)
	}
}

func TestXZDictionaryLimitIsNamed(t *testing.T) {
	tool := needTool(t, "xz")
	cmd := exec.Command(tool, "--lzma2=preset=0,dict=96MiB", "-c")
	cmd.Stdin = strings.NewReader("content")
	packed, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	_, err = decompressed(t, XZ, packed)
	wantFault(t, err, site.Damaged, ErrLimit)
}

func TestCutCodecFiles(t *testing.T) {
	plain := append(prose(20_000), noise(10_000)...)
	for _, c := range bothCodecs {
		packed := compressed(t, c, plain, 1)
		for n := 0; n < len(packed); n += 1 + n/50 {
			if _, err := decompressed(t, c, packed[:n]); !errors.Is(err, site.Damaged) {
				t.Fatalf("%s: cut to %d of %d: %v", c, n, len(packed), err)
			}
		}
	}
}

// Between two frames a cut cannot be seen by the codec. What comes out then is
// the start of the content, and its length tells.
func TestZstdCutBetweenFrames(t *testing.T) {
	plain := noise(block.Size + 500)
	packed := compressed(t, Zstd, plain, 1)
	for _, n := range []int{len(appendRawFrame(nil, plain[:block.Size])), len(appendRawFrame(nil, plain[:block.Size])) + 1} {
		got, err := decompressed(t, Zstd, packed[:n])
		if err == nil && len(got) != block.Size {
			t.Errorf("cut to %d: %d bytes", n, len(got))
		}
		if !bytes.HasPrefix(plain, got) {
			t.Errorf("cut to %d: wrong bytes", n)
		}
	}
}

func TestFlippedZstd(t *testing.T) {
	plain := append(prose(8000), noise(2000)...)
	packed := append(compressed(t, Zstd, plain, 1), compressed(t, Zstd, noise(1000), 1)...)
	packed = append(packed, streamedZstd(t, plain, 1<<20)...)
	want, err := decompressed(t, Zstd, packed)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	harmless := 0
	for i := range 1500 {
		at, bit := r.IntN(len(packed)), byte(1)<<r.IntN(8)
		if i < 120 {
			at, bit = i/8, 1<<(i%8) // all bits of the first header
		}
		packed[at] ^= bit
		got, err := decompressed(t, Zstd, packed)
		switch {
		case err == nil && !bytes.Equal(got, want):
			t.Errorf("flip at %d was not noticed", at)
		case err == nil:
			harmless++
		case !errors.Is(err, site.Damaged):
			t.Errorf("flip at %d: %v", at, err)
		}
		packed[at] ^= bit
	}
	t.Logf("%d flips without effect", harmless)
	if harmless > 30 { // such as larger windows, and bits that are not used
		t.Errorf("%d flips changed the file and not the content", harmless)
	}
}

// streamedZstd returns a frame that does not state its size.
func streamedZstd(t testing.TB, plain []byte, window int) []byte {
	t.Helper()
	var out bytes.Buffer
	enc, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window))
	if err != nil {
		t.Fatal(err)
	}
	enc.Write(plain[:len(plain)/2])
	enc.Flush()
	enc.Write(plain[len(plain)/2:])
	if err := enc.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestZstdBombIsBounded(t *testing.T) {
	for name, bomb := range map[string][]byte{
		"frames": bytes.Repeat(compressed(t, Zstd, make([]byte, 8<<20), 2), 100),
		"stream": bytes.Repeat(streamedZstd(t, make([]byte, 8<<20), maxWindow), 100),
	} {
		r, err := NewReader(bytes.NewReader(bomb), Zstd)
		if err != nil {
			t.Fatal(err)
		}
		before := allocatedBytes()
		if n, err := io.CopyN(io.Discard, r, 1<<20); n != 1<<20 || err != nil {
			t.Fatal(name, n, err)
		}
		r.Close()
		if n := allocatedBytes() - before; n > 40<<20 {
			t.Errorf("%s: %d MiB were allocated to read 1 MiB", name, n>>20)
		}
	}
}

func allocatedBytes() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

type sinkFunc func(p []byte) (int, error)

func (f sinkFunc) Write(p []byte) (int, error) { return f(p) }

func TestZstdMemoryIsBounded(t *testing.T) {
	var peak uint64
	measure := func() {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapAlloc)
	}
	sink := sinkFunc(func(p []byte) (int, error) { measure(); return len(p), nil })
	plain := append(noise(2*block.Size), prose(2*block.Size)...)
	packed := compressed(t, Zstd, plain, 2)
	stream := streamedZstd(t, plain, maxWindow)
	measure()
	base := peak
	w, err := NewWriter(sink, Zstd, 2)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		w.Write(plain)
	}
	w.Close()
	t.Logf("writer: %d MiB", (peak-base)>>20)
	if peak-base > 64<<20 {
		t.Errorf("the writer held %d MiB", (peak-base)>>20)
	}
	for name, file := range map[string][]byte{"frames": packed, "stream": stream} {
		peak = base
		r, err := NewReader(bytes.NewReader(bytes.Repeat(file, 2)), Zstd)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.CopyBuffer(sink, struct{ io.Reader }{r}, make([]byte, 1<<20))
		if n != 2*int64(len(plain)) || err != nil {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
		r.Close()
		t.Logf("reader of %s: %d MiB", name, (peak-base)>>20)
		if peak-base > 64<<20 {
			t.Errorf("the reader of %s held %d MiB", name, (peak-base)>>20)
		}
	}
}

var errDisk = errors.New("the disk broke")

func TestCodecPassesReadErrors(t *testing.T) {
	for _, c := range bothCodecs {
		packed := compressed(t, c, noise(100_000), 1)
		for _, n := range []int{0, 3, 20, 50_000, len(packed)} {
			r, err := NewReader(failing{bytes.NewReader(packed[:n]), errDisk}, c)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(r); err != errDisk {
				t.Errorf("%s: broken after %d bytes: %v", c, n, err)
			}
			r.Close()
		}
	}
}

func TestCodecPassesWriteErrors(t *testing.T) {
	for _, c := range bothCodecs {
		for _, plain := range [][]byte{nil, noise(10), make([]byte, 3*block.Size)} {
			w, err := NewWriter(sinkFunc(func([]byte) (int, error) { return 0, errDisk }), c, 1)
			if err != nil {
				t.Fatal(err)
			}
			w.Write(plain)
			if err := w.Close(); err != errDisk {
				t.Errorf("%s: Close returned %v", c, err)
			}
		}
	}
}

func TestCodecEarlyClose(t *testing.T) {
	for _, c := range bothCodecs {
		for _, file := range [][]byte{
			compressed(t, c, make([]byte, 3*block.Size), 2),
			append(compressed(t, c, []byte("x"), 1), 1, 2, 3, 4, 5),
		} {
			before := runtime.NumGoroutine()
			for range 3 {
				r, err := NewReader(bytes.NewReader(file), c)
				if err != nil {
					t.Fatal(err)
				}
				io.ReadFull(r, make([]byte, 1))
				if err := r.Close(); err != nil {
					t.Error(err)
				}
				if _, err := r.Read(make([]byte, 1)); err == nil || err == io.EOF {
					t.Errorf("%s: read after Close: %v", c, err)
				}
			}
			for i := 0; runtime.NumGoroutine() > before; i++ {
				if i == 200 {
					t.Fatalf("%s: %d goroutines before, %d after", c, before, runtime.NumGoroutine())
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
	}
}

func TestXXH64(t *testing.T) {
	// The values that the XXH64 specification's tools print for these inputs.
	for in, want := range map[string]uint64{
		"":    0xEF46DB3751D8E999,
		"a":   0xD24EC4F1A98C6E5B,
		"abc": 0x44BC2CF5AD770999,
	} {
		if got := xxh64([]byte(in)); got != want {
			t.Errorf("%q: %x, want %x", in, got, want)
		}
	}
	// The decoder compares the sums of all lengths.
	for n := range 200 {
		if got, err := decompressed(t, Zstd, appendRawFrame(nil, noise(n))); err != nil || len(got) != n {
			t.Errorf("%d bytes: %d, %v", n, len(got), err)
		}
	}
}
