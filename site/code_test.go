package site

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestParseCode(t *testing.T) {
	for in, want := range map[string]Code{"HQ0": "HQ0", "hq0": "HQ0", "Fld": "FLD", "000": "000", "zzz": "ZZZ"} {
		if c, err := ParseCode(in); err != nil || c != want {
			t.Errorf("%q: %q, %v", in, c, err)
		}
	}
}

func TestParseCodeRefuses(t *testing.T) {
	// The last three hold letters that Unicode, but nobody else, takes for the
	// lower case of I, S and K.
	for _, in := range []string{"", "HQ", "HQ00", "H Q", "HQ-", "H\x00Q", "é0", "ÄÖÜ", "\xff\xff\xff", "ıa0", "ſea", "\u212aa0"} {
		c, err := ParseCode(in)
		if c != "" || !errors.Is(err, BadUsage) {
			t.Errorf("%q: %q, %v", in, c, err)
		}
	}
}

func TestCodeValid(t *testing.T) {
	for _, c := range []Code{"hq0", "HQ", "HQ00", "", "H.0", "H\n0"} {
		if c.Valid() {
			t.Errorf("%q is taken for a code", c)
		}
	}
	if got := Code("HQ0").Lower(); got != "hq0" {
		t.Errorf("in file names it is %q", got)
	}
}

func TestClipKeepsMessagesShort(t *testing.T) {
	_, err := ParseCode(strings.Repeat("x", 1<<20))
	if err == nil || len(err.Error()) > 160 {
		t.Errorf("a message of %d bytes", len(err.Error()))
	}
}

func TestDigest(t *testing.T) {
	const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // FIPS 180-4
	d := DigestOf([]byte("abc"))
	if d.String() != abc || d.Short() != abc[:12] || d.IsZero() {
		t.Errorf("the digest of abc is %s, %s", d, d.Short())
	}
	if again, err := ParseDigest(abc); err != nil || again != d {
		t.Errorf("%s, %v", again, err)
	}
	if !(Digest{}).IsZero() {
		t.Error("the zero digest is not zero")
	}
}

func TestParseDigestRefuses(t *testing.T) {
	good := DigestOf(nil).String()
	for name, in := range map[string]string{
		"nothing":     "",
		"short":       good[:63],
		"odd pair":    good[:62],
		"long":        good + "0",
		"upper case":  strings.ToUpper(good),
		"no hex":      good[:63] + "g",
		"space":       " " + good[:63],
		"high digits": strings.Repeat("４", 64/3) + "0",
	} {
		if d, err := ParseDigest(in); err == nil {
			t.Errorf("%s: read as %s", name, d)
		}
	}
}

func TestDigestInJSON(t *testing.T) {
	d := DigestOf([]byte("x"))
	text, err := json.Marshal(d)
	if err != nil || string(text) != `"`+d.String()+`"` {
		t.Fatalf("%s, %v", text, err)
	}
	var back Digest
	if err := json.Unmarshal(text, &back); err != nil || back != d {
		t.Errorf("%s, %v", back, err)
	}
	if err := json.Unmarshal([]byte(`"12"`), &back); err == nil || back != d {
		t.Errorf("a bad digest gave %v and left %s", err, back)
	}
}

func FuzzParseDigest(f *testing.F) {
	f.Add(DigestOf(nil).String())
	f.Add(strings.Repeat("F", 64))
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := ParseDigest(s); err == nil && d.String() != s {
			t.Fatalf("%q came back as %s", s, d)
		}
	})
}

func TestPackageIDs(t *testing.T) {
	for n, want := range map[int64]PackageID{
		1: "HQ000001", 35: "HQ00000Z", 36: "HQ000010", 36*36*36*36*36 - 1: "HQ0ZZZZZ",
	} {
		id := NewPackageID("HQ0", n)
		if id != want || id.Number() != n || id.Author() != "HQ0" || !id.Valid() {
			t.Errorf("%d: %s of %s, which is number %d", n, id, id.Author(), id.Number())
		}
	}
}

func TestPackageNumbersRoundTrip(t *testing.T) {
	for n := int64(0); n < 36*36*36*36*36; n = n*5/4 + 1 {
		if got := NewPackageID("ZZ9", n).Number(); got != n {
			t.Fatalf("%d came back as %d", n, got)
		}
	}
}

func TestParsePackageID(t *testing.T) {
	for in, want := range map[string]PackageID{"HQ000001": "HQ000001", "hq0000az": "HQ0000AZ"} {
		if id, err := ParsePackageID(in); err != nil || id != want {
			t.Errorf("%q: %q, %v", in, id, err)
		}
	}
	for _, in := range []string{"", "HQ0", "HQ00001", "HQ0000001", "HQ0-0001", "HQ0 0001", "HQ0000\u017f", "HQ0000é"} {
		if id, err := ParsePackageID(in); id != "" || !errors.Is(err, BadUsage) {
			t.Errorf("%q: %q, %v", in, id, err)
		}
	}
}

func TestShortPackageIDsAreHarmless(t *testing.T) {
	for _, id := range []PackageID{"", "H", "HQ"} {
		if id.Author() != "" || id.Number() != 0 || id.Valid() {
			t.Errorf("%q: author %q, number %d", id, id.Author(), id.Number())
		}
	}
}
