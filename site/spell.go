package site

import (
	"bytes"
	"encoding/json"
	"slices"
	"unicode/utf8"
)

// A speller turns what [json.Marshal] wrote into the canonical spelling, many
// times faster than recode: it sorts the fields and undoes the needless
// escapes. It checks little. Its result counts only if a [scanner] accepts it.
type speller struct {
	in  []byte
	i   int // everything before is read
	out []byte
}

// spell returns raw in canonical spelling, or false if that needs recode to
// decide. Raw must be what json.Marshal wrote.
func spell(raw []byte) ([]byte, bool) {
	s := speller{in: raw, out: make([]byte, 0, len(raw))}
	if !utf8.Valid(raw) || !s.value(0) || s.i != len(raw) || !IsCanonical(s.out) {
		return nil, false
	}
	return s.out, true
}

func (s *speller) value(depth int) bool {
	if depth > maxDepth || s.i == len(s.in) {
		return false
	}
	switch s.in[s.i] {
	case '{':
		return s.object(depth)
	case '[':
		return s.array(depth)
	case '"':
		return s.text()
	}
	n := bytes.IndexAny(s.in[s.i:], ",]}")
	if n < 0 {
		n = len(s.in) - s.i
	}
	s.out = append(s.out, s.in[s.i:s.i+n]...)
	s.i += n
	return n > 0
}

// mark copies the next byte if it is c.
func (s *speller) mark(c byte) bool {
	if s.i == len(s.in) || s.in[s.i] != c {
		return false
	}
	s.i++
	s.out = append(s.out, c)
	return true
}

func (s *speller) array(depth int) bool {
	s.mark('[')
	if s.mark(']') {
		return true
	}
	for s.value(depth + 1) {
		if s.mark(']') {
			return true
		}
		if !s.mark(',') {
			return false
		}
	}
	return false
}

// A landing says where a field of an object landed in what was written: it
// begins at from, its name ends at name, and its value at to.
type landing struct{ from, name, to int }

// object copies the fields as they come and notes where each one landed; they
// are moved only if they turn out not to be in order.
func (s *speller) object(depth int) bool {
	s.mark('{')
	if s.mark('}') {
		return true
	}
	var few [24]landing
	fields := few[:0]
	for {
		f := landing{from: len(s.out)}
		if !s.text() {
			return false
		}
		f.name = len(s.out)
		if !s.mark(':') || !s.value(depth+1) {
			return false
		}
		f.to = len(s.out)
		fields = append(fields, f)
		if s.mark('}') {
			s.sort(fields)
			return true
		}
		if !s.mark(',') {
			return false
		}
	}
}

// sort brings the fields of the object that was just written into order.
func (s *speller) sort(fields []landing) {
	was := s.out
	order := func(a, b landing) int {
		return compareNames(was[a.from+1:a.name-1], was[b.from+1:b.name-1])
	}
	if slices.IsSortedFunc(fields, order) {
		return
	}
	from := fields[0].from
	slices.SortFunc(fields, order)
	var sorted []byte
	for _, f := range fields {
		sorted = append(append(sorted, ','), was[f.from:f.to]...)
	}
	copy(s.out[from:], sorted[1:])
}

// text copies a string.
func (s *speller) text() bool {
	if s.i == len(s.in) || s.in[s.i] != '"' {
		return false
	}
	n, escaped := 1, false
	for ; s.i+n < len(s.in) && s.in[s.i+n] != '"'; n++ {
		if s.in[s.i+n] == '\\' {
			escaped = true
			n++
		}
	}
	n++
	if s.i+n > len(s.in) {
		return false
	}
	raw := s.in[s.i : s.i+n]
	s.i += n
	if !escaped {
		s.out = append(s.out, raw...)
		return true
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return false
	}
	var buf bytes.Buffer
	writeString(&buf, text)
	s.out = append(s.out, buf.Bytes()...)
	return true
}
