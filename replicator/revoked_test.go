package replicator_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fardel/fixtures/world"
	"fardel/media"
	"fardel/site"
	"fardel/site/host"
)

// stolen gives EU1's state to a thief and revokes its keys at HQ0. EU1 is set up
// again, in the first world; the thief has the second.
func stolen(t *testing.T, w *world.World) (thief *world.World) {
	t.Helper()
	other := *w
	other.Dir = filepath.Join(w.Dir, "thief")
	copyDir(t, other.State(eu), w.State(eu))
	must(t, os.RemoveAll(w.State(eu)))
	must(t, os.RemoveAll(w.State(eu)+".sentinel"))
	w.SetUp(eu, hq)
	w.At(hq, func(h *host.Host) { must(t, h.RekeySite(eu, w.Card(eu), true)) })
	return &other
}

// give carries a medium of the thief's into the world.
func give(t *testing.T, w, thief *world.World, medium string) {
	t.Helper()
	copyDir(t, w.Medium(medium), thief.Medium(medium))
}

// publishAt has EU1 publish a package for FLD.
func publishAt(w *world.World, name string) site.PackageID {
	w.Helper()
	return w.AddPackage(eu, w.Tree(name, map[string]string{"x": name}), "FLD")
}

// A key is revoked at the last position that the top holds. FLD had heard more
// under that key: it goes back to that position, and what came above means
// nothing. The thief is not heard again; EU1 with its new key is.
func TestRevokedKeyIsGoodUpToTheLastGoodPosition(t *testing.T) {
	w, _ := realm(t, site.RightPublish, site.RightDecide)
	good := publishAt(w, "good")
	round(w)
	mark := w.Positions(hq)[decisions(eu)]
	bad := publishAt(w, "bad")
	hop(w, eu, "FLD")
	if !w.Holds("FLD", good) || !w.Holds("FLD", bad) {
		t.Fatal("FLD was to hold both")
	}
	thief := stolen(t, w)
	publishAt(thief, "worse")
	thief.Export(eu, "worse", "FLD")
	give(t, w, thief, "worse")

	hop(w, hq, "FLD")
	if got := w.Positions("FLD")[decisions(eu)]; got != mark {
		t.Errorf("FLD holds EU1/decisions to %d, and the last good position is %d", got.Size, mark.Size)
	}
	if p := look(w, "FLD").packages; strings.Contains(p, string(bad)) || !strings.Contains(p, string(good)) {
		t.Errorf("packages at FLD:\n%s", p)
	}
	rep, err := w.TryImport("FLD", "worse")
	refused(t, rep, err, site.Revoked, "revoked key of EU1")
	rep, err = w.TryImport(hq, "worse") // and it is not relayed either
	refused(t, rep, err, site.Revoked, "revoked key of EU1")

	// FLD exports all of it without a word above the last good position.
	if _, err := w.TryExport("FLD", "up", true, hq); err != nil {
		t.Errorf("a full export from FLD: %v", err)
	}
	// EU1 comes back: its own entries first, then new ones.
	hop(w, hq, eu)
	if got := w.Positions(eu)[decisions(eu)]; got != mark {
		t.Errorf("EU1 has come back to %d, not %d", got.Size, mark.Size)
	}
	if _, err := w.TryExport("FLD", "tell", true, eu); err != nil {
		t.Fatal(err)
	}
	w.Import(eu, "tell")
	next := publishAt(w, "next")
	hop(w, eu, "FLD")
	hop(w, eu, hq)
	if p := look(w, "FLD").packages; !strings.Contains(p, string(next)) {
		t.Errorf("what EU1 says with its new key does not arrive:\n%s", p)
	}
	agree(w, hq, "FLD", decisions(eu))
}

// FLD was told a whole other history under the stolen key. None of it can be
// believed: FLD gives it up, raises an alarm, and takes the true one from EU1.
func TestHistoryThatDisagreesWithTheRevocationIsGivenUp(t *testing.T) {
	for _, tc := range []struct {
		name  string
		epoch int64
		long  bool // longer than the last good position: void as soon as the revocation is heard
	}{
		{"longer", 1, true},
		{"in a later epoch", 7, true},
		{"shorter", 1, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := world.New(t)
			w.Top(hq)
			w.Join(eu, hq, site.RightPublish, site.RightDecide)
			w.Join("FLD", eu)
			hop(w, hq, eu)
			truth := publishAt(w, "true")
			hop(w, eu, hq)
			// The thief is the first to speak to FLD.
			kind, id, body := somePackage("EU100005")
			lie := history{LogID: decisions(eu), epoch: tc.epoch}
			if tc.epoch > 1 {
				lie = lie.with(entry(w, site.KindEpoch, "7", site.EpochBody{Nonce: strings.Repeat("0", 32)}))
			}
			lie = lie.with(entry(w, kind, id, body))
			if tc.long {
				lie = lie.with(entry(w, site.KindSync, "FLD", 1), entry(w, site.KindSync, "FLD", 2))
			}
			lie = lie.signed(hierarchyOf(w), keysOf(w, eu).Signer())
			top := historyOf(w, eu, decisions(hq))
			trust := map[string][]byte{media.CharterPath(1): get(w, "hop", eu, media.CharterPath(1)), media.TrustPath(eu, 1): trustEntry(w, eu)}
			forged{w: w, from: eu, to: "FLD", number: 1, logs: []history{lie, top}, files: trust}.write("lie")
			w.Import("FLD", "lie")
			if p := look(w, "FLD").packages; !strings.Contains(p, id) {
				t.Fatalf("the thief was to be believed for now: %s", p)
			}
			stolen(t, w)
			hop(w, hq, "FLD")
			if tc.long {
				if p := look(w, "FLD").packages; strings.Contains(p, id) {
					t.Errorf("FLD still believes the thief: %s", p)
				}
				if a := alarms(w, "FLD"); len(a) != 1 || !strings.Contains(a[0], "EU1/decisions") {
					t.Errorf("alarms: %v", a)
				}
			}
			hop(w, hq, eu)
			hop(w, "FLD", eu)
			if fenced(w, eu) {
				t.Fatal("the thief's word has fenced EU1")
			}
			publishAt(w, "next") // under the new key
			if _, err := w.TryExport(eu, "all", true, "FLD"); err != nil {
				t.Fatal(err)
			}
			w.Import("FLD", "all")
			if p := look(w, "FLD").packages; strings.Contains(p, id) {
				t.Errorf("FLD believes the thief to the end: %s", p)
			}
			hop(w, "FLD", eu)
			hop(w, eu, hq)
			if p := look(w, "FLD").packages; !strings.Contains(p, string(truth)) {
				t.Errorf("the truth does not arrive: %q", p)
			}
			agree(w, hq, "FLD", decisions(eu))
		})
	}
}

// The thief shows an old card. Where the new one lies on the same medium, in
// whatever folder, it counts; and where it was heard before, it counts.
func TestOldCardDoesNotHideARevocation(t *testing.T) {
	w, _ := realm(t)
	old := trustEntry(w, eu)
	thief := stolen(t, w)
	w.Export(hq, "news", "FLD")
	news := remember(w, "news")
	thief.Export(eu, "theft", "FLD")
	theft := remember(thief, "theft")
	before := look(w, "FLD")
	for _, folder := range []site.Code{"AAA", "ZZZ"} {
		m := news
		for _, n := range append(news.names(hq, media.LabelsDir), news.names(hq, media.BodiesDir)...) {
			m = m.but(hq, n, nil) // no more than HQ0's trust folder
		}
		m.files[folder] = map[string][]byte{}
		for n, b := range theft.files[eu] {
			m.files[folder][n] = b
		}
		m.files[folder][media.TrustPath(eu, 1)] = old
		w.At("FLD", func(h *host.Host) {
			rep, err := importOnce(t, w, h, m)
			refused(t, rep, err, site.Revoked, "revoked key of EU1")
		})
		if !look(w, "FLD").equal(before) {
			t.Error("something has changed")
		}
	}
	w.Import("FLD", "news")
	w.At("FLD", func(h *host.Host) {
		rep, err := importOnce(t, w, h, theft)
		refused(t, rep, err, site.Revoked, "revoked key of EU1")
	})
}

// A site that was removed is not heard any more, whatever it sends, and gets
// nothing.
func TestRemovedSiteIsNotHeard(t *testing.T) {
	w, _ := realm(t)
	w.Export("SEA", "last", hq)
	w.At(hq, func(h *host.Host) { must(t, h.RemoveSite("SEA")) })
	before := look(w, hq)
	rep, err := w.TryImport(hq, "last")
	refused(t, rep, err, site.Revoked, "removed from the hierarchy")
	if got := look(w, hq); !got.equal(before) {
		t.Errorf("something has changed:\n%+v\n%+v", before, got)
	}
	if _, err := w.TryExport(hq, "none", false, "SEA"); !errors.Is(err, site.NoSuch) {
		t.Errorf("export to a removed site: %v", err)
	}
}
