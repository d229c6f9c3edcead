package library

import (
	"context"
	"errors"
	"syscall"

	"fardel/site"
)

// ErrUnwanted is returned for a file that nobody here asked for. Its bytes were
// not read.
var ErrUnwanted = errors.New("the file is not wanted here")

var errEnded = errors.New("the batch has ended")

func absent(d site.Digest) *site.Fault {
	return site.NoSuch.New("the library does not hold file %s", d.Short())
}

func rotten(d site.Digest) *site.Fault {
	return site.Damaged.New("file %s of the library has changed on the disk", d.Short()).
		In("it was right when it was stored").
		Then("check the disk, then remove the file so that it is fetched again")
}

func noSpace(path string) *site.Fault {
	return site.NoSpace.New("the library in %s is full", path).
		Then("free space there, or give the library another root")
}

// fault makes a failure of the operating system fit for a person to read.
// Faults pass through, and so does the news that somebody cancelled.
func fault(err error, verb, path string) error {
	_, ok := errors.AsType[*site.Fault](err)
	if ok || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return noSpace(path).Because(err)
	}
	cause := err
	var no syscall.Errno
	if errors.As(err, &no) {
		cause = no
	}
	return site.Failed.New("cannot %s %s: %v", verb, path, cause).Because(err)
}
