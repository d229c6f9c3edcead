//go:build linux

package courier

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"fardel/media"
	"fardel/site"
)

var _ fs.File = (*Incoming)(nil)

func openCarrier(t *testing.T, dir string) *Carrier {
	t.Helper()
	c, err := OpenCarrier(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestCarrierReads(t *testing.T) {
	load := someLoad(t)
	c := openCarrier(t, writtenMedium(t, load))
	for _, it := range load.Items() {
		in, err := c.Open("HQ0", it.Name)
		if err != nil {
			t.Fatal(err)
		}
		if in.Size() != it.Size {
			t.Errorf("%s: size %d, want %d", it.Name, in.Size(), it.Size)
		}
		b, err := io.ReadAll(in)
		if err != nil || site.DigestOf(b) != it.Digest {
			t.Errorf("%s: %d bytes, %v", it.Name, len(b), err)
		}
		in.Close()
	}
}

func TestList(t *testing.T) {
	load := someLoad(t)
	dir := writtenMedium(t, load)
	put(t, dir, "FARDEL/HQ0/labels/strange.label", "?")
	put(t, dir, "FARDEL/HQ0/bodies/UPPER", "?")
	put(t, dir, "FARDEL/lower/labels/hq0-fld-000001.label", "?")
	c, err := List(dir)
	if err != nil || len(c.Folders) != 2 || c.Foreign != 1 || c.More {
		t.Fatalf("%+v, %v", c, err)
	}
	eu, hq := c.Folders[0], c.Folders[1]
	if eu.From != "EU1" || len(eu.Labels) != 1 || len(eu.Files) != 1 || eu.Unknown != 1 {
		t.Errorf("EU1: %+v", eu)
	}
	if hq.From != "HQ0" || len(hq.Labels) != 1 || hq.Bytes != load.Bytes() || len(hq.Files) != len(load.Items()) || hq.Unknown != 2 {
		t.Errorf("HQ0: %+v", hq)
	}
}

func TestListNothing(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "a/b/c", "x")
	put(t, dir, "d", "x")
	if c, err := List(dir); err != nil || c.Foreign != 2 || len(c.Folders) != 0 {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := OpenCarrier(dir); !errors.Is(err, site.NoParcels) {
		t.Errorf("OpenCarrier: %v, want %v", err, site.NoParcels)
	}
	if _, err := OpenCarrier(dir + "/none"); !errors.Is(err, site.NoMedium) {
		t.Errorf("OpenCarrier: %v, want %v", err, site.NoMedium)
	}
}

func TestListCarriers(t *testing.T) {
	with, without := usedMedium(t), t.TempDir()
	if got := ListCarriers([]string{without, with, without + "/none"}); len(got) != 1 || got[0] != with {
		t.Errorf("%v", got)
	}
}

// TestCarrierRefuses puts something else in the place of each part of a path.
func TestCarrierRefuses(t *testing.T) {
	label := "FARDEL/EU1/labels/eu1-fld-000007.label"
	link := func(t *testing.T, name string) {
		if err := os.Rename(name, name+"x"); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Base(name)+"x", name); err != nil {
			t.Fatal(err)
		}
	}
	pipe := func(t *testing.T, name string) {
		os.RemoveAll(name)
		if err := syscall.Mkfifo(name, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	folder := func(t *testing.T, name string) {
		os.RemoveAll(name)
		if err := os.Mkdir(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		at    string
		spoil func(t *testing.T, name string)
	}{
		"link for FARDEL": {"FARDEL", link},
		"link for writer": {"FARDEL/EU1", link},
		"link for folder": {"FARDEL/EU1/labels", link},
		"link for file":   {label, link},
		"pipe for file":   {label, pipe},
		"pipe for folder": {"FARDEL/EU1/labels", pipe},
		"folder for file": {label, folder},
	} {
		t.Run(name, func(t *testing.T) {
			dir := usedMedium(t)
			c.spoil(t, filepath.Join(dir, c.at))
			carrier, err := OpenCarrier(dir)
			if err == nil {
				defer carrier.Close()
				_, err = carrier.Open("EU1", "labels/eu1-fld-000007.label")
			}
			if !errors.Is(err, site.Damaged) {
				t.Errorf("%v, want %v", err, site.Damaged)
			}
		})
	}
}

func TestCarrierRefusesNames(t *testing.T) {
	c := openCarrier(t, usedMedium(t))
	for _, name := range []string{"../EU1/SHA256SUMS", "SHA256SUMS", "labels/../SHA256SUMS", "labels/part-x", "", "labels//x", "/etc/passwd"} {
		if _, err := c.Open("EU1", name); !errors.Is(err, site.Internal) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := c.Open("../", "labels/x"); !errors.Is(err, site.Internal) {
		t.Errorf("a false code: %v", err)
	}
}

func TestCarrierAbsentFile(t *testing.T) {
	c := openCarrier(t, usedMedium(t))
	_, err := c.Open("EU1", "bundles/x")
	if !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, site.NoSuch) {
		t.Errorf("%v", err)
	}
}

func TestReadFileIsBounded(t *testing.T) {
	c := openCarrier(t, usedMedium(t))
	const name = "labels/eu1-fld-000007.label"
	if b, err := c.ReadFile("EU1", name, 6); err != nil || string(b) != "theirs" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := c.ReadFile("EU1", name, 5); !errors.Is(err, site.Damaged) {
		t.Errorf("%v, want %v", err, site.Damaged)
	}
}

// TestIncomingIsAsLongAsItSaid changes a file between looking and reading.
func TestIncomingIsAsLongAsItSaid(t *testing.T) {
	const name = "labels/eu1-fld-000007.label"
	dir := usedMedium(t)
	c := openCarrier(t, dir)
	for text, want := range map[string]error{"theirs": nil, "theirs and more": nil, "the": site.Damaged} {
		put(t, dir, "FARDEL/EU1/"+name, "theirs")
		in, err := c.Open("EU1", name)
		if err != nil {
			t.Fatal(err)
		}
		put(t, dir, "FARDEL/EU1/"+name, text)
		b, err := io.ReadAll(in)
		if !errors.Is(err, want) || err == nil && string(b) != "theirs" {
			t.Errorf("%q: %q, %v", text, b, err)
		}
		in.Close()
	}
}

func TestMediumGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "usb")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "FARDEL/EU1/labels/eu1-fld-000007.label", "theirs")
	c := openCarrier(t, dir)
	if err := os.Rename(dir, dir+"-gone"); err != nil {
		t.Fatal(err)
	}
	os.RemoveAll(dir + "-gone/FARDEL/EU1")
	if _, err := c.Open("EU1", "labels/eu1-fld-000007.label"); !errors.Is(err, site.MediumGone) {
		t.Errorf("Open: %v, want %v", err, site.MediumGone)
	}
	if _, err := c.List(); !errors.Is(err, site.MediumGone) && err != nil {
		t.Errorf("List: %v, want %v", err, site.MediumGone)
	}
}

func TestVanishedErrors(t *testing.T) {
	for err, want := range map[error]*site.Class{
		syscall.EIO:      site.MediumGone,
		syscall.ENODEV:   site.MediumGone,
		syscall.ENOTCONN: site.MediumGone,
		syscall.ENOSPC:   site.NoSpace,
		syscall.EFBIG:    site.NoSpace,
		syscall.EROFS:    site.Failed,
		context.Canceled: site.Interrupted,
	} {
		got := explain(&fs.PathError{Op: "write", Path: "x", Err: err}, "/media/usb", nil, "writing", "x")
		if !errors.Is(got, want) || !errors.Is(got, err) {
			t.Errorf("%v becomes %v, want %v", err, got, want)
		}
	}
}

// TestCarrierChangesNothing compares everything that a file system remembers
// before and after a reading, the times of access included.
func TestCarrierChangesNothing(t *testing.T) {
	load := someLoad(t)
	dir := writtenMedium(t, load)
	all := walk(t, dir)
	for _, name := range all {
		// So long ago that any system would note a new access.
		if err := os.Chtimes(name, time.Unix(1e9, 0), time.Unix(1e9, 0)); err != nil {
			t.Fatal(err)
		}
	}
	before := traces(t, all)
	c := openCarrier(t, dir)
	if _, err := c.List(); err != nil {
		t.Fatal(err)
	}
	for _, it := range load.Items() {
		if _, err := c.ReadFile("HQ0", it.Name, media.MaxLabel); err != nil {
			t.Fatal(err)
		}
	}
	for i, now := range traces(t, all) {
		if now != before[i] {
			t.Errorf("%s was %+v and is %+v", all[i], before[i], now)
		}
	}
	if n := len(walk(t, dir)); n != len(all) {
		t.Errorf("%d names, were %d", n, len(all))
	}
}

func walk(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
		all = append(all, p)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

type trace struct {
	size         int64
	mode         fs.FileMode
	mtime, atime int64
}

func traces(t *testing.T, names []string) (all []trace) {
	t.Helper()
	for _, name := range names {
		info, err := os.Lstat(name)
		if err != nil {
			t.Fatal(err)
		}
		st := info.Sys().(*syscall.Stat_t)
		all = append(all, trace{info.Size(), info.Mode(), info.ModTime().UnixNano(), st.Atim.Nano()})
	}
	return all
}
