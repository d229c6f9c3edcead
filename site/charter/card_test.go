package charter

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"fardel/site"
	"fardel/site/journal"
)

func someCard(t testing.TB) (Card, *Keys) {
	t.Helper()
	k := siteKeys(t, "FLD")
	return k.Card("Field hospital 3, Łódź", "EU1", site.DigestOf([]byte("root")), now), k
}

func TestCard(t *testing.T) {
	for name, parent := range map[string]site.Code{"below": "EU1", "the top": ""} {
		want, k := someCard(t)
		want.Parent = parent
		msg, err := want.Sign(k.Signer())
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseCard(msg)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if got.SiteKey(2) != k.SiteKey(2) {
			t.Errorf("%s: the card's keys are not the site's", name)
		}
	}
}

func TestCardRefuses(t *testing.T) {
	for name, change := range map[string]func(*Card){
		"no name":                      func(c *Card) { c.Name = "" },
		"spaces around the name":       func(c *Card) { c.Name = " x" },
		"a long name":                  func(c *Card) { c.Name = strings.Repeat("x", MaxName+1) },
		"a line end in the name":       func(c *Card) { c.Name = "x\nsign y" },
		"a bidi control in the name":   func(c *Card) { c.Name = "x\u202ey" },
		"its own parent":               func(c *Card) { c.Parent = c.Site },
		"a malformed parent":           func(c *Card) { c.Parent = "eu1" },
		"another site's code":          func(c *Card) { c.Site = "SEA" },
		"another hierarchy":            func(c *Card) { c.Hierarchy = "bbcdefghij234567" },
		"a recipient of another kind":  func(c *Card) { c.Sealing = Hybrid },
		"no root":                      func(c *Card) { c.Root = site.Digest{} },
		"a TLS key that is no base64":  func(c *Card) { c.TLS = "!" },
		"a recipient that is a secret": func(c *Card) { c.Recipient = "AGE-SECRET-KEY-1" },
	} {
		c, k := someCard(t)
		change(&c)
		if msg, err := c.Sign(k.Signer()); err == nil {
			t.Errorf("%s: signed as %q", name, msg)
		}
	}
}

func TestCardIsSignedByItsOwnKey(t *testing.T) {
	c, _ := someCard(t)
	other := siteKeys(t, "FLD")
	if _, err := c.Sign(other.Signer()); err == nil {
		t.Error("signed with another key")
	}
	forged, err := journal.SignNote(c.render(), MaxCard, other.Signer())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseCard(forged); !errors.Is(err, site.Untrusted) {
		t.Errorf("a card that another key has signed: %v", err)
	}
}

func TestParseCardRefuses(t *testing.T) {
	c, k := someCard(t)
	good, err := c.Sign(k.Signer())
	if err != nil {
		t.Fatal(err)
	}
	newer, _ := journal.SignNote([]byte("fardel card v2\n"), MaxCard, k.Signer())
	charter, _ := journal.SignNote([]byte("fardel charter v1\n"), MaxCard, k.Signer())
	zero := strings.Replace(string(c.render()), c.Root.String(), site.Digest{}.String(), 1)
	noRoot, _ := journal.SignNote([]byte(zero), MaxCard, k.Signer())
	for name, v := range map[string]struct {
		msg   []byte
		class *site.Class
	}{
		"nothing":        {nil, site.Damaged},
		"a newer format": {newer, site.TooNew},
		"a charter":      {charter, site.Damaged},
		"no root":        {noRoot, site.Damaged},
		"a changed name": {bytes.Replace(good, []byte("hospital"), []byte("hostel"), 1), site.Untrusted},
		"too large":      {append(bytes.Clone(good), make([]byte, MaxCard)...), site.Damaged},
	} {
		if _, err := ParseCard(v.msg); !errors.Is(err, v.class) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseCard(f *testing.F) {
	c, k := someCard(f)
	msg, err := c.Sign(k.Signer())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(msg)
	f.Add(c.render())
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := parseCardText(b); err == nil && !bytes.Equal(c.render(), b) {
			t.Fatalf("%q came back as %q", b, c.render())
		}
		if c, err := ParseCard(b); err == nil && !bytes.HasPrefix(b, append(c.render(), '\n')) {
			t.Fatalf("%q was read as %q", b, c.render())
		}
	})
}
