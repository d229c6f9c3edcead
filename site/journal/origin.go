package journal

import (
	"fmt"
	"strconv"
	"strings"

	"fardel/site"
)

// An Origin names one epoch of one log, and is the first line of its
// checkpoints.
type Origin struct {
	Hierarchy string // 16 characters of a-z2-7
	site.LogID
	Epoch int64 // counted from 1
}

// String returns the origin as it stands in checkpoints:
// fardel/HIERARCHY/SITE/LOG/EPOCH.
func (o Origin) String() string {
	return fmt.Sprintf("fardel/%s/%s/%s/%d", o.Hierarchy, o.Site, o.Log, o.Epoch)
}

// Valid reports whether every part of o is well formed.
func (o Origin) Valid() bool {
	return ValidHierarchy(o.Hierarchy) && o.LogID.Valid() && o.Epoch > 0 && site.InRange(o.Epoch)
}

// ParseOrigin reads an origin in its one legal spelling.
func ParseOrigin(s string) (Origin, error) {
	parts := strings.SplitN(s, "/", 6)
	if len(parts) != 5 || parts[0] != "fardel" {
		return Origin{}, fmt.Errorf("%q is not the origin of a log", clip(s))
	}
	o := Origin{Hierarchy: parts[1], LogID: site.LogID{Site: site.Code(parts[2]), Log: site.LogName(parts[3])}}
	epoch, err := ParseNumber(parts[4])
	if err != nil {
		return Origin{}, fmt.Errorf("origin: %w", err)
	}
	if o.Epoch = epoch; !o.Valid() {
		return Origin{}, fmt.Errorf("%q is not the origin of a log", clip(s))
	}
	return o, nil
}

// ValidHierarchy reports whether id has the form of a hierarchy's id: 16
// characters of a-z2-7.
func ValidHierarchy(id string) bool {
	if len(id) != 16 {
		return false
	}
	for _, r := range []byte(id) {
		if (r < 'a' || r > 'z') && (r < '2' || r > '7') {
			return false
		}
	}
	return true
}

// KeyName returns the name under which a site signs: HIERARCHY/CODE.
func KeyName(hierarchy string, code site.Code) string { return hierarchy + "/" + string(code) }

// ParseNumber reads a number in its one legal spelling: decimal, without sign
// or leading zeros, from 0 to 2^53.
func ParseNumber(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || !site.InRange(n) || strconv.FormatInt(n, 10) != s {
		return 0, fmt.Errorf("%q is not a number from 0 to 2^53", clip(s))
	}
	return n, nil
}

// clip shortens hostile input before it stands in an error.
func clip(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:37], "") + "..."
	}
	return s
}
