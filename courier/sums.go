package courier

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"fardel/media"
	"fardel/site"
)

// maxSums bounds a SHA256SUMS file: some 15,000 lines.
const maxSums = 4 << 20

// sums is the content of a SHA256SUMS file: names and digests. It is there for
// people with sha256sum; nothing in Fardel believes it.
type sums map[string]site.Digest

// text spells the sums as sha256sum does, sorted by name.
func (s sums) text() []byte {
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(s)) {
		fmt.Fprintf(&b, "%s  %s\n", s[name], name)
	}
	return b.Bytes()
}

// parseSums reads what text has written, and nothing else.
func parseSums(b []byte) (sums, error) {
	s := sums{}
	last := ""
	for len(b) > 0 {
		line, rest, ok := bytes.Cut(b, []byte("\n"))
		digest, name, ok2 := strings.Cut(string(line), "  ")
		if _, _, ok3 := splitName(name); !ok || !ok2 || !ok3 || name <= last {
			return nil, fmt.Errorf("line %d of %s is not one of ours", len(s)+1, media.SumsName)
		}
		d, err := site.ParseDigest(digest)
		if err != nil {
			return nil, fmt.Errorf("line %d of %s: %w", len(s)+1, media.SumsName, err)
		}
		s[name], last, b = d, name, rest
	}
	return s, nil
}
