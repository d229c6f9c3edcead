package courier

import (
	"strings"

	"fardel/media"
	"fardel/site"
)

// NewLoad sorts files into a load, by the folders that their names stand in. A
// file that several parcels need stands in it once.
func NewLoad(from site.Code, items []Item) Load {
	l := Load{From: from}
	seen := map[string]bool{}
	for _, it := range items {
		if seen[it.Name] {
			continue
		}
		seen[it.Name] = true
		switch dir, _, _ := strings.Cut(it.Name, "/"); dir {
		case media.TrustDir:
			l.Trust = append(l.Trust, it)
		case media.BundlesDir:
			l.Bundles = append(l.Bundles, it)
		case media.BodiesDir:
			l.Bodies = append(l.Bodies, it)
		case media.LabelsDir:
			l.Labels = append(l.Labels, it)
		}
	}
	return l
}
