package library

import (
	"bytes"
	"errors"
	"fmt"

	"fardel/site"
)

// A span is a run of bytes, from the first up to but not including the last.
type span struct{ from, to int64 }

// spans are runs of bytes in order, of which no two touch.
type spans []span

const maxSpans = 1 << 16

// add adds a run, and joins those that now touch.
func (s *spans) add(n span) {
	var out spans
	rest := *s
	for len(rest) > 0 && rest[0].to < n.from {
		out, rest = append(out, rest[0]), rest[1:]
	}
	for len(rest) > 0 && rest[0].from <= n.to {
		n = span{min(n.from, rest[0].from), max(n.to, rest[0].to)}
		rest = rest[1:]
	}
	*s = append(append(out, n), rest...)
}

// missing returns those pieces of the run that are not there.
func (s spans) missing(n span) []span {
	var out []span
	for _, have := range s {
		if have.to <= n.from {
			continue
		}
		if have.from >= n.to {
			break
		}
		if n.from < have.from {
			out = append(out, span{n.from, have.from})
		}
		n.from = min(have.to, n.to)
	}
	if n.from < n.to {
		out = append(out, n)
	}
	return out
}

func (s spans) covers(size int64) bool {
	return len(s) == 1 && s[0] == span{0, size}
}

const rangesHead = "fardel ranges v1\n"

// encode writes the record of the runs of a file of this size.
func (s spans) encode(size int64) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%ssize %d\n", rangesHead, size)
	for _, n := range s {
		fmt.Fprintf(&b, "%d %d\n", n.from, n.to)
	}
	return b.Bytes()
}

// parseRanges reads what encode wrote, and nothing else.
func parseRanges(text []byte) (spans, int64, error) {
	bad := errors.New("not a record of parts")
	rest, ok := bytes.CutPrefix(text, []byte(rangesHead))
	if !ok {
		return nil, 0, bad
	}
	var size int64
	var s spans
	for i, line := range bytes.Split(bytes.TrimSuffix(rest, []byte("\n")), []byte("\n")) {
		if i == 0 {
			if _, err := fmt.Sscanf(string(line), "size %d", &size); err != nil || !site.InRange(size) {
				return nil, 0, bad
			}
			continue
		}
		var n span
		if _, err := fmt.Sscanf(string(line), "%d %d", &n.from, &n.to); err != nil || n.from < 0 || n.to <= n.from || n.to > size {
			return nil, 0, bad
		}
		if len(s) > 0 && n.from <= s[len(s)-1].to || len(s) == maxSpans {
			return nil, 0, bad
		}
		s = append(s, n)
	}
	if len(s) == 0 || !bytes.Equal(s.encode(size), text) {
		return nil, 0, bad
	}
	return s, size, nil
}
