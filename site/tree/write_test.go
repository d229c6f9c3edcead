//go:build linux

package tree

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"fardel/site"
)

// shelf is a library for tests: a folder of files named by digest.
type shelf struct {
	dir string
	mu  sync.Mutex
}

func (s *shelf) add(_ string, r io.Reader) (site.Digest, int64, error) {
	b, err := io.ReadAll(r)
	d := site.DigestOf(b)
	s.mu.Lock()
	defer s.mu.Unlock()
	return d, int64(len(b)), errors.Join(err, os.WriteFile(s.path(d), b, 0o600))
}

func (s *shelf) path(d site.Digest) string { return filepath.Join(s.dir, d.String()) }

func (s *shelf) open(d site.Digest) (*os.File, error) {
	f, err := os.Open(s.path(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, site.NoSuch.New("no file %s", d.Short())
	}
	return f, err
}

func stocked(t testing.TB) (*shelf, []Item) {
	t.Helper()
	s := &shelf{dir: t.TempDir()}
	r, err := Scan(context.Background(), sample(t), Options{Add: s.add})
	must(t, err)
	return s, r.Items
}

func withoutNotes(items []Item) []Item {
	return slices.DeleteFunc(slices.Clone(items), func(it Item) bool { return it.Type == Note })
}

// What was scanned, written and scanned again is the same.
func TestWrite(t *testing.T) {
	s, items := stocked(t)
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	parent := t.TempDir()
	empty := filepath.Join(parent, "empty")
	must(t, os.Mkdir(empty, 0o700))
	must(t, os.Chmod(empty, 0o751))
	for _, dest := range []string{filepath.Join(parent, "absent"), empty} {
		files := int64(0)
		m := ReadManifest(bytes.NewReader(manifest(t, items)), MaxManifest)
		must(t, Write(context.Background(), m, s.open, dest, func(n, _ int64) { files = n }))
		t.Cleanup(func() { removeTree(dest) })
		got, err := Scan(context.Background(), dest, Options{})
		must(t, err)
		if want := withoutNotes(items); !slices.Equal(withoutNotes(got.Items), want) {
			t.Errorf("got %v\nwant %v", got.Items, want)
		}
		if files != got.Files {
			t.Errorf("progress spoke of %d files", files)
		}
	}
	if st, err := os.Stat(empty); err != nil || st.Mode().Perm() != 0o751 {
		t.Errorf("the empty folder's mode became %v", st.Mode())
	}
	alone(t, parent, "absent", "empty")
}

// alone checks that nothing else was left in the folder.
func alone(t *testing.T, dir string, names ...string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	must(t, err)
	var got []string
	for _, e := range list {
		got = append(got, e.Name())
	}
	if !slices.Equal(got, names) {
		t.Errorf("%v is in the folder, want %v", got, names)
	}
}

func TestWriteLeavesNothingWhenItFails(t *testing.T) {
	d := site.DigestOf([]byte("x"))
	file := Item{Type: File, Path: "a", Mode: 0o644, Digest: d, Size: 1}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, c := range []struct {
		name    string
		ctx     context.Context
		content string
		items   []Item
		want    error
	}{
		{"a bit has flipped", nil, "y", []Item{file}, site.Damaged},
		{"shorter", nil, "", []Item{file}, site.Damaged},
		{"longer", nil, "xx", []Item{file}, site.Damaged},
		{"absent", nil, "absent", []Item{file}, site.NoSuch},
		{"outside", nil, "x", []Item{{Type: Dir, Path: ".."}}, site.Damaged},
		{"absolute", nil, "x", []Item{{Type: Dir, Path: "/a"}}, site.Damaged},
		{"no folder", nil, "x", []Item{{Type: File, Path: "a/b", Digest: d, Size: 1}}, site.Damaged},
		{"through a link", nil, "x", []Item{{Type: Link, Path: "a", Target: "/"}, {Type: File, Path: "a/b", Digest: d, Size: 1}}, site.Damaged},
		{"twice", nil, "x", []Item{file, file}, site.Damaged},
		{"cancelled", ctx, "x", []Item{file}, context.Canceled},
		{"at the end of many", nil, "x", []Item{
			{Type: Dir, Path: "d", Mode: 0o500}, {Type: File, Path: "d/a", Mode: 0o400, Digest: d, Size: 1},
			{Type: File, Path: "e", Mode: 0o644, Digest: site.DigestOf(nil)}}, site.NoSuch},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, parent := &shelf{dir: t.TempDir()}, t.TempDir()
			if c.content != "absent" {
				must(t, os.WriteFile(s.path(d), []byte(c.content), 0o600))
			}
			if c.ctx == nil {
				c.ctx = context.Background()
			}
			err := Write(c.ctx, Each(c.items), s.open, filepath.Join(parent, "dest"), nil)
			if !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			alone(t, parent)
		})
	}
}

func TestWriteFindsDamageInBigFiles(t *testing.T) {
	s, items := stocked(t)
	i := slices.IndexFunc(items, func(it Item) bool { return it.Size > bigFile })
	b, err := os.ReadFile(s.path(items[i].Digest))
	must(t, err)
	b[len(b)-1] ^= 0x80
	must(t, os.WriteFile(s.path(items[i].Digest), b, 0o600))
	parent := t.TempDir()
	if err := Write(context.Background(), Each(items), s.open, filepath.Join(parent, "dest"), nil); !errors.Is(err, site.Damaged) {
		t.Errorf("error %v", err)
	}
	alone(t, parent)
}

func TestWriteTouchesNothingThatIsThere(t *testing.T) {
	s, items := stocked(t)
	parent := t.TempDir()
	put(t, parent, "full/mine", "mine", 0o600)
	put(t, parent, "file", "mine", 0o600)
	must(t, os.Mkdir(filepath.Join(parent, "target"), 0o700))
	must(t, os.Symlink("target", filepath.Join(parent, "link")))
	for dest, want := range map[string]error{"full": site.Exists, "file": site.Exists, "link": site.Exists, "none/below": site.BadUsage} {
		if err := Write(context.Background(), Each(items), s.open, filepath.Join(parent, dest), nil); !errors.Is(err, want) {
			t.Errorf("%s: error %v", dest, err)
		}
	}
	alone(t, parent, "file", "full", "link", "target")
	alone(t, filepath.Join(parent, "full"), "mine")
	alone(t, filepath.Join(parent, "target"))
}

// What a killed command left is removed by the next, and a living one is not
// disturbed.
func TestWriteSweepsTheDead(t *testing.T) {
	s, items := stocked(t)
	parent := t.TempDir()
	dest := filepath.Join(parent, "dest")
	_, dead, err := makePart(dest)
	must(t, err)
	put(t, dead.Name(), "half/file", "x", 0o600)
	must(t, os.Chmod(filepath.Join(dead.Name(), "half"), 0o500))
	dead.Close()
	living, lock, err := makePart(dest)
	must(t, err)
	defer lock.Close()
	must(t, Write(context.Background(), Each(items), s.open, dest, nil))
	t.Cleanup(func() { removeTree(dest) })
	alone(t, parent, filepath.Base(living), "dest")
}

// A folder of the tree that is swapped for a link while it is written leads
// nowhere.
func TestWriteFollowsNoSwappedLink(t *testing.T) {
	s := &shelf{dir: t.TempDir()}
	outside := t.TempDir()
	parent := t.TempDir()
	items := []Item{{Type: Dir, Path: "d", Mode: 0o755}}
	var swap sync.Once
	for i := range 200 {
		d, n, err := s.add("", bytes.NewReader([]byte{byte(i)}))
		must(t, err)
		items = append(items, Item{Type: File, Path: "d/" + string(rune('0'+i/100)) + string(rune('0'+i/10%10)) + string(rune('0'+i%10)), Digest: d, Size: n, Mode: 0o644})
	}
	open := func(d site.Digest) (*os.File, error) {
		swap.Do(func() {
			parts, _ := filepath.Glob(filepath.Join(parent, ".*", "d"))
			for _, p := range parts {
				os.Rename(p, p+".old")
				os.Symlink(outside, p)
			}
		})
		return s.open(d)
	}
	if err := Write(context.Background(), Each(items), open, filepath.Join(parent, "dest"), nil); err == nil {
		t.Error("nothing was noticed")
	}
	alone(t, outside)
}
