package replicator_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"fardel/courier"
	"fardel/fixtures/world"
	"fardel/media"
	"fardel/replicator"
	"fardel/site"
	"fardel/site/host"
)

// Only one process works on a site. The second is told which one does.
func TestSecondImportIsLockedOut(t *testing.T) {
	w, id := realm(t)
	w.UpdatePackage(hq, id, w.Tree("next", map[string]string{"bin/tool": "two", "readme": "read me"}))
	w.Export(hq, "stick", "FLD")
	w.At("FLD", func(*host.Host) {
		_, err := host.Open(t.Context(), w.State("FLD"), host.Options{Command: "import", Wait: 10 * time.Millisecond, Reserve: -1})
		if !errors.Is(err, site.Locked) || !strings.Contains(err.Error(), "test") {
			t.Fatalf("a second process: %v", err)
		}
	})
	// Many at once: each parcel is applied once, whoever comes first.
	var wg sync.WaitGroup
	outcomes := make(chan replicator.Outcome, 8)
	for range cap(outcomes) {
		wg.Go(func() {
			h, err := host.Open(t.Context(), w.State("FLD"), host.Options{Command: "import", Wait: time.Minute, Reserve: -1, Now: func() time.Time { return w.Clock }})
			if err != nil {
				t.Error(err)
				return
			}
			defer h.Close()
			c, err := courier.OpenCarrier(w.Medium("stick"))
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			rep, err := importOnce(t, w, h, world.Carrier{Carrier: c})
			if err != nil {
				t.Error(err)
				return
			}
			outcomes <- rep.Parcels[0].Outcome
		})
	}
	wg.Wait()
	close(outcomes)
	count := map[replicator.Outcome]int{}
	for o := range outcomes {
		count[o]++
	}
	if count[replicator.Imported] != 1 || count[replicator.Already] != 7 {
		t.Errorf("outcomes: %v", count)
	}
}

// A medium for several sites goes round: each takes its own and is not troubled
// by the rest.
func TestOneMediumForTwoSites(t *testing.T) {
	w, id := realm(t)
	w.UpdatePackage(hq, id, w.Tree("next", map[string]string{"bin/tool": "two", "readme": "read me"}))
	w.Export(hq, "both", "FLD", "SEA")
	for _, at := range []site.Code{"FLD", "SEA"} {
		rep := w.Import(at, "both")
		if len(rep.Installed) != 1 || len(rep.Parcels) != 2 {
			t.Errorf("%s: installed %v of %d parcels", at, rep.Installed, len(rep.Parcels))
		}
		for _, p := range rep.Parcels {
			if want := p.Name.To == at; want != (p.Outcome == replicator.Imported) {
				t.Errorf("%s: %s %s", at, p.Name, p.Outcome)
			}
		}
	}
	w.Export(hq, "one", "SEA")
	rep, err := w.TryImport("FLD", "one")
	refused(t, rep, err, site.ForeignParcel, "this medium is for SEA")
}

// Two exports of two media each. Whatever order they come in, mixed as they are,
// each medium is of use alone, and in the end everything is there.
func TestMediaOfTwoExportsMixed(t *testing.T) {
	orders := [][]string{{"1-1", "2-2", "1-2", "2-1"}, {"2-1", "1-2", "2-2", "1-1"}, {"2-2", "2-1", "1-1", "1-2"}, {"1-2", "1-1", "2-2", "2-1"}}
	w, _ := realm(t)
	var ids []site.PackageID
	export := func(n int) {
		for _, p := range []string{"a", "b"} {
			name := fmt.Sprint(p, n)
			ids = append(ids, w.AddPackage(hq, w.Tree(name, map[string]string{name: strings.Repeat(name, 100)}), "FLD"))
		}
		w.With(hq, func(h *host.Host, r *replicator.Replicator) {
			s, err := r.Export(t.Context(), []site.Code{"FLD"}, false, true, replicator.PackOptions{Assign: func(slots []replicator.Slot) (int, error) {
				for i := range slots {
					slots[i].Medium = i%2 + 1
				}
				return 2, nil
			}})
			must(t, err)
			for k := 1; k <= 2; k++ {
				must(t, courier.Write(t.Context(), w.Medium(fmt.Sprintf("%d-%d", n, k)), world.Load(hq, s).On(k), nil))
			}
			must(t, r.Handed(s.Parcels, "media", true))
		})
	}
	export(1)
	export(2)
	for _, order := range orders {
		c := w.Copy(t, "FLD")
		c.ReadMedia(w)
		for _, m := range order {
			rep := c.Import("FLD", m)
			for _, wait := range rep.Waiting {
				if len(wait.Media) == 0 && wait.Parcel != (site.ParcelName{}) {
					t.Errorf("%v: after %s nobody says where %s is", order, m, wait.ID)
				}
			}
		}
		for _, id := range ids {
			if !c.Holds("FLD", id) {
				t.Errorf("%v: %s is not complete", order, id)
			}
		}
	}
}

// Dates decide nothing. One that is far ahead of everything known asks first,
// one that is a little ahead is mentioned, and no date from below matters.
func TestDatesAhead(t *testing.T) {
	day := 24 * time.Hour
	w, _ := realm(t)
	number := int64(800)
	try := func(from, to site.Code, ahead time.Duration, accept bool) (*replicator.Report, error) {
		number++
		medium := fmt.Sprint("dated-", number)
		forged{w: w, from: from, to: to, number: number, created: w.Clock.Add(ahead), receipt: media.Receipt{}}.write(medium)
		return importWith(w, to, openMedium(w, medium), replicator.ImportOptions{AcceptClock: accept})
	}
	before := look(w, "FLD")
	rep, err := try(hq, "FLD", 31*day, false)
	refused(t, rep, err, site.Gated, "is dated")
	if site.AsFault(err).Class.Exit != 21 {
		t.Errorf("exit %d", site.AsFault(err).Class.Exit)
	}
	if !look(w, "FLD").equal(before) {
		t.Error("something has changed")
	}
	for _, tc := range []struct {
		name    string
		from    site.Code
		to      site.Code
		ahead   time.Duration
		accept  bool
		warning bool
	}{
		{"as of today", hq, "FLD", 0, false, false},
		{"of 1970", hq, "FLD", time.Unix(0, 0).Sub(w.Clock), false, false},
		{"from below, of the next century", "FLD", hq, 36500 * day, false, false},
		{"three days ahead", hq, "FLD", 3 * day, false, true},
		{"a year ahead, confirmed", hq, "FLD", 365 * day, true, true},
		{"a year ahead again, which is known by now", hq, "FLD", 366 * day, false, true},
	} {
		rep, err := try(tc.from, tc.to, tc.ahead, tc.accept)
		if err != nil || rep.Parcels[0].Outcome != replicator.Imported {
			t.Errorf("%s: %v", tc.name, err)
		} else if warned := rep.Parcels[0].Warning != ""; warned != tc.warning {
			t.Errorf("%s: warning %q", tc.name, rep.Parcels[0].Warning)
		}
	}
}
