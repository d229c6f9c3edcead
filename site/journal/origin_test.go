package journal

import (
	"testing"

	"fardel/site"
)

const hierarchy = "abcdefghij234567"

func TestParseOrigin(t *testing.T) {
	o, err := ParseOrigin("fardel/" + hierarchy + "/HQ0/decisions/12")
	if err != nil {
		t.Fatal(err)
	}
	want := Origin{hierarchy, site.LogID{Site: "HQ0", Log: site.Decisions}, 12}
	if o != want {
		t.Errorf("got %+v", o)
	}
}

func TestParseOriginRefuses(t *testing.T) {
	for _, s := range []string{
		"", "fardel", "fardel////", "Fardel/" + hierarchy + "/HQ0/decisions/1",
		"fardel/" + hierarchy + "/hq0/decisions/1", "fardel/" + hierarchy + "/HQ0/Decisions/1",
		"fardel/" + hierarchy + "/HQ0/decisions/0", "fardel/" + hierarchy + "/HQ0/decisions/01",
		"fardel/" + hierarchy + "/HQ0/decisions/+1", "fardel/" + hierarchy + "/HQ0/decisions/-1",
		"fardel/" + hierarchy + "/HQ0/decisions/9007199254740993", "fardel/" + hierarchy + "/HQ0/decisions/99999999999999999999",
		"fardel/" + hierarchy + "/HQ0/decisions/1/", "fardel/" + hierarchy + "/HQ0/decisions/1 ",
		"fardel/abcdefghij23456/HQ0/decisions/1", "fardel/abcdefghij234561/HQ0/decisions/1",
		"fardel/ABCDEFGHIJ234567/HQ0/decisions/1", "/fardel/" + hierarchy + "/HQ0/decisions/1",
	} {
		if o, err := ParseOrigin(s); err == nil {
			t.Errorf("%q was read as %+v", s, o)
		}
	}
}

func FuzzParseOrigin(f *testing.F) {
	f.Add("fardel/" + hierarchy + "/HQ0/observations/1")
	f.Add("fardel////")
	f.Fuzz(func(t *testing.T, s string) {
		if o, err := ParseOrigin(s); err == nil && o.String() != s {
			t.Fatalf("%q came back as %q", s, o)
		}
	})
}

func TestParseNumber(t *testing.T) {
	for s, want := range map[string]int64{"0": 0, "7": 7, "9007199254740992": 1 << 53} {
		if n, err := ParseNumber(s); err != nil || n != want {
			t.Errorf("%q: %d, %v", s, n, err)
		}
	}
	for _, s := range []string{"", "00", "07", "+7", "-7", "-0", "7 ", "0x7", "1_0", "9007199254740993", "18446744073709551616", "٧"} {
		if n, err := ParseNumber(s); err == nil {
			t.Errorf("%q was read as %d", s, n)
		}
	}
}

func TestCompare(t *testing.T) {
	at := func(epoch, size int64, root byte) site.Position {
		return site.Position{Epoch: epoch, Size: size, Root: site.Digest{root}}
	}
	for _, c := range []struct {
		name string
		a, b site.Position
		want Relation
	}{
		{"nothing known of either", site.Position{}, site.Position{}, Same},
		{"nothing known of one", site.Position{}, at(1, 0, 0), Older},
		{"equal", at(1, 5, 1), at(1, 5, 1), Same},
		{"shorter", at(1, 4, 1), at(1, 5, 2), Older},
		{"longer", at(1, 6, 1), at(1, 5, 2), Newer},
		{"as long, but not equal", at(1, 5, 1), at(1, 5, 2), Fork},
		{"shorter in a later epoch", at(2, 1, 1), at(1, 5, 2), Newer},
		{"as long in an earlier epoch", at(1, 5, 1), at(2, 5, 2), Older},
		{"empty, one root not computed", at(1, 0, 0), at(1, 0, 1), Same},
	} {
		if got := Compare(c.a, c.b); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
