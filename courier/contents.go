package courier

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"fardel/media"
	"fardel/site"
)

// Contents is what a medium holds.
type Contents struct {
	Path    string
	Folders []Folder // one per writer, sorted by code; none if there is no FARDEL folder
	Foreign int      // files beside the FARDEL folder
	More    bool     // there are more of those than were counted
}

// A Folder is what one site has written onto a medium.
type Folder struct {
	From    site.Code
	Labels  []string // names such as labels/hq0-fld-000042.label, sorted
	Files   []File   // all files with legal names, labels included, sorted
	Bytes   int64    // the sum of their sizes
	Unknown int      // what is there and does not belong: links, strange names, half-written files
}

// A File is a file on a medium.
type File struct {
	Name string // below FARDEL/FROM, such as bundles/x
	Size int64  // in bytes
}

// Has reports whether the folder holds the file.
func (f Folder) Has(name string) bool {
	for _, file := range f.Files {
		if file.Name == name {
			return true
		}
	}
	return false
}

// maxForeign bounds the counting of files that are none of our business.
const (
	maxForeign      = 10_000
	maxForeignDepth = 8
)

// List returns what the medium at path holds. A medium without a FARDEL folder
// is empty, and no error.
func List(path string) (Contents, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return Contents{}, noMedium(path, err)
	}
	c := newCarrier(path, root)
	defer c.Close()
	return c.List()
}

// List returns what the medium holds. Names that no writer makes are counted and
// not looked into.
func (c *Carrier) List() (Contents, error) {
	out := Contents{Path: c.path}
	if err := c.countForeign(c.root, 0, &out); err != nil {
		return out, c.explain(err, "reading", "the top folder")
	}
	r, err := c.folder(media.Top)
	if errors.Is(err, fs.ErrNotExist) && still(c.root, c.path) {
		return out, nil
	}
	if err != nil {
		return out, c.explain(err, "opening", media.Top)
	}
	found, err := entries(r)
	if err != nil {
		return out, c.explain(err, "reading", media.Top)
	}
	for _, e := range found {
		from := site.Code(e.Name())
		if !from.Valid() || !e.IsDir() {
			continue
		}
		f, err := c.listWriter(from)
		if err != nil {
			return out, err
		}
		out.Folders = append(out.Folders, f)
	}
	return out, nil
}

func (c *Carrier) listWriter(from site.Code) (Folder, error) {
	f := Folder{From: from}
	own := media.Dir(from)
	r, err := c.folder(own)
	if err != nil {
		return f, c.explain(err, "opening", own)
	}
	found, err := entries(r)
	if err != nil {
		return f, c.explain(err, "reading", own)
	}
	for _, e := range found {
		switch {
		case slices.Contains(kinds, e.Name()) && e.IsDir():
			err = c.listKind(&f, e.Name())
		case e.Name() == media.SumsName && e.Type().IsRegular():
		default:
			f.Unknown++
		}
		if err != nil {
			return f, err
		}
	}
	return f, nil
}

func (c *Carrier) listKind(f *Folder, kind string) error {
	dir := media.Dir(f.From) + "/" + kind
	r, err := c.folder(dir)
	if err != nil {
		return c.explain(err, "opening", dir)
	}
	found, err := entries(r)
	if err != nil {
		return c.explain(err, "reading", dir)
	}
	for _, e := range found {
		name := kind + "/" + e.Name()
		if !e.Type().IsRegular() || !known(name) {
			f.Unknown++
			continue
		}
		info, err := r.Lstat(e.Name())
		if err != nil {
			return c.explain(err, "reading", dir)
		}
		if info.Size() < 0 || info.Size() > MaxFile {
			f.Unknown++
			continue
		}
		f.Files = append(f.Files, File{name, info.Size()})
		f.Bytes += info.Size()
		if kind == media.LabelsDir {
			f.Labels = append(f.Labels, name)
		}
	}
	return nil
}

// known reports whether a writer makes files of this name. A label has to be
// named after its parcel.
func known(name string) bool {
	_, err := media.ParseLabelPath(name)
	_, _, ok := splitName(name)
	return ok && (err == nil || !isLabel(name))
}

// countForeign counts files outside the FARDEL folder. What it may not look into
// it counts as one.
func (c *Carrier) countForeign(r *os.Root, depth int, out *Contents) error {
	found, err := entries(r)
	if errors.Is(err, errCrowded) || errors.Is(err, fs.ErrPermission) && depth > 0 {
		out.More = true
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range found {
		if depth == 0 && strings.EqualFold(e.Name(), media.Top) {
			continue
		}
		if out.Foreign >= maxForeign {
			out.More = true
			return nil
		}
		if !e.IsDir() {
			out.Foreign++
			continue
		}
		if depth == maxForeignDepth {
			out.More = true
			continue
		}
		sub, err := openFolder(r, e.Name())
		if err != nil {
			out.More = true // swapped or locked: a count is all that this is
			continue
		}
		err = c.countForeign(sub, depth+1, out)
		sub.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
