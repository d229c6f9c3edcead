package journal

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"fardel/site"
)

var decisions = Origin{hierarchy, site.LogID{Site: "HQ0", Log: site.Decisions}, 1}

func checkpointOf(lines [][]byte) Checkpoint {
	e := edgeOf(lines)
	return Checkpoint{decisions, e.Size, e.Root()}
}

func TestCheckpointText(t *testing.T) {
	want := "fardel/abcdefghij234567/HQ0/decisions/1\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
	if got := string(checkpointOf(nil).Text()); got != want {
		t.Errorf("got %q", got)
	}
}

func TestParseCheckpointRefuses(t *testing.T) {
	good := string(checkpointOf(leaves(5)).Text())
	lines := strings.Split(good, "\n")
	root := lines[2]
	// The last character before the padding carries two bits of nothing.
	stray := root[:42] + string(root[42]+1) + "="
	for name, text := range map[string]string{
		"nothing":             "",
		"no last line end":    strings.TrimSuffix(good, "\n"),
		"a line more":         good + "extension\n",
		"a blank line more":   good + "\n",
		"CRLF":                strings.ReplaceAll(good, "\n", "\r\n"),
		"a negative size":     strings.Replace(good, "\n5\n", "\n-5\n", 1),
		"a leading zero":      strings.Replace(good, "\n5\n", "\n05\n", 1),
		"a plus sign":         strings.Replace(good, "\n5\n", "\n+5\n", 1),
		"a size above 2^53":   strings.Replace(good, "\n5\n", "\n9007199254740993\n", 1),
		"a size above 2^62":   strings.Replace(good, "\n5\n", "\n4611686018427387905\n", 1),
		"no padding":          strings.Replace(good, root, root[:43], 1),
		"stray bits":          strings.Replace(good, root, stray, 1),
		"a short root":        strings.Replace(good, root, "AAAA", 1),
		"an empty log's root": strings.Replace(good, "\n5\n", "\n0\n", 1),
		"another log":         strings.Replace(good, "decisions", "opinions", 1),
	} {
		if c, err := ParseCheckpoint([]byte(text)); err == nil {
			t.Errorf("%s: read as %+v", name, c)
		}
	}
}

func TestOpenCheckpoint(t *testing.T) {
	s, v := newKey(t, KeyName(hierarchy, "HQ0"))
	want := checkpointOf(leaves(5))
	msg, err := SignCheckpoint(want, s)
	if err != nil {
		t.Fatal(err)
	}
	c, sigs, err := OpenCheckpoint(msg, note.VerifierList(v))
	if err != nil || c != want || len(sigs) != 1 || sigs[0].Hash != v.KeyHash() {
		t.Errorf("%+v, %v, %v", c, sigs, err)
	}
	if p := c.Position(); p.Epoch != 1 || p.Size != 5 || p.Root != site.Digest(want.Root) {
		t.Errorf("position %+v", p)
	}
}

// A witness, or another site, may sign as well; it cannot sign instead.
func TestOpenCheckpointWantsTheLogsOwnSite(t *testing.T) {
	own, ownKey := newKey(t, KeyName(hierarchy, "HQ0"))
	other, otherKey := newKey(t, KeyName(hierarchy, "EU1"))
	known := note.VerifierList(ownKey, otherKey)
	text := checkpointOf(leaves(5)).Text()
	both, _ := SignNote(text, MaxNote, other, own)
	if _, sigs, err := OpenCheckpoint(both, known); err != nil || len(sigs) != 1 || sigs[0].Hash != ownKey.KeyHash() {
		t.Errorf("signed by both: %v, %v", sigs, err)
	}
	alone, _ := SignNote(text, MaxNote, other)
	if _, _, err := OpenCheckpoint(alone, known); !errors.Is(err, site.Untrusted) {
		t.Errorf("signed by another site alone: %v", err)
	}
}

func TestSignCheckpointRefuses(t *testing.T) {
	own, _ := newKey(t, KeyName(hierarchy, "HQ0"))
	other, _ := newKey(t, KeyName(hierarchy, "EU1"))
	if _, err := SignCheckpoint(checkpointOf(nil), other); err == nil {
		t.Error("signed with the key of another site")
	}
	for _, c := range []Checkpoint{{}, {decisions, -1, Hash{}}, {decisions, 1 << 62, Hash{}}, {decisions, 0, Hash{}}} {
		if _, err := SignCheckpoint(c, own); err == nil {
			t.Errorf("signed %+v", c)
		}
	}
}

func TestOpenCheckpointRefusesALargeOne(t *testing.T) {
	s, v := newKey(t, KeyName(hierarchy, "HQ0"))
	msg, _ := SignCheckpoint(checkpointOf(nil), s)
	msg = append(msg, "— x "+strings.Repeat("AAAA", MaxCheckpoint/4)+"\n"...)
	if _, _, err := OpenCheckpoint(msg, note.VerifierList(v)); !errors.Is(err, site.Damaged) {
		t.Error(err)
	}
}

func FuzzParseCheckpoint(f *testing.F) {
	f.Add(checkpointOf(nil).Text())
	f.Add(checkpointOf(leaves(5)).Text())
	f.Fuzz(func(t *testing.T, text []byte) {
		if c, err := ParseCheckpoint(text); err == nil && !bytes.Equal(c.Text(), text) {
			t.Fatalf("%q came back as %q", text, c.Text())
		}
	})
}
