package courier

import (
	"path"
	"slices"
	"strings"

	"fardel/media"
)

// kinds are the folders of one writer in the order in which they are written: a
// reader who sees a label finds all the rest.
var kinds = []string{media.TrustDir, media.BundlesDir, media.BodiesDir, media.LabelsDir}

// backwards is the order in which they are emptied.
var backwards = []string{media.LabelsDir, media.BodiesDir, media.BundlesDir, media.TrustDir}

// MaxFile is the largest file on a medium, in bytes: FAT32 has no larger ones.
const MaxFile = 1<<32 - 1

// splitName parts a name such as bundles/x into folder and file. It accepts the
// four folders of a writer and legal file names in them, and nothing else.
func splitName(name string) (dir, base string, ok bool) {
	dir, base, ok = strings.Cut(name, "/")
	ok = ok && slices.Contains(kinds, dir) && media.ValidName(base)
	return dir, base, ok
}

func isLabel(name string) bool { return strings.HasPrefix(name, media.LabelsDir+"/") }

// partName returns the name under which a file is written before it is whole.
func partName(name string) string {
	return path.Join(path.Dir(name), media.PartPrefix+path.Base(name))
}
