package media

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"fardel/site"
	"fardel/site/journal"
)

// An ItemKind says in what form a bundle holds a file.
type ItemKind string

// The kinds of items.
const (
	Whole ItemKind = "whole" // all of the file's bytes
	Part  ItemKind = "part"  // Length bytes of it, from Offset on
	Delta ItemKind = "delta" // its difference to the file Base
)

// An Item is one member of a bundle.
type Item struct {
	Kind   ItemKind
	Digest site.Digest // of the whole file
	Size   int64       // of the whole file
	Offset int64       // Part only
	Length int64       // bytes that the bundle holds; Size for Whole
	Base   site.Digest // Delta only
}

// Name returns the item's name in the archive.
func (it Item) Name() string {
	switch it.Kind {
	case Part:
		return fmt.Sprintf("part/%s/%d/%d", it.Digest, it.Size, it.Offset)
	case Delta:
		return fmt.Sprintf("delta/%s/%d/%s", it.Digest, it.Size, it.Base)
	}
	return fmt.Sprintf("whole/%s", it.Digest)
}

// ParseItem returns the item that a name in the archive and the length of its
// bytes describe.
func ParseItem(name string, length int64) (Item, error) {
	v := strings.Split(name, "/")
	it := Item{Kind: ItemKind(v[0]), Length: length}
	if len(v) < 2 || len(v) != map[ItemKind]int{Whole: 2, Part: 4, Delta: 4}[it.Kind] {
		return Item{}, errors.New("not the name of an item")
	}
	var err error
	if it.Digest, err = site.ParseDigest(v[1]); err != nil {
		return Item{}, err
	}
	if it.Kind == Whole {
		it.Size = length
		return it, it.check()
	}
	if it.Size, err = journal.ParseNumber(v[2]); err != nil {
		return Item{}, err
	}
	if it.Kind == Part {
		it.Offset, err = journal.ParseNumber(v[3])
	} else {
		it.Base, err = site.ParseDigest(v[3])
	}
	if err != nil {
		return Item{}, err
	}
	return it, it.check()
}

func (it Item) check() error {
	ok := false
	switch it.Kind {
	case Whole:
		ok = it.Length == it.Size && it.Offset == 0 && it.Base.IsZero()
	case Part:
		ok = it.Length > 0 && it.Offset >= 0 && it.Length <= it.Size-it.Offset && it.Base.IsZero()
	case Delta:
		ok = it.Length > 0 && it.Offset == 0 && !it.Base.IsZero() && it.Base != it.Digest
	}
	if !ok || it.Digest.IsZero() || it.Length < 0 || !site.InRange(it.Size) {
		return errors.New("an item whose name and length do not fit together")
	}
	return nil
}

const (
	tarBlock   = 512          // everything in a tar is a multiple of it
	tarEnd     = 2 * tarBlock // zeros that end it
	maxTarItem = 1<<33 - 1    // the largest size that a ustar header can state
)

// header returns the item's ustar header. It has exactly one spelling, so a
// reader can make it again and compare: whatever else a tar can say (links,
// devices, owners, times, extensions) is refused without being interpreted. The
// tar of a bundle is too small to need PAX.
func (it Item) header() [tarBlock]byte {
	var h [tarBlock]byte
	name, prefix := it.Name(), ""
	if len(name) > 100 {
		i := strings.LastIndexByte(name, '/')
		name, prefix = name[i+1:], name[:i]
	}
	copy(h[0:], name)
	copy(h[100:], "0000600\x00"+"0000000\x00"+"0000000\x00") // mode, owner, group
	copy(h[124:], fmt.Sprintf("%011o\x00", it.Length))
	copy(h[136:], "00000000000\x00") // time
	copy(h[148:], "        ")        // the checksum counts itself as blanks
	h[156] = '0'                     // regular file
	copy(h[257:], "ustar\x0000")
	copy(h[329:], "0000000\x00"+"0000000\x00") // device numbers
	copy(h[345:], prefix)
	sum := 0
	for _, b := range h {
		sum += int(b)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return h
}

// parseHeader reads a header and accepts the spelling of [Item.header] alone.
func parseHeader(h *[tarBlock]byte) (Item, error) {
	if h[156] != '0' {
		return Item{}, errors.New("something that is not a regular file")
	}
	name := field(h[0:100])
	if prefix := field(h[345:500]); prefix != "" {
		name = prefix + "/" + name
	}
	length, err := strconv.ParseInt(field(h[124:136]), 8, 64)
	if err != nil || length < 0 || length > maxTarItem {
		return Item{}, errors.New("a size that is not one")
	}
	it, err := ParseItem(name, length)
	if err != nil {
		return Item{}, err
	}
	if it.header() != *h {
		return Item{}, errors.New("a header that is not in its one legal spelling")
	}
	return it, nil
}

// field returns the text of a header's field, which ends at the first NUL.
func field(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}

// padding returns how many zeros follow the bytes of an item.
func padding(length int64) int64 { return -length & (tarBlock - 1) }
