package courier

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"fardel/media"
	"fardel/site"
)

// writtenMedium is a used medium with the load on it.
func writtenMedium(t *testing.T, load Load) string {
	t.Helper()
	dir := usedMedium(t)
	if err := writeFaulty(dir, newFaulty(t, dir, 0, cut), load); err != nil {
		t.Fatal(err)
	}
	return dir
}

func names(load Load) []string {
	var out []string
	for _, it := range load.Items() {
		out = append(out, it.Name)
	}
	return out
}

func TestRemoveOwnSurvivesEveryFault(t *testing.T) {
	load := someLoad(t)
	enumerate(t,
		func(t *testing.T) string { return writtenMedium(t, load) },
		func(dir string, f *faulty) error { return removeOwn(dir, f.disk.root, f, "HQ0", names(load)) },
		func(t *testing.T, f *faulty) {
			noLabelTooEarly(t, f.dir, load)
			untouched(t, f.dir)
			if err := RemoveOwn(f.dir, "HQ0", names(load)); err != nil {
				t.Errorf("a second run: %v", err)
			}
			if c, err := List(f.dir); err != nil || len(c.Folders) != 2 || len(c.Folders[1].Files) != 0 {
				t.Errorf("left: %+v, %v", c, err)
			}
		})
}

func TestRemoveOwnShortensSums(t *testing.T) {
	load := someLoad(t)
	dir := writtenMedium(t, load)
	if err := RemoveOwn(dir, "HQ0", []string{load.Labels[0].Name, "bodies/never-there"}); err != nil {
		t.Fatal(err)
	}
	s, err := parseSums([]byte(get(dir, "FARDEL/HQ0/SHA256SUMS")))
	if err != nil || len(s) != len(load.Items())-1 {
		t.Errorf("%d lines, %v", len(s), err)
	}
}

func TestRemoveOwnRefusesOtherNames(t *testing.T) {
	dir := usedMedium(t)
	for _, name := range []string{"../EU1/SHA256SUMS", "labels/../../EU1/SHA256SUMS", "SHA256SUMS", "labels", "labels/", "/etc/passwd", "labels/part-x"} {
		if err := RemoveOwn(dir, "HQ0", []string{name}); !errors.Is(err, site.Internal) {
			t.Errorf("%s: %v", name, err)
		}
	}
	untouched(t, dir)
}

func TestEraseSurvivesEveryFault(t *testing.T) {
	load := someLoad(t)
	enumerate(t,
		func(t *testing.T) string { return writtenMedium(t, load) },
		func(dir string, f *faulty) error {
			seen, err := List(dir)
			if err != nil {
				return err
			}
			return erase(dir, f.disk.root, f, seen)
		},
		func(t *testing.T, f *faulty) {
			noLabelTooEarly(t, f.dir, load)
			if _, err := Erase(f.dir); err != nil {
				t.Errorf("a second run: %v", err)
			}
			if _, err := os.Lstat(filepath.Join(f.dir, "FARDEL")); err == nil {
				t.Error("FARDEL is still there")
			}
			if got := get(f.dir, "holiday/photo.jpg"); got != "a beach" {
				t.Errorf("the photo: %q", got)
			}
		})
}

func TestEraseLeavesWhatIsNotOurs(t *testing.T) {
	load := someLoad(t)
	dir := writtenMedium(t, load)
	put(t, dir, "FARDEL/HQ0/bundles/Letter.DOC", "personal")
	put(t, dir, "elsewhere/file", "precious")
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), filepath.Join(dir, "FARDEL/XX1")); err != nil {
		t.Fatal(err)
	}
	seen, err := Erase(dir)
	if err != nil || len(seen.Folders) != 2 {
		t.Fatalf("%+v, %v", seen, err)
	}
	if get(dir, "FARDEL/HQ0/bundles/Letter.DOC") != "personal" || get(dir, "elsewhere/file") != "precious" {
		t.Error("something that is not ours is gone")
	}
	if left, _ := filepath.Glob(dir + "/FARDEL/HQ0/*/*"); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}

func TestEraseNothing(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "holiday/photo.jpg", "a beach")
	if seen, err := Erase(dir); err != nil || len(seen.Folders) != 0 || seen.Foreign != 1 {
		t.Errorf("%+v, %v", seen, err)
	}
}

func TestReadBack(t *testing.T) {
	load := someLoad(t)
	flip := func(text string) string { return "\x80" + text[1:] }
	for name, spoil := range map[string]func(t *testing.T, file string){
		"flipped": func(t *testing.T, file string) { put(t, "/", file, flip(get("/", file))) },
		"shorter": func(t *testing.T, file string) { put(t, "/", file, get("/", file)[1:]) },
		"absent":  func(t *testing.T, file string) { os.Remove(file) },
		"link":    func(t *testing.T, file string) { os.Rename(file, file+"x"); os.Symlink(file+"x", file) },
	} {
		for _, at := range append(names(load), media.SumsName) {
			dir := memoryDir(t)
			if err := Write(context.Background(), dir, load, nil); err != nil {
				t.Fatal(err)
			}
			spoil(t, filepath.Join(dir, media.Dir("HQ0"), at))
			if _, err := ReadBack(context.Background(), dir, load, nil); !errors.Is(err, site.Damaged) {
				t.Errorf("%s %s: %v", at, name, err)
			}
		}
	}
}
