package charter

import (
	"errors"
	"strings"
	"testing"

	"fardel/site"
)

func TestWordList(t *testing.T) {
	first := make(map[string]string)
	for i, w := range wordList {
		if len(w) < 3 || len(w) > 8 || strings.Trim(w, "abcdefghijklmnopqrstuvwxyz") != "" {
			t.Errorf("%q is not a short word in lower case", w)
			continue
		}
		if other, ok := first[w[:3]]; ok {
			t.Errorf("%q and %q begin alike", w, other)
		}
		first[w[:3]] = w
		if i > 0 && wordList[i-1] >= w {
			t.Errorf("%q is out of order", w)
		}
		for _, other := range wordList[:i] {
			if distance(w, other) < 2 {
				t.Errorf("%q and %q differ in one letter", w, other)
			}
		}
	}
}

// distance returns how many letters have to be changed, added or left out.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}

func TestWords(t *testing.T) {
	root := site.Digest{0, 1, 2, 3, 4, 5, 6, 7, 254, 255, 99}
	want := "abbey-acid-acorn-agent-album-algae-almond-amber-zinc-zodiac"
	if got := Words(root); got != want {
		t.Errorf("got %s", got)
	}
	for _, s := range []string{
		want, strings.ToUpper(want), strings.ReplaceAll(want, "-", " "), " " + strings.ReplaceAll(want, "-", ", ") + "\n",
		"abb aci aco age alb alg alm amb zin zod",
	} {
		if ok, err := MatchWords(s, root); err != nil || !ok {
			t.Errorf("%q: %v, %v", s, ok, err)
		}
	}
	if ok, err := MatchWords(want, site.Digest{1}); err != nil || ok {
		t.Errorf("another root: %v, %v", ok, err)
	}
}

func TestParseWordsRefuses(t *testing.T) {
	good := Words(site.Digest{})
	for name, s := range map[string]string{
		"nothing":           "",
		"nine":              good[:strings.LastIndex(good, "-")],
		"eleven":            good + "-abbey",
		"a strange word":    strings.Replace(good, "abbey", "abbot", 1),
		"a word too long":   strings.Replace(good, "abbey", "abbeys", 1),
		"a word too short":  strings.Replace(good, "abbey", "ab", 1),
		"far too many":      strings.Repeat(good, 100),
		"control character": strings.Replace(good, "abbey", "abb\x00ey", 1),
	} {
		if b, err := ParseWords(s); !errors.Is(err, site.BadUsage) {
			t.Errorf("%s: %v, %v", name, b, err)
		}
	}
}

func FuzzParseWords(f *testing.F) {
	f.Add(Words(site.Digest{1, 2, 3}))
	f.Add("abb, aci aco")
	f.Fuzz(func(t *testing.T, s string) {
		b, err := ParseWords(s)
		if err != nil {
			return
		}
		if again, err := ParseWords(spell(b[:])); err != nil || again != b {
			t.Fatalf("%q: %v came back as %v, %v", s, b, again, err)
		}
	})
}

func TestNewPassphrase(t *testing.T) {
	a, b := NewPassphrase(), NewPassphrase()
	if a == b || strings.Count(a, "-") != WordCount-1 {
		t.Errorf("%q and %q", a, b)
	}
}
