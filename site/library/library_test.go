package library

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"fardel/site"
)

func newLibrary(t *testing.T, roots ...string) *Library {
	t.Helper()
	if len(roots) == 0 {
		dir := scratch(t)
		t.Cleanup(func() { os.RemoveAll(dir) })
		roots = []string{dir}
	}
	l, err := Open(roots)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func all(site.Digest) bool { return true }

// content returns n bytes that look random and are always the same.
func content(seed uint64, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(b)
	return b
}

func add(t *testing.T, l *Library, b []byte) site.Digest {
	t.Helper()
	batch := l.Begin(nil)
	defer batch.Abort()
	d, n, err := batch.Add(bytes.NewReader(b))
	if err != nil || n != int64(len(b)) || d != site.DigestOf(b) {
		t.Fatalf("Add = %v, %d, %v", d, n, err)
	}
	if err := batch.Commit(); err != nil {
		t.Fatal(err)
	}
	return d
}

// visible returns what a walk finds; each file must have the bytes of its name.
func visible(t *testing.T, l *Library) map[site.Digest]int64 {
	t.Helper()
	found := map[site.Digest]int64{}
	err := l.Walk(func(d site.Digest, size int64) error {
		found[d] = size
		f, err := l.Open(d)
		if err != nil {
			return err
		}
		defer f.Close()
		if got, n, err := digestOf(f); err != nil || got != d || n != size {
			t.Errorf("visible file %s is wrong: %d bytes, %v", d.Short(), n, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// leftovers returns the temporary files of all processes.
func leftovers(t *testing.T, l *Library) []string {
	t.Helper()
	var out []string
	for _, r := range l.roots {
		files, err := filepath.Glob(filepath.Join(r.path, "tmp", "*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, files...)
	}
	return out
}

func TestReceive(t *testing.T) {
	broken := errors.New("the medium went away")
	for _, size := range []int{0, 1, bufferSize - 1, bufferSize, bufferSize + 1, 3*bufferSize + 17} {
		b := content(1, size)
		d := site.DigestOf(b)
		for _, c := range []struct {
			name string
			d    site.Digest
			size int64
			r    io.Reader
			want error
		}{
			{"right", d, int64(size), bytes.NewReader(b), nil},
			{"byte by byte", d, int64(size), iotest.DataErrReader(bytes.NewReader(b)), nil},
			{"other digest", site.DigestOf([]byte("x")), int64(size), bytes.NewReader(b), site.Damaged},
			{"one byte more", d, int64(size), io.MultiReader(bytes.NewReader(b), strings.NewReader("x")), site.Damaged},
			{"longer announced", d, int64(size) + 1, bytes.NewReader(b), site.Damaged},
			{"negative size", d, -1, bytes.NewReader(b), site.Damaged},
			{"absurd size", d, 1 << 62, bytes.NewReader(b), site.Damaged},
			{"error at the end", d, int64(size), io.MultiReader(bytes.NewReader(b), iotest.ErrReader(broken)), broken},
			{"endless", d, int64(size), endless{}, site.Damaged},
			{"stuck", d, int64(size), stuck{}, io.ErrNoProgress},
		} {
			t.Run(fmt.Sprint(size, c.name), func(t *testing.T) {
				l := newLibrary(t)
				batch := l.Begin(all)
				defer batch.Abort()
				if err := batch.Receive(c.d, c.size, c.r); !errors.Is(err, c.want) {
					t.Fatalf("error %v, want %v", err, c.want)
				}
				if l.Has(c.d) {
					t.Error("visible before Commit")
				}
				if err := batch.Commit(); err != nil {
					t.Fatal(err)
				}
				if found := visible(t, l); len(found) != btoi(c.want == nil) || l.Has(c.d) != (c.want == nil) {
					t.Errorf("visible after Commit: %v", found)
				}
				if left := leftovers(t, l); len(left) > 0 {
					t.Errorf("left over: %v", left)
				}
			})
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

type stuck struct{}

func (stuck) Read(p []byte) (int, error) { return 0, nil }

func TestOnlyWantedFilesComeIn(t *testing.T) {
	l := newLibrary(t)
	b := []byte("nobody asked for it")
	for _, wants := range []func(site.Digest) bool{nil, func(site.Digest) bool { return false }} {
		batch := l.Begin(wants)
		r := bytes.NewReader(b)
		if err := batch.Receive(site.DigestOf(b), int64(len(b)), r); err != ErrUnwanted || r.Len() != len(b) {
			t.Errorf("Receive = %v, read %d bytes", err, len(b)-r.Len())
		}
		if err := batch.ReceivePart(site.DigestOf(b), int64(len(b)), 0, r, int64(len(b))); err != ErrUnwanted || r.Len() != len(b) {
			t.Errorf("ReceivePart = %v, read %d bytes", err, len(b)-r.Len())
		}
		if err := batch.Commit(); err != nil {
			t.Error(err)
		}
	}
	if found := visible(t, l); len(found) > 0 {
		t.Errorf("visible: %v", found)
	}
}

func TestOwnContentHasItsOwnBatch(t *testing.T) {
	batch := newLibrary(t).Begin(all)
	defer batch.Abort()
	if _, _, err := batch.Add(strings.NewReader("x")); err == nil {
		t.Error("a batch for the files of others took one of our own")
	}
}

func TestAbortLeavesNothing(t *testing.T) {
	l := newLibrary(t)
	batch := l.Begin(nil)
	for i := range 5 {
		if _, _, err := batch.Add(bytes.NewReader(content(uint64(i), 2*bufferSize))); err != nil {
			t.Fatal(err)
		}
	}
	batch.Abort()
	if found, left := visible(t, l), leftovers(t, l); len(found) > 0 || len(left) > 0 {
		t.Errorf("visible %v, left over %v", found, left)
	}
	if _, _, err := batch.Add(strings.NewReader("x")); err == nil {
		t.Error("an aborted batch took a file")
	}
	if err := batch.Commit(); err == nil {
		t.Error("an aborted batch was committed")
	}
}

func TestPresentFilesAreSkipped(t *testing.T) {
	for _, size := range []int{10, 2 * bufferSize} {
		l := newLibrary(t)
		b := content(1, size)
		d := add(t, l, b)
		batch := l.Begin(all)
		r := bytes.NewReader(b)
		if err := batch.Receive(d, int64(size), r); err != nil || r.Len() != size {
			t.Errorf("Receive = %v, read %d bytes", err, size-r.Len())
		}
		if err := batch.Commit(); err != nil || batch.Stats() != (Stats{Skipped: 1}) {
			t.Errorf("Commit = %v, stats %+v", err, batch.Stats())
		}
		own := l.Begin(nil)
		for range 3 { // the second and third time, big files are hashed first
			if got, n, err := own.Add(bytes.NewReader(b)); got != d || n != int64(size) || err != nil {
				t.Errorf("Add = %v, %d, %v", got, n, err)
			}
		}
		other := content(2, size)
		if got, _, err := own.Add(bytes.NewReader(other)); got != site.DigestOf(other) || err != nil {
			t.Errorf("Add = %v, %v", got, err)
		}
		if err := own.Commit(); err != nil || own.Stats() != (Stats{Files: 1, Bytes: int64(size), Skipped: 3}) {
			t.Errorf("Commit = %v, stats %+v", err, own.Stats())
		}
		if found := visible(t, l); len(found) != 2 {
			t.Errorf("visible: %v", found)
		}
	}
}

// A reader that was cut off says so with the error that some readers take for
// an end.
func TestCutOffIsNoEnd(t *testing.T) {
	batch := newLibrary(t).Begin(nil)
	defer batch.Abort()
	r := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(io.ErrUnexpectedEOF))
	if _, _, err := batch.Add(r); err != io.ErrUnexpectedEOF {
		t.Errorf("error %v", err)
	}
}

func TestAddNoticesChangeBetweenReadings(t *testing.T) {
	l := newLibrary(t)
	batch := l.Begin(nil)
	defer batch.Abort()
	batch.again.Store(true)
	_, _, err := batch.Add(&changing{Reader: bytes.NewReader(content(1, 2*bufferSize)), next: content(2, 2*bufferSize)})
	if !errors.Is(err, site.Changing) {
		t.Errorf("error %v", err)
	}
}

// changing has other bytes after it was read to its end.
type changing struct {
	*bytes.Reader
	next []byte
}

func (c *changing) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if err == io.EOF {
		c.Reader = bytes.NewReader(c.next)
	}
	return n, err
}

func TestManyAtOnce(t *testing.T) {
	l := newLibrary(t)
	batch := l.Begin(all)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for i := range 50 {
				b := content(uint64(i), 1000*i)
				if err := batch.Receive(site.DigestOf(b), int64(len(b)), bytes.NewReader(b)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if err := batch.Commit(); err != nil {
		t.Fatal(err)
	}
	if s := batch.Stats(); s.Files != 50 || s.Skipped != 150 {
		t.Errorf("stats %+v", s)
	}
	if found, left := visible(t, l), leftovers(t, l); len(found) != 50 || len(left) > 0 {
		t.Errorf("%d visible, left over %v", len(found), left)
	}
}

func TestDamageIsFound(t *testing.T) {
	for _, size := range []int{100, 3 * bufferSize} {
		l := newLibrary(t)
		b := content(1, size)
		d := add(t, l, b)
		if err := l.Verify(context.Background(), d); err != nil {
			t.Fatal(err)
		}
		path := l.roots[0].file(d.String())
		b[size/2] ^= 1
		rewrite(t, path, b)
		if err := l.Verify(context.Background(), d); !errors.Is(err, site.Damaged) {
			t.Errorf("Verify = %v", err)
		}
		dst, err := os.Create(filepath.Join(t.TempDir(), "copy"))
		if err != nil {
			t.Fatal(err)
		}
		if err := l.CopyTo(d, dst); !errors.Is(err, site.Damaged) {
			t.Errorf("CopyTo = %v", err)
		}
		dst.Close()
	}
}

func rewrite(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestShortenedFileIsReplaced(t *testing.T) {
	l := newLibrary(t)
	b := content(1, 5000)
	d := add(t, l, b)
	rewrite(t, l.roots[0].file(d.String()), nil)
	batch := l.Begin(all)
	if err := batch.Receive(d, 5000, bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	if err := batch.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := l.Verify(context.Background(), d); err != nil {
		t.Error(err)
	}
}

func TestAbsentFiles(t *testing.T) {
	l := newLibrary(t)
	d := site.DigestOf(nil)
	if _, err := l.Open(d); !errors.Is(err, site.NoSuch) {
		t.Errorf("Open = %v", err)
	}
	if _, err := l.Size(d); !errors.Is(err, site.NoSuch) {
		t.Errorf("Size = %v", err)
	}
	if err := l.Verify(context.Background(), d); !errors.Is(err, site.NoSuch) {
		t.Errorf("Verify = %v", err)
	}
	if err := l.Remove(d); err != nil {
		t.Errorf("Remove = %v", err)
	}
}

func TestCopyAndRemove(t *testing.T) {
	l := newLibrary(t)
	b := content(1, 2*bufferSize)
	d := add(t, l, b)
	dst, err := os.Create(filepath.Join(t.TempDir(), "copy"))
	if err != nil {
		t.Fatal(err)
	}
	defer dst.Close()
	if err := l.CopyTo(d, dst); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(dst.Name()); !bytes.Equal(got, b) {
		t.Error("the copy differs")
	}
	if err := l.Remove(d); err != nil || l.Has(d) {
		t.Errorf("Remove = %v, still there: %v", err, l.Has(d))
	}
}

func TestSeveralRoots(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	first, second := newLibrary(t, a), newLibrary(t, b)
	one, two := add(t, first, []byte("one")), add(t, second, []byte("two"))
	add(t, second, []byte("one")) // in both
	l := newLibrary(t, a, b)
	if !l.Has(one) || !l.Has(two) {
		t.Error("a root is not looked at")
	}
	count := 0
	if err := l.Walk(func(site.Digest, int64) error { count++; return nil }); err != nil || count != 2 {
		t.Errorf("Walk saw %d files, %v", count, err)
	}
	x, err := first.Space()
	y, err2 := l.Space()
	if err != nil || err2 != nil || y > x*3/2 {
		t.Errorf("one file system counted twice: %d, then %d; %v %v", x, y, err, err2)
	}
	if err := l.Remove(one); err != nil || l.Has(one) {
		t.Errorf("Remove = %v", err)
	}
}

func BenchmarkSmallFiles(b *testing.B) {
	data := make([][]byte, 10000)
	for i := range data {
		data[i] = content(uint64(i), 8192)
		copy(data[i], fmt.Sprint(i))
	}
	for b.Loop() {
		l, err := Open([]string{b.TempDir()})
		if err != nil {
			b.Fatal(err)
		}
		batch := l.Begin(nil)
		for _, d := range data {
			if _, _, err := batch.Add(bytes.NewReader(d)); err != nil {
				b.Fatal(err)
			}
		}
		if err := batch.Commit(); err != nil {
			b.Fatal(err)
		}
	}
}
