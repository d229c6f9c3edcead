package replicator_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fardel/fixtures/world"
	"fardel/media"
	"fardel/replicator"
	"fardel/site"
	"fardel/site/host"
)

// backUp copies a site's state folder, as a nightly job would. The sentinel lies
// beside it and is not in it.
func backUp(w *world.World, code site.Code) string {
	w.Helper()
	dst := filepath.Join(w.Dir, "backups", fmt.Sprintf("%s-%d", code, w.Clock.Unix()))
	copyDir(w, dst, w.State(code))
	return dst
}

// restore puts an old state in the place of the present one. A machine that was
// rolled back as a whole has lost its sentinel too.
func restore(w *world.World, code site.Code, backup string, sentinel bool) {
	w.Helper()
	copyDir(w, w.State(code), backup)
	if !sentinel {
		must(w, os.RemoveAll(w.State(code)+".sentinel"))
	}
}

// A ledger remembers every label that has left any site: one number must never
// stand for two parcels.
type ledger struct {
	*world.World
	seen map[site.ParcelName]site.Digest
}

func newLedger(w *world.World) *ledger {
	return &ledger{w, map[site.ParcelName]site.Digest{}}
}

// carry takes what waits from one site to another.
func (l *ledger) carry(from, to site.Code, full bool) (*replicator.Report, error) {
	l.Helper()
	l.Erase("carry")
	if _, err := l.TryExport(from, "carry", full, to); err != nil {
		return nil, err
	}
	for _, n := range labels(l.World, "carry", from) {
		d := site.DigestOf(get(l.World, "carry", from, media.LabelPath(n)))
		if old, ok := l.seen[n]; ok && old != d {
			l.Errorf("number reused: there are two different parcels %s", n)
		}
		l.seen[n] = d
	}
	return l.TryImport(to, "carry")
}

func (l *ledger) mustCarry(from, to site.Code) *replicator.Report {
	l.Helper()
	rep, err := l.carry(from, to, false)
	must(l, err)
	return rep
}

func fenced(w *world.World, code site.Code) bool { return look(w, code).fenced }

// agree demands that two sites hold the same of a log, down to the root.
func agree(w *world.World, a, b site.Code, id site.LogID) {
	w.Helper()
	p, q := w.Positions(a)[id], w.Positions(b)[id]
	if p != q {
		w.Errorf("%s holds %s to %d/%d %s, %s to %d/%d %s", a, id, p.Epoch, p.Size, p.Root.Short(), b, q.Epoch, q.Size, q.Root.Short())
	}
}

// pair makes HQ0 above FLD with one package there, and all receipts returned.
func pair(t *testing.T) (*ledger, site.PackageID) {
	t.Helper()
	w := world.New(t)
	w.Top("HQ0")
	w.Join("FLD", "HQ0", site.RightPublish, site.RightDecide)
	id := w.AddPackage("HQ0", w.Tree("tool", map[string]string{"tool": "one"}), "FLD")
	l := newLedger(w)
	l.mustCarry("HQ0", "FLD")
	l.mustCarry("FLD", "HQ0")
	return l, id
}

// age lets both sites sign and exchange more after a backup was taken.
func (l *ledger) age(n int) {
	l.Helper()
	for i := range n {
		l.AddPackage("HQ0", l.Tree(fmt.Sprintf("more-%d-%d", i, l.Clock.Unix()), map[string]string{"x": fmt.Sprint(i, l.Clock)}), "FLD")
		l.AddPackage("FLD", l.Tree(fmt.Sprintf("own-%d-%d", i, l.Clock.Unix()), map[string]string{"y": fmt.Sprint(i, l.Clock)}))
		l.mustCarry("HQ0", "FLD")
		l.mustCarry("FLD", "HQ0")
	}
}

// Whichever side comes back from an old backup: it notices, signs nothing new
// over what it has lost, gets its own entries back, and goes on. Nobody has to do
// anything but carry media.
func TestRestoredSiteHealsByMediaAlone(t *testing.T) {
	for _, who := range []site.Code{"FLD", "HQ0"} {
		for _, sentinel := range []bool{true, false} {
			for _, first := range []site.Code{"FLD", "HQ0"} {
				if !sentinel && first == who {
					continue // it speaks before it can know: see the next test
				}
				t.Run(fmt.Sprintf("%s sentinel=%v %s speaks first", who, sentinel, first), func(t *testing.T) {
					t.Parallel()
					l, _ := pair(t)
					backup := backUp(l.World, who)
					l.age(3)
					lost := l.Positions(who)
					restore(l.World, who, backup, sentinel)
					if sentinel && !fenced(l.World, who) {
						t.Error("the sentinel has not told")
					}
					second := site.Code("HQ0")
					if first == "HQ0" {
						second = "FLD"
					}
					for range 2 {
						if _, err := l.carry(first, second, false); err != nil && !errors.Is(err, site.Held) {
							t.Fatalf("from %s: %v", first, err)
						}
						if _, err := l.carry(second, first, false); err != nil && !errors.Is(err, site.Held) {
							t.Fatalf("from %s: %v", second, err)
						}
					}
					if fenced(l.World, who) {
						t.Fatal("still fenced after two rounds")
					}
					now := l.Positions(who)
					for id, p := range lost {
						if now[id].Size < p.Size {
							t.Errorf("%s has come back to %d of %d", id, now[id].Size, p.Size)
						}
					}
					l.age(1)
					agree(l.World, "HQ0", "FLD", decisions("FLD"))
					agree(l.World, "HQ0", "FLD", decisions("HQ0"))
					for _, at := range []site.Code{"HQ0", "FLD"} {
						if a := alarms(l.World, at); len(a) > 0 {
							t.Errorf("alarms at %s: %v", at, a)
						}
					}
				})
			}
		}
	}
}

// A site that was rolled back with its sentinel, and signs before it can know,
// contradicts itself. The neighbour refuses that, by name, and goes on with what
// it holds. Recover begins a new epoch, which the neighbour takes up by itself.
func TestRestoredSiteThatSignedAnewNeedsRecover(t *testing.T) {
	for _, who := range []site.Code{"FLD", "HQ0"} {
		t.Run(string(who), func(t *testing.T) {
			t.Parallel()
			l, _ := pair(t)
			other := site.Code("HQ0")
			if who == "HQ0" {
				other = "FLD"
			}
			backup := backUp(l.World, who)
			l.age(2)
			before := look(l.World, other)
			restore(l.World, who, backup, false)
			for i := range 20 { // more than were lost, so that sizes do not show it
				l.AddPackage(who, l.Tree(fmt.Sprintf("anew-%d", i), map[string]string{"z": fmt.Sprint(i)}))
			}
			l.seen = map[site.ParcelName]site.Digest{} // here the number is used twice, and refused
			rep, err := l.carry(who, other, false)
			refused(t, rep, err, site.Conflict, string(who))
			if got := look(l.World, other); !got.equal(before) {
				t.Errorf("%s took something of it", other)
			}
			if a := alarms(l.World, other); len(a) != 1 {
				t.Errorf("alarms at %s: %v", other, a)
			}
			// The neighbour's next parcel shows the site that it has signed twice.
			if _, err := l.carry(other, who, false); err != nil && !errors.Is(err, site.Held) && !errors.Is(err, site.Conflict) {
				t.Fatal(err)
			}
			if !fenced(l.World, who) {
				t.Fatal("it does not notice that it has told its history twice")
			}
			l.At(who, func(h *host.Host) {
				_, err := h.AddPackage(t.Context(), l.Tree("never", map[string]string{"n": "n"}), host.AddOptions{})
				if !errors.Is(err, site.Fenced) {
					t.Errorf("a fenced site signs: %v", err)
				}
				_, err = h.Recover(t.Context(), "restored from a backup")
				must(t, err)
			})
			if _, err := l.carry(who, other, false); err != nil {
				t.Fatalf("the new epoch was not taken up: %v", err)
			}
			if p := l.Positions(other)[decisions(who)]; p.Epoch != 2 {
				t.Fatalf("%s is still in epoch %d", other, p.Epoch)
			}
			if _, err := l.carry(other, who, true); err != nil {
				t.Fatal(err)
			}
			l.age(1)
			agree(l.World, "HQ0", "FLD", decisions("HQ0"))
			agree(l.World, "HQ0", "FLD", decisions("FLD"))
		})
	}
}

// A new epoch that names nothing which the neighbour holds may be an attack: it
// waits for somebody to say that it is right.
func TestUnlinkedEpochWaitsForAPerson(t *testing.T) {
	l, _ := pair(t)
	l.AddPackage("FLD", l.Tree("own", map[string]string{"own": "1"}))
	l.mustCarry("FLD", "HQ0")
	id := decisions("FLD")
	e := entry(l.World, site.KindEpoch, "2", site.EpochBody{Previous: site.Position{Epoch: 1, Size: 1, Root: site.DigestOf([]byte("another past"))}, Nonce: strings.Repeat("0", 32), Reason: "restored"})
	kind, pkg, body := somePackage("FLD00009")
	log := history{LogID: id, epoch: 2}.with(e).with(entry(l.World, kind, pkg, body)).signed(hierarchyOf(l.World), keysOf(l.World, "FLD").Signer())
	forged{w: l.World, from: "FLD", to: "HQ0", number: 50, logs: []history{log}}.write("epoch")
	before := look(l.World, "HQ0")
	rep, err := l.TryImport("HQ0", "epoch")
	refused(t, rep, err, site.Conflict, "does not follow from what is held here")
	if !slices.ContainsFunc(site.AsFault(err).Next, func(s string) bool { return strings.Contains(s, "--accept-epoch") }) {
		t.Error("it does not say how to accept it")
	}
	if !look(l.World, "HQ0").equal(before) {
		t.Error("something was taken")
	}
	rep, err = importWith(l.World, "HQ0", openMedium(l.World, "epoch"), replicator.ImportOptions{AcceptEpoch: true})
	must(t, err)
	if p := l.Positions("HQ0")[id]; p.Epoch != 2 || p.Size != 2 {
		t.Errorf("after it was accepted HQ0 is at %d/%d: %+v", p.Epoch, p.Size, rep.Parcels)
	}
}

// Two machines with one site's state both go on. The neighbour takes the first
// story that it hears and refuses the second; the one whose story was refused
// hears of it with the next medium.
func TestCloneIsNoticed(t *testing.T) {
	for _, sentinel := range []bool{true, false} {
		t.Run(fmt.Sprint("sentinel copied: ", sentinel), func(t *testing.T) {
			t.Parallel()
			l, _ := pair(t)
			clone := *l.World
			clone.Dir = filepath.Join(l.Dir, "clone")
			copyDir(t, clone.State("FLD"), l.State("FLD"))
			if sentinel {
				must(t, copyFile(clone.State("FLD")+".sentinel", l.State("FLD")+".sentinel"))
			}
			l.AddPackage("FLD", l.Tree("a", map[string]string{"a": "a"}))
			clone.AddPackage("FLD", l.Tree("b", map[string]string{"b": "b"}))
			l.Export("FLD", "first", "HQ0")
			clone.Export("FLD", "second", "HQ0")
			second := filepath.Join(l.Dir, "media", "second")
			copyDir(t, second, filepath.Join(clone.Dir, "media", "second"))

			l.Import("HQ0", "first")
			before := look(l.World, "HQ0")
			rep, err := l.TryImport("HQ0", "second")
			refused(t, rep, err, site.Conflict, "two different parcels FLD-HQ0-")
			if !look(l.World, "HQ0").equal(before) {
				t.Error("something of the second was taken")
			}
			if a := alarms(l.World, "HQ0"); len(a) != 1 || !strings.Contains(a[0], "two different parcels") {
				t.Errorf("alarms: %v", a)
			}
			// The same again adds no second alarm.
			if _, err := l.TryImport("HQ0", "second"); !errors.Is(err, site.Conflict) {
				t.Errorf("the second time: %v", err)
			}
			if a := alarms(l.World, "HQ0"); len(a) != 1 {
				t.Errorf("alarms: %v", a)
			}
			// What HQ0 holds of FLD proves to the clone that there is another one.
			l.Export("HQ0", "back", "FLD")
			copyDir(t, filepath.Join(clone.Dir, "media", "back"), l.Medium("back"))
			if _, err := clone.TryImport("FLD", "back"); err != nil {
				t.Fatal(err)
			}
			if !fenced(&clone, "FLD") {
				t.Error("the clone goes on")
			}
			l.Import("FLD", "back")
			if fenced(l.World, "FLD") {
				t.Error("the first one was stopped")
			}
		})
	}
}

// Where only the keys were saved, a site comes back empty, signs nothing, and
// gets its own entries from its neighbour.
func TestKeyBackupBringsAnEmptySiteBack(t *testing.T) {
	for _, who := range []site.Code{"FLD", "HQ0"} {
		t.Run(string(who), func(t *testing.T) {
			t.Parallel()
			l, id := pair(t)
			other := site.Code("HQ0")
			if who == "HQ0" {
				other = "FLD"
			}
			l.age(1)
			var backup string
			l.At(who, func(h *host.Host) {
				var err error
				backup, err = h.BackupKeys(l.Dir, "correct horse battery staple")
				must(t, err)
			})
			lost := l.Positions(who)
			must(t, os.RemoveAll(l.State(who)))
			must(t, os.RemoveAll(l.State(who)+".sentinel"))
			h, err := host.RestoreKeys(t.Context(), l.State(who), backup, "correct horse battery staple", host.Options{Reserve: -1})
			must(t, err)
			must(t, h.Close())
			if !fenced(l.World, who) {
				t.Fatal("a site without its entries would sign")
			}
			if _, err := l.carry(other, who, true); err != nil {
				t.Fatal(err)
			}
			if fenced(l.World, who) {
				t.Fatalf("still fenced: %s", missing(l.World, who))
			}
			now := l.Positions(who)
			for log, p := range lost {
				if log == observations("HQ0") {
					continue // the top's observations go nowhere, so nobody has them
				}
				if now[log].Size < p.Size {
					t.Errorf("%s has come back to %d of %d", log, now[log].Size, p.Size)
				}
			}
			if _, err := l.carry(who, other, false); err != nil {
				t.Fatal(err)
			}
			if who == "FLD" {
				if _, err := l.carry(other, who, false); err != nil {
					t.Fatal(err)
				}
				if !l.Holds("FLD", id) {
					t.Error("its packages have not come back")
				}
			}
		})
	}
}

// missing says why a site is fenced.
func missing(w *world.World, at site.Code) (out string) {
	w.At(at, func(h *host.Host) {
		must(w, h.View(func(v *host.View) error {
			f, _, err := v.Fenced()
			for _, p := range f.Needs {
				have, e := v.Position(p.LogID)
				err = errors.Join(err, e)
				out += fmt.Sprintf("%s is at %d/%d and needs %d/%d; ", p.LogID, have.Epoch, have.Size, p.Epoch, p.Size)
			}
			return err
		}))
	})
	return out
}
