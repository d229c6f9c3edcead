package courier

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// maxEntries bounds what is read of one folder of a medium. A label lists 5,000
// bundles at most.
const maxEntries = 100_000

var errCrowded = errors.New("holds more than 100,000 files")

// Walking on media goes one name at a time. Each is looked at first, and what
// was opened must be what was looked at: os.Root alone would keep us inside the
// medium, but would still follow a link from one writer's folder to another's.
// A system may number files anew between the two, hence the second try.
const tries = 3

// openFolder opens a folder that is no link.
func openFolder(parent *os.Root, name string) (*os.Root, error) {
	for range tries {
		seen, err := parent.Lstat(name)
		if err != nil {
			return nil, err
		}
		if !seen.IsDir() {
			return nil, refusal(seen, errNotDir)
		}
		root, err := parent.OpenRoot(name)
		if err != nil {
			return nil, err
		}
		if got, err := root.Stat("."); err == nil && os.SameFile(seen, got) {
			return root, nil
		}
		root.Close()
	}
	return nil, errLink
}

// openFile opens a regular file that is no link, for reading only, and returns
// its size. It cannot hang on a pipe.
func openFile(parent *os.Root, name string) (*os.File, int64, error) {
	for range tries {
		seen, err := parent.Lstat(name)
		if err != nil {
			return nil, 0, err
		}
		if !seen.Mode().IsRegular() {
			return nil, 0, refusal(seen, errKind)
		}
		f, err := quietOpen(parent, name, openFlags)
		if err != nil {
			return nil, 0, err
		}
		got, err := f.Stat()
		if err == nil && got.Size() >= 0 && got.Mode().IsRegular() && os.SameFile(seen, got) {
			return f, got.Size(), nil
		}
		f.Close()
	}
	return nil, 0, errLink
}

// quietOpen opens without leaving a time of access on the medium, where the
// system lets us: it does so for the owner of a file alone.
func quietOpen(parent *os.Root, name string, flags int) (*os.File, error) {
	f, err := parent.OpenFile(name, flags|noAccessTime, 0)
	if noAccessTime != 0 && errors.Is(err, fs.ErrPermission) {
		return parent.OpenFile(name, flags, 0)
	}
	return f, err
}

func refusal(seen fs.FileInfo, otherwise error) error {
	if seen.Mode()&fs.ModeSymlink != 0 {
		return errLink
	}
	return otherwise
}

// entries reads a folder, sorted by name. It stops with errCrowded where a
// folder holds more than any writer makes.
func entries(folder *os.Root) ([]fs.DirEntry, error) {
	f, err := quietOpen(folder, ".", os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []fs.DirEntry
	for {
		some, err := f.ReadDir(1000)
		all = append(all, some...)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if len(all) > maxEntries {
			return nil, errCrowded
		}
	}
	slices.SortFunc(all, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return all, nil
}

// descend opens a folder several names deep, such as FARDEL/HQ0/labels.
func descend(root *os.Root, name string) (*os.Root, error) {
	at, err := root.OpenRoot(".")
	if err != nil {
		return nil, err
	}
	for part := range strings.SplitSeq(name, "/") {
		next, err := openFolder(at, part)
		at.Close()
		if err != nil {
			return nil, err
		}
		at = next
	}
	return at, nil
}
