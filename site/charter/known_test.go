package charter

import (
	"errors"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"fardel/site"
	"fardel/site/journal"
)

func sigOf(k *Keys) note.Signature {
	return note.Signature{Name: k.Signer().Name(), Hash: k.Signer().KeyHash()}
}

func ended(k *Keys, serial int, revoked bool, size int64) site.SiteKey {
	key := k.SiteKey(serial)
	key.End = &site.KeyEnd{Revoked: revoked, Decisions: site.Position{Epoch: 1, Size: size}, Observations: site.Position{Epoch: 1, Size: 2 * size}}
	return key
}

func chainOf(t testing.TB, change func(*Charter)) (Chain, *Keys) {
	t.Helper()
	top := topKeys(t)
	c, err := NewCharter(top, now)
	if err != nil {
		t.Fatal(err)
	}
	change(&c)
	msg, err := c.Sign(top.Root())
	if err != nil {
		t.Fatal(err)
	}
	chain, err := OpenChain([][]byte{msg}, c.Root())
	if err != nil {
		t.Fatal(err)
	}
	return chain, top
}

func siteOf(code site.Code, keys ...site.SiteKey) site.Site {
	return site.Site{Code: code, SiteBody: site.SiteBody{Parent: "HQ0", State: site.SiteActive, Keys: keys}}
}

func TestJudge(t *testing.T) {
	first, second, third := siteKeys(t, "EU1"), siteKeys(t, "EU1"), siteKeys(t, "EU1")
	chain, _ := chainOf(t, func(*Charter) {})
	k := NewKnown(chain, map[site.Code]site.Site{
		"EU1": siteOf("EU1", ended(first, 1, false, 5), ended(second, 2, true, 9), third.SiteKey(3)),
		"SEA": siteOf("SEA", siteKeys(t, "SEA").SiteKey(1)),
	})
	for _, c := range []struct {
		name string
		code site.Code
		keys *Keys
		want KeyVerdict
		size int64
	}{
		{"the first key", "EU1", first, Replaced, 5},
		{"the stolen key", "EU1", second, RevokedKey, 9},
		{"the last key", "EU1", third, Current, 0},
		{"a stranger's key", "EU1", siteKeys(t, "EU1"), Unknown, 0},
		{"another site's key", "SEA", third, Unknown, 0},
		{"an unknown site", "XXX", third, Unknown, 0},
	} {
		v, end := k.Judge(c.code, sigOf(c.keys))
		if v != c.want || (end == nil) != (c.size == 0) || end != nil && end.Decisions.Size != c.size {
			t.Errorf("%s: %s, %+v", c.name, v, end)
		}
	}
	if v, _ := k.Best("EU1", []note.Signature{sigOf(second), sigOf(third), sigOf(first)}); v != Current {
		t.Errorf("the best of three keys is %s", v)
	}
	if v, end := k.Best("EU1", nil); v != Unknown || end != nil {
		t.Errorf("the best of no keys is %s", v)
	}
}

func TestVerifiersOfASite(t *testing.T) {
	first, second, other := siteKeys(t, "EU1"), siteKeys(t, "EU1"), siteKeys(t, "SEA")
	chain, top := chainOf(t, func(*Charter) {})
	k := NewKnown(chain, map[site.Code]site.Site{
		"EU1": siteOf("EU1", ended(first, 1, true, 5), second.SiteKey(2)),
		"SEA": siteOf("SEA", other.SiteKey(1)),
	})
	open := func(by *Keys, known note.Verifiers) error {
		msg, err := journal.SignNote([]byte("fardel label v1\n"), 1<<16, by.Signer())
		if err != nil {
			t.Fatal(err)
		}
		_, err = journal.OpenNote(msg, 1<<16, "fardel label v1", known)
		return err
	}
	for name, by := range map[string]*Keys{"revoked": first, "current": second} {
		if err := open(by, k.For("EU1")); err != nil {
			t.Errorf("the %s key: %v", name, err)
		}
	}
	if err := open(other, k.For("EU1")); !errors.Is(err, journal.ErrUnsigned) {
		t.Errorf("another site's key: %v", err)
	}
	for name, by := range map[string]*Keys{"revoked": first, "other": other, "top": top} {
		if err := open(by, k.All()); err != nil {
			t.Errorf("the %s key among all: %v", name, err)
		}
	}
}

func TestTopKeysComeFromTheCharter(t *testing.T) {
	replaced, stolen, unheard := siteKeys(t, "HQ0"), siteKeys(t, "HQ0"), siteKeys(t, "HQ0")
	chain, top := chainOf(t, func(c *Charter) {
		c.TopFormer = []string{replaced.SignKey(), stolen.SignKey(), unheard.SignKey()}
	})
	smuggled := siteKeys(t, "HQ0")
	k := NewKnown(chain, map[site.Code]site.Site{
		"HQ0": siteOf("HQ0", ended(replaced, 1, false, 3), ended(stolen, 2, true, 4), smuggled.SiteKey(3), ended(top, 4, true, 1)),
	})
	for _, c := range []struct {
		name string
		keys *Keys
		want KeyVerdict
		size int64
	}{
		{"the charter's key, whatever the log says", top, Current, 0},
		{"a replaced key", replaced, Replaced, 3},
		{"a stolen key", stolen, RevokedKey, 4},
		{"a former key of which the log says nothing", unheard, Replaced, 0},
		{"a key that only the log knows", smuggled, Unknown, 0},
	} {
		v, end := k.Judge("HQ0", sigOf(c.keys))
		if v != c.want || (end == nil) != (c.size == 0) || end != nil && end.Decisions.Size != c.size {
			t.Errorf("%s: %s, %+v", c.name, v, end)
		}
	}
}

func TestFormerSeatOfTheTop(t *testing.T) {
	gone, stays := siteKeys(t, "OLD"), siteKeys(t, "HQ1")
	chain, _ := chainOf(t, func(c *Charter) { c.TopFormer = []string{gone.SignKey(), stays.SignKey()} })
	k := NewKnown(chain, map[site.Code]site.Site{"HQ1": siteOf("HQ1", stays.SiteKey(1))})
	if v, _ := k.Judge("OLD", sigOf(gone)); v != Replaced {
		t.Errorf("the key of a former top that is no site any more is %s", v)
	}
	if v, _ := k.Judge("HQ1", sigOf(stays)); v != Current {
		t.Errorf("the key of a former top that is a site still is %s", v)
	}
}

func TestKnownLeavesOutMalformedKeys(t *testing.T) {
	good, other := siteKeys(t, "EU1"), siteKeys(t, "SEA")
	chain, _ := chainOf(t, func(*Charter) {})
	k := NewKnown(chain, map[site.Code]site.Site{
		"EU1": siteOf("EU1", site.SiteKey{Serial: 1, Sign: "rubbish"}, other.SiteKey(2), good.SiteKey(3), good.SiteKey(4)),
	})
	if v, _ := k.Judge("EU1", sigOf(good)); v == Unknown {
		t.Error("the good key is lost")
	}
	if v, _ := k.Judge("EU1", sigOf(other)); v != Unknown {
		t.Errorf("another site's key is %s", v)
	}
}

func TestRevocationOutweighs(t *testing.T) {
	twice := siteKeys(t, "EU1")
	chain, _ := chainOf(t, func(*Charter) {})
	k := NewKnown(chain, map[site.Code]site.Site{"EU1": siteOf("EU1", ended(twice, 1, true, 5), twice.SiteKey(2))})
	if v, _ := k.Judge("EU1", sigOf(twice)); v != RevokedKey {
		t.Errorf("a revoked key that is listed again is %s", v)
	}
}

func TestKnownOfNothing(t *testing.T) {
	k := NewKnown(Chain{}, nil)
	if v, _ := k.Judge("", note.Signature{}); v != Unknown {
		t.Errorf("%s", v)
	}
	if _, err := k.All().Verifier("x", 1); err == nil {
		t.Error("a verifier out of nothing")
	}
}

func TestCovers(t *testing.T) {
	end := &site.KeyEnd{
		Decisions:    site.Position{Epoch: 2, Size: 5, Root: site.Digest{1}},
		Observations: site.Position{Epoch: 1, Size: 7, Root: site.Digest{2}},
	}
	for _, c := range []struct {
		name string
		end  *site.KeyEnd
		log  site.LogName
		p    site.Position
		want bool
	}{
		{"below", end, site.Decisions, site.Position{Epoch: 2, Size: 4}, true},
		{"there", end, site.Decisions, end.Decisions, true},
		{"there, on another branch", end, site.Decisions, site.Position{Epoch: 2, Size: 5, Root: site.Digest{9}}, false},
		{"above", end, site.Decisions, site.Position{Epoch: 2, Size: 6}, false},
		{"an epoch before", end, site.Decisions, site.Position{Epoch: 1, Size: 99}, true},
		{"an epoch later", end, site.Decisions, site.Position{Epoch: 3, Size: 1}, false},
		{"the other log", end, site.Observations, site.Position{Epoch: 1, Size: 7, Root: site.Digest{2}}, true},
		{"the other log, above", end, site.Observations, site.Position{Epoch: 2, Size: 1}, false},
		{"no end", nil, site.Decisions, site.Position{}, false},
	} {
		if got := Covers(c.end, c.log, c.p); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
