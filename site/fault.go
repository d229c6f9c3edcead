package site

import (
	"errors"
	"fmt"
)

// A Class is a kind of failure: its number, its exit code, and what
// "fardel help FDL-<number>" says of it. The classes stand in faults.go.
type Class struct {
	ID    int    // five digits; never reused
	Exit  int    // the process's exit code
	Title string // a few words
	Cause string // how it comes about
	Cure  string // what to do, in general
}

// Error makes a class usable as a target of [errors.Is].
func (c *Class) Error() string { return c.Title }

// Name returns the id as it is shown and read out, such as FDL-20213.
func (c *Class) Name() string { return fmt.Sprintf("FDL-%05d", c.ID) }

// New returns a fault of this class. The text says what happened, in one
// sentence without a final stop.
func (c *Class) New(format string, args ...any) *Fault {
	return &Fault{Class: c, What: fmt.Sprintf(format, args...)}
}

// A Fault is a failure that a person gets to see: what happened, what state
// things are in, and what to do next. It holds no secrets, no stack and no more
// than 12 characters of hexadecimal.
type Fault struct {
	Class *Class
	What  string   // what happened
	State string   // what state things are in now
	Next  []string // what to do next, the most useful first
	Err   error    // the cause, for --verbose
}

// Error returns what happened and what state things are in.
func (f *Fault) Error() string {
	s := f.What
	if f.State != "" {
		s += ". " + f.State
	}
	return s
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }

// Is makes errors.Is(err, site.Damaged) work.
func (f *Fault) Is(target error) bool { return target == error(f.Class) }

// In says what state things are in.
func (f *Fault) In(format string, args ...any) *Fault {
	f.State = fmt.Sprintf(format, args...)
	return f
}

// Then says what to do next.
func (f *Fault) Then(format string, args ...any) *Fault {
	f.Next = append(f.Next, fmt.Sprintf(format, args...))
	return f
}

// Because records the cause.
func (f *Fault) Because(err error) *Fault {
	f.Err = err
	return f
}

// AsFault returns the fault in err's chain; any other error becomes a fault of
// class [Failed] with the error's text.
func AsFault(err error) *Fault {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*Fault](err); ok {
		return f
	}
	return Failed.New("%s", err.Error()).Because(err)
}
