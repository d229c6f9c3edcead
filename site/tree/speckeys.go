package tree

import (
	"fmt"
	"strings"

	"github.com/BurntSushi/toml"
)

// The keys of package.toml, for suggestions.
var (
	topKeys     = []string{"name", "version", "vendor", "language", "description", "platforms", "program"}
	programKeys = []string{"name", "command", "uninstall", "run_time", "depends_on", "exit_codes"}
)

// known reports whether the key exists. The parser alone would take Name for
// name, and readers of the file need not.
func known(key toml.Key) bool {
	switch {
	case len(key) == 1:
		return contains(topKeys, key[0])
	case key[0] != "program" || !contains(programKeys, key[1]):
		return false
	}
	return len(key) == 2 || len(key) == 3 && key[1] == "exit_codes"
}

// unknown complains of a key that does not exist, and says which was meant.
func (c *specCheck) unknown(key toml.Key) error {
	keys, line := topKeys, 0
	if len(key) > 1 && key[0] == "program" {
		keys = programKeys
		// The parser does not tell which of several programs it was.
		for i := range maxPrograms {
			if line = c.lines[fmt.Sprintf("program.%d.%s", i, strings.Join(key[1:], "."))]; line > 0 {
				break
			}
		}
	} else {
		line = c.lines[strings.Join(key, ".")]
	}
	last := key[len(key)-1]
	return complaint(line, fmt.Sprintf("there is no key %q%s", clip(last), suggest(last, keys, "")))
}

// suggest returns "; did you mean …?" if one of the words is near, otherwise
// the other text.
func suggest(word string, known []string, otherwise string) string {
	best, least := "", 1+max(1, len(word)/3)
	for _, k := range known {
		if d := distance(strings.ToLower(word), k); d < least {
			best, least = k, d
		}
	}
	if best == "" || len(word) > 64 {
		return otherwise
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// distance counts the letters to insert, delete, change or swap with their
// neighbour that make one word into the other.
func distance(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(last[j]+cost, last[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = last, next
	}
	return row[len(b)]
}

// locate returns the line of each key, named like "vendor", "program.0.name" or
// "program.0.exit_codes.0". The parser knows lines of syntax errors only. Where
// a text in several lines looks like keys, the first line that fits counts;
// this is for messages alone.
func locate(text []byte) map[string]int {
	lines := map[string]int{}
	prefix, programs := "", -1
	set := func(key string, line int) {
		if _, known := lines[key]; !known {
			lines[key] = line
		}
	}
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "["); ok {
			array := strings.HasPrefix(name, "[")
			name, _, _ = strings.Cut(strings.TrimPrefix(name, "["), "]")
			path := cleanKey(name)
			if array && path == "program" {
				programs++
			}
			if rest, ok := strings.CutPrefix(path+".", "program."); ok && programs >= 0 {
				path = strings.TrimSuffix(fmt.Sprintf("program.%d.%s", programs, rest), ".")
				set("program", i+1)
			}
			prefix = path + "."
			set(path, i+1)
			continue
		}
		if name, _, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			set(prefix+cleanKey(name), i+1)
		}
	}
	return lines
}

// cleanKey removes the spaces and quotation marks of a key.
func cleanKey(key string) string {
	parts := strings.Split(key, ".")
	for i, p := range parts {
		parts[i] = strings.Trim(strings.TrimSpace(p), `"'`)
	}
	return strings.Join(parts, ".")
}
