package charter

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"fardel/site"
	"fardel/site/journal"
)

const hierarchy = "abcdefghij234567"

var now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func topKeys(t testing.TB) *Keys {
	t.Helper()
	k, err := GenerateTop(hierarchy, "HQ0", X25519)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func siteKeys(t testing.TB, code site.Code) *Keys {
	t.Helper()
	k, err := Generate(hierarchy, code, X25519)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// rootKeys returns n more root keys.
func rootKeys(t testing.TB, n int) []*signer {
	t.Helper()
	out := make([]*signer, n)
	for i := range out {
		var err error
		if out[i], err = newSigner(RootName(hierarchy)); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func publics(keys []*signer) []string {
	var out []string
	for _, k := range keys {
		out = append(out, k.public)
	}
	return out
}

func signers(keys ...*signer) []note.Signer {
	var out []note.Signer
	for _, k := range keys {
		out = append(out, k)
	}
	return out
}

func firstCharter(t testing.TB) Charter {
	t.Helper()
	c, err := NewCharter(topKeys(t), now)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ruledBy returns a first charter that two of three root keys rule.
func ruledBy(t testing.TB, roots []*signer, threshold int) Charter {
	t.Helper()
	c := firstCharter(t)
	c.Roots, c.RootThreshold = publics(roots), threshold
	return c
}

func signed(t testing.TB, c Charter, by ...*signer) []byte {
	t.Helper()
	msg, err := c.Sign(signers(by...)...)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

func TestCharterRoundTrip(t *testing.T) {
	former := siteKeys(t, "HQ0")
	for name, change := range map[string]func(*Charter){
		"the first":        func(*Charter) {},
		"a later one":      func(c *Charter) { *c = c.Next(now.Add(time.Hour)) },
		"a former key":     func(c *Charter) { c.TopFormer = []string{former.SignKey()} },
		"no release keys":  func(c *Charter) { c.Releases, c.ReleaseThreshold = nil, 0 },
		"a later minimum":  func(c *Charter) { c.Minimum = 3 },
		"several roots":    func(c *Charter) { c.Roots, c.RootThreshold = publics(rootKeys(t, 3)), 2 },
		"hybrid sealing":   func(c *Charter) { k, _ := GenerateTop(hierarchy, "HQ0", Hybrid); *c, _ = NewCharter(k, now) },
		"a moved top site": func(c *Charter) { c.TopFormer = []string{siteKeys(t, "HQ1").SignKey()} },
	} {
		c := firstCharter(t)
		change(&c)
		text, err := c.Text()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		again, err := ParseCharter(text)
		if err != nil || !bytes.Equal(again.render(), text) || again.Digest() != site.DigestOf(text) {
			t.Errorf("%s: came back as %+v, %v", name, again, err)
		}
	}
}

func TestCharterRefuses(t *testing.T) {
	for name, change := range map[string]func(*Charter){
		"another hierarchy's id":      func(c *Charter) { c.Hierarchy = "abcdefghij234568" },
		"version 0":                   func(c *Charter) { c.Version = 0 },
		"version 2 without previous":  func(c *Charter) { c.Version = 2 },
		"version 1 with previous":     func(c *Charter) { c.Previous = site.Digest{1} },
		"an unknown sealing":          func(c *Charter) { c.Sealing = "scrypt" },
		"a sealing of another kind":   func(c *Charter) { c.Sealing = Hybrid },
		"no root keys":                func(c *Charter) { c.Roots = nil },
		"a threshold of 0":            func(c *Charter) { c.RootThreshold = 0 },
		"a threshold beyond the keys": func(c *Charter) { c.RootThreshold = 2 },
		"a threshold beyond the limit": func(c *Charter) {
			c.Roots, c.RootThreshold = publics(rootKeys(t, 9)), 9
		},
		"one root key twice":           func(c *Charter) { c.Roots = append(c.Roots, c.Roots[0]) },
		"a release key as a root key":  func(c *Charter) { c.Roots = append(c.Roots, c.Releases[0]) },
		"too many root keys":           func(c *Charter) { c.Roots = publics(rootKeys(t, MaxKeys+1)) },
		"release keys, and none signs": func(c *Charter) { c.ReleaseThreshold = 0 },
		"no release keys, one signs":   func(c *Charter) { c.Releases = nil },
		"a lower-case top":             func(c *Charter) { c.Top = "hq0" },
		"another site's key":           func(c *Charter) { c.TopSign = siteKeys(t, "EU1").SignKey() },
		"the top's key as a former":    func(c *Charter) { c.TopFormer = []string{c.TopSign} },
		"a former key twice":           func(c *Charter) { k := siteKeys(t, "HQ0").SignKey(); c.TopFormer = []string{k, k} },
		"a root key as a former":       func(c *Charter) { c.TopFormer = c.Roots },
		"a short TLS key":              func(c *Charter) { c.TopTLS = c.TopTLS[:40] },
		"a recipient that is no key":   func(c *Charter) { c.TopRecipient = "age1" },
		"a minimum of 0":               func(c *Charter) { c.Minimum = 0 },
		"a line end in a value":        func(c *Charter) { c.TopTLS += "\nminimum 7" },
	} {
		c := firstCharter(t)
		change(&c)
		if text, err := c.Text(); err == nil {
			t.Errorf("%s: written as %q", name, text)
		}
	}
}

func TestParseCharterRefusesOtherSpellings(t *testing.T) {
	c := firstCharter(t)
	text := string(c.render())
	for name, s := range map[string]string{
		"upper case in a key hash": strings.Replace(text, c.Roots[0], strings.ToUpper(c.Roots[0]), 1),
		"upper-case recipient":     strings.Replace(text, c.TopRecipient, strings.ToUpper(c.TopRecipient), 1),
		"a time with an offset":    strings.Replace(text, "12:00:00Z", "12:00:00+00:00", 1),
		"a time with fractions":    strings.Replace(text, "12:00:00Z", "12:00:00.0Z", 1),
		"a leading zero":           strings.Replace(text, "version 1", "version 01", 1),
		"a previous of zeros":      strings.Replace(text, "previous -", "previous "+site.Digest{}.String(), 1),
		"two spaces":               strings.Replace(text, "top HQ0", "top  HQ0", 1),
		"an unknown line":          text + "colour red\n",
		"no last line end":         strings.TrimSuffix(text, "\n"),
	} {
		if _, err := ParseCharter([]byte(s)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestRootDigest(t *testing.T) {
	roots := rootKeys(t, 3)
	c := ruledBy(t, roots, 2)
	sorted := slices.Sorted(slices.Values(publics(roots)))
	want := site.DigestOf([]byte("fardel root v1\n" + hierarchy + "\n2\n" + strings.Join(sorted, "\n") + "\n"))
	if c.Root() != want {
		t.Error("the digest is not that of the text that the format demands")
	}
	turned := c
	turned.Roots = []string{c.Roots[2], c.Roots[0], c.Roots[1]}
	if turned.Root() != want {
		t.Error("it depends on the order of the keys")
	}
	laxer := c
	laxer.RootThreshold = 1
	if laxer.Root() == want {
		t.Error("it does not depend on the threshold")
	}
}

func TestCheckSelfCountsDistinctKeys(t *testing.T) {
	roots := rootKeys(t, 3)
	c := ruledBy(t, roots, 2)
	one := signed(t, c, roots[0])
	if _, err := CheckSelf(one); !errors.Is(err, site.Untrusted) {
		t.Errorf("signed by one of two: %v", err)
	}
	twice, err := Cosign(one, roots[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := CheckSelf(twice); !errors.Is(err, site.Untrusted) {
		t.Errorf("signed by one key twice: %v", err)
	}
	two, err := Cosign(one, roots[2])
	if err != nil {
		t.Fatal(err)
	}
	if got, err := CheckSelf(two); err != nil || got.Digest() != c.Digest() {
		t.Errorf("signed by two: %v", err)
	}
}

func TestCountSigned(t *testing.T) {
	roots := rootKeys(t, 2)
	sig := func(s *signer) note.Signature { return note.Signature{Name: s.Name(), Hash: s.KeyHash()} }
	a, b := roots[0], roots[1]
	for _, c := range []struct {
		name string
		sigs []note.Signature
		keys []string
		want int
	}{
		{"nothing", nil, nil, 0},
		{"one of two", []note.Signature{sig(a)}, []string{a.public, b.public}, 1},
		{"one key signs twice", []note.Signature{sig(a), sig(a)}, []string{a.public, b.public}, 1},
		{"one key is listed twice", []note.Signature{sig(a)}, []string{a.public, a.public}, 1},
		{"both", []note.Signature{sig(b), sig(a)}, []string{a.public, b.public}, 2},
		{"a stranger", []note.Signature{sig(b)}, []string{a.public}, 0},
	} {
		if got := CountSigned(c.sigs, c.keys); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestCheckNext(t *testing.T) {
	old, fresh := rootKeys(t, 3), rootKeys(t, 2)
	prev := ruledBy(t, old, 2)
	next := prev.Next(now)
	next.Roots, next.RootThreshold = publics(fresh), 2
	for name, by := range map[string][]*signer{
		"the old keys alone":           {old[0], old[1]},
		"the new keys alone":           fresh,
		"too few old keys":             {old[0], fresh[0], fresh[1]},
		"too few new keys":             {old[0], old[1], fresh[0]},
		"keys that nobody asked about": rootKeys(t, 4),
	} {
		if _, err := CheckNext(prev, signed(t, next, by...)); !errors.Is(err, site.Untrusted) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := CheckNext(prev, signed(t, next, old[0], old[2], fresh[0], fresh[1])); err != nil {
		t.Errorf("both thresholds: %v", err)
	}
}

func TestCheckNextRefuses(t *testing.T) {
	roots := rootKeys(t, 1)
	prev := ruledBy(t, roots, 1)
	for name, c := range map[string]struct {
		change func(*Charter)
		class  *site.Class
	}{
		"a version left out": {func(c *Charter) { c.Version = 3 }, site.Untrusted},
		"a repeated version": {func(c *Charter) { c.Version = 1; c.Previous = site.Digest{} }, site.Untrusted},
		"another past":       {func(c *Charter) { c.Previous = site.Digest{1} }, site.Conflict},
	} {
		next := prev.Next(now)
		c.change(&next)
		if _, err := CheckNext(prev, signed(t, next, roots...)); !errors.Is(err, c.class) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNextSharesNothing(t *testing.T) {
	c := ruledBy(t, rootKeys(t, 2), 1)
	next := c.Next(now)
	first := c.Roots[0]
	next.Roots[0] = "changed"
	if c.Roots[0] != first || next.Version != 2 || next.Previous != c.Digest() {
		t.Errorf("%+v", next)
	}
}

func TestCharterOfALaterFormat(t *testing.T) {
	root := rootKeys(t, 1)[0]
	msg, err := journal.SignNote([]byte("fardel charter v2\nnew things\n"), MaxCharter, root)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := CheckSelf(msg); !errors.Is(err, site.TooNew) {
		t.Error(err)
	}
}

func FuzzParseCharter(f *testing.F) {
	c := firstCharter(f)
	f.Add(c.render())
	f.Add(c.Next(now).render())
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ParseCharter(text)
		if err != nil {
			return
		}
		if again, err := c.Text(); err != nil || !bytes.Equal(again, text) {
			t.Fatalf("%q came back as %q, %v", text, again, err)
		}
	})
}
