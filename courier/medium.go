package courier

import (
	"cmp"
	"context"
	"os"
	"slices"
	"strings"
	"unicode"

	"fardel/media"
	"fardel/site"
)

// A Medium is a mounted file system that can be taken away.
type Medium struct {
	Path      string // where it is mounted
	Device    string // such as /dev/sdb1
	FS        string // such as vfat
	Label     string // of the file system; empty if unknown
	Serial    string // of the device; empty if unknown
	Model     string // of the device, as it calls itself
	Free      int64  // bytes that can still be written
	Size      int64  // bytes in all
	ReadOnly  bool
	Removable bool // the system says so; false for a folder that was only named
}

// Mounted returns what is mounted under the given folders, or under those that
// [Roots] names if none are given, sorted by path; Removable tells sticks and
// discs from the rest. A mount that does not answer before ctx ends is left out.
func Mounted(ctx context.Context, under ...string) ([]Medium, error) {
	s := thisSystem
	if len(under) > 0 {
		s.roots = under
	}
	return mounted(ctx, s)
}

// Roots are the folders under which desktops and people mount media.
func Roots() []string { return slices.Clone(mediaRoots) }

var mediaRoots = []string{"/media", "/run/media", "/mnt"}

// A system is where the kernel shows its devices; tests put folders there.
type system struct {
	mountinfo string // the file /proc/self/mountinfo
	sys       string // /sys
	dev       string // /dev
	roots     []string
}

var thisSystem = system{"/proc/self/mountinfo", "/sys", "/dev", mediaRoots}

// At describes the medium that path lies on. Any folder will do: it need not be
// the top of a mount, nor removable.
func At(ctx context.Context, path string) (Medium, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Medium{}, noMedium(path, err)
	}
	if !info.IsDir() {
		return Medium{}, site.NoMedium.New("%s is no folder", path)
	}
	m := Medium{Path: path}
	all, err := mounted(ctx, thisSystem)
	for _, one := range all {
		top, serr := os.Stat(one.Path)
		if err == nil && serr == nil && os.SameFile(top, info) {
			return one, nil
		}
	}
	have, err := roomOf(path)
	if err != nil {
		return m, explain(err, path, nil, "measuring", path)
	}
	m.Free, m.Size, m.ReadOnly = have.free, have.size, have.readOnly
	return m, nil
}

// ListCarriers returns those of the paths that hold the labels of some writer.
// Paths that cannot be read are passed over.
func ListCarriers(paths []string) []string {
	var found []string
	for _, path := range paths {
		c, err := OpenCarrier(path)
		if err != nil {
			continue
		}
		if c.hasLabels() {
			found = append(found, path)
		}
		c.Close()
	}
	return found
}

func (c *Carrier) hasLabels() bool {
	r, err := c.folder(media.Top)
	if err != nil {
		return false
	}
	found, err := entries(r)
	if err != nil {
		return false
	}
	for _, e := range found {
		from := site.Code(e.Name())
		if !from.Valid() {
			continue
		}
		if _, err := c.folder(media.Dir(from) + "/" + media.LabelsDir); err == nil {
			return true
		}
	}
	return false
}

// byPath sorts media as people expect to see them.
func byPath(a, b Medium) int { return cmp.Compare(a.Path, b.Path) }

// shown makes a text from a device or a medium fit for a terminal: whoever made
// the device chose it.
func shown(s string) string {
	clean := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if r := []rune(clean); len(r) > 64 {
		clean = string(r[:61]) + "..."
	}
	return strings.TrimSpace(clean)
}
