package courier

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"fardel/site"
)

// errLink and errKind are why something on a medium is not opened.
var (
	errLink    = errors.New("is a link or was swapped")
	errKind    = errors.New("is not a regular file")
	errNotDir  = errors.New("is not a folder")
	errChanged = errors.New("changed while it was read")
)

// vanished reports whether err is what the system says when a medium is pulled
// out or its hardware fails.
func vanished(err error) bool {
	for _, e := range goneErrors {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// still reports whether the medium that was opened as root is still what is
// found at its path. After an unmount there is another folder, or none.
func still(root *os.Root, path string) bool {
	was, err := root.Stat(".")
	if err != nil {
		return false
	}
	now, err := os.Stat(path)
	return err == nil && os.SameFile(was, now)
}

// explain turns an error of the file system into a fault. The verb says what
// was being done to the name.
func explain(err error, medium string, root *os.Root, verb, name string) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*site.Fault](err); ok {
		return err
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return site.Interrupted.New("stopped while %s %s", verb, name).
			In("%s holds no half-written parcel", medium).
			Then("Run the same command again: it continues").Because(err)
	case vanished(err), root != nil && !still(root, medium):
		return site.MediumGone.New("%s went away, or cannot be used any more, while %s %s", medium, verb, name).
			In("Nothing is half-done").
			Then("Plug it in and run the same command again: it continues").
			Then("If it was not unplugged, it is failing: use another one").Because(err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return site.NoSpace.New("%s is full: %s %s did not succeed", medium, verb, name).
			In("What can be seen on it is complete").
			Then("Free space on it or take another one, and run the same command again").Because(err)
	case errors.Is(err, syscall.EROFS):
		return site.Failed.New("%s is write-protected, or the system made it so after a fault", medium).
			Then("Move the switch on the medium, or check its file system, and run again").Because(err)
	case errors.Is(err, syscall.EFBIG):
		return site.NoSpace.New("%s cannot hold a file as large as %s", medium, name).Because(err)
	}
	return site.Failed.New("%s %s on %s failed: %s", verb, name, medium, reason(err)).Because(err)
}

// reason returns the last link of an error's chain, without the paths that the
// sentence around it names already.
func reason(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

// noMedium is the fault for a path at which there is nothing to work on.
func noMedium(path string, err error) error {
	switch {
	case vanished(err):
		return explain(err, path, nil, "opening", path)
	case errors.Is(err, fs.ErrNotExist):
		return site.NoMedium.New("there is no folder %s", path).
			Then("Plug in the medium, or name its path").Because(err)
	}
	return site.NoMedium.New("%s cannot be used as a medium: %s", path, reason(err)).Because(err)
}

// foreign is the fault for something that does not belong on a medium.
func foreign(medium, name string, err error) error {
	return site.Damaged.New("%s on %s %s", name, medium, err).
		In("It was not opened").
		Then("Do not use the medium before somebody has looked at it").Because(fmt.Errorf("%s: %w", name, err))
}
