package replicator_test

import (
	"testing"

	"fardel/fixtures/world"
	"fardel/site"
	"fardel/site/host"
)

func TestPackageTravelsAndReceiptReturns(t *testing.T) {
	w := world.New(t)
	w.Top("HQ0")
	w.Join("FLD", "HQ0")
	dir := w.Tree("tool", map[string]string{"bin/tool": "one", "doc/readme": "read me"})
	id := w.AddPackage("HQ0", dir, "FLD")

	w.Export("HQ0", "stick", "FLD")
	rep := w.Import("FLD", "stick")
	if len(rep.Installed) != 1 || rep.Installed[0] != id {
		t.Fatalf("installed %v, want %s", rep.Installed, id)
	}
	w.Export("FLD", "stick", "HQ0")
	w.Import("HQ0", "stick")
	w.With("HQ0", func(h *host.Host, r *replicatorT) {
		plan, err := r.Waiting(t.Context(), "FLD")
		if err != nil || plan.Active {
			t.Fatalf("after a full round something still waits: %+v, %v", plan, err)
		}
		if err := h.View(func(v *host.View) error {
			held, err := v.PeerContent("FLD")
			if held[id].State != site.ContentInstalled {
				t.Errorf("HQ0 believes that FLD holds %+v", held[id])
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	})
	w.With("FLD", func(_ *host.Host, r *replicatorT) {
		plan, err := r.Waiting(t.Context(), "HQ0")
		if err != nil || plan.Active {
			t.Fatalf("after a full round something still waits at FLD: %+v, %v", plan, err)
		}
	})
}
