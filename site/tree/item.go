package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strings"
	"unicode/utf8"

	"fardel/site"
)

// A Type says what an item is; its value is the first letter of the item's line
// in a manifest.
type Type byte

// The types of items.
const (
	Dir  Type = 'd' // a folder
	File Type = 'f' // a regular file
	Link Type = 'l' // a symbolic link
	Note Type = 'n' // a remark about a path: what was left out or changed
)

// An Item is one line of a manifest.
type Item struct {
	Type   Type
	Path   string      // relative, with slashes
	Mode   fs.FileMode // of a Dir or File: its permissions, nothing else
	Digest site.Digest // of a File
	Size   int64       // of a File, in bytes
	Target string      // of a Link: where it leads, as it stands in the link
	Note   string      // of a Note: its text
}

// Each yields the items one after the other, for [Write].
func Each(items []Item) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		for _, it := range items {
			if !yield(it, nil) {
				return
			}
		}
	}
}

// Limits of what a manifest may hold; see docs/format.md.
const (
	MaxManifest = 1 << 30 // bytes
	maxPath     = 4096    // bytes
	maxElement  = 255     // bytes
	maxTarget   = 4095    // bytes
	maxNote     = 2048    // bytes
)

// A checker holds items to the rules that concern several lines: their order,
// and that each stands in a folder listed before.
type checker struct {
	last Item
	dirs []string // the folders that enclose the last path
	some bool
}

// check returns why the item may not come next, or nil.
func (c *checker) check(it Item) error {
	if err := checkItem(it); err != nil {
		return err
	}
	if c.some && !c.follows(it) {
		return fmt.Errorf("%q stands twice or out of order", it.Path)
	}
	// Enclosing folders of a sorted list form a stack, but for names such as
	// "a.b", which sort between "a" and "a/b": those leave the stack as it is.
	parent, _ := split(it.Path)
	if parent != "" && !c.known(parent) {
		return fmt.Errorf("%q stands in no folder listed before it", it.Path)
	}
	if it.Type == Dir {
		c.enter(it.Path)
	}
	c.last, c.some = it, true
	return nil
}

func (c *checker) follows(it Item) bool {
	if it.Path != c.last.Path {
		return it.Path > c.last.Path
	}
	return it.Type == Note && (c.last.Type != Note || it.Note > c.last.Note)
}

// known reports whether the folder was listed. It forgets folders that no later
// path of a sorted list can stand in.
func (c *checker) known(dir string) bool {
	for i := len(c.dirs) - 1; i >= 0; i-- {
		if c.dirs[i] == dir {
			return true
		}
	}
	return false
}

// enter remembers a folder, and forgets those whose contents are all past: the
// paths in D begin with D and a slash, so they end where a path is greater.
func (c *checker) enter(dir string) {
	keep := c.dirs[:0]
	for _, d := range c.dirs {
		if dir < d+"0" { // "0" is the byte after the slash
			keep = append(keep, d)
		}
	}
	c.dirs = append(keep, dir)
}

func split(path string) (parent, name string) {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return "", path
}

func checkItem(it Item) error {
	if err := checkPath(it.Path); err != nil {
		return err
	}
	if it.Mode&^fs.ModePerm != 0 {
		return fmt.Errorf("%q has a mode beyond its permissions", it.Path)
	}
	switch it.Type {
	case Dir:
		return nil
	case File:
		if !site.InRange(it.Size) {
			return fmt.Errorf("%q has an impossible size", it.Path)
		}
	case Link:
		return checkText("target", it.Target, maxTarget)
	case Note:
		return checkText("note", it.Note, maxNote)
	default:
		return fmt.Errorf("%q is of no known type", it.Path)
	}
	return nil
}

// checkPath holds a path to the rules for all packages. What single platforms
// do not bear stands in names.go.
func checkPath(path string) error {
	if path == "" || len(path) > maxPath {
		return errors.New("a path is empty or longer than 4096 bytes")
	}
	if !utf8.ValidString(path) || strings.IndexByte(path, 0) >= 0 {
		return fmt.Errorf("%q is not valid UTF-8", path)
	}
	for name := range strings.SplitSeq(path, "/") {
		if name == "" || name == "." || name == ".." {
			return fmt.Errorf("%q has an empty, . or .. element", path)
		}
		if len(name) > maxElement {
			return fmt.Errorf("%q has a name longer than %d bytes", path, maxElement)
		}
	}
	return nil
}

func checkText(what, s string, max int) error {
	if s == "" || len(s) > max || !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
		return fmt.Errorf("a %s is empty, longer than %d bytes, or not valid UTF-8", what, max)
	}
	return nil
}
