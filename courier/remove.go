package courier

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"fardel/media"
	"fardel/site"
)

// RemoveOwn deletes files that the site from has written, such as those of
// parcels that were confirmed. The labels among them go first, so that none is
// seen without its files. Names that are not there are passed over.
func RemoveOwn(path string, from site.Code, names []string) error {
	root, err := os.OpenRoot(path)
	if err != nil {
		return noMedium(path, err)
	}
	defer root.Close()
	d := newDisk(root)
	defer d.Close()
	return removeOwn(path, root, d, from, names)
}

func removeOwn(path string, root *os.Root, f files, from site.Code, names []string) error {
	if !from.Valid() {
		return site.Internal.New("%q is no site code", string(from))
	}
	byKind := map[string][]string{}
	for _, name := range names {
		dir, _, ok := splitName(name)
		if !ok {
			return site.Internal.New("%q is no name of a file on a medium", shown(name))
		}
		byKind[dir] = append(byKind[dir], name)
	}
	w := &writer{ctx: context.Background(), path: path, files: f, own: media.Dir(from), look: newCarrier(path, root),
		load: Load{From: from}, folders: map[string]folder{}}
	defer w.close()
	if err := w.findParts(); err != nil {
		return err
	}
	if err := w.sweep(); err != nil {
		return w.explain(err, "removing from", w.own)
	}
	for _, kind := range backwards {
		if err := w.removeKind(kind, byKind[kind]); err != nil {
			return w.explain(err, "removing from", w.own+"/"+kind)
		}
	}
	return w.shortenSums()
}

// removeKind deletes files of one folder and makes that durable.
func (w *writer) removeKind(kind string, names []string) error {
	dir := w.own + "/" + kind
	r, err := w.look.folder(dir)
	if len(names) == 0 || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	f, err := w.files.Folder(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, name := range names {
		_, base, _ := splitName(name)
		seen, err := r.Lstat(base)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && !seen.Mode().IsRegular() {
			err = refusal(seen, errKind)
		}
		if err == nil {
			err = w.files.Remove(w.own + "/" + name)
		}
		if err != nil {
			return err
		}
	}
	return f.Sync()
}

// shortenSums takes the lines of files that are gone out of SHA256SUMS.
func (w *writer) shortenSums() error {
	old, was, err := readSums(w.look, w.own)
	if err == nil {
		err = w.planSums()
	}
	if err != nil {
		return w.explain(err, "reading", media.SumsName)
	}
	if old == nil || string(was) == string(w.sums) {
		return nil
	}
	f, err := w.files.Folder(w.own)
	if err != nil {
		return w.explain(err, "opening", w.own)
	}
	w.folders[w.own] = f
	return w.put(w.own, NewItem(media.SumsName, w.sums))
}

// Erase deletes what Fardel has written onto a medium, of all writers, and
// returns what that was. Labels go first. Files outside the FARDEL folder stay,
// and so do files within it that no writer makes, with the folders they are in.
func Erase(path string) (Contents, error) {
	seen, err := List(path)
	if err != nil {
		return seen, err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return seen, noMedium(path, err)
	}
	defer root.Close()
	d := newDisk(root)
	defer d.Close()
	return seen, erase(path, root, d, seen)
}

func erase(path string, root *os.Root, f files, seen Contents) error {
	look := newCarrier(path, root)
	defer look.drop()
	w := &writer{path: path, files: f, look: look}
	for _, kind := range backwards {
		for _, own := range seen.Folders {
			if err := w.eraseKind(own, kind); err != nil {
				return w.explain(err, "erasing", media.Dir(own.From))
			}
		}
	}
	for _, own := range seen.Folders {
		dir := media.Dir(own.From)
		if err := w.eraseFolder(dir, media.SumsName); err != nil {
			return w.explain(err, "erasing", dir)
		}
	}
	if _, err := look.folder(media.Top); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := w.eraseFolder(media.Top, media.ReadmeName); err != nil {
		return w.explain(err, "erasing", media.Top)
	}
	return nil
}

func (w *writer) eraseKind(own Folder, kind string) error {
	dir := media.Dir(own.From) + "/" + kind
	var names []string
	for _, file := range own.Files {
		if strings.HasPrefix(file.Name, kind+"/") {
			names = append(names, strings.TrimPrefix(file.Name, kind+"/"))
		}
	}
	if _, err := w.look.folder(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return w.eraseFolder(dir, names...)
}

// eraseFolder deletes these files of a folder and those that were left half
// written, and then the folder, if nothing else is in it.
func (w *writer) eraseFolder(dir string, names ...string) error {
	r, err := w.look.folder(dir)
	if err != nil {
		return err
	}
	found, err := entries(r)
	if err != nil {
		return err
	}
	left := 0
	for _, e := range found {
		ours := e.Type().IsRegular() && (slices.Contains(names, e.Name()) || strings.HasPrefix(e.Name(), media.PartPrefix))
		if !ours {
			left++
			continue
		}
		if err := w.files.Remove(dir + "/" + e.Name()); err != nil {
			return err
		}
	}
	f, err := w.files.Folder(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	f.Close()
	if err != nil || left > 0 {
		return err
	}
	return w.files.Remove(dir)
}
