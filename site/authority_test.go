package site

import (
	"slices"
	"strings"
	"testing"
)

// authors has a site for each role: the top, one that may publish, one that may
// decide, one that may do both, and one that has no right.
func authors() *Hierarchy {
	h := &Hierarchy{Top: "TOP", Sites: map[Code]Site{"TOP": {"TOP", SiteBody{State: SiteActive}}}}
	for code, rights := range map[Code][]Right{
		"PUB": {RightPublish}, "DEC": {RightDecide}, "ALL": {RightPublish, RightDecide}, "LOW": nil,
	} {
		h.Sites[code] = Site{code, SiteBody{Parent: "TOP", Rights: rights, State: SiteActive}}
	}
	return h
}

func TestAuthority(t *testing.T) {
	// Who may write which kind into which log; for packages, about its own.
	const everyone = "ALL DEC LOW PUB TOP"
	want := map[Kind]struct{ decisions, observations string }{
		KindEpoch:        {everyone, everyone},
		KindSite:         {"TOP", ""},
		KindCheckpoint:   {"TOP", ""},
		KindUpdate:       {"TOP", ""},
		KindPackage:      {"ALL PUB TOP", ""},
		KindDistribution: {"ALL DEC TOP", ""},
		KindApproval:     {"ALL DEC TOP", ""},
		KindCollection:   {"ALL DEC TOP", ""},
		KindDeployment:   {"ALL DEC TOP", ""},
		KindSync:         {everyone, ""},
		KindContent:      {"", everyone},
		KindExport:       {"", everyone},
		KindImport:       {"", everyone},
		KindEnrolment:    {"", everyone},
		KindAlarm:        {"", everyone},
		"unheard-of":     {"", ""},
		"":               {"", ""},
	}
	for kind := range authority {
		if _, ok := want[kind]; !ok {
			t.Errorf("nobody said who may write %s", kind)
		}
	}
	for kind, row := range want {
		if got := whoMay(kind, Decisions); got != row.decisions {
			t.Errorf("%s in decisions: %s; want %s", kind, got, row.decisions)
		}
		if got := whoMay(kind, Observations); got != row.observations {
			t.Errorf("%s in observations: %s; want %s", kind, got, row.observations)
		}
	}
}

func whoMay(kind Kind, log LogName) string {
	h := authors()
	var who []string
	for _, c := range []Code{"TOP", "PUB", "DEC", "ALL", "LOW", "XXX", ""} {
		if h.May(LogID{c, log}, kind, string(NewPackageID(c, 7))) == nil {
			who = append(who, string(c))
		}
	}
	slices.Sort(who)
	return strings.Join(who, " ")
}

func TestPackagesBelongToTheirAuthors(t *testing.T) {
	h := authors()
	for author, id := range map[Code]string{"TOP": "PUB00001", "PUB": "TOP00001", "ALL": "", "DEC": "DE"} {
		err := h.May(LogID{author, Decisions}, KindPackage, id)
		if err == nil || !strings.Contains(err.Error(), "belongs to") {
			t.Errorf("%s about package %q: %v", author, id, err)
		}
	}
}

func TestMaySaysWhyNot(t *testing.T) {
	h := authors()
	for _, c := range []struct {
		id   LogID
		kind Kind
		want string
	}{
		{LogID{"TOP", Decisions}, "unheard-of", `entries of kind "unheard-of" need a newer fardel`},
		{LogID{"TOP", Observations}, KindSite, "site entries do not belong into observations"},
		{LogID{"XXX", Decisions}, KindSync, "XXX is not a site of this hierarchy"},
		{LogID{"LOW", Decisions}, KindSite, "only the top site TOP may say that"},
		{LogID{"LOW", Decisions}, KindPackage, "LOW has no right to publish packages"},
		{LogID{"LOW", Decisions}, KindDistribution, "LOW has no right to decide"},
	} {
		if err := h.May(c.id, c.kind, "LOW00001"); err == nil || err.Error() != c.want {
			t.Errorf("%v, %s: %v; want %s", c.id, c.kind, err, c.want)
		}
	}
}

// A parcel that held nothing but these would never let a tree fall silent.
func TestPassiveKinds(t *testing.T) {
	var passive []string
	for kind := range authority {
		if kind.Passive() {
			passive = append(passive, string(kind))
		}
	}
	slices.Sort(passive)
	if got := strings.Join(passive, " "); got != "checkpoint export import" {
		t.Errorf("%s", got)
	}
}
