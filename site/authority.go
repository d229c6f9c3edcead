package site

import "fmt"

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

func anyone(*Hierarchy, Site, string) error { return nil }

func theTop(h *Hierarchy, author Site, _ string) error {
	if author.Code != h.Top {
		return fmt.Errorf("only the top site %s may say that", h.Top)
	}
	return nil
}

func thePublisher(_ *Hierarchy, author Site, id string) error {
	if PackageID(id).Author() != author.Code {
		return fmt.Errorf("package %s belongs to %s, not to %s", clip(id), PackageID(id).Author(), author.Code)
	}
	if !author.Has(RightPublish) {
		return fmt.Errorf("%s has no right to publish packages", author.Code)
	}
	return nil
}

func whoDecides(_ *Hierarchy, author Site, _ string) error {
	if !author.Has(RightDecide) {
		return fmt.Errorf("%s has no right to decide", author.Code)
	}
	return nil
}
