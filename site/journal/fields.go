package journal

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Fields are the lines of a text such as a charter, a card or a label: a first
// line, then lines of a keyword, one space and a value. They are taken in the
// order that the format demands, with One, Maybe and Many; the first thing that
// is wrong is remembered and returned by [Fields.End].
type Fields struct {
	lines []string
	err   error
}

// ParseFields begins to read a text, whose first line must be firstLine and
// whose last line must be complete.
func ParseFields(text []byte, firstLine string) *Fields {
	rest, ok := strings.CutPrefix(string(text), firstLine+"\n")
	if !ok {
		return &Fields{err: fmt.Errorf("the first line is not %q", firstLine)}
	}
	if rest == "" {
		return &Fields{}
	}
	rest, ok = strings.CutSuffix(rest, "\n")
	if !ok {
		return &Fields{err: fmt.Errorf("the last line is cut short")}
	}
	if !utf8.ValidString(rest) {
		return &Fields{err: fmt.Errorf("not valid UTF-8")}
	}
	f := &Fields{lines: strings.Split(rest, "\n")}
	for _, line := range f.lines {
		for _, r := range line {
			if !Printable(r) {
				return &Fields{err: fmt.Errorf("the character %U is not allowed", r)}
			}
		}
	}
	return f
}

// One takes the line with this keyword, which must come next, and returns its
// value. It returns "" once anything was wrong.
func (f *Fields) One(keyword string) string {
	value, ok := f.Maybe(keyword)
	if !ok {
		f.Fail("%q is missing or out of place", keyword)
	}
	return value
}

// Maybe takes the line with this keyword if it comes next.
func (f *Fields) Maybe(keyword string) (string, bool) {
	if f.err != nil || len(f.lines) == 0 {
		return "", false
	}
	value, ok := strings.CutPrefix(f.lines[0], keyword+" ")
	if !ok {
		return "", false
	}
	f.lines = f.lines[1:]
	if value == "" {
		f.Fail("%q has no value", keyword)
	}
	return value, true
}

// Many takes all lines with this keyword that come next, at most max.
func (f *Fields) Many(keyword string, max int) []string {
	var values []string
	for {
		value, ok := f.Maybe(keyword)
		if !ok {
			return values
		}
		if len(values) == max {
			f.Fail("more than %d lines of %q", max, keyword)
			return values
		}
		values = append(values, value)
	}
}

// Number takes a line like One, and reads its value as a number of at least
// min.
func (f *Fields) Number(keyword string, min int64) int64 {
	value := f.One(keyword)
	if f.err != nil {
		return 0
	}
	n, err := ParseNumber(value)
	if err != nil || n < min {
		f.Fail("%s: %q is not a number from %d to 2^53", keyword, clip(value), min)
		return 0
	}
	return n
}

// Fail records that something is wrong; only the first time counts.
func (f *Fields) Fail(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf(format, args...)
	}
}

// Err returns the first thing that was wrong so far.
func (f *Fields) Err() error { return f.err }

// End returns the first thing that was wrong, or an error if lines are left.
func (f *Fields) End() error {
	if f.err == nil && len(f.lines) > 0 {
		f.Fail("%q is unknown or out of place", clip(f.lines[0]))
	}
	return f.err
}
