package site

import (
	"fmt"
	"strconv"
	"strings"
)

// String returns the name as people read it, such as HQ0-FLD-000042.
func (n ParcelName) String() string {
	return fmt.Sprintf("%s-%s-%06d", n.From, n.To, n.Number)
}

// ParseParcelName reads a name that [ParcelName.String] wrote; lower case, as
// in file names, is accepted. Numbers go from 1 to 2⁵³.
func ParseParcelName(s string) (ParcelName, error) {
	var n ParcelName
	parts := strings.Split(upper(s), "-")
	if len(parts) == 3 {
		n.From, n.To = Code(parts[0]), Code(parts[1])
		num, err := strconv.ParseInt(parts[2], 10, 64)
		n.Number = num
		if err == nil && num > 0 && num <= MaxInt && n.From.Valid() && n.To.Valid() && n.String() == strings.Join(parts, "-") {
			return n, nil
		}
	}
	return ParcelName{}, BadUsage.New("%q is not a parcel: parcels are named like HQ0-FLD-000042", clip(s))
}

// Priority orders bundles; entries always go first.
type Priority string

// The priorities.
const (
	PriorityHigh   Priority = "high"
	PriorityMedium Priority = "medium"
	PriorityLow    Priority = "low"
)

// Valid reports whether p is one of the three.
func (p Priority) Valid() bool { return p == PriorityHigh || p == PriorityMedium || p == PriorityLow }

// Rank returns 0 for high, 1 for medium and 2 for low.
func (p Priority) Rank() int {
	switch p {
	case PriorityHigh:
		return 0
	case PriorityMedium:
		return 1
	}
	return 2
}
