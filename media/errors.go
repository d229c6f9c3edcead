package media

import (
	"errors"
	"fmt"

	"fardel/site"
)

// Causes of a [site.Damaged] fault, for errors.Is. A damaged file has neither:
// another copy of it may be good. A malformed or oversized one was made so, and
// another copy does not help.
var (
	ErrMalformed = errors.New("not in the form that the format demands")
	ErrLimit     = errors.New("above a limit of the format")
)

// Limits of the formats, in bytes where nothing else is said. Readers check
// them before they take memory; writers refuse to go beyond.
const (
	MaxLabel        = 1 << 20   // a label file
	MaxBody         = 64 << 20  // a body file
	MaxBodyPlain    = 256 << 20 // a body's lines
	MaxBodyLine     = 2 << 20   // one line of a body, with its line end: a receipt names the positions of all logs
	MaxSegment      = 64 << 20  // a segment file
	MaxSegmentPlain = 64 << 20  // a segment's lines
	MaxBundle       = 1 << 30   // a bundle file
	MaxBundlePlain  = 8 << 30   // a bundle's tar
	MaxItems        = 1 << 18   // items in one bundle; bounds the memory of their names
	MaxBundles      = 5000      // bundles on one label
	MaxSegments     = 5000      // segments on one label
)

// malformed returns the fault for something that its sender spelled wrongly.
func malformed(format string, args ...any) *site.Fault {
	what := fmt.Sprintf(format, args...)
	return site.Damaged.New("%s", what).Because(ErrMalformed)
}

// beyond returns the fault for something larger than the format allows.
func beyond(format string, args ...any) *site.Fault {
	what := fmt.Sprintf(format, args...)
	return site.Damaged.New("%s", what).Because(ErrLimit)
}
