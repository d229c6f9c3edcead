package xz

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	library "github.com/ulikunitz/xz"

	"fardel/media/internal/block"
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

func pack(t testing.TB, plain []byte, workers int) []byte {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out, workers)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func unpack(packed []byte) ([]byte, error) {
	r := NewReader(bytes.NewReader(packed), 2)
	defer r.Close()
	return io.ReadAll(r)
}

// samples are contents of all shapes. They stay small: the codec is slow.
func samples() map[string][]byte {
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

func TestRoundTrip(t *testing.T) {
	for name, plain := range samples() {
		for _, workers := range []int{1, 2} {
			got, err := unpack(pack(t, plain, workers))
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%s, %d workers: %d bytes, %v; want %d", name, workers, len(got), err, len(plain))
			}
		}
	}
}

func TestWorkersDoNotChangeTheFile(t *testing.T) {
	plain := append(noise(block.Size), make([]byte, 2*block.Size)...)
	if !bytes.Equal(pack(t, plain, 1), pack(t, plain, 3)) {
		t.Error("one worker and three write different files")
	}
}

func TestSmallWritesAndReads(t *testing.T) {
	plain := prose(30_000)
	var out bytes.Buffer
	w := NewWriter(&out, 1)
	for i := 0; i < len(plain); i += 7 {
		w.Write(plain[i:min(i+7, len(plain))])
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r := NewReader(iotest.OneByteReader(&out), 1)
	if err := iotest.TestReader(r, plain); err != nil {
		t.Error(err)
	}
}

func TestNoiseIsStored(t *testing.T) {
	plain := noise(block.Size + 10_000)
	if n := len(pack(t, plain, 2)); n > len(plain)+len(plain)/1000 {
		t.Errorf("%d bytes became %d", len(plain), n)
	}
}

func TestProseIsCompressed(t *testing.T) {
	plain := prose(200_000)
	if n := len(pack(t, plain, 2)); n > len(plain)/2 {
		t.Errorf("%d bytes became %d", len(plain), n)
	}
}

func TestSystemReadsOurs(t *testing.T) {
	xz := needTool(t, "xz")
	dir := t.TempDir()
	for name, plain := range samples() {
		file := filepath.Join(dir, strings.ReplaceAll(name, " ", "")+".xz")
		if err := os.WriteFile(file, pack(t, plain, 2), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := exec.Command(xz, "-T2", "-dc", file).Output()
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s: xz gave %d bytes, %v; want %d", name, len(got), err, len(plain))
		}
		if list, err := exec.Command(xz, "-l", "-v", file).CombinedOutput(); err != nil {
			t.Errorf("%s: xz -l: %v\n%s", name, err, list)
		}
	}
}

func TestLibraryReadsOurs(t *testing.T) {
	for name, plain := range samples() {
		r, err := library.ReaderConfig{SingleStream: true}.NewReader(bytes.NewReader(pack(t, plain, 2)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s: %d bytes, %v; want %d", name, len(got), err, len(plain))
		}
	}
}

func TestReadsSystemFiles(t *testing.T) {
	xz := needTool(t, "xz")
	plain := append(prose(700_000), noise(100_000)...)
	big := append(make([]byte, 5<<20), prose(50_000)...) // above the block size
	for _, c := range []struct {
		args  string
		plain []byte
	}{
		{"-0", plain},
		{"-6", plain},
		{"-9", plain},
		{"-1 -T2 --block-size=300000", plain},
		{"-1 -T1 --block-size=300000", plain},
		{"-1 --check=none", plain},
		{"-1 --check=crc32", plain},
		{"-1 --check=crc64", plain},
		{"-1 --check=sha256", plain},
		{"-1", nil},
		{"-1 -T1", big},
		{"-1 -T2", big},
		{"--lzma2=preset=1,dict=64MiB", big},
		{"--lzma2=preset=1,lc=0,lp=2,pb=1", plain},
	} {
		cmd := exec.Command(xz, append(strings.Fields(c.args), "-c")...)
		cmd.Stdin = bytes.NewReader(c.plain)
		packed, err := cmd.Output()
		if err != nil {
			t.Fatal(c.args, err)
		}
		got, err := unpack(packed)
		if err != nil || !bytes.Equal(got, c.plain) {
			t.Errorf("xz %s: %d bytes, %v; want %d", c.args, len(got), err, len(c.plain))
		}
	}
}

func TestReadsLibraryFiles(t *testing.T) {
	plain := prose(400_000)
	var packed bytes.Buffer
	w, err := library.WriterConfig{BlockSize: 150_000}.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(plain)
	w.Close()
	got, err := unpack(packed.Bytes())
	if err != nil || !bytes.Equal(got, plain) {
		t.Errorf("%d bytes, %v; want %d", len(got), err, len(plain))
	}
}

func TestSeveralStreams(t *testing.T) {
	one, two := pack(t, []byte("one "), 1), pack(t, []byte("two"), 1)
	zeros := make([]byte, 8)
	for _, c := range []struct {
		name  string
		parts [][]byte
		want  string // "" if it is to be refused
	}{
		{"two", [][]byte{one, two}, "one two"},
		{"padding between", [][]byte{one, zeros, two}, "one two"},
		{"odd padding", [][]byte{one, zeros[:3], two}, ""},
		{"padding at the end", [][]byte{one, zeros[:4]}, ""},
		{"padding at the start", [][]byte{zeros, one}, ""},
		{"a byte at the end", [][]byte{one, {0}}, ""},
		{"rubbish at the end", [][]byte{one, []byte("rubbish and more")}, ""},
		{"half a stream", [][]byte{one, two[:20]}, ""},
		{"nothing", nil, ""},
	} {
		got, err := unpack(bytes.Join(c.parts, nil))
		if (err == nil) != (c.want != "") || err == nil && string(got) != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}

func TestTruncationIsNoticed(t *testing.T) {
	plain := append(prose(20_000), noise(10_000)...)
	packed := pack(t, plain, 1)
	for n := range len(packed) {
		if n > 200 && n < len(packed)-200 && n%37 != 0 {
			continue
		}
		if _, err := unpack(packed[:n]); err == nil || err == io.EOF {
			t.Fatalf("cut to %d of %d: %v", n, len(packed), err)
		}
	}
}

func TestBitFlipsAreNoticed(t *testing.T) {
	plain := append(prose(8_000), noise(2_000)...)
	two := append(pack(t, plain, 1), pack(t, noise(1000), 1)...)
	want, err := unpack(two)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	harmless := 0
	for i := range 1000 {
		at, bit := r.IntN(len(two)), byte(1)<<r.IntN(8)
		if i < 240 { // all bits of the first headers
			at, bit = i/8, 1<<(i%8)
		}
		two[at] ^= bit
		got, err := unpack(two)
		if err == nil && !bytes.Equal(got, want) {
			t.Errorf("flip at %d was not noticed", at)
		} else if err == nil {
			harmless++
		}
		two[at] ^= bit
	}
	// The last bits of a range coder's output need not mean anything.
	if harmless > 3 {
		t.Errorf("%d flips changed the file and not the content", harmless)
	}
}

// Sizes and index are compared with what was found, though the data is sound.
func TestContainerMustFit(t *testing.T) {
	plain := prose(1000)
	good := packBlock(plain, nil)
	build := func(data []byte, count uint64, unpadded int64, plain int) []byte {
		var out bytes.Buffer
		w := NewWriter(&out, 1)
		w.start()
		out.Write(data)
		w.records = appendNumbers(nil, unpadded, int64(plain))
		w.count = count
		w.Close()
		return out.Bytes()
	}
	if got, err := unpack(build(good.Data, 1, good.Note, len(plain))); err != nil || !bytes.Equal(got, plain) {
		t.Fatal("the file that is not changed:", err)
	}
	for name, file := range map[string][]byte{
		"index counts more":         build(good.Data, 2, good.Note, len(plain)),
		"index has other size":      build(good.Data, 1, good.Note+4, len(plain)),
		"index has other plain":     build(good.Data, 1, good.Note, len(plain)+1),
		"header has other sizes":    build(restate(good, 3, 0), 1, good.Note, len(plain)),
		"header has other contents": build(restate(good, 0, 1), 1, good.Note, len(plain)),
	} {
		if _, err := unpack(file); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// restate rewrites the sizes in a block's header.
func restate(p block.Packed, packed, plain int64) []byte {
	size := (int(p.Data[0]) + 1) * 4
	h, err := parseBlockHeader(p.Data[:size])
	if err != nil {
		panic(err)
	}
	h.packed += packed
	h.plain += plain
	return append(h.append(nil), p.Data[size:]...)
}

func appendNumbers(b []byte, numbers ...int64) []byte {
	for _, n := range numbers {
		for ; n >= 0x80; n >>= 7 {
			b = append(b, byte(n)|0x80)
		}
		b = append(b, byte(n))
	}
	return b
}

func TestNumbersHaveOneSpelling(t *testing.T) {
	for _, b := range [][]byte{{}, {0x80}, {0x80, 0}, {0x81, 0x80, 0}, bytes.Repeat([]byte{0xFF}, 10),
		{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1}} {
		if n, _, err := cutNumber(b); err == nil {
			t.Errorf("% x was read as %d", b, n)
		}
		if n, _, err := readNumber(bytes.NewReader(b)); err == nil {
			t.Errorf("% x was read as %d", b, n)
		}
	}
}

var errBroken = errors.New("the disk broke")

func TestWriteErrorIsReported(t *testing.T) {
	for n := range 4 {
		left := n
		w := NewWriter(writerFunc(func(p []byte) (int, error) {
			if left--; left < 0 {
				return 0, errBroken
			}
			return len(p), nil
		}), 2)
		w.Write(make([]byte, block.Size))
		w.Write([]byte("more"))
		if err := w.Close(); err != errBroken {
			t.Errorf("broken after %d writes: Close returned %v", n, err)
		}
		if err := w.Close(); err != errBroken {
			t.Errorf("broken after %d writes: the second Close returned %v", n, err)
		}
	}
}

func TestWriteAfterClose(t *testing.T) {
	w := NewWriter(io.Discard, 1)
	if err := errors.Join(w.Close(), w.Close()); err != nil {
		t.Error(err)
	}
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("a closed writer took data")
	}
}

func TestReadErrorIsReported(t *testing.T) {
	packed := pack(t, noise(100_000), 1)
	for _, n := range []int{0, 5, 20, 50_000, len(packed)} {
		r := NewReader(io.MultiReader(bytes.NewReader(packed[:n]), iotest.ErrReader(errBroken)), 2)
		if _, err := io.ReadAll(r); !errors.Is(err, errBroken) {
			t.Errorf("broken after %d bytes: %v", n, err)
		}
		r.Close()
	}
}

func TestEarlyCloseLeavesNothingRunning(t *testing.T) {
	packed := pack(t, make([]byte, 6*block.Size), 2)
	before := runtime.NumGoroutine()
	for range 5 {
		r := NewReader(bytes.NewReader(packed), 3)
		if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("read after close: %v", err)
		}
		w := NewWriter(io.Discard, 3)
		w.Write(make([]byte, 2*block.Size)) // given up without Close
	}
	for range 200 { // goroutines end a moment after their result was taken
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines before, %d after", before, runtime.NumGoroutine())
}
