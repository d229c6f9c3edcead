package site

import (
	"fmt"
	"slices"
)

// authority is the table of who may say what. An entry that its author may not
// write is kept and forwarded like any other, but it is void, and an alarm.
//
// Without this table a compromised site in the middle of the tree could invent
// packages; with it, it can only delay and withhold.
var authority = map[Kind]struct {
	log LogName
	who func(h *Hierarchy, author Site, id string) error
}{
	KindEpoch:        {"", anyone}, // in either log
	KindSite:         {Decisions, theTop},
	KindCheckpoint:   {Decisions, theTop},
	KindUpdate:       {Decisions, theTop},
	KindPackage:      {Decisions, thePublisher},
	KindDistribution: {Decisions, whoDecides},
	KindApproval:     {Decisions, whoDecides},
	KindCollection:   {Decisions, whoDecides},
	KindDeployment:   {Decisions, whoDecides},
	KindSync:         {Decisions, anyone}, // a parent, to its children: see MayReach

	KindContent:   {Observations, anyone},
	KindExport:    {Observations, anyone},
	KindImport:    {Observations, anyone},
	KindEnrolment: {Observations, anyone},
	KindAlarm:     {Observations, anyone},
}

// May returns nil if the author may write an entry of this kind about this
// object into this log, and otherwise a sentence that says why not.
func (h *Hierarchy) May(id LogID, kind Kind, object string) error {
	row, ok := authority[kind]
	if !ok {
		return fmt.Errorf("entries of kind %q need a newer fardel", kind)
	}
	if row.log != "" && row.log != id.Log {
		return fmt.Errorf("%s entries do not belong into %s", kind, id.Log)
	}
	author, ok := h.Sites[id.Site]
	if !ok {
		return fmt.Errorf("%s is not a site of this hierarchy", id.Site)
	}
	return row.who(h, author, object)
}

// MayReach reports whether a decision of the author can apply to the target:
// its own subtree, and nothing else.
func (h *Hierarchy) MayReach(author, target Code) bool { return h.Within(target, author) }

// Void returns nil if all of an entry counts, and otherwise a sentence that says
// why it, or a part of it, means nothing. Sites that are not known yet are no
// reason: entries about them may still be on their way.
func (h *Hierarchy) Void(id LogID, e Entry) error {
	if err := h.May(id, e.Kind, e.ID); err != nil {
		return err
	}
	if e.Kind == KindPackage {
		var body PackageBody
		if e.Decode(&body) != nil || !body.Valid() {
			return fmt.Errorf("package %s is described in numbers that cannot be", clip(e.ID))
		}
	}
	if e.Kind != KindDistribution {
		return nil
	}
	var body DistributionBody
	if err := e.Decode(&body); err != nil {
		return fmt.Errorf("the distribution of %s cannot be read", clip(e.ID))
	}
	var beyond []Code
	for target := range body.Sites {
		if _, known := h.Sites[target]; known && !h.MayReach(id.Site, target) {
			beyond = append(beyond, target)
		}
	}
	if len(beyond) == 0 {
		return nil
	}
	slices.Sort(beyond)
	return fmt.Errorf("%s is not above %s and decides nothing there", id.Site, Codes(beyond))
}

func anyone(*Hierarchy, Site, string) error { return nil }

func theTop(h *Hierarchy, author Site, _ string) error {
	if author.Code != h.Top {
		return fmt.Errorf("only the top site %s may say that", h.Top)
	}
	return nil
}

func thePublisher(h *Hierarchy, author Site, id string) error {
	if PackageID(id).Author() != author.Code {
		return fmt.Errorf("package %s belongs to %s, not to %s", clip(id), PackageID(id).Author(), author.Code)
	}
	if !h.Holds(author, RightPublish) {
		return fmt.Errorf("%s has no right to publish packages", author.Code)
	}
	return nil
}

func whoDecides(h *Hierarchy, author Site, _ string) error {
	if !h.Holds(author, RightDecide) {
		return fmt.Errorf("%s has no right to decide", author.Code)
	}
	return nil
}
