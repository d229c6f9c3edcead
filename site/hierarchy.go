package site

import (
	"slices"
	"strings"
)

// A Site is one member of the hierarchy, as the top site describes it.
type Site struct {
	Code Code
	SiteBody
}

// Key returns the site's current key, or nil if it has none.
func (s Site) Key() *SiteKey {
	for i := len(s.Keys) - 1; i >= 0; i-- {
		if s.Keys[i].End == nil {
			return &s.Keys[i]
		}
	}
	return nil
}

// A Hierarchy is the tree of sites, as its charter and its top site say.
type Hierarchy struct {
	ID    string        // from the charter
	Top   Code          // from the charter
	Sites map[Code]Site // the top included; removed sites included
}

// Active returns the site with this code if it takes part in the hierarchy.
func (h *Hierarchy) Active(c Code) (Site, bool) {
	s, ok := h.Sites[c]
	return s, ok && s.State == SiteActive
}

// Holds reports whether a site holds a right. The top holds them all.
func (h *Hierarchy) Holds(s Site, r Right) bool {
	return s.Code == h.Top || slices.Contains(s.Rights, r)
}

// Path returns the sites from c up to the top, c first. It is empty if c is
// unknown, and stops at a loop, which no honest top site would make.
func (h *Hierarchy) Path(c Code) []Code {
	var path []Code
	for {
		s, ok := h.Sites[c]
		if !ok || slices.Contains(path, c) {
			return path
		}
		path = append(path, c)
		if c == h.Top || s.Parent == "" {
			return path
		}
		c = s.Parent
	}
}

// Above reports whether a is an ancestor of c.
func (h *Hierarchy) Above(a, c Code) bool {
	path := h.Path(c)
	return len(path) > 1 && slices.Contains(path[1:], a)
}

// Within reports whether c is a itself or one of its descendants.
func (h *Hierarchy) Within(c, a Code) bool { return slices.Contains(h.Path(c), a) }

// Related reports whether one of the two sites is above the other. Only such
// sites exchange parcels.
func (h *Hierarchy) Related(a, b Code) bool { return h.Above(a, b) || h.Above(b, a) }

// Children returns the active sites directly below c, in order of their codes.
func (h *Hierarchy) Children(c Code) []Code {
	var out []Code
	for code, s := range h.Sites {
		if s.Parent == c && s.State == SiteActive {
			out = append(out, code)
		}
	}
	slices.Sort(out)
	return out
}

// Subtree returns the active sites at and below c, in order of their codes.
func (h *Hierarchy) Subtree(c Code) []Code {
	var out []Code
	for code, s := range h.Sites {
		if s.State == SiteActive && h.Within(code, c) {
			out = append(out, code)
		}
	}
	slices.Sort(out)
	return out
}

// NextHop returns the neighbour of from that lies on the way to c: a child if c
// is below from, the parent if it is above, and "" if there is no way.
func (h *Hierarchy) NextHop(from, c Code) Code {
	if h.Above(c, from) {
		return h.Sites[from].Parent
	}
	path := h.Path(c)
	if i := slices.Index(path, from); i > 0 {
		return path[i-1]
	}
	return ""
}

// Carries reports whether a parcel from one site to another may carry this log.
// Downward go the decisions of the sender and of those above it. Upward go both
// logs of every site in the sender's subtree. And a site that lost entries of
// its own may get them back from whoever holds them.
func (h *Hierarchy) Carries(from, to Code, id LogID) bool {
	if id.Site == to {
		return h.Related(from, to)
	}
	if h.Above(from, to) {
		return id.Log == Decisions && h.Within(from, id.Site)
	}
	return h.Above(to, from) && h.Within(id.Site, from)
}

// Codes joins codes for a message: "EU1, FLD and SEA".
func Codes(list []Code) string {
	s := make([]string, len(list))
	for i, c := range list {
		s[i] = string(c)
	}
	if len(s) < 2 {
		return strings.Join(s, "")
	}
	return strings.Join(s[:len(s)-1], ", ") + " and " + s[len(s)-1]
}
