package tree

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"fardel/site"
)

// Options say how [Scan] works.
type Options struct {
	// Platforms are those of the package, as in package.toml. They decide which
	// names are refused, and which only noted.
	Platforms []string
	// Add takes the content of a file and returns its digest and length, usually
	// by the method of that name of a library's batch. It is called from several
	// goroutines. The reader can also seek. If it is nil, files are only
	// hashed.
	Add func(path string, r io.Reader) (site.Digest, int64, error)
	// Progress, if not nil, is called now and then with what is done so far,
	// never twice at once.
	Progress func(files, bytes int64)
	// Workers is how many files are read at once; 0 means one for each core.
	Workers int
}

// A Result is what [Scan] found.
type Result struct {
	Items []Item // sorted, as a manifest holds them; notes included
	Notes []Item // the notes alone, for a person to read
	Files int64
	Bytes int64 // the files' sizes in sum
}

// SpecName is the name of the file that describes a package. It stands at the
// top of the tree and is not carried.
const SpecName = "package.toml"

// Scan lists the folder and hands each of its files to opts.Add. Names and
// types are judged before the first file is read; all that the package cannot
// carry is named in one fault of class [site.BadPackage]. If anything in the
// folder changes until the scan has ended, the fault is of class
// [site.Changing]. The order of the items does not depend on chance.
func Scan(ctx context.Context, dir string, opts Options) (Result, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Result{}, openFault(err, dir)
	}
	defer root.Close()
	s := &scan{opts: opts, root: root, names: newNames(opts.Platforms), dir: dir}
	if err := s.walk(ctx, "", root, nil); err != nil {
		return Result{}, err
	}
	if err := s.refusal(); err != nil {
		return Result{}, err
	}
	if s.opts.Workers < 1 {
		s.opts.Workers = runtime.GOMAXPROCS(0)
	}
	if err := s.each(ctx, s.add); err != nil {
		return Result{}, err
	}
	// A second look at everything: what was read first may have changed while
	// the last was being read, and then the package would be of two minds.
	if err := s.each(ctx, s.unchanged); err != nil {
		return Result{}, err
	}
	return s.result(), nil
}

type scan struct {
	opts    Options
	dir     string // as the caller named it, for messages
	root    *os.Root
	names   *names
	folders []*folder
	notes   []Item
	refused []string

	mu    sync.Mutex
	files int64
	bytes int64
}

// A folder is what the walk found in one folder.
type folder struct {
	path  string
	info  fs.FileInfo
	items []Item // files and links
	seen  []stamp
}

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

func (s *scan) note(path, text string) {
	s.notes = append(s.notes, Item{Type: Note, Path: path, Note: text})
}

// refuse records that the package cannot be taken because of this path.
func (s *scan) refuse(path, why string) { s.refused = append(s.refused, shown(path)+": "+why) }

// shown returns the path as a message may hold it: one that would act on the
// terminal is spelled with escapes.
func shown(path string) string {
	if controls(path) != "" {
		return strconv.QuoteToASCII(path)
	}
	return path
}

const maxShown = 10

func (s *scan) refusal() error {
	if len(s.refused) == 0 {
		return nil
	}
	slices.Sort(s.refused)
	list, more := s.refused, ""
	if len(list) > maxShown {
		list, more = list[:maxShown], fmt.Sprintf("; and %d more", len(s.refused)-maxShown)
	}
	return site.BadPackage.New("%s", strings.Join(list, "; ")+more).In("nothing was added").
		Then("rename or remove what is named, or correct the platforms in %s", SpecName)
}

// maxDepth bounds how deep the walk goes, and with it open descriptors. A path
// of the longest legal length can be half as deep, but none of people's is.
const maxDepth = 256

// walk lists a folder and those in it. info is what its parent saw of it; the
// top has none.
func (s *scan) walk(ctx context.Context, path string, root *os.Root, info fs.FileInfo) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f, err := root.Open(".")
	if err != nil {
		return readFault(err, path)
	}
	defer f.Close()
	now, err := f.Stat()
	if err != nil {
		return readFault(err, path)
	}
	if info != nil && !os.SameFile(info, now) {
		return changing(path)
	}
	list, err := f.ReadDir(-1)
	if err != nil {
		return readFault(err, path)
	}
	f.Close()
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	dir := &folder{path: path, info: now}
	s.folders = append(s.folders, dir)
	taken := map[string]string{}
	for _, e := range list {
		if path == "" && e.Name() == SpecName && e.Type().IsRegular() {
			continue
		}
		if s.judge(join(path, e.Name()), e.Name(), taken) {
			if err := s.entry(ctx, dir, root, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// judge applies the rules for names, and reports whether the entry may be
// looked at. taken are the names so far of the same folder, by their keys.
func (s *scan) judge(path, name string, taken map[string]string) bool {
	if err := checkPath(path); err != nil {
		s.refuse(strings.ToValidUTF8(path, "?"), "the name is too long or not valid UTF-8")
		return false
	}
	if strings.Count(path, "/") >= maxDepth {
		s.refuse(path, fmt.Sprintf("it lies more than %d folders deep", maxDepth))
		return false
	}
	s.complain(path, controls(name), false)
	s.complain(path, onWindows(name), s.names.windows)
	key := s.names.key(name)
	if other, clash := taken[key]; clash {
		s.complain(path, fmt.Sprintf("Windows and macOS take it for the same as %q", other), s.names.folding)
	}
	taken[key] = name
	return true
}

func (s *scan) complain(path, text string, refuse bool) {
	switch {
	case text == "":
	case refuse:
		s.refuse(path, text)
	default:
		s.note(path, text)
	}
}

// entry takes one entry of a folder, by its type.
func (s *scan) entry(ctx context.Context, dir *folder, root *os.Root, e fs.DirEntry) error {
	path := join(dir.path, e.Name())
	switch e.Type() {
	case fs.ModeDir:
		return s.subfolder(ctx, dir, root, e.Name())
	case 0:
		dir.items = append(dir.items, Item{Type: File, Path: path})
	case fs.ModeSymlink:
		target, err := root.Readlink(e.Name())
		if err != nil {
			return readFault(err, path)
		}
		if err := checkText("target", target, maxTarget); err != nil {
			s.refuse(path, err.Error())
			return nil
		}
		if !filepath.IsLocal(filepath.Join(filepath.FromSlash(dir.path), target)) || filepath.IsAbs(target) {
			s.note(path, "the link leads out of the package")
		}
		dir.items = append(dir.items, Item{Type: Link, Path: path, Target: target})
	default:
		s.refuse(path, "it is a device, a socket or a pipe")
	}
	return nil
}

func (s *scan) subfolder(ctx context.Context, dir *folder, root *os.Root, name string) error {
	path := join(dir.path, name)
	info, err := root.Lstat(name)
	if err != nil {
		return readFault(err, path)
	}
	if !info.IsDir() {
		return changing(path)
	}
	sub, err := root.OpenRoot(name)
	if err != nil {
		return readFault(err, path)
	}
	defer sub.Close()
	s.extraBits(path, info.Mode())
	return s.walk(ctx, path, sub, info)
}

// extraBits notes the permission bits that are not carried.
func (s *scan) extraBits(path string, m fs.FileMode) {
	for _, bit := range []struct {
		mode fs.FileMode
		name string
	}{{fs.ModeSetuid, "setuid"}, {fs.ModeSetgid, "setgid"}, {fs.ModeSticky, "sticky"}} {
		if m&bit.mode != 0 {
			s.note(path, "the "+bit.name+" bit was left out")
		}
	}
}

// result puts everything in order.
func (s *scan) result() Result {
	r := Result{Notes: s.notes, Files: s.files, Bytes: s.bytes}
	for _, dir := range s.folders {
		if dir.path != "" {
			r.Items = append(r.Items, Item{Type: Dir, Path: dir.path, Mode: dir.info.Mode().Perm()})
		}
		r.Items = append(r.Items, dir.items...)
	}
	inOrder := func(a, b Item) int {
		if c := strings.Compare(a.Path, b.Path); c != 0 {
			return c
		}
		if a.Type == Note && b.Type == Note {
			return strings.Compare(a.Note, b.Note)
		}
		if a.Type == Note {
			return 1
		}
		return -1
	}
	slices.SortFunc(r.Notes, inOrder)
	r.Items = append(r.Items, r.Notes...)
	slices.SortFunc(r.Items, inOrder)
	return r
}
