package replicator_test

import (
	"errors"
	"slices"
	"testing"

	"fardel/site"
	"fardel/site/host"
)

// A fenced site may still send receipts. Its sentinel does not come down by that:
// the same old backup, put back once more, is noticed once more.
func TestFencedExportKeepsTheSentinel(t *testing.T) {
	l, _ := pair(t)
	backup := backUp(l.World, "FLD")
	l.age(2)
	restore(l.World, "FLD", backup, true)
	if !fenced(l.World, "FLD") {
		t.Fatal("not noticed")
	}
	if _, err := l.carry("FLD", "HQ0", false); err != nil {
		t.Fatal(err)
	}
	restore(l.World, "FLD", backup, true)
	if !fenced(l.World, "FLD") {
		t.Error("the sentinel has forgotten what was signed")
	}
}

// Both logs were behind, and one of them is back: the fence stands until the
// other is, too. A neighbour that holds less does not lift it either.
func TestFenceWaitsForBothLogs(t *testing.T) {
	l, _ := pair(t)
	backup := backUp(l.World, "FLD")
	l.age(1)
	early := historyOf(l.World, "HQ0", observations("FLD"))
	l.age(1)
	restore(l.World, "FLD", backup, true)
	for i, step := range []struct {
		log    history
		fenced bool
	}{
		{early, true},
		{historyOf(l.World, "HQ0", decisions("FLD")), true},
		{historyOf(l.World, "HQ0", observations("FLD")), false},
	} {
		f := forged{w: l.World, from: "HQ0", to: "FLD", number: 300 + int64(i), logs: []history{step.log}}
		l.Erase("gift")
		f.write("gift")
		rep := l.Import("FLD", "gift")
		if fenced(l.World, "FLD") != step.fenced || rep.Healed == step.fenced {
			t.Errorf("after %s up to %d: fenced %v, healed %v", step.log.LogID, len(step.log.lines), !step.fenced, rep.Healed)
		}
	}
}

// What a healed site writes next does not take the name of anything that came
// back.
func TestHealedSiteCountsOn(t *testing.T) {
	l, _ := pair(t)
	alarm := func(text string) {
		l.At("FLD", func(h *host.Host) {
			must(t, h.Update(func(v *host.View) error { return v.Alarm("x", text) }))
		})
	}
	alarm("one")
	backup := backUp(l.World, "FLD")
	alarm("two")
	lost := l.AddPackage("FLD", l.Tree("lost", map[string]string{"l": "l"}))
	l.mustCarry("FLD", "HQ0")
	restore(l.World, "FLD", backup, true)
	if _, err := l.carry("FLD", "HQ0", false); err != nil {
		t.Fatal(err)
	}
	l.mustCarry("HQ0", "FLD")
	alarm("three")
	if got := alarms(l.World, "FLD"); !slices.Equal(got, []string{"x: one", "x: two", "x: three"}) {
		t.Errorf("alarms: %v", got)
	}
	if next := l.AddPackage("FLD", l.Tree("next", map[string]string{"n": "n"})); next == lost {
		t.Errorf("%s was given out twice", next)
	}
}

// A dry run finds what an import would, and leaves no trace: no alarm, no fence,
// no record.
func TestDryRunLeavesNoTrace(t *testing.T) {
	l, _ := pair(t)
	backup := backUp(l.World, "FLD")
	l.age(1)
	restore(l.World, "FLD", backup, false)
	l.Export("HQ0", "dry", "FLD")
	before, own := look(l.World, "FLD"), l.Positions("FLD")
	_, err := importWith(l.World, "FLD", openMedium(l.World, "dry"), dryRun)
	if err != nil && !errors.Is(err, site.Held) {
		t.Fatal(err)
	}
	now := l.Positions("FLD")
	for id, p := range own {
		if now[id] != p {
			t.Errorf("%s has moved", id)
		}
	}
	if !look(l.World, "FLD").equal(before) {
		t.Error("something has changed")
	}
}
