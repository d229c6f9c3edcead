//go:build linux

package tree

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"fardel/site"
)

// sample makes a tree with everything that a package can carry.
func sample(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	put(t, dir, SpecName, "name = 'x'", 0o644)
	put(t, dir, "run", "#!/bin/sh", 0o755)
	put(t, dir, "a/one", "same", 0o640)
	put(t, dir, "a/two", "same", 0o400)
	put(t, dir, "a/none", "", 0o000)
	put(t, dir, "a.b/"+SpecName, "carried: it is not at the top", 0o644)
	put(t, dir, "a/deep/er/big", strings.Repeat("0123456789abcdef", 1<<17), 0o606)
	put(t, dir, "é\n", "odd name", 0o644)
	for _, empty := range []string{"empty", "a/empty/inside"} {
		if err := os.MkdirAll(filepath.Join(dir, empty), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	must(t, os.Symlink("../run", filepath.Join(dir, "a/link")))
	must(t, os.Symlink("nowhere", filepath.Join(dir, "dangling")))
	must(t, os.Symlink("a", filepath.Join(dir, "folder-link")))
	must(t, os.Link(filepath.Join(dir, "run"), filepath.Join(dir, "run-again")))
	must(t, os.Chmod(filepath.Join(dir, "a/deep"), 0o555))
	must(t, os.Chmod(filepath.Join(dir, "empty"), 0o711|fs.ModeSticky|fs.ModeSetgid))
	must(t, os.Chmod(filepath.Join(dir, "run"), 0o755|fs.ModeSetuid))
	t.Cleanup(func() { os.Chmod(filepath.Join(dir, "a/deep"), 0o755) })
	return dir
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func lines(t testing.TB, items []Item) []string {
	t.Helper()
	text := strings.TrimSuffix(string(manifest(t, items)), "\n")
	return strings.Split(text, "\n")[1:]
}

func TestScan(t *testing.T) {
	dir := sample(t)
	var calls atomic.Int64
	got, err := Scan(context.Background(), dir, Options{Workers: 3, Progress: func(files, bytes int64) { calls.Add(1) }})
	must(t, err)
	f := func(mode, content, path string) string {
		return string(appendItem(nil, Item{Type: File, Path: path, Digest: site.DigestOf([]byte(content)), Size: int64(len(content)),
			Mode: fs.FileMode(mode[0]-'0')<<6 | fs.FileMode(mode[1]-'0')<<3 | fs.FileMode(mode[2]-'0')}))
	}
	want := []string{
		`d 755 "a"`,
		`d 755 "a.b"`,
		f("644", "carried: it is not at the top", "a.b/"+SpecName),
		`d 555 "a/deep"`,
		`d 755 "a/deep/er"`,
		f("606", strings.Repeat("0123456789abcdef", 1<<17), "a/deep/er/big"),
		`d 755 "a/empty"`,
		`d 755 "a/empty/inside"`,
		`l "../run" "a/link"`,
		f("000", "", "a/none"),
		f("640", "same", "a/one"),
		f("400", "same", "a/two"),
		`l "nowhere" "dangling"`,
		`d 711 "empty"`,
		`n "the setgid bit was left out" "empty"`,
		`n "the sticky bit was left out" "empty"`,
		`l "a" "folder-link"`,
		f("755", "#!/bin/sh", "run"),
		`n "the setuid bit was left out" "run"`,
		f("755", "#!/bin/sh", "run-again"),
		`n "the setuid bit was left out" "run-again"`,
		f("644", "odd name", "é\n"),
		`n "the name holds a control character" "é\u000a"`,
		`n "Windows allows no \"\\n\" in a name" "é\u000a"`,
	}
	for i := range want {
		want[i] = strings.TrimSuffix(want[i], "\n")
	}
	slices.Sort(want[len(want)-2:])
	if have := lines(t, got.Items); !slices.Equal(have, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
	if got.Files != 8 || got.Bytes != 2<<20+8+8+18+29 || len(got.Notes) != 6 || calls.Load() != 8 {
		t.Errorf("%d files, %d bytes, %d notes, %d calls", got.Files, got.Bytes, len(got.Notes), calls.Load())
	}
	again, err := Scan(context.Background(), dir, Options{Workers: 1})
	must(t, err)
	if !slices.Equal(got.Items, again.Items) {
		t.Error("the result depends on the number of workers")
	}
}

func TestScanRefuses(t *testing.T) {
	for _, c := range []struct {
		name      string
		platforms []string
		make      func(dir string) error
		want      string // in the message; empty: taken
		notes     int
	}{
		{"pipe", nil, func(d string) error { return syscall.Mkfifo(d+"/pipe", 0o600) }, "pipe: it is a device", 0},
		{"not UTF-8", nil, func(d string) error { return os.WriteFile(d+"/a\xff", nil, 0o600) }, "not valid UTF-8", 0},
		{"target not UTF-8", nil, func(d string) error { return os.Symlink("\xff", d+"/a") }, "a: a target", 0},
		{"reserved name", []string{Windows}, touch("AUX.txt"), "AUX.txt: Windows keeps the name AUX", 0},
		{"reserved name elsewhere", []string{Linux, Darwin}, touch("aux.c"), "", 1},
		{"reserved folder", []string{"windows/amd64"}, touch("com¹/x"), "com¹: Windows keeps", 0},
		{"almost reserved", []string{Windows}, touch("COM10", "auxiliary", "con-fig"), "", 0},
		{"dot at the end", []string{Windows}, touch("a."), "Windows drops", 0},
		{"space at the end", []string{Windows}, touch("a "), "Windows drops", 0},
		{"colon", []string{Windows}, touch("a:b"), "Windows allows no \":\"", 0},
		{"backslash", []string{Windows}, touch(`a\b`), "Windows allows no", 0},
		{"colon on macOS", []string{Darwin}, touch("a:b"), "", 1},
		{"case", []string{Windows}, touch("Readme", "README"), "same as \"README\"", 0},
		{"case on macOS", []string{Darwin}, touch("Straße", "STRASSE"), "same as", 0},
		{"spelling on macOS", []string{Darwin}, touch("\u00e9", "e\u0301"), "same as", 0},
		{"case of folders", []string{Darwin}, touch("A/x", "a/y"), "same as", 0},
		{"case on Linux", []string{Linux}, touch("Readme", "README"), "", 1},
		{"case in two folders", []string{Windows}, touch("a/x", "b/X"), "", 0},
		{"turned name", nil, touch("a\u202egpj.exe"), "", 1},
		{"link out", nil, func(d string) error { return os.Symlink("../x", d+"/a") }, "", 1},
		{"absolute link", nil, func(d string) error { return os.Symlink("/etc/passwd", d+"/a") }, "", 1},
		{"link inside", nil, func(d string) error { return errors.Join(touch("b/c")(d), os.Symlink("../b", d+"/b/a")) }, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := c.make(dir); err != nil {
				t.Skip(err) // the file system does not take the name
			}
			added := 0
			r, err := Scan(context.Background(), dir, Options{Platforms: c.platforms, Workers: 1,
				Add: func(p string, r io.Reader) (site.Digest, int64, error) { added++; return hashOnly(p, r) }})
			if c.want == "" {
				if err != nil || len(r.Notes) != c.notes {
					t.Errorf("%d notes %v, error %v", len(r.Notes), r.Notes, err)
				}
				return
			}
			if !errors.Is(err, site.BadPackage) || !strings.Contains(err.Error(), c.want) || added > 0 {
				t.Errorf("error %v after %d files, want %s", err, added, c.want)
			}
		})
	}
}

func touch(names ...string) func(dir string) error {
	return func(dir string) error {
		var errs []error
		for _, n := range names {
			path := filepath.Join(dir, n)
			errs = append(errs, os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o600))
		}
		return errors.Join(errs...)
	}
}

func TestScanNamesAllThatIsWrong(t *testing.T) {
	dir := t.TempDir()
	for i := range 12 {
		must(t, touch("a"+string(rune('a'+i))+".")(dir))
	}
	_, err := Scan(context.Background(), dir, Options{Platforms: []string{Windows}})
	if err == nil || !strings.Contains(err.Error(), "aa.: ") || !strings.Contains(err.Error(), "aj.: ") || !strings.Contains(err.Error(), "and 2 more") {
		t.Errorf("error %v", err)
	}
}

// Each change happens while the last file is being added.
func TestScanNoticesChange(t *testing.T) {
	for name, change := range map[string]func(dir string) error{
		"written to": func(d string) error { return os.WriteFile(d+"/z", []byte("other"), 0o600) },
		"appended to": func(d string) error {
			f, err := os.OpenFile(d+"/z", os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteString("x")
				f.Close()
			}
			return err
		},
		"written to, and the time set back": func(d string) error {
			st, err := os.Stat(d + "/a/x")
			return errors.Join(err, os.WriteFile(d+"/a/x", []byte("X"), 0o600), os.Chtimes(d+"/a/x", st.ModTime(), st.ModTime()))
		},
		"replaced":             func(d string) error { return errors.Join(touch("n")(d), os.Rename(d+"/n", d+"/z")) },
		"removed":              func(d string) error { return os.Remove(d + "/z") },
		"mode":                 func(d string) error { return os.Chmod(d+"/z", 0o666) },
		"an earlier file":      func(d string) error { return os.WriteFile(d+"/a/x", []byte("other"), 0o600) },
		"a file comes":         touch("a/new"),
		"a file comes on top":  touch("new"),
		"a file goes":          func(d string) error { return os.Remove(d + "/a/x") },
		"an empty folder goes": func(d string) error { return os.Remove(d + "/e") },
		"a link":               func(d string) error { return errors.Join(os.Remove(d+"/l"), os.Symlink("b", d+"/l")) },
		"a folder is replaced": func(d string) error { return errors.Join(os.Rename(d+"/a", d+"/b"), os.Mkdir(d+"/a", 0o755)) },
		"a folder's mode":      func(d string) error { return os.Chmod(d+"/e", 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, touch("z")(dir))
			put(t, dir, "a/x", "x", 0o600)
			must(t, os.Mkdir(dir+"/e", 0o755))
			must(t, os.Symlink("a", dir+"/l"))
			_, err := Scan(context.Background(), dir, Options{Workers: 1,
				Add: func(path string, r io.Reader) (site.Digest, int64, error) {
					d, n, err := hashOnly(path, r)
					if path == "a/x" {
						// Jobs of the top folder come first; this is the last.
						err = errors.Join(err, change(dir))
					}
					return d, n, err
				}})
			if !errors.Is(err, site.Changing) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// A file or folder that is swapped for a link, over and over, is never followed
// to where the link leads.
func TestScanFollowsNoSwappedLink(t *testing.T) {
	outside := t.TempDir()
	put(t, outside, "x", "SECRET", 0o644)
	dir := t.TempDir()
	put(t, dir, "d/x", "public", 0o644)
	put(t, dir, "other", "SECRET", 0o644)
	put(t, dir, "f", "public", 0o644)
	must(t, os.Symlink(outside, filepath.Join(dir, "d-link")))
	must(t, os.Symlink("other", filepath.Join(dir, "f-link")))
	put(t, dir, "g/x", "public", 0o644)
	put(t, dir, "hidden/x", "SECRET", 0o644)
	must(t, os.Symlink("hidden", filepath.Join(dir, "g-link")))
	stop, done := make(chan bool), make(chan bool)
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				exchange(dir+"/d", dir+"/d-link")
				exchange(dir+"/f", dir+"/f-link")
				exchange(dir+"/g", dir+"/g-link")
				time.Sleep(time.Millisecond) // long enough for a scan that is taken in to end
			}
		}
	}()
	noticed := 0
	for range 4000 {
		r, err := Scan(context.Background(), dir, Options{Workers: 2})
		if err != nil {
			noticed++
			if !errors.Is(err, site.Changing) && !errors.Is(err, site.Failed) {
				t.Fatal(err)
			}
			continue
		}
		for _, it := range r.Items {
			if it.Type == File && it.Digest == site.DigestOf([]byte("SECRET")) && it.Path != "other" && it.Path != "hidden/x" {
				t.Fatalf("%s was followed to where it leads", it.Path)
			}
		}
	}
	close(stop)
	<-done
	if noticed == 0 {
		t.Skip("nothing was swapped in time")
	}
}

func TestScanStops(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	_, err := Scan(ctx, sample(t), Options{Add: func(string, io.Reader) (site.Digest, int64, error) {
		cancel()
		return site.Digest{}, 0, context.Canceled
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	full := site.NoSpace.New("full")
	_, err = Scan(context.Background(), sample(t), Options{Add: func(string, io.Reader) (site.Digest, int64, error) {
		return site.Digest{}, 0, full
	}})
	if !errors.Is(err, site.NoSpace) {
		t.Errorf("error %v", err)
	}
	if _, err = Scan(context.Background(), t.TempDir()+"/none", Options{}); !errors.Is(err, site.BadUsage) {
		t.Errorf("error %v", err)
	}
}
