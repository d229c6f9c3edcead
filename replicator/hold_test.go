package replicator_test

import (
	"errors"
	"testing"

	"fardel/fixtures/world"
	"fardel/replicator"
	"fardel/site"
)

// A parcel that builds on one which has not arrived is kept, and applies by
// itself when that one is imported.
func TestHeldParcelAppliesByItself(t *testing.T) {
	w := world.New(t)
	w.Options.Route = func(site.Code) replicator.Route { return replicator.Route{Carry: replicator.CarryLean} }
	w.Top("HQ0")
	w.Join("FLD", "HQ0")
	w.Export("HQ0", "first", "FLD")
	id := w.AddPackage("HQ0", w.Tree("tool", map[string]string{"a": "1"}), "FLD")
	w.Export("HQ0", "second", "FLD")

	rep, err := w.TryImport("FLD", "second")
	if !errors.Is(err, site.Untrusted) && !errors.Is(err, site.Held) {
		t.Fatalf("importing the second medium first: %v", err)
	}
	if got := rep.Parcels[0].Outcome; got != replicator.HeldBack {
		t.Fatalf("the second parcel was %s, want held", got)
	}
	rep = w.Import("FLD", "first")
	if len(rep.Parcels) != 2 || rep.Parcels[0].Outcome != replicator.Imported || rep.Parcels[1].Outcome != replicator.Imported {
		t.Fatalf("after the first medium: %+v", rep.Parcels)
	}
	if w.Holds("FLD", id) {
		t.Fatal("the content cannot be here yet: it is on the second medium")
	}
	w.Import("FLD", "second")
	if !w.Holds("FLD", id) {
		t.Fatal("the second medium did not bring the content")
	}
}
