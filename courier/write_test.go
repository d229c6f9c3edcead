package courier

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fardel/media"
	"fardel/site"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files")

// someLoad is a parcel of HQ0 for FLD with two bundles and a segment.
func someLoad(t testing.TB) Load {
	t.Helper()
	bytesOf := func(c byte, n int) []byte { return bytes.Repeat([]byte{c}, n) }
	bundle := func(c byte, n int) Item {
		b := bytesOf(c, n)
		return NewItem(media.BundlePath(site.DigestOf(b), media.Codec("zstd")), b)
	}
	segment := bytesOf('s', 300)
	parcel := site.ParcelName{From: "HQ0", To: "FLD", Number: 42}
	// One of the bundles is a file, as they all are in practice.
	onDisk := bundle('b', 5000)
	onDisk.Source = filepath.Join(t.TempDir(), "bundle")
	if err := os.WriteFile(onDisk.Source, onDisk.Data, 0o600); err != nil {
		t.Fatal(err)
	}
	onDisk.Data = nil
	return Load{
		From:    "HQ0",
		Trust:   []Item{NewItem(media.CharterPath(1), []byte("charter\n"))},
		Bundles: []Item{onDisk, bundle('c', 700), NewItem(media.SegmentPath(site.DigestOf(segment)), segment)},
		Bodies:  []Item{NewItem(media.BodyPath(parcel), []byte("body"))},
		Labels:  []Item{NewItem(media.LabelPath(parcel), []byte("fardel label v1\n"))},
	}
}

// memoryDir is a folder in memory where there is one: thousands of media are made
// and thrown away here, and none of them has to last.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "medium")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// usedMedium makes a medium that others have used before.
func usedMedium(t *testing.T) string {
	t.Helper()
	dir := memoryDir(t)
	put(t, dir, "holiday/photo.jpg", "a beach")
	put(t, dir, "FARDEL/EU1/labels/eu1-fld-000007.label", "theirs")
	put(t, dir, "FARDEL/EU1/bodies/part-eu1-fld-000008.body.xz.age", "half of theirs")
	put(t, dir, "FARDEL/EU1/SHA256SUMS", "theirs too")
	return dir
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	full := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func get(dir, name string) string {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return "absent"
	}
	return string(b)
}

// untouched fails the test unless all that others have on the medium is as it was.
func untouched(t *testing.T, dir string) {
	t.Helper()
	for name, want := range map[string]string{
		"holiday/photo.jpg":                                 "a beach",
		"FARDEL/EU1/labels/eu1-fld-000007.label":            "theirs",
		"FARDEL/EU1/bodies/part-eu1-fld-000008.body.xz.age": "half of theirs",
		"FARDEL/EU1/SHA256SUMS":                             "theirs too",
	} {
		if got := get(dir, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// noLabelTooEarly fails the test if a label of the load can be seen although it,
// or anything else of the load, is not complete.
func noLabelTooEarly(t *testing.T, dir string, load Load) {
	t.Helper()
	seen := false
	for _, it := range load.Labels {
		_, err := os.Lstat(filepath.Join(dir, media.Dir(load.From), it.Name))
		seen = seen || err == nil
	}
	if !seen {
		return
	}
	for _, it := range load.Items() {
		if got := get(dir, media.Dir(load.From)+"/"+it.Name); site.DigestOf([]byte(got)) != it.Digest && !(isLabel(it.Name) && got == "absent") {
			t.Errorf("a label can be seen, but %s is not complete", it.Name)
		}
	}
}

func writeFaulty(dir string, f *faulty, load Load) error {
	return writeTo(context.Background(), dir, f.disk.root, f, load, nil)
}

func TestWriteSurvivesEveryFault(t *testing.T) {
	load := someLoad(t)
	second := load.Labels[0]
	second.Name = media.LabelPath(site.ParcelName{From: "HQ0", To: "SEA", Number: 1})
	load.Labels = append(load.Labels, second)
	damaged := func(t *testing.T) string {
		dir := usedMedium(t)
		if err := writeFaulty(dir, newFaulty(t, dir, 0, cut), load); err != nil {
			t.Fatal(err)
		}
		put(t, dir, media.Dir("HQ0")+"/"+load.Bundles[1].Name, "rotten")
		put(t, dir, media.Dir("HQ0")+"/bodies/part-hq0-fld-000041.body.xz.age", "left over")
		return dir
	}
	for name, setup := range map[string]func(*testing.T) string{"fresh": usedMedium, "again": damaged} {
		t.Run(name, func(t *testing.T) {
			enumerate(t, setup,
				func(dir string, f *faulty) error { return writeFaulty(dir, f, load) },
				func(t *testing.T, f *faulty) {
					dir := f.dir
					if name == "fresh" || f.changed() {
						noLabelTooEarly(t, dir, load)
					}
					untouched(t, dir)
					if err := writeFaulty(dir, newFaulty(t, dir, 0, cut), load); err != nil {
						t.Errorf("a second run: %v", err)
					}
					finished(t, dir, load)
					untouched(t, dir)
				})
		})
	}
}

// finished fails the test unless the load is on the medium, and nothing is left
// of earlier runs.
func finished(t *testing.T, dir string, load Load) {
	t.Helper()
	if _, err := ReadBack(context.Background(), dir, load, nil); err != nil {
		t.Errorf("reading back: %v", err)
	}
	c, err := List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range c.Folders {
		if f.From == load.From && (f.Unknown != 0 || len(f.Files) != len(load.Items())) {
			t.Errorf("the folder holds %d files and %d unknown ones, want %d and 0", len(f.Files), f.Unknown, len(load.Items()))
		}
	}
}

func TestWriteOrder(t *testing.T) {
	dir := t.TempDir()
	f := newFaulty(t, dir, 0, cut)
	if err := writeFaulty(dir, f, someLoad(t)); err != nil {
		t.Fatal(err)
	}
	golden(t, "export.ops", strings.Join(f.log, "\n")+"\n")
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run with -rewrite and look at the difference. Got:\n%s", name, got)
	}
}

func TestWriteAgainWritesNothing(t *testing.T) {
	dir, load := t.TempDir(), someLoad(t)
	if err := Write(context.Background(), dir, load, nil); err != nil {
		t.Fatal(err)
	}
	f := newFaulty(t, dir, 0, cut)
	if err := writeFaulty(dir, f, load); err != nil {
		t.Fatal(err)
	}
	for _, op := range f.log {
		if !strings.HasPrefix(op, "folder") && !strings.HasPrefix(op, "sync folder") {
			t.Errorf("did %q", op)
		}
	}
}

func TestWriteKeepsEarlierSums(t *testing.T) {
	dir, load := t.TempDir(), someLoad(t)
	if err := Write(context.Background(), dir, load, nil); err != nil {
		t.Fatal(err)
	}
	later := Load{From: "HQ0", Bodies: []Item{NewItem("bodies/hq0-fld-000043.body.xz.age", []byte("more"))}}
	if err := Write(context.Background(), dir, later, nil); err != nil {
		t.Fatal(err)
	}
	s, err := parseSums([]byte(get(dir, "FARDEL/HQ0/SHA256SUMS")))
	if err != nil || len(s) != len(load.Items())+1 {
		t.Errorf("%d lines, %v", len(s), err)
	}
}

func TestWriteTellsProgress(t *testing.T) {
	load := someLoad(t)
	var last, total int64
	err := Write(context.Background(), t.TempDir(), load, func(_ string, done, all int64) {
		if done < last {
			t.Errorf("went back from %d to %d", last, done)
		}
		last, total = done, all
	})
	if err != nil || last != total || total != load.Bytes() {
		t.Errorf("%d of %d bytes, %v; the load has %d", last, total, err, load.Bytes())
	}
}

func TestWriteRefuses(t *testing.T) {
	big := func(n int64) Item {
		return Item{Name: media.BundlePath(site.Digest{}, media.Codec("zstd")), Source: "/nonexistent", Size: n}
	}
	many := Load{From: "HQ0"}
	for i := range 30_000 {
		it := big(MaxFile)
		it.Name = media.BundlePath(site.DigestOf(fmt.Append(nil, i)), media.Codec("zstd"))
		many.Bundles = append(many.Bundles, it)
	}
	wrong := someLoad(t)
	wrong.Bundles[1].Digest = site.Digest{1}
	short := someLoad(t)
	short.Bundles[0].Size++
	for name, c := range map[string]struct {
		load    Load
		want    *site.Class
		nothing bool // nothing at all may be on the medium afterwards
	}{
		"4 GiB":          {Load{From: "HQ0", Bundles: []Item{big(MaxFile + 1)}}, site.NoSpace, true},
		"full":           {many, site.NoSpace, true},
		"escape":         {Load{From: "HQ0", Bodies: []Item{NewItem("bodies/../x", nil)}}, site.Internal, true},
		"wrong folder":   {Load{From: "HQ0", Bodies: []Item{NewItem("labels/hq0-fld-000001.label", nil)}}, site.Internal, true},
		"part name":      {Load{From: "HQ0", Bodies: []Item{NewItem("bodies/part-x", nil)}}, site.Internal, true},
		"no site":        {Load{From: "../"}, site.Internal, true},
		"twice":          {Load{From: "HQ0", Bodies: []Item{NewItem("bodies/x", nil), NewItem("bodies/x", nil)}}, site.Internal, true},
		"absent source":  {Load{From: "HQ0", Bundles: []Item{big(10)}}, site.Failed, false},
		"wrong digest":   {wrong, site.Damaged, false},
		"another length": {short, site.Damaged, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			err := Write(context.Background(), dir, c.load, nil)
			if !errors.Is(err, c.want) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			found, _ := os.ReadDir(dir)
			if c.nothing && len(found) > 0 {
				t.Errorf("something was written: %v", found)
			}
			if seen, _ := filepath.Glob(dir + "/FARDEL/HQ0/labels/*"); len(seen) > 0 {
				t.Errorf("a label can be seen")
			}
		})
	}
}

func TestWriteRefusesLinks(t *testing.T) {
	load := someLoad(t)
	for _, at := range []string{"FARDEL", "FARDEL/HQ0", "FARDEL/HQ0/bundles", "FARDEL/HQ0/" + load.Labels[0].Name} {
		t.Run(filepath.Base(at), func(t *testing.T) {
			dir := t.TempDir()
			put(t, dir, "elsewhere/file", "precious")
			link := filepath.Join(dir, at)
			if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Join(dir, "elsewhere"), link); err != nil {
				t.Fatal(err)
			}
			if err := Write(context.Background(), dir, load, nil); !errors.Is(err, site.Damaged) {
				t.Errorf("%v, want %v", err, site.Damaged)
			}
			if found, _ := os.ReadDir(dir + "/elsewhere"); len(found) != 1 {
				t.Errorf("the link was followed: %v", found)
			}
		})
	}
}

func TestWriteStops(t *testing.T) {
	dir, load := t.TempDir(), someLoad(t)
	ctx, stop := context.WithCancel(context.Background())
	err := Write(ctx, dir, load, func(name string, _, _ int64) {
		if strings.HasPrefix(name, "bundles/") {
			stop()
		}
	})
	if !errors.Is(err, site.Interrupted) {
		t.Fatalf("%v, want %v", err, site.Interrupted)
	}
	noLabelTooEarly(t, dir, load)
	if err := Write(context.Background(), dir, load, nil); err != nil {
		t.Fatal(err)
	}
	finished(t, dir, load)
}

func TestOnlyItsOwnMedium(t *testing.T) {
	load := someLoad(t)
	load.Bundles[0].Medium, load.Bundles[1].Medium = 1, 2
	folders, err := Images(context.Background(), t.TempDir(), "hq0-fld-000042", load, nil)
	if err != nil || len(folders) != 2 {
		t.Fatalf("%v, %v", folders, err)
	}
	for i, folder := range folders {
		c, err := List(folder)
		if err != nil || len(c.Folders) != 1 {
			t.Fatalf("%+v, %v", c, err)
		}
		has := c.Folders[0].Has
		if !has(load.Bundles[i].Name) || has(load.Bundles[1-i].Name) || !has(load.Bundles[2].Name) || !has(load.Labels[0].Name) {
			t.Errorf("medium %d holds %v", i+1, c.Folders[0].Files)
		}
	}
}
