package journal

import "fardel/site"

// A Relation says how one position of a log stands to another.
type Relation int

// The relations. Only Fork is a fault: one log was signed twice with different
// contents.
const (
	Same  Relation = iota // equal
	Older                 // the first has entries missing that the second has
	Newer                 // the first has entries that the second is missing
	Fork                  // as many entries, but not the same ones
)

// String returns the relation as a word.
func (r Relation) String() string {
	switch r {
	case Same:
		return "same"
	case Older:
		return "older"
	case Newer:
		return "newer"
	}
	return "fork"
}

// Compare says how a stands to b, two positions of one log. A later epoch is
// newer, whatever its size. Older and Newer are claims about numbers only: that
// the larger log contains the smaller one needs the entries, or [CheckTree].
//
// All empty logs are the same, even where no root was ever computed.
func Compare(a, b site.Position) Relation {
	switch {
	case a.Epoch < b.Epoch:
		return Older
	case a.Epoch > b.Epoch:
		return Newer
	case a.Size < b.Size:
		return Older
	case a.Size > b.Size:
		return Newer
	case a.Size > 0 && a.Root != b.Root:
		return Fork
	}
	return Same
}
