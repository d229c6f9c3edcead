package site

import (
	"bytes"
	"cmp"
	"unicode/utf8"
)

// A scanner walks over a canonical text once and allocates nothing. It accepts
// exactly the texts that recode gives back unchanged. Each method reads one
// thing at the front of what is left, and reports whether it stood there; after
// the first false the scanner is of no more use.
//
// Reading a log means to read each of its lines, so this is the one reader of
// JSON here whose speed matters.
type scanner struct {
	b []byte
	i int // everything before is read
}

// done reports whether nothing is left.
func (s *scanner) done() bool { return s.i == len(s.b) }

// literal reads this text.
func (s *scanner) literal(text string) bool {
	if len(s.b)-s.i < len(text) || string(s.b[s.i:s.i+len(text)]) != text {
		return false
	}
	s.i += len(text)
	return true
}

// value reads any value; the outermost one has depth 0.
func (s *scanner) value(depth int) bool {
	if depth > maxDepth || s.done() {
		return false
	}
	switch s.b[s.i] {
	case '"':
		_, ok := s.text()
		return ok
	case '{':
		return s.object(depth)
	case '[':
		return s.array(depth)
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	}
	_, ok := s.integer()
	return ok
}

func (s *scanner) array(depth int) bool {
	s.i++
	if s.literal("]") {
		return true
	}
	for {
		if !s.value(depth + 1) {
			return false
		}
		if s.literal("]") {
			return true
		}
		if !s.literal(",") {
			return false
		}
	}
}

func (s *scanner) object(depth int) bool {
	s.i++
	if s.literal("}") {
		return true
	}
	var before []byte
	for first := true; ; first = false {
		name, ok := s.text()
		if !ok || !first && compareNames(before, name) >= 0 {
			return false
		}
		if !s.literal(":") || !s.value(depth+1) {
			return false
		}
		if s.literal("}") {
			return true
		}
		if !s.literal(",") {
			return false
		}
		before = name
	}
}

// text reads a string and returns what stands between its quotation marks,
// escapes and all.
func (s *scanner) text() ([]byte, bool) {
	if !s.literal(`"`) {
		return nil, false
	}
	from := s.i
	for s.i < len(s.b) {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return s.b[from : s.i-1], true
		case c == '\\':
			_, n := escape(s.b[s.i:])
			if n == 0 {
				return nil, false
			}
			s.i += n
		case c < 0x20:
			return nil, false
		case c < utf8.RuneSelf:
			s.i++
		default:
			r, n := utf8.DecodeRune(s.b[s.i:])
			if r == utf8.RuneError && n == 1 {
				return nil, false
			}
			s.i += n
		}
	}
	return nil, false
}

// integer reads a number between -2⁵³ and 2⁵³.
func (s *scanner) integer() (int64, bool) {
	negative := s.literal("-")
	from, n := s.i, int64(0)
	for s.i < len(s.b) && '0' <= s.b[s.i] && s.b[s.i] <= '9' {
		n = n*10 + int64(s.b[s.i]-'0')
		if n > MaxInt {
			return 0, false
		}
		s.i++
	}
	switch {
	case s.i == from:
		return 0, false
	case s.b[from] == '0':
		return 0, s.i == from+1 && !negative
	case negative:
		return -n, true
	}
	return n, true
}

// escape returns the byte that the escape at the front of b stands for, and the
// length of the escape; 0 if it is none that a canonical text may hold.
func escape(b []byte) (c byte, length int) {
	if len(b) >= 2 && (b[1] == '"' || b[1] == '\\') {
		return b[1], 2
	}
	if len(b) < 6 || string(b[1:4]) != "u00" || b[4] != '0' && b[4] != '1' {
		return 0, 0
	}
	high := (b[4] - '0') << 4
	switch low := b[5]; {
	case '0' <= low && low <= '9':
		return high | (low - '0'), 6
	case 'a' <= low && low <= 'f':
		return high | (low - 'a' + 10), 6
	}
	return 0, 0
}

// compareNames orders two names, both as [scanner.text] returns them. What
// counts is what they mean and not how they are spelled: a quotation mark sorts
// before the letters, though its backslash would not.
func compareNames(a, b []byte) int {
	if bytes.IndexByte(a, '\\') < 0 && bytes.IndexByte(b, '\\') < 0 {
		return bytes.Compare(a, b)
	}
	for len(a) > 0 && len(b) > 0 {
		x, n := meant(a)
		y, m := meant(b)
		if x != y {
			return cmp.Compare(x, y)
		}
		a, b = a[n:], b[m:]
	}
	return cmp.Compare(len(a), len(b))
}

// meant returns the first byte of a name, and how many bytes spell it.
func meant(b []byte) (c byte, length int) {
	if b[0] == '\\' {
		return escape(b)
	}
	return b[0], 1
}
