package courier

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"fardel/site"
)

// clusterOf returns what each file's size is rounded up to when media are
// planned: the largest cluster with which FAT and exFAT media of that size are
// formatted by default. With smaller ones a little room stays free.
func clusterOf(capacity int64) int64 {
	switch {
	case capacity > 32<<30:
		return 128 << 10
	case capacity > 256<<20:
		return 32 << 10
	}
	return 4 << 10
}

// overhead is room for the folders, the README and whatever else a file system
// needs.
func overhead(cluster int64) int64 { return 64<<10 + 8*cluster }

// Footprint returns the bytes that files of these sizes take on a medium of that
// capacity.
func Footprint(capacity int64, sizes ...int64) int64 { return rounded(clusterOf(capacity), sizes...) }

func rounded(grain int64, sizes ...int64) int64 {
	var sum int64
	for _, n := range sizes {
		sum += (n + grain - 1) / grain * grain
	}
	return sum
}

// A Cargo is a bundle that has to find its medium.
type Cargo struct {
	Size     int64 // in bytes
	Priority site.Priority
}

// Plan spreads bundles over media of one capacity. The answer names the medium
// of each bundle, counted from 1, in the order of the arguments. The fixed bytes
// (see [Footprint]) are those of the files that stand on every medium: trust,
// bodies, segments and labels.
//
// Urgent bundles come onto the first media, and small ones fill the gaps that
// large ones leave, so that few media are needed. It fails with site.NoSpace if
// a file is larger than a medium, or than any medium may hold.
func Plan(cargo []Cargo, fixed, capacity int64) ([]int, error) {
	cluster := clusterOf(capacity)
	sums := rounded(cluster, 160*int64(len(cargo)+100)) // lines of SHA256SUMS
	room := capacity - fixed - overhead(cluster) - sums
	if room < 0 {
		return nil, site.NoSpace.New("a medium of %s cannot hold the %s that each medium needs", human(capacity), human(fixed)).
			In("Nothing was written").Then("Take larger media")
	}
	order := make([]int, len(cargo))
	for i, c := range cargo {
		order[i] = i
		if c.Size > MaxFile {
			return nil, tooLarge("a bundle", c.Size)
		}
		if c.Size < 0 || rounded(cluster, c.Size) > room {
			return nil, site.NoSpace.New("a bundle of %s does not fit on a medium of %s, which also needs %s for other files",
				human(c.Size), human(capacity), human(fixed)).In("Nothing was written").Then("Take larger media")
		}
	}
	// A stable order makes the same export choose the same media again.
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(cargo[a].Priority.Rank(), cargo[b].Priority.Rank()),
			cmp.Compare(cargo[b].Size, cargo[a].Size))
	})
	var left []int64 // per medium
	plan := make([]int, len(cargo))
	for _, i := range order {
		need := rounded(cluster, cargo[i].Size)
		at := slices.IndexFunc(left, func(free int64) bool { return free >= need })
		if at < 0 {
			at = len(left)
			left = append(left, room)
		}
		left[at] -= need
		plan[i] = at + 1
	}
	return plan, nil
}

// Media returns how many media a plan needs; the files that stand on every
// medium need one even without bundles.
func Media(plan []int) int { return max(1, slices.Max(append([]int{0}, plan...))) }

// Capacities of discs in bytes, less 8 MiB for the directories of an image with
// thousands of long names.
const (
	discOverhead = 8 << 20
	cd           = 360_000*2048 - discOverhead    // 80 minutes
	dvd          = 2_295_104*2048 - discOverhead  // DVD-R, one layer
	bd           = 12_219_392*2048 - discOverhead // one layer
	minVolume    = 1 << 20
)

// ParseVolumeSize returns the bytes that fit on a medium which s describes: cd,
// dvd, bd, or a number of bytes with k, m, g or t for powers of 1,024.
func ParseVolumeSize(s string) (int64, error) {
	low := strings.ToLower(s)
	switch low {
	case "cd":
		return cd, nil
	case "dvd":
		return dvd, nil
	case "bd":
		return bd, nil
	}
	unit := int64(1)
	if n := len(low); n > 0 {
		if i := strings.IndexByte("kmgt", low[n-1]); i >= 0 {
			unit, low = 1<<(10*(i+1)), low[:n-1]
		}
	}
	n, err := strconv.ParseUint(low, 10, 53)
	if err != nil || int64(n) > site.MaxInt/unit {
		return 0, site.BadUsage.New("%q is not a size of a medium: say cd, dvd, bd, or a number such as 4g", shown(s))
	}
	if size := int64(n) * unit; size >= minVolume {
		return size, nil
	}
	return 0, site.BadUsage.New("a medium of %q is too small: 1m is the least", shown(s))
}

// human writes a number of bytes for people.
func human(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d bytes", n)
	}
	f, unit := float64(n)/1024, 0
	for f >= 1024 && unit < 4 {
		f, unit = f/1024, unit+1
	}
	return fmt.Sprintf("%.1f %s", f, [...]string{"KiB", "MiB", "GiB", "TiB", "PiB"}[unit])
}
