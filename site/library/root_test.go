package library

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"fardel/site"
)

func TestOpenSweepsTheDead(t *testing.T) {
	dir := t.TempDir()
	living := newLibrary(t, dir)
	batch := living.Begin(nil)
	defer batch.Abort()
	if _, _, err := batch.Add(strings.NewReader("being written")); err != nil {
		t.Fatal(err)
	}
	dead := newLibrary(t, dir)
	lost := dead.Begin(nil)
	if _, _, err := lost.Add(strings.NewReader("lost")); err != nil {
		t.Fatal(err)
	}
	kill(dead)
	foreign := filepath.Join(dir, "tmp", "mine")
	record := living.roots[0].ranges(site.DigestOf(nil).String())
	for _, path := range []string{foreign, record} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}

	newLibrary(t, dir)
	if left := leftovers(t, living); len(left) != 1 || filepath.Dir(left[0]) != living.roots[0].own {
		t.Errorf("left over: %v", left)
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Error("a file that is not ours was removed")
	}
	if _, err := os.Stat(record); err == nil {
		t.Error("a record without a file was left")
	}
	if err := batch.Commit(); err != nil {
		t.Errorf("the living process was disturbed: %v", err)
	}
}

// kill ends the library as the end of its process does.
func kill(l *Library) {
	for _, r := range l.roots {
		r.lock.Close()
		r.lock = nil
	}
}

func TestFullDiskIsNamed(t *testing.T) {
	l := newLibrary(t)
	l.disk.step = func(op, path, to string) error {
		if op == "write" {
			return &os.PathError{Op: op, Path: path, Err: syscall.ENOSPC}
		}
		return nil
	}
	batch := l.Begin(nil)
	defer batch.Abort()
	if _, _, err := batch.Add(strings.NewReader("x")); !errors.Is(err, site.NoSpace) {
		t.Errorf("error %v", err)
	}
}

// Without syncfs each file is flushed before it gets its name, and each folder
// that got a name afterwards.
func TestFlushOneByOne(t *testing.T) {
	l := newLibrary(t)
	l.roots[0].sync = false
	flushed := map[string]bool{}
	l.disk.step = func(op, path, to string) error {
		switch op {
		case "fsync":
			flushed[path] = true
		case "rename":
			if !flushed[path] {
				t.Errorf("%s was renamed before it was flushed", path)
			}
			delete(flushed, filepath.Dir(to))
		}
		return nil
	}
	batch := l.Begin(nil)
	var names []site.Digest
	for i := range 3 {
		d, _, err := batch.Add(bytes.NewReader(content(uint64(i), 100)))
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, d)
	}
	if err := batch.Commit(); err != nil {
		t.Fatal(err)
	}
	for _, d := range names {
		if dir := filepath.Dir(l.roots[0].file(d.String())); !flushed[dir] || !flushed[filepath.Dir(dir)] {
			t.Errorf("folder %s was not flushed", dir)
		}
	}
}

func TestFailedFlushMakesNothingVisible(t *testing.T) {
	l := newLibrary(t)
	l.disk.step = func(op, path, to string) error {
		if op == "syncfs" || op == "fsync" {
			return syscall.EIO
		}
		return nil
	}
	batch := l.Begin(nil)
	if _, _, err := batch.Add(strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	if err := batch.Commit(); !errors.Is(err, syscall.EIO) {
		t.Errorf("Commit = %v", err)
	}
	if found := visible(t, l); len(found) > 0 {
		t.Errorf("visible: %v", found)
	}
}

func TestVolatileOverlay(t *testing.T) {
	const mounts = `22 1 0:20 / / rw,relatime - ext4 /dev/vda rw
30 22 0:31 / /srv rw shared:1 - overlay overlay rw,lowerdir=/a,upperdir=/b,workdir=/c,volatile
31 30 0:32 / /srv/my\040disk rw - xfs /dev/vdb rw
32 22 0:33 / /opt rw - overlay overlay rw,lowerdir=/volatile
33 22 0:34 / /mnt rw - overlay overlay rw,volatile
34 22 0:35 / /mnt rw - ext4 /dev/vdc rw
broken
`
	for path, want := range map[string]bool{
		"/": false, "/srv": true, "/srv/lib": true, "/srvlib": false, "/srv/my disk/lib": false, "/opt/lib": false, "/mnt/lib": false,
	} {
		if got := volatile(mounts, path); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
}

func TestVerifyStops(t *testing.T) {
	l := newLibrary(t)
	d := add(t, l, []byte("x"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := l.Verify(ctx, d); err != context.Canceled {
		t.Errorf("error %v", err)
	}
}
