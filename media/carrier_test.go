package media

import (
	"path"
	"strings"
	"testing"

	"fardel/site"
)

func TestCarrierPaths(t *testing.T) {
	n := site.ParcelName{From: "HQ0", To: "FLD", Number: 42}
	d := site.DigestOf(nil).String()
	tests := map[string]string{
		Dir("HQ0"):                           "FARDEL/HQ0",
		LabelPath(n):                         "labels/hq0-fld-000042.label",
		BodyPath(n):                          "bodies/hq0-fld-000042.body.xz.age",
		BundlePath(site.DigestOf(nil), Zstd): "bundles/" + d + ".tar.zst.age",
		BundlePath(site.DigestOf(nil), XZ):   "bundles/" + d + ".tar.xz.age",
		SegmentPath(site.DigestOf(nil)):      "bundles/" + d + ".seg.xz.age",
		CharterPath(3):                       "trust/charter-000003.note",
		TrustPath("FLD", 17):                 "trust/site-fld-000017.entry",
		LabelPath(site.ParcelName{From: "A", To: "B", Number: 1e6}): "labels/a-b-1000000.label",
	}
	for got, want := range tests {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got != Dir("HQ0") && !ValidName(path.Base(got)) {
			t.Errorf("%s is not a valid name", path.Base(got))
		}
	}
}

func TestParseLabelPath(t *testing.T) {
	want := site.ParcelName{From: "HQ0", To: "FLD", Number: 1234567}
	if got, err := ParseLabelPath(LabelPath(want)); err != nil || got != want {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{
		"", "labels/", "hq0-fld-000042.label", "labels/HQ0-FLD-000042.label", "labels/hq0-fld-42.label",
		"labels/hq0-fld-0000042.label", "labels/hq0-fld-000042", "labels/hq0-fld-000000.label",
		"labels/../labels/hq0-fld-000042.label", "labels/part-hq0-fld-000042.label", "bodies/hq0-fld-000042.label",
	} {
		_, err := ParseLabelPath(bad)
		wantFault(t, err, site.Damaged, ErrMalformed)
	}
}

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "hq0-fld-000042.label": true, strings.Repeat("a", 100): true, "-a": true,
		"": false, ".": false, "..": false, ".a": false, "a.": false, "A": false, "a/b": false, "a b": false,
		"a\\b": false, "é": false, "a:b": false, "a\n": false, strings.Repeat("a", 101): false, "part-a": false,
	} {
		if ValidName(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

func TestReadmeIsText(t *testing.T) {
	for i, line := range strings.Split(Readme, "\n") {
		if len([]rune(line)) > 80 || strings.ContainsAny(line, "\r\t") {
			t.Errorf("line %d does not fit a plain screen: %q", i+1, line)
		}
	}
}
