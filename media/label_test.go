package media

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"fardel/site"
)

func TestLabelRoundTrip(t *testing.T) {
	signer, verifier := testSigner(t, testHierarchy+"/HQ0")
	want := testLabel()
	msg, err := want.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	got, sigs, err := OpenLabel(msg, note.VerifierList(verifier))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if len(sigs) != 1 || sigs[0].Hash != verifier.KeyHash() {
		t.Errorf("signatures %+v", sigs)
	}
	if unverified, err := ReadLabel(msg); err != nil || !reflect.DeepEqual(unverified, want) {
		t.Errorf("ReadLabel: %+v, %v", unverified, err)
	}
	if name := got.Name().String(); name != "HQ0-FLD-000042" {
		t.Errorf("name %s", name)
	}
}

func TestLabelText(t *testing.T) {
	l := testLabel()
	l.Marking, l.Segments, l.Bundles = "", nil, nil
	text, err := l.Text()
	if err != nil {
		t.Fatal(err)
	}
	want := `fardel label v1
hierarchy abcdefghij234567
from HQ0
to FLD
number 42
after 41
created 2026-03-04T05:06:07Z
needs 1
marking -
priority medium
media 2
body 4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a 1000
`
	if string(text) != want {
		t.Errorf("got\n%s", text)
	}
}

func TestLabelRefusesWhatReadersWould(t *testing.T) {
	tests := map[string]func(*Label){
		"no hierarchy":     func(l *Label) { l.Hierarchy = "" },
		"hierarchy digits": func(l *Label) { l.Hierarchy = "abcdefghij234561" },
		"to itself":        func(l *Label) { l.To = l.From },
		"number 0":         func(l *Label) { l.Number, l.After = 0, 0 },
		"after itself":     func(l *Label) { l.After = l.Number },
		"negative after":   func(l *Label) { l.After = -1 },
		"needs 0":          func(l *Label) { l.Needs = 0 },
		"no media":         func(l *Label) { l.Media = 0; l.Bundles = nil },
		"bundle off media": func(l *Label) { l.Media = 1 },
		"codec":            func(l *Label) { l.Bundles[0].Codec = "gzip" },
		"priority":         func(l *Label) { l.Priority = "urgent" },
		"marking of lines": func(l *Label) { l.Marking = "a\nb" },
		"marking dash":     func(l *Label) { l.Marking = "-" },
		"marking blank":    func(l *Label) { l.Marking = " a" },
		"marking long":     func(l *Label) { l.Marking = strings.Repeat("a", maxMarking+1) },
		"empty body":       func(l *Label) { l.Body.Size = 0 },
		"bundle twice":     func(l *Label) { l.Bundles[1].File = l.Bundles[0].File },
		"body as segment":  func(l *Label) { l.Segments[0] = l.Body },
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			l := testLabel()
			spoil(&l)
			_, err := l.Text()
			wantFault(t, err, site.Damaged, ErrMalformed)
		})
	}
}

func TestLabelLimits(t *testing.T) {
	tests := map[string]func(*Label){
		"body":    func(l *Label) { l.Body.Size = MaxBody + 1 },
		"segment": func(l *Label) { l.Segments[0].Size = MaxSegment + 1 },
		"bundle":  func(l *Label) { l.Bundles[0].Size = MaxBundle + 1 },
		"bundles": func(l *Label) { l.Bundles = manyBundles(MaxBundles + 1) },
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			l := testLabel()
			spoil(&l)
			_, err := l.Text()
			wantFault(t, err, site.Damaged, ErrLimit)
		})
	}
}

func manyBundles(n int) []Bundle {
	out := make([]Bundle, n)
	for i := range out {
		out[i] = Bundle{File{site.DigestOf(fmt.Append(nil, i)), MaxBundle}, Zstd, 1, site.PriorityMedium}
	}
	return out
}

func TestLargestLabelFits(t *testing.T) {
	signer, verifier := testSigner(t, testHierarchy+"/HQ0")
	l := testLabel()
	l.Bundles = manyBundles(MaxBundles)
	msg, err := l.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenLabel(msg, note.VerifierList(verifier)); err != nil {
		t.Fatal(err)
	}
}

func TestLabelNeedsTheSendersKey(t *testing.T) {
	hq, hqKey := testSigner(t, testHierarchy+"/HQ0")
	sea, seaKey := testSigner(t, testHierarchy+"/SEA")
	l := testLabel()
	if _, err := l.Sign(sea); err == nil {
		t.Error("another site's key signed the label")
	}
	text, err := l.Text()
	if err != nil {
		t.Fatal(err)
	}
	msg, err := note.Sign(&note.Note{Text: string(text)}, sea)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = OpenLabel(msg, note.VerifierList(hqKey, seaKey))
	wantFault(t, err, site.Untrusted, nil)

	both, err := note.Sign(&note.Note{Text: string(text)}, sea, hq)
	if err != nil {
		t.Fatal(err)
	}
	_, sigs, err := OpenLabel(both, note.VerifierList(hqKey, seaKey))
	if err != nil || len(sigs) != 1 || sigs[0].Name != testHierarchy+"/HQ0" {
		t.Errorf("signatures %v, %v", sigs, err)
	}
}

func TestLabelOfALaterFormat(t *testing.T) {
	signer, verifier := testSigner(t, testHierarchy+"/HQ0")
	l := testLabel()
	l.Needs = FormatVersion + 1
	msg, err := l.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := OpenLabel(msg, note.VerifierList(verifier))
	if err != nil {
		t.Fatal("such a label must stay readable, so that it can be relayed:", err)
	}
	wantFault(t, got.Understood(), site.TooNew, nil)
	if err := testLabel().Understood(); err != nil {
		t.Error(err)
	}
}

func TestOversizedLabelIsNotParsed(t *testing.T) {
	_, verifier := testSigner(t, testHierarchy+"/HQ0")
	msg := bytes.Repeat([]byte("a"), MaxLabel+1)
	_, _, err := OpenLabel(msg, note.VerifierList(verifier))
	wantFault(t, err, site.Damaged, ErrLimit)
	_, err = ReadLabel(msg)
	wantFault(t, err, site.Damaged, ErrLimit)
	_, err = ParseLabel(msg)
	wantFault(t, err, site.Damaged, ErrLimit)
}

func FuzzParseLabel(f *testing.F) {
	l := testLabel()
	text, err := l.Text()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(bytes.Replace(text, []byte("marking OFFICIAL: site use"), []byte("marking -"), 1))
	f.Add(bytes.Replace(text, []byte("number 42"), []byte("number 042"), 1))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := ParseLabel(text)
		if err != nil {
			return
		}
		again, err := l.Text()
		if err != nil || !bytes.Equal(again, text) {
			t.Fatalf("read %q, wrote %q, %v", text, again, err)
		}
	})
}
