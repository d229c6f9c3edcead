package media

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"fardel/site"
)

type content struct {
	it   Item
	data []byte
}

func whole(data []byte) content {
	n := int64(len(data))
	return content{Item{Kind: Whole, Digest: site.DigestOf(data), Size: n, Length: n}, data}
}

// testContents holds one item of each kind, an empty file, sizes at the edges of
// a block, and names that do not fit the short field of a header.
func testContents() []content {
	r := rand.New(rand.NewPCG(1, 2))
	random := make([]byte, 300_000)
	for i := range random {
		random[i] = byte(r.Uint32())
	}
	return []content{
		whole([]byte("fardel manifest v1\n")),
		whole(nil),
		whole(random),
		whole(bytes.Repeat([]byte("text "), 20_000)),
		whole(random[:tarBlock]),
		whole(random[:tarBlock+1]),
		{Item{Kind: Part, Digest: testDigest(7), Size: 1 << 52, Offset: 1<<51 + 1, Length: 5}, []byte("parts")},
		{Item{Kind: Part, Digest: testDigest(7), Size: 1 << 52, Offset: 0, Length: 5}, []byte("parts")},
		{Item{Kind: Delta, Digest: testDigest(8), Size: 1 << 40, Length: 6, Base: testDigest(9)}, []byte("change")},
	}
}

type testBundle struct {
	msg   []byte
	file  File
	codec Codec
	key   string
	plain int64
}

func (b testBundle) open(r io.Reader) (*BundleReader, error) {
	return OpenBundle(r, b.file, b.codec, b.key, b.plain)
}

func makeBundle(t testing.TB, c Codec, items []content) testBundle {
	t.Helper()
	key, to, _ := testKey(t)
	var buf bytes.Buffer
	sum := NewSum()
	w, err := NewBundleWriter(io.MultiWriter(&buf, sum), c, to, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range items {
		if err := w.Add(it.it, bytes.NewReader(it.data)); err != nil {
			t.Fatal(err)
		}
	}
	plain, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return testBundle{buf.Bytes(), File{sum.Digest(), sum.Size()}, c, key, plain}
}

// bundleOfTar seals any bytes as if they were the tar of a bundle.
func bundleOfTar(t testing.TB, raw []byte) testBundle {
	t.Helper()
	key, to, _ := testKey(t)
	msg := sealedWith(t, raw, Zstd, to)
	return testBundle{msg, fileOfBytes(msg), Zstd, key, int64(len(raw))}
}

// readAll reads a bundle to its end.
func readAll(b *BundleReader, err error) ([]content, error) {
	if err != nil {
		return nil, err
	}
	defer b.Close()
	var out []content
	for {
		it, r, err := b.Next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return out, err
		}
		out = append(out, content{it, data})
	}
}

func TestBundleRoundTrip(t *testing.T) {
	for _, c := range []Codec{XZ, Zstd} {
		t.Run(string(c), func(t *testing.T) {
			want := testContents()
			b := makeBundle(t, c, want)
			got, err := readAll(b.open(iotest.HalfReader(bytes.NewReader(b.msg))))
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(want) {
				t.Fatalf("%d items, want %d", len(got), len(want))
			}
			for i, g := range got {
				if g.it != want[i].it || !bytes.Equal(g.data, want[i].data) {
					t.Errorf("item %d is %+v, want %+v", i, g.it, want[i].it)
				}
			}
		})
	}
}

func TestEmptyBundle(t *testing.T) {
	b := makeBundle(t, XZ, nil)
	if b.plain != tarEnd {
		t.Errorf("plain %d", b.plain)
	}
	if got, err := readAll(b.open(bytes.NewReader(b.msg))); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
}

// The tar is what the standard library would write, byte for byte, so any tar
// program can read it.
func TestBundleTarIsUstar(t *testing.T) {
	b := makeBundle(t, Zstd, testContents())
	id, err := ParseIdentity(b.key)
	if err != nil {
		t.Fatal(err)
	}
	in, err := openCodec(bytes.NewReader(b.msg), Zstd, id)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	w := tar.NewWriter(&want)
	for _, c := range testContents() {
		err := w.WriteHeader(&tar.Header{
			Typeflag: tar.TypeReg, Name: c.it.Name(), Size: int64(len(c.data)), Mode: 0o600, Format: tar.FormatUSTAR,
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(c.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Error("the tar differs from the standard library's")
	}
	if b.plain != int64(want.Len()) {
		t.Errorf("plain %d, want %d", b.plain, want.Len())
	}
}

func TestBundleItemsMayBeReadOver(t *testing.T) {
	b := makeBundle(t, Zstd, testContents())
	r, err := b.open(bytes.NewReader(b.msg))
	if err != nil {
		t.Fatal(err)
	}
	var last io.Reader
	n := 0
	for {
		_, item, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if last != nil {
			if _, err := last.Read(make([]byte, 1)); err == nil || err == io.EOF {
				t.Fatal("an item could be read after Next")
			}
		}
		if n%2 == 1 {
			if _, err := io.ReadFull(item, make([]byte, 1)); err != nil && n != 1 {
				t.Fatal(err)
			}
		}
		last = item
		n++
	}
	if n != len(testContents()) {
		t.Errorf("%d items", n)
	}
	if _, _, err := r.Next(); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}
}

// No cut and no changed byte may ever pass for a whole bundle.
func TestBundleDamageIsAlwaysFound(t *testing.T) {
	for _, c := range []Codec{XZ, Zstd} {
		b := makeBundle(t, c, testContents())
		step := len(b.msg)/150 + 1
		for i := 0; i < len(b.msg); i += step {
			if _, err := readAll(b.open(bytes.NewReader(b.msg[:i]))); !errors.Is(err, site.Damaged) {
				t.Fatalf("%s cut at %d: %v", c, i, err)
			}
			msg := bytes.Clone(b.msg)
			msg[i] ^= 0x10
			if _, err := readAll(b.open(bytes.NewReader(msg))); !errors.Is(err, site.Damaged) {
				t.Fatalf("%s changed at %d: %v", c, i, err)
			}
		}
	}
}

func TestBundleFactsAreChecked(t *testing.T) {
	items := testContents()
	tests := map[string]struct {
		spoil func(*testBundle)
		class *site.Class
		cause error
	}{
		"digest":         {func(b *testBundle) { b.file.Digest = testDigest(1) }, site.Damaged, nil},
		"size too small": {func(b *testBundle) { b.file.Size-- }, site.Damaged, nil},
		"size too large": {func(b *testBundle) { b.file.Size++ }, site.Damaged, nil},
		"trailing":       {func(b *testBundle) { b.msg = append(bytes.Clone(b.msg), 0) }, site.Damaged, nil},
		"trailing signed": {func(b *testBundle) {
			b.msg = append(bytes.Clone(b.msg), 0)
			b.file = fileOfBytes(b.msg)
		}, site.Damaged, nil},
		"plain too small": {func(b *testBundle) { b.plain -= tarBlock }, site.Damaged, ErrMalformed},
		"plain too large": {func(b *testBundle) { b.plain += tarBlock }, site.Damaged, ErrMalformed},
		"plain odd":       {func(b *testBundle) { b.plain++ }, site.Damaged, ErrMalformed},
		"plain limit":     {func(b *testBundle) { b.plain = MaxBundlePlain + tarBlock }, site.Damaged, ErrLimit},
		"size limit":      {func(b *testBundle) { b.file.Size = MaxBundle + 1 }, site.Damaged, ErrLimit},
		"other key":       {func(b *testBundle) { b.key, _, _ = testKey(t) }, site.WrongKey, nil},
		"no key":          {func(b *testBundle) { b.key = "AGE-SECRET-KEY-1" }, site.Damaged, ErrMalformed},
		"codec":           {func(b *testBundle) { b.codec = "lzma" }, site.TooNew, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := makeBundle(t, Zstd, items)
			tt.spoil(&b)
			_, err := readAll(b.open(bytes.NewReader(b.msg)))
			wantFault(t, err, tt.class, tt.cause)
		})
	}
}

// A damaged header must not send people looking for keys.
func TestDamagedHeaderIsNotAWrongKey(t *testing.T) {
	b := makeBundle(t, Zstd, testContents())
	at := bytes.Index(b.msg, []byte("-> X25519 ")) + len("-> X25519 ")
	flip := byte('A')
	if b.msg[at] == flip {
		flip = 'B'
	}
	b.msg[at] = flip
	_, err := readAll(b.open(bytes.NewReader(b.msg)))
	wantFault(t, err, site.Damaged, nil)
}

func TestBundleTarIsStrict(t *testing.T) {
	good := func() []byte {
		it := whole([]byte("hello"))
		h := it.it.header()
		raw := append(h[:], "hello"...)
		return append(raw, make([]byte, padding(5)+tarEnd)...)
	}
	if _, err := readAll(bundleOpenTar(t, good())); err != nil {
		t.Fatal(err)
	}
	tests := map[string]func(raw []byte) []byte{
		"link":        func(raw []byte) []byte { raw[156] = '2'; return raw },
		"old regular": func(raw []byte) []byte { raw[156] = 0; return raw },
		"mode":        func(raw []byte) []byte { copy(raw[100:], "0000644"); return raw },
		"time":        func(raw []byte) []byte { raw[146] = '1'; return raw },
		"owner":       func(raw []byte) []byte { copy(raw[265:], "root"); return raw },
		"size in base256": func(raw []byte) []byte {
			copy(raw[124:], "\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05")
			return raw
		},
		"negative size":   func(raw []byte) []byte { copy(raw[124:], "-0000000005"); return raw },
		"checksum":        func(raw []byte) []byte { raw[150] = '7'; return raw },
		"after the name":  func(raw []byte) []byte { raw[99] = 'x'; return raw },
		"padding":         func(raw []byte) []byte { raw[2*tarBlock-1] = 1; return raw },
		"second of zeros": func(raw []byte) []byte { raw[len(raw)-1] = 1; return raw },
		"no end":          func(raw []byte) []byte { return raw[:len(raw)-tarEnd] },
		"more zeros":      func(raw []byte) []byte { return append(raw, make([]byte, tarBlock)...) },
		"half a block":    func(raw []byte) []byte { return append(raw, make([]byte, 10)...) },
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := readAll(bundleOpenTar(t, spoil(good())))
			wantFault(t, err, site.Damaged, ErrMalformed)
		})
	}
}

func bundleOpenTar(t *testing.T, raw []byte) (*BundleReader, error) {
	b := bundleOfTar(t, raw)
	return b.open(bytes.NewReader(b.msg))
}

func TestBundleRefusesWrongBytes(t *testing.T) {
	h := whole([]byte("hello")).it.header()
	raw := append(h[:], "hellO"...)
	raw = append(raw, make([]byte, padding(5)+tarEnd)...)
	_, err := readAll(bundleOpenTar(t, raw))
	wantFault(t, err, site.Damaged, ErrMalformed)

	// Read over instead of read, the verdict is the same.
	r, err := bundleOpenTar(t, raw)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	_, _, err = r.Next()
	wantFault(t, err, site.Damaged, ErrMalformed)
}

func TestBundleMediumErrorsStay(t *testing.T) {
	b := makeBundle(t, Zstd, testContents())
	gone := errors.New("input/output error")
	for _, at := range []int{0, 50, 400, len(b.msg) / 2, len(b.msg)} {
		for _, cause := range []error{gone, io.ErrUnexpectedEOF} {
			_, err := readAll(b.open(failing{bytes.NewReader(b.msg[:at]), cause}))
			if !errors.Is(err, cause) || errors.Is(err, site.Damaged) {
				t.Errorf("at %d: got %v, want %v", at, err, cause)
			}
		}
	}
}

func TestBundleWriterRefuses(t *testing.T) {
	_, to, _ := testKey(t)
	newWriter := func(t *testing.T) *BundleWriter {
		w, err := NewBundleWriter(io.Discard, Zstd, to, 1)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	hello := whole([]byte("hello"))
	t.Run("twice", func(t *testing.T) {
		w := newWriter(t)
		if err := w.Add(hello.it, bytes.NewReader(hello.data)); err != nil {
			t.Fatal(err)
		}
		wantFault(t, w.Add(hello.it, bytes.NewReader(hello.data)), site.Damaged, ErrMalformed)
		if _, err := w.Close(); err != nil {
			t.Error("the refused item spoiled the bundle:", err)
		}
	})
	t.Run("too large", func(t *testing.T) {
		w := newWriter(t)
		it := Item{Kind: Whole, Digest: testDigest(1), Size: MaxBundlePlain - tarEnd, Length: MaxBundlePlain - tarEnd}
		wantFault(t, w.Add(it, nil), site.Damaged, ErrLimit)
		if _, err := w.Close(); err != nil {
			t.Error("the refused item spoiled the bundle:", err)
		}
	})
	for name, data := range map[string]string{"short": "hell", "long": "hello!", "changed": "hellO"} {
		t.Run(name, func(t *testing.T) {
			w := newWriter(t)
			if err := w.Add(hello.it, bytes.NewReader([]byte(data))); err == nil {
				t.Fatal("wrong bytes were taken")
			}
			if _, err := w.Close(); err == nil {
				t.Error("a spoiled bundle could be completed")
			}
		})
	}
}

func TestParseItem(t *testing.T) {
	d := testDigest(1).String()
	b := testDigest(2).String()
	bad := map[string]string{
		"empty": "", "kind": "file/" + d, "case": "Whole/" + d, "digest": "whole/" + d[1:], "upper": "whole/AB" + d[2:],
		"dots": "whole/../" + d, "escape": "../whole/" + d, "absolute": "/whole/" + d, "more": "whole/" + d + "/",
		"part short": "part/" + d + "/5", "part zero": "part/" + d + "/05/0", "part beyond": "part/" + d + "/5/1",
		"part sign": "part/" + d + "/+5/0", "part huge": "part/" + d + "/9007199254740993/0",
		"delta of itself": "delta/" + d + "/5/" + d, "delta base": "delta/" + d + "/5/" + b[1:], "zero": "whole/" + (site.Digest{}).String(),
	}
	for name, item := range bad {
		t.Run(name, func(t *testing.T) {
			if it, err := ParseItem(item, 5); err == nil {
				t.Errorf("%q is %+v", item, it)
			}
		})
	}
	for _, c := range testContents() {
		if it, err := ParseItem(c.it.Name(), c.it.Length); err != nil || it != c.it {
			t.Errorf("%s: %+v, %v", c.it.Name(), it, err)
		}
	}
}

func FuzzItemHeader(f *testing.F) {
	for _, c := range testContents() {
		h := c.it.header()
		f.Add(h[:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != tarBlock {
			return
		}
		h := [tarBlock]byte(b)
		it, err := parseHeader(&h)
		if err != nil {
			return
		}
		if it.header() != h {
			t.Fatalf("%+v is written differently", it)
		}
		if again, err := ParseItem(it.Name(), it.Length); err != nil || again != it {
			t.Fatalf("%+v reads back as %+v, %v", it, again, err)
		}
	})
}

// FuzzBundleTar gives the reader any bytes as a tar; what it accepts must be
// written again to the same bytes.
func FuzzBundleTar(f *testing.F) {
	var seed []byte
	for _, c := range testContents()[:2] {
		seed = appendItem(seed, c)
	}
	f.Add(append(seed, zeros[:]...))
	f.Add(zeros[:])
	f.Fuzz(func(t *testing.T, raw []byte) {
		in := &opened{comp: io.NopCloser(bytes.NewReader(raw)), seal: bytes.NewReader(nil)}
		got, err := readAll(&BundleReader{in: in, plain: int64(len(raw)), items: itemSet{}}, nil)
		if err != nil {
			if !errors.Is(err, site.Damaged) {
				t.Fatal(err)
			}
			return
		}
		var again []byte
		for _, c := range got {
			again = appendItem(again, c)
		}
		if again = append(again, zeros[:]...); !bytes.Equal(again, raw) {
			t.Fatalf("read %q, wrote %q", raw, again)
		}
	})
}

func appendItem(raw []byte, c content) []byte {
	h := c.it.header()
	raw = append(append(raw, h[:]...), c.data...)
	return append(raw, zeros[:padding(c.it.Length)]...)
}
