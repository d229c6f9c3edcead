package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pipe runs a program with input and returns what it prints.
func pipe(t *testing.T, input []byte, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = bytes.NewReader(input)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, errs.String())
	}
	return out
}

// TestMediumOpensWithoutFardel opens a medium as somebody would who has the
// site's key and a plain Debian: sha256sum, age, xz, zstd and tar. Everything on
// it is checked, down to the files of the package.
func TestMediumOpensWithoutFardel(t *testing.T) {
	for _, tool := range []string{"age", "xz", "zstd", "tar", "sha256sum"} {
		needTool(t, tool)
	}
	for _, codec := range []string{"xz", "zstd"} {
		t.Run(codec, func(t *testing.T) { openByHand(t, codec) })
	}
}

func openByHand(t *testing.T, codec string) {
	b := newBench(t)
	want := map[string]bool{}
	for i := range 50 {
		text := strings.Repeat(fmt.Sprintf("line of file %d\n", i), 1+i*97)
		b.write(fmt.Sprintf("tool/d%d/f%d", i%7, i), text)
		want[fmt.Sprintf("%x", sha256.Sum256([]byte(text)))] = true
	}
	b.write("stick/x", "")
	b.must("HQ0", "init HQ0")
	b.must("EU1", "init EU1 --parent ./hq0/hq0.card")
	b.must("FLD", "init FLD --parent ./eu1/eu1.card")
	b.must("HQ0", "site add ./eu1/eu1.card")
	b.must("HQ0", "site add ./fld/fld.card")
	b.must("HQ0", "package add ./tool --to FLD --codec "+codec)
	b.must("HQ0", "export FLD ./stick")

	folder := b.path("stick/FARDEL/HQ0")
	cmd := exec.Command("sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS")
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sha256sum: %v\n%s", err, out)
	}
	sums := summed(t, folder)

	sealed, err := os.ReadFile(filepath.Join(folder, "bodies/hq0-fld-000001.body.xz.age"))
	if err != nil {
		t.Fatal(err)
	}
	body := pipe(t, pipe(t, sealed, "age", "-d", "-i", b.path("fld/keys/age.key")), "xz", "-d")
	bundles := 0
	lines := bufio.NewScanner(bytes.NewReader(body))
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var line struct {
			Bundle *struct {
				Digest, Key string
				Plain       int
			}
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("the body holds a line that is no JSON: %v", err)
		}
		if line.Bundle == nil {
			continue
		}
		bundles++
		b.write("bundle.key", line.Bundle.Key+"\n")
		name := "bundles/" + line.Bundle.Digest + ".tar." + codecEnding(codec) + ".age"
		if !sums[name] {
			t.Fatalf("%s does not stand in SHA256SUMS", name)
		}
		packed, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(packed)); got != line.Bundle.Digest {
			t.Errorf("%s has the digest %s", name, got)
		}
		plain := pipe(t, pipe(t, packed, "age", "-d", "-i", b.path("bundle.key")), codec, "-d")
		if len(plain) != line.Bundle.Plain {
			t.Errorf("the bundle unpacks to %d bytes, not %d", len(plain), line.Bundle.Plain)
		}
		unpack(t, plain, want)
	}
	if bundles == 0 || len(want) > 0 {
		t.Errorf("%d bundles; %d files of the package are in none of them", bundles, len(want))
	}
	checkNames(t, b.path("stick/FARDEL"))
}

func codecEnding(codec string) string {
	if codec == "zstd" {
		return "zst"
	}
	return codec
}

// summed returns the names in SHA256SUMS, and fails if a file is not among them.
func summed(t *testing.T, folder string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 2 {
			sums[f[1]] = true
		}
	}
	err = filepath.WalkDir(folder, func(p string, e fs.DirEntry, err error) error {
		if rel, _ := filepath.Rel(folder, p); err == nil && !e.IsDir() && rel != "SHA256SUMS" && !sums[rel] {
			t.Errorf("SHA256SUMS lacks %s", rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

// unpack lists and unpacks a tar with tar, compares each file with its name, and
// takes it off the list of those wanted.
func unpack(t *testing.T, plain []byte, want map[string]bool) {
	t.Helper()
	dir := t.TempDir()
	listed := strings.Fields(string(pipe(t, plain, "tar", "-tf", "-")))
	pipe(t, plain, "tar", "-xf", "-", "-C", dir)
	for _, name := range listed {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(data)); name != "whole/"+got {
			t.Errorf("%s has the digest %s", name, got)
		} else {
			delete(want, got)
		}
	}
}

var legalName = regexp.MustCompile(`^[a-z0-9.-]{1,100}$`)

// checkNames holds that every name fits what all file systems of media can take,
// and that every file fits FAT32.
func checkNames(t *testing.T, root string) {
	t.Helper()
	err := filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err != nil || p == root {
			return err
		}
		rel, _ := filepath.Rel(root, p)
		special := rel == "README.txt" || filepath.Base(rel) == "SHA256SUMS" || !strings.Contains(rel, "/") && e.IsDir()
		if !special && !legalName.MatchString(e.Name()) {
			t.Errorf("the name %s is not legal on media", rel)
		}
		info, err := e.Info()
		if err == nil && info.Size() >= 4<<30-1 {
			t.Errorf("%s has %d bytes", rel, info.Size())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
