package site

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// fourSites is the tree HQ0 → EU1 → FLD and HQ0 → SEA; OLD, below EU1, is
// removed.
func fourSites() *Hierarchy {
	h := &Hierarchy{ID: "abcdefghij234567", Top: "HQ0", Sites: map[Code]Site{}}
	for code, parent := range map[Code]Code{"HQ0": "", "EU1": "HQ0", "FLD": "EU1", "SEA": "HQ0", "OLD": "EU1"} {
		h.Sites[code] = Site{code, SiteBody{Parent: parent, State: SiteActive}}
	}
	h.Sites["OLD"] = Site{"OLD", SiteBody{Parent: "EU1", State: SiteRemoved}}
	return h
}

var fourCodes = []Code{"EU1", "FLD", "HQ0", "SEA"}

func TestPath(t *testing.T) {
	h := fourSites()
	for c, want := range map[Code][]Code{
		"HQ0": {"HQ0"}, "EU1": {"EU1", "HQ0"}, "FLD": {"FLD", "EU1", "HQ0"}, "OLD": {"OLD", "EU1", "HQ0"}, "XXX": nil, "": nil,
	} {
		if got := h.Path(c); !slices.Equal(got, want) {
			t.Errorf("%s: %v; want %v", c, got, want)
		}
	}
}

func TestPathEndsAtFaults(t *testing.T) {
	h := &Hierarchy{Top: "HQ0", Sites: map[Code]Site{}}
	for code, parent := range map[Code]Code{"HQ0": "ONE", "ONE": "TWO", "TWO": "ONE", "ME0": "ME0", "ORP": "GON"} {
		h.Sites[code] = Site{code, SiteBody{Parent: parent, State: SiteActive}}
	}
	for c, want := range map[Code][]Code{
		"HQ0": {"HQ0"}, "ONE": {"ONE", "TWO"}, "TWO": {"TWO", "ONE"}, "ME0": {"ME0"}, "ORP": {"ORP"},
	} {
		if got := h.Path(c); !slices.Equal(got, want) {
			t.Errorf("%s: %v; want %v", c, got, want)
		}
		if h.Above(c, c) {
			t.Errorf("%s is above itself", c)
		}
		if c != "HQ0" && (h.Within(c, "HQ0") || h.NextHop("HQ0", c) != "" || h.NextHop(c, "HQ0") != "") {
			t.Errorf("%s is connected to the top", c)
		}
	}
}

func TestAboveWithinRelated(t *testing.T) {
	h := fourSites()
	below := map[Code][]Code{"HQ0": {"EU1", "FLD", "SEA"}, "EU1": {"FLD"}}
	for _, a := range fourCodes {
		for _, c := range fourCodes {
			above, under := slices.Contains(below[a], c), slices.Contains(below[c], a)
			if h.Above(a, c) != above {
				t.Errorf("%s above %s: %v", a, c, !above)
			}
			if h.Within(c, a) != (above || a == c) {
				t.Errorf("%s within %s: %v", c, a, h.Within(c, a))
			}
			if h.MayReach(a, c) != (above || a == c) {
				t.Errorf("%s may reach %s: %v", a, c, h.MayReach(a, c))
			}
			if h.Related(a, c) != (above || under) {
				t.Errorf("%s related to %s: %v", a, c, h.Related(a, c))
			}
		}
	}
	if h.Above("XXX", "FLD") || h.Above("HQ0", "XXX") || h.Within("XXX", "XXX") {
		t.Error("an unknown site has a place in the tree")
	}
}

func TestNextHop(t *testing.T) {
	h := fourSites()
	want := map[Code]map[Code]Code{
		"HQ0": {"EU1": "EU1", "FLD": "EU1", "SEA": "SEA"},
		"EU1": {"HQ0": "HQ0", "FLD": "FLD"},
		"FLD": {"HQ0": "EU1", "EU1": "EU1"},
		"SEA": {"HQ0": "HQ0"},
	}
	for _, from := range append(fourCodes, "XXX", "") {
		for _, to := range append(fourCodes, "XXX", "") {
			if got := h.NextHop(from, to); got != want[from][to] {
				t.Errorf("from %s to %s by %q; want %q", from, to, got, want[from][to])
			}
		}
	}
}

func TestChildrenAndSubtree(t *testing.T) {
	h := fourSites()
	for c, want := range map[Code][2][]Code{
		"HQ0": {{"EU1", "SEA"}, {"EU1", "FLD", "HQ0", "SEA"}},
		"EU1": {{"FLD"}, {"EU1", "FLD"}},
		"FLD": {nil, {"FLD"}},
		"OLD": {nil, nil},
		"XXX": {nil, nil},
	} {
		if got := [2][]Code{h.Children(c), h.Subtree(c)}; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v; want %v", c, got, want)
		}
	}
}

func TestActive(t *testing.T) {
	h := fourSites()
	for c, want := range map[Code]bool{"HQ0": true, "FLD": true, "OLD": false, "XXX": false} {
		if s, ok := h.Active(c); ok != want || ok && s.Code != c {
			t.Errorf("%s: %v, %v", c, s, ok)
		}
	}
}

func TestCarries(t *testing.T) {
	// What a parcel may hold; d is a site's decisions, o its observations.
	want := map[[2]Code]string{
		{"HQ0", "EU1"}: "EU1d EU1o HQ0d",
		{"HQ0", "FLD"}: "FLDd FLDo HQ0d",
		{"HQ0", "SEA"}: "HQ0d SEAd SEAo",
		{"EU1", "FLD"}: "EU1d FLDd FLDo HQ0d",
		{"EU1", "HQ0"}: "EU1d EU1o FLDd FLDo HQ0d HQ0o",
		{"FLD", "EU1"}: "EU1d EU1o FLDd FLDo",
		{"FLD", "HQ0"}: "FLDd FLDo HQ0d HQ0o",
		{"SEA", "HQ0"}: "HQ0d HQ0o SEAd SEAo",
	}
	h := fourSites()
	for _, from := range fourCodes {
		for _, to := range fourCodes {
			var got []string
			for _, c := range fourCodes {
				for _, log := range []LogName{Decisions, Observations} {
					if h.Carries(from, to, LogID{c, log}) {
						got = append(got, string(c)+string(log[:1]))
					}
				}
			}
			if s := strings.Join(got, " "); s != want[[2]Code{from, to}] {
				t.Errorf("%s to %s: %q; want %q", from, to, s, want[[2]Code{from, to}])
			}
		}
	}
}

func TestNothingGoesToStrangers(t *testing.T) {
	h := fourSites()
	for _, c := range append(fourCodes, "XXX") {
		for _, log := range []LogName{Decisions, Observations} {
			if h.Carries("HQ0", "XXX", LogID{c, log}) || h.Carries("XXX", "HQ0", LogID{c, log}) {
				t.Errorf("%s/%s goes to or comes from an unknown site", c, log)
			}
		}
	}
}

func TestSiteKey(t *testing.T) {
	old, now := SiteKey{Serial: 1, End: &KeyEnd{}}, SiteKey{Serial: 2}
	for name, c := range map[string]struct {
		keys []SiteKey
		want int
	}{
		"none": {nil, 0}, "one": {[]SiteKey{now}, 2}, "replaced": {[]SiteKey{old, now}, 2}, "all ended": {[]SiteKey{old}, 0},
	} {
		k := Site{SiteBody: SiteBody{Keys: c.keys}}.Key()
		if k == nil && c.want != 0 || k != nil && k.Serial != c.want {
			t.Errorf("%s: %+v", name, k)
		}
	}
}

func TestCodes(t *testing.T) {
	for want, list := range map[string][]Code{
		"": nil, "FLD": {"FLD"}, "EU1 and FLD": {"EU1", "FLD"}, "EU1, FLD and SEA": {"EU1", "FLD", "SEA"},
	} {
		if got := Codes(list); got != want {
			t.Errorf("%v: %q; want %q", list, got, want)
		}
	}
}

func TestLogIDs(t *testing.T) {
	if got := (LogID{"HQ0", Decisions}).String(); got != "HQ0/decisions" {
		t.Errorf("written as %s", got)
	}
	for id, want := range map[LogID]bool{
		{"HQ0", Decisions}: true, {"HQ0", Observations}: true, {"hq0", Decisions}: false, {"HQ0", "Decisions"}: false, {}: false,
	} {
		if id.Valid() != want {
			t.Errorf("%v: %v", id, !want)
		}
	}
}

func TestTimes(t *testing.T) {
	at := time.Date(2026, 11, 20, 13, 14, 15, 999, time.FixedZone("", -7200))
	const want = "2026-11-20T15:14:15Z"
	if got := Moment(at); got != want {
		t.Errorf("%s; want %s", got, want)
	}
	if back, err := ParseTime(want); err != nil || !back.Equal(at.Truncate(time.Second)) || back.Location() != time.UTC {
		t.Errorf("%v, %v", back, err)
	}
	for _, s := range []string{
		"", "2026-11-20", "2026-11-20T15:14:15", "2026-11-20T15:14:15z", "2026-11-20 15:14:15Z", "2026-11-20T15:14:15.5Z",
		"2026-11-20T15:14:15,5Z", "2026-11-20T15:14:15.0Z", "2026-11-20T15:14:15+00:00", "2026-11-20T24:00:00Z",
		"2026-11-31T15:14:15Z", "2026-11-20T15:14:60Z", "12026-11-20T15:14:15Z", "2026-11-20T5:14:15Z", " " + want, want + " ",
	} {
		if got, err := ParseTime(s); err == nil {
			t.Errorf("%q was read as %v", s, got)
		}
	}
}
