package replicator_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"fardel/fixtures/world"
	"fardel/media"
	"fardel/replicator"
	"fardel/site"
	"fardel/site/charter"
	"fardel/site/host"
)

// Everybody who has seen a site's card can seal a parcel for it. That gives no
// right to be heard.
func TestStrangerIsNotHeard(t *testing.T) {
	w, _ := realm(t)
	w.Export(hq, "true", "FLD")
	trust := map[string][]byte{}
	for _, n := range remember(w, "true").names(hq, media.TrustDir) {
		trust[n] = get(w, "true", hq, n)
	}
	kind, id, body := somePackage("HQ000009")
	log := historyOf(w, "FLD", decisions(hq)).with(entry(w, kind, id, body)).signed(hierarchyOf(w), inTheNameOf(w, hq))
	// A hierarchy of the stranger's own, which bears the same name.
	top, err := charter.GenerateTop(hierarchyOf(w), hq, charter.X25519)
	must(t, err)
	mine, err := charter.NewCharter(top, w.Clock)
	must(t, err)
	note, err := mine.Sign(top.Root())
	must(t, err)
	second := mine
	second.Version, second.Previous = 2, mine.Digest()
	text, err := second.Text()
	must(t, err)

	before := look(w, "FLD")
	for i, tc := range []struct {
		name   string
		parcel forged
		words  string
	}{
		{"a key of its own", forged{from: hq, signer: inTheNameOf(w, hq)}, "not signed by HQ0"},
		{"a key of its own, and a copied charter", forged{from: hq, signer: inTheNameOf(w, hq), files: trust}, "not signed by HQ0"},
		{"a charter of its own", forged{from: hq, signer: top.Signer(), files: map[string][]byte{media.CharterPath(1): note}}, "not signed by HQ0"},
		{"a later charter of its own", forged{from: hq, signer: top.Signer(), files: map[string][]byte{media.CharterPath(2): signText(text, top.Root())}}, "not signed by HQ0"},
		{"a site that nobody knows", forged{from: "XYZ", signer: inTheNameOf(w, "XYZ")}, "not signed by XYZ"},
		{"another hierarchy", forged{from: hq, signer: inTheNameOf(w, hq), hierarchy: charter.NewHierarchyID()}, "another hierarchy"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			medium := fmt.Sprint("stranger-", i)
			p := tc.parcel
			p.w, p.to, p.number, p.logs = w, "FLD", 700+int64(i), []history{log}
			p.write(medium)
			rep, err := w.TryImport("FLD", medium)
			refused(t, rep, err, site.Untrusted, tc.words)
			if !look(w, "FLD").equal(before) {
				t.Error("something has changed")
			}
		})
	}
	t.Run("at a site that has never heard of anybody", func(t *testing.T) {
		w.SetUp("NEW", hq)
		f := forged{w: w, from: hq, to: "NEW", number: 1, signer: top.Signer(), logs: []history{log}, files: map[string][]byte{media.CharterPath(1): note}}
		f.write("first")
		rep, err := w.TryImport("NEW", "first")
		refused(t, rep, err, site.Untrusted, "does not belong to the hierarchy")
		w.Admit(w.Card("NEW"))
		w.Export(hq, "good", "NEW")
		// The stranger's folder on the same medium keeps nobody out.
		put(w, "good", "AAA", media.CharterPath(1), note)
		w.Import("NEW", "good")
		if w.Positions("NEW")[decisions(hq)].Size == 0 {
			t.Error("nothing came")
		}
	})
}

// A parcel is for one site. Whoever holds the key to it can read it, and cannot
// make it into a parcel for somebody else.
func TestParcelForAnotherSite(t *testing.T) {
	w, _ := realm(t)
	w.UpdatePackage(hq, "HQ000001", w.Tree("next", map[string]string{"bin/tool": "two", "readme": "read me"}))
	before := look(w, "FLD")

	// reseal opens a body with a site's keys and seals it for FLD.
	reseal := func(medium string, n site.ParcelName) []byte {
		plain, err := media.OpenBody(strings.NewReader(string(get(w, medium, hq, media.BodyPath(n)))), identities(w, n.To), 0)
		must(t, err)
		to, err := media.ParseRecipient(keysOf(w, "FLD").Recipient())
		must(t, err)
		var out strings.Builder
		sealed, err := media.SealBody(&out, to)
		must(t, err)
		_, err = io.Copy(sealed, plain)
		must(t, errors.Join(err, sealed.Close()))
		return []byte(out.String())
	}
	w.Export(hq, "sea", "SEA")
	n := labels(w, "sea", hq)[0]
	body := reseal("sea", n)

	t.Run("as it is", func(t *testing.T) {
		rep, err := w.TryImport("FLD", "sea")
		refused(t, rep, err, site.ForeignParcel, "for SEA")
	})
	t.Run("sealed again, under its label", func(t *testing.T) {
		copyDir(t, w.Medium("again"), w.Medium("sea"))
		put(w, "again", hq, media.BodyPath(n), body)
		rep, err := w.TryImport("FLD", "again")
		refused(t, rep, err, site.ForeignParcel, "for SEA")
	})
	t.Run("sealed again, under a label of SEA", func(t *testing.T) {
		forged{w: w, from: "SEA", to: "FLD", number: 1, body: body}.write("relabelled")
		rep, err := w.TryImport("FLD", "relabelled")
		refused(t, rep, err, site.Untrusted, "SEA")
	})
	t.Run("told again by SEA, with its own facts", func(t *testing.T) {
		forged{w: w, from: "SEA", to: "FLD", number: 2, logs: []history{historyOf(w, hq, decisions(hq))}}.write("retold")
		rep, err := w.TryImport("FLD", "retold")
		refused(t, rep, err, site.Untrusted, "SEA")
	})
	t.Run("sealed again, under a label of EU1", func(t *testing.T) {
		w.Export(hq, "eu", eu)
		forged{w: w, from: eu, to: "FLD", number: 77, body: reseal("eu", labels(w, "eu", hq)[0])}.write("parent")
		rep, err := w.TryImport("FLD", "parent")
		refused(t, rep, err, site.Damaged, "belongs to another label")
	})
	if !look(w, "FLD").equal(before) {
		t.Error("something has changed at FLD")
	}
}

// A site that is neither above nor below has nothing to say, not even about how
// far it has come.
func TestSiblingHasNothingToSay(t *testing.T) {
	w, _ := realm(t)
	lie := site.LogPosition{LogID: observations("FLD"), Position: site.Position{Epoch: 9, Size: 1 << 40, Root: site.DigestOf(nil)}}
	forged{w: w, from: "SEA", to: "FLD", number: 1, receipt: media.Receipt{Applied: 9, Positions: []site.LogPosition{lie}}}.write("sibling")
	before := look(w, "FLD")
	put(w, "sibling", "SEA", media.TrustPath("SEA", 3), trustEntry(w, "SEA"))
	rep, err := w.TryImport("FLD", "sibling")
	refused(t, rep, err, site.Untrusted, "neither above nor below")
	if !look(w, "FLD").equal(before) {
		t.Error("something has changed at FLD")
	}
}

// trustEntry returns what proves a site's card.
func trustEntry(w *world.World, code site.Code) (data []byte) {
	w.Helper()
	w.At(hq, func(h *host.Host) {
		must(w, h.View(func(v *host.View) (err error) {
			data, _, err = v.TrustEntry(code)
			return err
		}))
	})
	return data
}

// What came before comes again, or late: it is recognised, and nothing goes back.
func TestReplayChangesNothing(t *testing.T) {
	w, id := realm(t)
	var old []string
	for i := range 4 {
		w.UpdatePackage(hq, id, w.Tree(fmt.Sprint("v", i), map[string]string{"bin/tool": fmt.Sprint("version ", i)}))
		medium := fmt.Sprint("direct-", i)
		w.Export(hq, medium, "FLD")
		old = append(old, medium)
		if i != 2 { // this one comes late
			w.Import("FLD", medium)
		}
	}
	before := look(w, "FLD")
	own := w.Positions("FLD")[observations("FLD")]
	for _, m := range old[:2] {
		rep := w.Import("FLD", m)
		if rep.Parcels[0].Outcome != replicator.Already || rep.Parcels[0].Before == "" {
			t.Errorf("%s: %+v", m, rep.Parcels[0])
		}
	}
	if w.Positions("FLD")[observations("FLD")] != own {
		t.Error("a replay has left a record")
	}
	w.Import("FLD", old[2])
	if !look(w, "FLD").equal(before) {
		t.Error("an older parcel has changed something")
	}
	w.At("FLD", func(h *host.Host) {
		must(t, h.View(func(v *host.View) error {
			l, err := v.Link(hq)
			if l.Applied != 4 {
				t.Errorf("the highest parcel applied is %d", l.Applied)
			}
			return err
		}))
	})
}

// A receipt says what somebody else wants this site to believe of itself. What
// is not proved is not believed; numbers cannot be used up.
func TestLyingReceipt(t *testing.T) {
	own := func(log site.LogID, epoch, size int64) []site.LogPosition {
		return []site.LogPosition{{LogID: log, Position: site.Position{Epoch: epoch, Size: size, Root: site.DigestOf([]byte("lie"))}}}
	}
	for _, tc := range []struct {
		name    string
		receipt media.Receipt
		class   *site.Class // nil: taken in
	}{
		{"more entries of HQ0 than there are", media.Receipt{Positions: own(decisions(hq), 1, 1<<40)}, nil},
		{"a later epoch of HQ0", media.Receipt{Positions: own(decisions(hq), site.MaxInt, 1)}, nil},
		{"another history of HQ0", media.Receipt{Positions: own(decisions(hq), 1, 2)}, nil},
		{"more parcels of HQ0 than there are", media.Receipt{Applied: 50}, nil},
		{"all the parcels there can be", media.Receipt{Applied: site.MaxInt}, site.Untrusted},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w, _ := realm(t)
			forged{w: w, from: eu, to: hq, number: 500, receipt: tc.receipt}.write("lie")
			_, err := w.TryImport(hq, "lie")
			if tc.class == nil && err != nil || tc.class != nil && !errors.Is(err, tc.class) {
				t.Fatalf("import: %v", err)
			}
			if fenced(w, hq) {
				t.Error("HQ0 was brought to a halt by a word of EU1")
			}
			// The others are served, and EU1 can be told everything.
			w.AddPackage(hq, w.Tree("more", map[string]string{"m": "m"}), "SEA")
			if _, err := w.TryExport(hq, "all", false, eu, "SEA"); err != nil {
				t.Fatalf("export to all: %v", err)
			}
			w.Import("SEA", "all")
			// EU1 has only itself to blame if this is more than it has heard of.
			if _, err := w.TryImport(eu, "all"); err != nil && !errors.Is(err, site.Held) {
				t.Error(err)
			}
			if _, err := w.TryExport(hq, "full", true, eu); err != nil {
				t.Errorf("export to EU1: %v", err)
			}
			if len(tc.receipt.Positions) > 0 && len(alarms(w, hq)) == 0 {
				t.Error("no alarm")
			}
		})
	}
}

// A site with the right to publish can publish nonsense. Its own packages come
// to nothing; all others are as good as before.
func TestNonsenseFromAPublisher(t *testing.T) {
	w, id := realm(t, site.RightPublish, site.RightDecide)
	held := site.DigestOf([]byte("read me")) // a file that FLD holds, and no manifest
	bodies := []site.PackageBody{
		{Name: "a file as manifest", Source: 1, Manifest: held, Listing: 7},
		{Name: "of another size", Source: 1, Manifest: held, Listing: 1 << 50},
		{Name: "negative", Source: -1, Manifest: held, Listing: -7, Files: -1, Size: -1},
		{Name: "nothing"},
	}
	w.At(eu, func(h *host.Host) {
		must(t, h.Update(func(v *host.View) error {
			for i, b := range bodies {
				pkg := string(site.NewPackageID(eu, int64(i+1)))
				err := v.Append(site.Decisions, entry(w, site.KindPackage, pkg, b),
					entry(w, site.KindDistribution, pkg, site.DistributionBody{Sites: map[site.Code]int64{"FLD": 1, eu: 1}}))
				if err != nil {
					return err
				}
			}
			return nil
		}))
	})
	forge := historyOf(w, eu, decisions(eu))
	for i, to := range []site.Code{"FLD", hq} {
		forged{w: w, from: eu, to: to, number: 600 + int64(i), logs: []history{forge}}.write("nonsense")
		if _, err := w.TryImport(to, "nonsense"); err != nil {
			t.Errorf("at %s: %v", to, err)
		}
	}
	w.UpdatePackage(hq, id, w.Tree("next", map[string]string{"bin/tool": "two", "readme": "read me"}))
	hop(w, hq, "FLD")
	if !w.Holds("FLD", id) {
		t.Error("the package of HQ0 does not arrive any more")
	}
	hop(w, "FLD", hq)
	for i := range bodies {
		if w.Holds("FLD", site.NewPackageID(eu, int64(i+1))) {
			t.Errorf("FLD says that it holds %q", bodies[i].Name)
		}
	}
}

// A manifest may name files of others with sizes that they do not have. The
// files still arrive, for those who named them rightly.
func TestWrongSizesSpoilOnlyTheirOwnPackage(t *testing.T) {
	const eu = site.Code("ZU1") // its packages come after those of HQ0 everywhere
	w := world.New(t)
	w.Top(hq)
	w.Join(eu, hq, site.RightPublish, site.RightDecide)
	w.Join("FLD", eu)
	hop(w, hq, eu)
	hop(w, eu, "FLD")
	file := "the file that both name"
	d := site.DigestOf([]byte(file))
	manifest := fmt.Sprintf("fardel manifest v1\nf 644 %s %d \"x\"\n", d, len(file)+5)
	var pkg site.PackageID
	w.At(eu, func(h *host.Host) {
		batch := h.Library.Begin(nil)
		m, size, err := batch.Add(strings.NewReader(manifest))
		must(t, err)
		must(t, batch.Commit())
		pkg = site.NewPackageID(eu, 1)
		must(t, h.Update(func(v *host.View) error {
			return v.Append(site.Decisions,
				entry(w, site.KindPackage, string(pkg), site.PackageBody{Name: "wrong", Source: 1, Manifest: m, Listing: size, Files: 1, Size: int64(len(file)) + 5}),
				entry(w, site.KindDistribution, string(pkg), site.DistributionBody{Sites: map[site.Code]int64{"FLD": 1}}))
		}))
	})
	put(w, "wrong", eu, "trust/none", nil)
	bundle, key := sealBundle(t, w, eu, "wrong", map[string]string{"manifest": manifest}, pkg)
	forged{w: w, from: eu, to: "FLD", number: 600, logs: []history{historyOf(w, eu, decisions(eu))}, bundles: []media.Bundle{bundle}, keys: []media.BodyBundle{key}}.write("wrong")
	if _, err := w.TryImport("FLD", "wrong"); err != nil {
		t.Fatal(err)
	}
	good := w.AddPackage(hq, w.Tree("both", map[string]string{"x": file}), "FLD")
	hop(w, hq, "FLD")
	if !w.Holds("FLD", good) {
		t.Error("the package of HQ0 is kept out by a wrong size in another one")
	}
}

// EU1 may announce a bundle of HQ0 with a key that does not fit. The one that
// HQ0 announced it with still opens it.
func TestWrongKeyForABundleOfOthers(t *testing.T) {
	w, id := realm(t)
	w.UpdatePackage(hq, id, w.Tree("next", map[string]string{"bin/tool": "two", "readme": "read me"}))
	w.Export(hq, "true", "FLD")
	m := remember(w, "true")
	l, err := media.ReadLabel(m.files[hq][m.names(hq, media.LabelsDir)[0]])
	must(t, err)
	bundle := m.names(hq, media.BundlesDir)[0]
	_, err = importWith(w, "FLD", m.but(hq, bundle, nil), replicator.ImportOptions{})
	must(t, err)

	secret, _, err := media.NewKey("x25519")
	must(t, err)
	forged{w: w, from: eu, to: "FLD", number: 600, bundles: l.Bundles,
		keys: []media.BodyBundle{{Digest: l.Bundles[0].Digest, Key: secret, Plain: 10240, Package: id, Source: 2}}}.write("wrong")
	put(w, "wrong", eu, bundle, m.files[hq][bundle])
	if _, err := w.TryImport("FLD", "wrong"); !errors.Is(err, site.Damaged) {
		t.Errorf("the wrong key: %v", err)
	}
	if _, err := importWith(w, "FLD", m, replicator.ImportOptions{}); err != nil || !w.Holds("FLD", id) {
		t.Errorf("the true medium does not help: %v", err)
	}
}

// sealBundle puts a bundle onto a medium.
func sealBundle(t *testing.T, w *world.World, from site.Code, medium string, files map[string]string, pkg site.PackageID) (media.Bundle, media.BodyBundle) {
	t.Helper()
	secret, public, err := media.NewKey("x25519")
	must(t, err)
	to, err := media.ParseRecipient(public)
	must(t, err)
	var out strings.Builder
	bw, err := media.NewBundleWriter(&out, media.Zstd, to, 1)
	must(t, err)
	for _, text := range files {
		n := int64(len(text))
		must(t, bw.Add(media.Item{Kind: media.Whole, Digest: site.DigestOf([]byte(text)), Size: n, Length: n}, strings.NewReader(text)))
	}
	plain, err := bw.Close()
	must(t, err)
	d := site.DigestOf([]byte(out.String()))
	put(w, medium, from, media.BundlePath(d, media.Zstd), []byte(out.String()))
	return media.Bundle{File: media.File{Digest: d, Size: int64(out.Len())}, Codec: media.Zstd, Medium: 1, Priority: site.PriorityMedium},
		media.BodyBundle{Digest: d, Key: secret, Plain: plain, Package: pkg, Source: 1}
}
