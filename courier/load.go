package courier

import (
	"bytes"
	"io"
	"os"

	"fardel/site"
)

// An Item is one file that goes onto media. Its bytes come from a local file or,
// for small ones, from memory.
type Item struct {
	Name   string      // below FARDEL/FROM, such as labels/hq0-fld-000042.label
	Source string      // a local file that holds it; unused if Data is set
	Data   []byte      // its bytes, where they are small
	Size   int64       // in bytes
	Digest site.Digest // of its bytes
	Medium int         // the medium that it goes to, counted from 1; 0: to each
}

// NewItem makes an item of bytes in memory; it goes to each medium.
func NewItem(name string, data []byte) Item {
	return Item{Name: name, Data: data, Size: int64(len(data)), Digest: site.DigestOf(data)}
}

// A Load is what one export brings onto its media. Segments stand among the
// bundles, as they share a folder.
type Load struct {
	From    site.Code // who writes: the folder's name
	Trust   []Item    // charters and trust entries
	Bundles []Item    // bundles and segments
	Bodies  []Item
	Labels  []Item // written last
}

// On returns the part of the load that goes to the n-th medium.
func (l Load) On(n int) Load {
	pick := func(items []Item) []Item {
		var out []Item
		for _, it := range items {
			if it.Medium == 0 || it.Medium == n {
				out = append(out, it)
			}
		}
		return out
	}
	return Load{l.From, pick(l.Trust), pick(l.Bundles), pick(l.Bodies), pick(l.Labels)}
}

// Items returns all items in the order in which they are written.
func (l Load) Items() []Item {
	var all []Item
	for _, part := range [][]Item{l.Trust, l.Bundles, l.Bodies, l.Labels} {
		all = append(all, part...)
	}
	return all
}

// Bytes returns the sum of the items' sizes.
func (l Load) Bytes() int64 {
	var n int64
	for _, it := range l.Items() {
		n += it.Size
	}
	return n
}

// check refuses a load that could not be written as it is. What it refuses is
// the caller's mistake, save for files that are too large.
func (l Load) check() error {
	if !l.From.Valid() {
		return site.Internal.New("a load without a valid site code: %q", string(l.From))
	}
	seen := map[string]bool{}
	for i, part := range [][]Item{l.Trust, l.Bundles, l.Bodies, l.Labels} {
		for _, it := range part {
			dir, _, ok := splitName(it.Name)
			switch {
			case !ok || dir != kinds[i]:
				return site.Internal.New("%q is no name for a file in %s", it.Name, kinds[i])
			case seen[it.Name]:
				return site.Internal.New("%s stands twice in one load", it.Name)
			case it.Size > MaxFile:
				return tooLarge(it.Name, it.Size)
			case it.Size < 0 || it.Data != nil && int64(len(it.Data)) != it.Size:
				return site.Internal.New("the size of %s is wrong", it.Name)
			}
			seen[it.Name] = true
		}
	}
	return nil
}

func tooLarge(name string, size int64) error {
	return site.NoSpace.New("%s has %s; no file on a medium may have more than 4 GiB - 1", name, human(size)).
		In("Nothing was written")
}

// open returns the item's bytes, to be read once.
func (it Item) open() (io.ReadCloser, error) {
	if it.Data != nil || it.Size == 0 && it.Source == "" {
		return io.NopCloser(bytes.NewReader(it.Data)), nil
	}
	return os.Open(it.Source)
}
