package replicator_test

import (
	"strings"
	"testing"

	"fardel/fixtures/world"
	"fardel/site"
)

// Two machines with FLD's keys tell EU1 one history and HQ0 another. That is
// FLD's quarrel: what EU1 has to say itself arrives all the same, and go on
// arriving, while both keep what they heard first.
func TestOneForkingLeafDoesNotCutOffItsBranch(t *testing.T) {
	w := world.New(t)
	w.Top("HQ0")
	w.Join("EU1", "HQ0", site.RightPublish, site.RightDecide)
	w.Export("HQ0", "a", "EU1")
	w.Import("EU1", "a")
	w.Join("FLD", "EU1")
	w.Export("HQ0", "b", "EU1", "FLD")
	w.Import("EU1", "b")
	w.Import("FLD", "b")
	clone := backUp(w, "FLD")

	w.AddPackage("HQ0", w.Tree("one", map[string]string{"f": "1"}), "FLD")
	w.Export("HQ0", "c", "EU1", "FLD")
	w.Import("FLD", "c")
	w.Export("FLD", "to-hq", "HQ0")
	w.Import("HQ0", "to-hq")

	restore(w, "FLD", clone, false)
	w.Import("EU1", "c")
	w.Export("EU1", "d", "FLD")
	w.Import("FLD", "d")
	w.Export("FLD", "to-eu", "EU1")
	w.Import("EU1", "to-eu")

	for round, name := range []string{"e", "f"} {
		id := w.AddPackage("EU1", w.Tree(name, map[string]string{"f": name}), "FLD")
		w.Export("EU1", name, "HQ0")
		rep := w.Import("HQ0", name)
		w.At("HQ0", func(h *hostT) {
			if err := h.View(func(v *viewT) error { _, err := v.Package(id); return err }); err != nil {
				t.Errorf("round %d: EU1's own package did not arrive: %v", round, err)
			}
		})
		if round == 0 && !strings.Contains(rep.Parcels[0].Warning, "FLD/observations") {
			t.Errorf("the warning is %q; it should name FLD's log", rep.Parcels[0].Warning)
		}
		w.Export("HQ0", name+"-back", "EU1")
		w.Import("EU1", name+"-back")
	}
}
