package replicator_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"fardel/fixtures/world"
	"fardel/media"
	"fardel/replicator"
	"fardel/site"
	"fardel/site/host"
)

// realm makes HQ0 above EU1 above FLD, and SEA beside EU1. One package of HQ0
// has come to FLD through EU1, and all receipts have returned.
func realm(t *testing.T, rights ...site.Right) (*world.World, site.PackageID) {
	t.Helper()
	w := world.New(t)
	w.Top("HQ0")
	w.Join("EU1", "HQ0", rights...)
	w.Join("FLD", "EU1")
	w.Join("SEA", "HQ0")
	id := w.AddPackage("HQ0", w.Tree("tool", map[string]string{"bin/tool": "one", "readme": "read me"}), "FLD", "SEA")
	round(w)
	// EU1 has said one harmless thing of its own.
	w.At("EU1", func(h *host.Host) {
		must(w, h.Update(func(v *host.View) error {
			return v.Append(site.Decisions, entry(w, site.KindSync, "FLD", map[string]int{}))
		}))
	})
	round(w)
	if !w.Holds("FLD", id) || !w.Holds("SEA", id) {
		t.Fatal("the package has not arrived")
	}
	return w, id
}

// round lets everybody hear everything, down and up.
func round(w *world.World) {
	w.Helper()
	hop := func(from, to site.Code) {
		w.Erase("round")
		w.Export(from, "round", to)
		w.Import(to, "round")
	}
	hop("HQ0", "EU1")
	hop("HQ0", "SEA")
	hop("EU1", "FLD")
	hop("FLD", "EU1")
	hop("EU1", "HQ0")
	hop("SEA", "HQ0")
	hop("HQ0", "EU1")
}

const hq, eu = site.Code("HQ0"), site.Code("EU1")

func decisions(c site.Code) site.LogID    { return site.LogID{Site: c, Log: site.Decisions} }
func observations(c site.Code) site.LogID { return site.LogID{Site: c, Log: site.Observations} }

func somePackage(id string) (site.Kind, string, site.PackageBody) {
	return site.KindPackage, id, site.PackageBody{Name: "evil", Source: 1, Manifest: site.DigestOf([]byte("evil")), Listing: 4, Files: 1, Size: 4}
}

// Each attack below is a parcel that EU1, with all its own keys, sends to FLD or
// to HQ0. It must be refused, by name, and change nothing.
func TestCompromisedMiddleForgesNothing(t *testing.T) {
	w, _ := realm(t)
	hier := hierarchyOf(w)
	by := keysOf(w, eu).Signer()
	top := historyOf(w, "FLD", decisions(hq))
	evil := entry(w, site.KindSite, "SEA", site.SiteBody{Name: "SEA", State: site.SiteRemoved})
	kind, id, body := somePackage("HQ000002")
	pkg := entry(w, kind, id, body)
	own := historyOf(w, "FLD", decisions(eu))
	below := historyOf(w, "HQ0", observations("FLD"))
	epoch := func(id site.LogID, prev site.Position) history {
		e := entry(w, site.KindEpoch, "2", site.EpochBody{Previous: prev, Nonce: strings.Repeat("0", 32), Reason: "because"})
		return history{LogID: id, epoch: 2}.with(e).with(pkg)
	}
	// HQ0 says something that has not reached FLD yet.
	w.AddPackage("HQ0", w.Tree("two", map[string]string{"two": "2"}), "FLD")
	newer := historyOf(w, "HQ0", decisions(hq))
	n := int64(len(top.lines))
	changed := newer
	changed.lines = slices.Clone(newer.lines)
	changed.lines[n] = line(t, pkg)
	shorter := newer
	shorter.lines = slices.Delete(slices.Clone(newer.lines), int(n), int(n)+1)
	told := top
	told.lines = slices.Clone(top.lines)
	told.lines[1] = line(t, evil)

	attacks := []struct {
		name  string
		to    site.Code
		log   history
		class *site.Class
		words string
	}{
		{"a package in the name of HQ0", "FLD", top.with(pkg).signed(hier, by), site.Untrusted, "not signed by HQ0"},
		{"a package in the name of HQ0, only the new entry sent", "FLD", top.with(pkg).signed(hier, by).sent(n), site.Untrusted, "not signed by HQ0"},
		{"a package in the name of HQ0, by a key that bears its name", "FLD", top.with(pkg).signed(hier, inTheNameOf(w, hq)), site.Untrusted, "not signed by HQ0"},
		{"a revocation in the name of HQ0", "FLD", top.with(evil).signed(hier, by), site.Untrusted, "not signed by HQ0"},
		{"a package under the checkpoint of HQ0", "FLD", top.with(pkg), site.Untrusted, "HQ0/decisions"},
		{"a package in place of an entry of HQ0", "FLD", changed, site.Untrusted, "HQ0/decisions"},
		{"the same, only the new entries sent", "FLD", changed.sent(n), site.Untrusted, "HQ0/decisions"},
		{"an entry of HQ0 left out", "FLD", shorter, site.Untrusted, "HQ0/decisions"},
		{"the same, only the new entries sent", "FLD", shorter.sent(n), site.Untrusted, "HQ0/decisions"},
		{"a hole in the log of HQ0", "FLD", newer.sent(n + 1), site.Held, "builds on entry"},
		{"another history of HQ0, under its checkpoint", "FLD", told, site.Untrusted, "HQ0/decisions"},
		{"another history of HQ0, signed again", "FLD", told.signed(hier, by), site.Untrusted, "not signed by HQ0"},
		{"a new epoch of HQ0", "FLD", epoch(decisions(hq), top.position().Position).signed(hier, by), site.Untrusted, "not signed by HQ0"},
		{"a new epoch of HQ0 that follows from nothing", "FLD", epoch(decisions(hq), site.Position{Epoch: 1, Size: 1, Root: site.DigestOf(nil)}).signed(hier, by), site.Untrusted, "not signed by HQ0"},
		{"a new epoch of HQ0 under its old checkpoint", "FLD", func() history {
			h := epoch(decisions(hq), top.position().Position)
			h.checkpoint = top.checkpoint
			return h
		}(), site.Untrusted, "another log than HQ0/decisions"},
		{"the observations of HQ0", "FLD", historyOf(w, "HQ0", observations(hq)), site.Untrusted, "EU1 may not send"},
		{"decisions of the sibling SEA", "FLD", history{LogID: decisions("SEA"), epoch: 1}.with(pkg).signed(hier, by), site.Untrusted, "EU1 may not send"},
		{"its own observations, downward", "FLD", historyOf(w, "EU1", observations(eu)), site.Untrusted, "EU1 may not send"},
		{"decisions of FLD itself", "FLD", history{LogID: decisions("FLD"), epoch: 1}.with(pkg).signed(hier, by), site.Untrusted, "not signed by FLD"},
		{"its own log, told anew", "FLD", history{LogID: decisions(eu), epoch: 1}.with(pkg).with(evil).signed(hier, by), site.Conflict, "EU1/decisions"},
		{"its own log, under the checkpoint of HQ0", "FLD", func() history { h := own.with(pkg); h.checkpoint = top.checkpoint; return h }(), site.Untrusted, "EU1/decisions"},

		{"decisions of HQ0, upward", hq, newer.with(pkg).signed(hier, by), site.Untrusted, "not signed by HQ0"},
		{"a new epoch of HQ0, upward", hq, epoch(decisions(hq), newer.position().Position).signed(hier, by), site.Untrusted, "not signed by HQ0"},
		{"decisions of SEA, upward", hq, history{LogID: decisions("SEA"), epoch: 1}.with(pkg).signed(hier, by), site.Untrusted, "EU1 may not send"},
		{"observations of FLD that FLD never made", hq, below.with(entry(w, site.KindContent, "HQ000001", site.ContentBody{State: site.ContentRemoved})).signed(hier, by), site.Untrusted, "not signed by FLD"},
		{"observations of FLD with a hole", hq, func() history { h := below; h.lines = slices.Delete(slices.Clone(h.lines), 0, 1); return h }(), site.Untrusted, "FLD/observations"},
		{"observations of FLD, told anew", hq, history{LogID: observations("FLD"), epoch: 1, checkpoint: below.checkpoint}.with(pkg), site.Untrusted, "FLD/observations"},
		{"its own log, told anew, upward", hq, history{LogID: decisions(eu), epoch: 1}.with(pkg).with(evil).signed(hier, by), site.Conflict, "EU1/decisions"},
		{"a new epoch of its own that follows from nothing", hq, epoch(decisions(eu), site.Position{Epoch: 1, Size: 1, Root: site.DigestOf(nil)}).signed(hier, by), site.Conflict, "new epoch of EU1/decisions"},
	}
	before := map[site.Code]picture{"FLD": look(w, "FLD"), hq: look(w, hq)}
	for i, a := range attacks {
		t.Run(fmt.Sprintf("%s to %s", a.name, a.to), func(t *testing.T) {
			medium := fmt.Sprintf("attack-%d", i)
			forged{w: w, from: eu, to: a.to, number: 1000 + int64(i), logs: []history{a.log}}.write(medium)
			rep, err := w.TryImport(a.to, medium)
			refused(t, rep, err, a.class, a.words)
			if got := look(w, a.to); !got.equal(before[a.to]) {
				t.Fatalf("the attack has changed something:\n%+v\n%+v", before[a.to], got)
			}
			// Whoever tells two stories is reported upward.
			if a.class == site.Conflict && !slices.ContainsFunc(alarms(w, a.to), func(s string) bool { return strings.Contains(s, "EU1/decisions") }) {
				t.Errorf("no alarm about it: %v", alarms(w, a.to))
			}
		})
	}
}

// EU1 may write into its own logs what it likes. What it has no right to is kept
// and forwarded, because logs have no holes; it means nothing, and everybody
// above hears of it.
func TestEntriesWithoutRightAreVoid(t *testing.T) {
	for _, tc := range []struct {
		name   string
		rights []site.Right
		kind   site.Kind
		id     string
		body   any
	}{
		{"a package without the right", nil, site.KindPackage, "EU100001", site.PackageBody{Name: "evil", Source: 1}},
		{"a package of HQ0", []site.Right{site.RightPublish}, site.KindPackage, "HQ000001", site.PackageBody{Name: "evil", Source: 9}},
		{"a package of SEA", []site.Right{site.RightPublish}, site.KindPackage, "SEA00001", site.PackageBody{Name: "evil", Source: 1}},
		{"a distribution without the right", nil, site.KindDistribution, "HQ000001", site.DistributionBody{Sites: map[site.Code]int64{"EU1": 7}}},
		{"a distribution beyond its subtree", []site.Right{site.RightDecide}, site.KindDistribution, "HQ000001", site.DistributionBody{Sites: map[site.Code]int64{"SEA": 0, "HQ0": 3}}},
		{"a site's entry", nil, site.KindSite, "FLD", site.SiteBody{Name: "FLD", Parent: "EU1", Rights: []site.Right{site.RightPublish}, State: site.SiteActive}},
		{"a right for itself", nil, site.KindSite, "EU1", site.SiteBody{Name: "EU1", Parent: "", Rights: []site.Right{site.RightPublish, site.RightDecide}, State: site.SiteActive}},
		{"a revocation", nil, site.KindSite, "SEA", site.SiteBody{Name: "SEA", Parent: "HQ0", State: site.SiteRemoved}},
		{"a checkpoint of HQ0", nil, site.KindCheckpoint, "observations", site.CheckpointBody{}},
		{"an approval", nil, site.KindApproval, "x", map[string]int{}},
		{"a collection", nil, site.KindCollection, "x", map[string]int{}},
		{"a deployment", nil, site.KindDeployment, "x", map[string]int{}},
		{"update metadata", []site.Right{site.RightDecide, site.RightPublish}, site.KindUpdate, "x", map[string]int{}},
		{"an observation among decisions", nil, site.KindContent, "HQ000001", site.ContentBody{State: site.ContentRemoved}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := world.New(t)
			w.Top("HQ0")
			w.Join("EU1", "HQ0", tc.rights...)
			w.Join("FLD", "EU1")
			w.Join("SEA", "HQ0")
			id := w.AddPackage("HQ0", w.Tree("tool", map[string]string{"tool": "one"}), "FLD", "SEA")
			hop(w, "HQ0", "EU1")
			hop(w, "EU1", "FLD")
			before := map[site.Code]picture{"FLD": look(w, "FLD"), hq: look(w, hq)}
			w.At("EU1", func(h *host.Host) {
				must(t, h.Update(func(v *host.View) error { return v.Append(site.Decisions, entry(w, tc.kind, tc.id, tc.body)) }))
			})
			for _, at := range []site.Code{"FLD", hq} {
				rep := hop(w, "EU1", at)
				if !slices.ContainsFunc(rep.Void, func(s string) bool { return strings.Contains(s, string(tc.kind)+" in EU1/decisions") }) {
					t.Errorf("%s does not call it void: %v", at, rep.Void)
				}
				if !slices.ContainsFunc(alarms(w, at), func(s string) bool { return strings.Contains(s, "EU1/decisions") }) {
					t.Errorf("%s has raised no alarm: %v", at, alarms(w, at))
				}
				got := look(w, at)
				if got.logs[decisions(eu)].Size != 1 {
					t.Errorf("%s has not kept the entry", at)
				}
				if got.packages != before[at].packages || got.sites != before[at].sites {
					t.Errorf("the entry took effect at %s:\n%s\n%s", at, before[at].packages, got.packages)
				}
			}
			if !w.Holds("FLD", id) {
				t.Error("FLD does not hold the package any more")
			}
		})
	}
}

// hop carries what waits from one site to another, on a medium of its own.
func hop(w *world.World, from, to site.Code) *replicator.Report {
	w.Helper()
	w.Erase("hop")
	w.Export(from, "hop", to)
	return w.Import(to, "hop")
}

// A label, once signed, holds together what belongs together.
func TestFilesOfAnotherParcelAreRefused(t *testing.T) {
	w, _ := realm(t)
	hop(w, hq, "FLD") // from now on there is something to build on
	hop(w, "FLD", hq)
	w.UpdatePackage(hq, "HQ000001", w.Tree("next", map[string]string{"bin/tool": strings.Repeat("two ", 300), "readme": "read me"}))
	w.Export(hq, "true", "FLD")
	w.Export(hq, "other", "SEA")
	var name site.ParcelName
	for _, n := range labels(w, "true", hq) {
		name = n
	}
	body := get(w, "true", hq, media.BodyPath(name))
	label, err := media.ReadLabel(get(w, "true", hq, media.LabelPath(name)))
	must(t, err)
	foreign := labels(w, "other", hq)[0]
	before := look(w, "FLD")

	spoil := func(medium string, change func()) {
		copyDir(w, w.Medium(medium), w.Medium("true"))
		change()
	}
	for _, tc := range []struct {
		name   string
		change func(medium string)
		class  *site.Class
		words  string
	}{
		{"the label says another number", func(m string) {
			text := get(w, m, hq, media.LabelPath(name))
			next := name
			next.Number++
			must(t, os.Remove(onMedium(w, m, hq, media.LabelPath(name))))
			put(w, m, hq, media.LabelPath(next), []byte(strings.Replace(string(text), fmt.Sprintf("number %d\n", name.Number), fmt.Sprintf("number %d\n", next.Number), 1)))
		}, site.Untrusted, "not signed by HQ0"},
		{"the label says that it builds on nothing", func(m string) {
			text := string(get(w, m, hq, media.LabelPath(name)))
			put(w, m, hq, media.LabelPath(name), []byte(strings.Replace(text, fmt.Sprintf("after %d\n", label.After), "after 0\n", 1)))
		}, site.Untrusted, "not signed by HQ0"},
		{"the label lies under another name", func(m string) {
			next := name
			next.Number += 7
			put(w, m, hq, media.LabelPath(next), get(w, m, hq, media.LabelPath(name)))
			must(t, os.Remove(onMedium(w, m, hq, media.LabelPath(name))))
		}, site.Damaged, "is that of parcel"},
		{"the label is signed by EU1", func(m string) {
			text, err := label.Text()
			must(t, err)
			put(w, m, hq, media.LabelPath(name), signText(text, keysOf(w, eu).Signer()))
		}, site.Untrusted, "not signed by HQ0"},
		{"another body", func(m string) {
			put(w, m, hq, media.BodyPath(name), forged{w: w, from: hq, to: "FLD", number: name.Number, after: label.After, created: label.Created}.seal(label))
		}, site.Damaged, "damaged in"},
		{"the body of the parcel to SEA", func(m string) {
			put(w, m, hq, media.BodyPath(name), get(w, "other", hq, media.BodyPath(foreign)))
		}, site.Damaged, "damaged in"},
		{"the body under a label of EU1", func(m string) {
			w.Erase(m)
			put(w, m, eu, "trust/keep", nil)
			forged{w: w, from: eu, to: "FLD", number: 900, body: body}.write(m)
		}, site.Damaged, "belongs to another label"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			spoil("spoilt", func() { tc.change("spoilt") })
			rep, err := w.TryImport("FLD", "spoilt")
			refused(t, rep, err, tc.class, tc.words)
			if got := look(w, "FLD"); !got.equal(before) {
				t.Fatalf("something has changed:\n%+v\n%+v", before, got)
			}
		})
	}
	t.Run("a bundle with other contents", func(t *testing.T) {
		bundle := media.BundlePath(label.Bundles[0].Digest, label.Bundles[0].Codec)
		spoil("spoilt", func() {
			b := get(w, "spoilt", hq, bundle)
			slices.Reverse(b)
			put(w, "spoilt", hq, bundle, b)
		})
		rep, err := w.TryImport("FLD", "spoilt")
		refused(t, rep, err, site.Damaged, "a bundle of parcel")
		if w.Holds("FLD", "HQ000001") {
			t.Fatal("FLD says that it holds what never came")
		}
		w.Import("FLD", "true")
		if !w.Holds("FLD", "HQ000001") {
			t.Fatal("the true medium does not help")
		}
	})
}

func get(w *world.World, medium string, writer site.Code, name string) []byte {
	w.Helper()
	b, err := os.ReadFile(onMedium(w, medium, writer, name))
	must(w, err)
	return b
}

// labels lists the parcels in a writer's folder.
func labels(w *world.World, medium string, writer site.Code) (out []site.ParcelName) {
	w.Helper()
	names, err := os.ReadDir(onMedium(w, medium, writer, media.LabelsDir))
	must(w, err)
	for _, n := range names {
		name, err := media.ParseLabelPath(media.LabelsDir + "/" + n.Name())
		must(w, err)
		out = append(out, name)
	}
	return out
}
