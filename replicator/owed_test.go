package replicator_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"fardel/fixtures/world"
	"fardel/replicator"
	"fardel/site"
	"fardel/site/host"
)

// A receipt is owed until it lies on a medium, not until the first look at the
// parcel: the program may have been ended between the two.
func TestReceiptIsOwedUntilItLeaves(t *testing.T) {
	w := world.New(t)
	w.Top("HQ0")
	w.Join("FLD", "HQ0")
	w.AddPackage("HQ0", w.Tree("tool", map[string]string{"a": "one"}), "FLD")
	w.Export("HQ0", "stick", "FLD")
	for _, when := range []string{"first", "again, as if the first had been ended"} {
		if rep := w.Import("FLD", "stick"); !slices.Equal(rep.Senders, []site.Code{"HQ0"}) {
			t.Errorf("%s: a receipt is owed to %v, want HQ0", when, rep.Senders)
		}
	}
	w.Export("FLD", "stick", "HQ0")
	if rep := w.Import("FLD", "stick"); len(rep.Senders) > 0 {
		t.Errorf("when it has left: still owed to %v", rep.Senders)
	}
}

// What comes with a later medium of a parcel is worth a receipt of its own.
func TestReceiptIsOwedForTheRestOfAParcel(t *testing.T) {
	w := world.New(t)
	w.Top("HQ0")
	w.Join("FLD", "HQ0")
	w.AddPackage("HQ0", w.Tree("tool", map[string]string{"a": "one"}), "FLD")
	w.Export("HQ0", "stick", "FLD")
	found, err := filepath.Glob(w.Medium("stick") + "/FARDEL/HQ0/bundles/*.age")
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	if err := os.Rename(found[0], w.Dir+"/bundle"); err != nil {
		t.Fatal(err)
	}
	w.Import("FLD", "stick")
	w.Export("FLD", "back", "HQ0")
	if rep := w.Import("FLD", "stick"); len(rep.Senders) > 0 {
		t.Errorf("nothing new came, but a receipt is owed to %v", rep.Senders)
	}
	if err := os.Rename(w.Dir+"/bundle", found[0]); err != nil {
		t.Fatal(err)
	}
	if rep := w.Import("FLD", "stick"); !slices.Equal(rep.Senders, []site.Code{"HQ0"}) {
		t.Errorf("all of it is here now, but a receipt is owed to %v, want HQ0", rep.Senders)
	}
}

// A parcel that was packed and never left is used again only if it says what
// would be said now.
func TestPackedParcelIsNotUsedAgainWithAnOldReceipt(t *testing.T) {
	w := world.New(t)
	w.Top("HQ0")
	w.Join("FLD", "HQ0")
	pack := func(marking string) (n int64) {
		w.With("HQ0", func(_ *host.Host, r *replicatorT) {
			s, err := r.Export(context.Background(), []site.Code{"FLD"}, false, true, replicator.PackOptions{Marking: marking})
			if err != nil {
				t.Fatal(err)
			}
			n = s.Parcels[0].Number
		})
		return n
	}
	if a, b := pack(""), pack(""); a != b {
		t.Errorf("nothing has changed, and parcel %d became %d", a, b)
	}
	if a, b := pack(""), pack("restricted"); a == b {
		t.Errorf("parcel %d was used again though it has another marking", a)
	}
	w.At("HQ0", func(h *host.Host) {
		if err := h.Update(func(v *host.View) error {
			link, err := v.Link("FLD")
			link.Applied++
			if err != nil {
				return err
			}
			return v.PutLink("FLD", link)
		}); err != nil {
			t.Fatal(err)
		}
	})
	if a, b := int64(2), pack("restricted"); a == b {
		t.Errorf("parcel %d was used again though its receipt is old", a)
	}
}
