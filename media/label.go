package media

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"

	"fardel/site"
	"fardel/site/journal"
)

// FormatVersion is the version of the formats that this package reads and
// writes. A label that needs a higher one is read, verified and relayed, but
// its body is not opened: see [Label.Understood].
const FormatVersion = 1

const (
	labelFirst = "fardel label v1"
	maxMarking = 200 // bytes
	maxMedia   = 9999
)

// A File is a sealed file: its digest and its size in bytes.
type File struct {
	Digest site.Digest
	Size   int64
}

// A Bundle is a bundle as a label names it.
type Bundle struct {
	File
	Codec    Codec
	Medium   int // which medium holds it, counted from 1
	Priority site.Priority
}

// A Label says what a parcel is. It is the only part of it that a stranger can
// read, and the only part that is signed; all else hangs on its digests.
type Label struct {
	Hierarchy string
	From, To  site.Code
	Number    int64     // of the parcels from From to To; holes are allowed
	After     int64     // the parcel that must be applied first; 0: none
	Created   time.Time // for people; whole seconds
	Needs     int       // the least format version that understands the parcel
	Marking   string    // a security label, shown and printed; may be empty
	Priority  site.Priority
	Media     int // how many media the parcel is spread over
	Body      File
	Segments  []File
	Bundles   []Bundle
}

// Name returns the parcel's name.
func (l Label) Name() site.ParcelName {
	return site.ParcelName{From: l.From, To: l.To, Number: l.Number}
}

// Understood returns a [site.TooNew] fault if the parcel needs a later format.
func (l Label) Understood() error {
	if l.Needs <= FormatVersion {
		return nil
	}
	return site.TooNew.New("parcel %s needs format %d; this fardel knows %d", l.Name(), l.Needs, FormatVersion)
}

// Text returns the label's text, which is what gets signed. It returns an error
// if the label breaks a rule that [ParseLabel] would hold against it.
func (l Label) Text() ([]byte, error) {
	if f := l.check(); f != nil {
		return nil, f
	}
	text := l.encode()
	if _, err := ParseLabel(text); err != nil {
		return nil, err
	}
	return text, nil
}

func (l Label) encode() []byte {
	marking := l.Marking
	if marking == "" {
		marking = "-"
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nhierarchy %s\nfrom %s\nto %s\nnumber %d\nafter %d\n", labelFirst, l.Hierarchy, l.From, l.To, l.Number, l.After)
	fmt.Fprintf(&b, "created %s\nneeds %d\nmarking %s\npriority %s\nmedia %d\n", site.Moment(l.Created), l.Needs, marking, l.Priority, l.Media)
	fmt.Fprintf(&b, "body %s %d\n", l.Body.Digest, l.Body.Size)
	for _, f := range l.Segments {
		fmt.Fprintf(&b, "segment %s %d\n", f.Digest, f.Size)
	}
	for _, f := range l.Bundles {
		fmt.Fprintf(&b, "bundle %s %d %s %d %s\n", f.Digest, f.Size, f.Codec, f.Medium, f.Priority)
	}
	return b.Bytes()
}

// Sign returns the label file: the text and the signer's signature. The signer
// must hold a key of the sending site.
func (l Label) Sign(signer note.Signer) ([]byte, error) {
	text, err := l.Text()
	if err != nil {
		return nil, err
	}
	if signer.Name() != l.keyName() {
		return nil, fmt.Errorf("the label of %s cannot be signed by %s", l.Name(), signer.Name())
	}
	return journal.SignNote(text, MaxLabel, signer)
}

func (l Label) keyName() string { return l.Hierarchy + "/" + string(l.From) }

// OpenLabel verifies and reads a label file. The signatures it returns are
// those of known keys of the sending site; whether such a key is still current
// is for the caller to judge. Without one the fault is [site.Untrusted].
func OpenLabel(msg []byte, known note.Verifiers) (Label, []note.Signature, error) {
	if len(msg) > MaxLabel {
		return Label{}, nil, beyond("a label of %d bytes; the limit is %d", len(msg), MaxLabel)
	}
	n, err := journal.OpenNote(msg, MaxLabel, labelFirst, known)
	if err != nil {
		return Label{}, nil, noteFault(err)
	}
	l, err := ParseLabel([]byte(n.Text))
	if err != nil {
		return Label{}, nil, err
	}
	// A key of another site may be known, but it does not speak for this one.
	sigs := slices.DeleteFunc(slices.Clone(n.Sigs), func(s note.Signature) bool { return s.Name != l.keyName() })
	if len(sigs) == 0 {
		return Label{}, nil, site.Untrusted.New("the label of parcel %s is signed, but not by %s", l.Name(), l.From)
	}
	return l, sigs, nil
}

// ReadLabel reads a label file without verifying it. It is for display only.
func ReadLabel(msg []byte) (Label, error) {
	if len(msg) > MaxLabel {
		return Label{}, beyond("a label of %d bytes; the limit is %d", len(msg), MaxLabel)
	}
	text, err := journal.NoteText(msg)
	if err != nil {
		return Label{}, noteFault(err)
	}
	return ParseLabel(text)
}

// noteFault marks a fault of the signed text as one of this package's.
func noteFault(err error) error {
	f, ok := errors.AsType[*site.Fault](err)
	if !ok || !errors.Is(err, journal.ErrMalformed) {
		return err
	}
	g := *f
	return g.Because(fmt.Errorf("%w: %w", ErrMalformed, f.Err))
}

// ParseLabel reads the text of a label: strictly, so that no two texts mean the
// same label.
func ParseLabel(text []byte) (Label, error) {
	if len(text) > MaxLabel {
		return Label{}, beyond("a label of %d bytes; the limit is %d", len(text), MaxLabel)
	}
	l, err := parseLabel(journal.ParseFields(text, labelFirst))
	if err != nil {
		return Label{}, malformed("the label is malformed: %s", err)
	}
	if f := l.check(); f != nil {
		return Label{}, f
	}
	if !bytes.Equal(l.encode(), text) {
		return Label{}, malformed("the label is not in its one legal spelling")
	}
	return l, nil
}

func parseLabel(p *journal.Fields) (l Label, err error) {
	l.Hierarchy = p.One("hierarchy")
	l.From, l.To = site.Code(p.One("from")), site.Code(p.One("to"))
	l.Number, l.After = p.Number("number", 1), p.Number("after", 0)
	l.Created = take(p, "created", site.ParseTime)
	l.Needs = int(min(p.Number("needs", 1), 1<<30))
	if l.Marking = p.One("marking"); l.Marking == "-" {
		l.Marking = ""
	}
	l.Priority = site.Priority(p.One("priority"))
	l.Media = int(min(p.Number("media", 1), 1<<30))
	l.Body = take(p, "body", parseFile)
	// One more than the limit is read, so that the limit can be named.
	for _, v := range p.Many("segment", MaxSegments+1) {
		l.Segments = append(l.Segments, parsed(p, "segment", v, parseFile))
	}
	for _, v := range p.Many("bundle", MaxBundles+1) {
		l.Bundles = append(l.Bundles, parsed(p, "bundle", v, parseBundle))
	}
	return l, p.End()
}

// take reads the value of a line that stands once.
func take[T any](p *journal.Fields, keyword string, parse func(string) (T, error)) T {
	return parsed(p, keyword, p.One(keyword), parse)
}

func parsed[T any](p *journal.Fields, keyword, value string, parse func(string) (T, error)) T {
	v, err := parse(value)
	if err != nil {
		p.Fail("%s: %w", keyword, err)
	}
	return v
}

func parseFile(value string) (File, error) {
	digest, size, _ := strings.Cut(value, " ")
	return fileOf(digest, size)
}

func fileOf(digest, size string) (f File, err error) {
	if f.Digest, err = site.ParseDigest(digest); err != nil {
		return f, err
	}
	f.Size, err = journal.ParseNumber(size)
	return f, err
}

func parseBundle(value string) (b Bundle, err error) {
	v := strings.Split(value, " ")
	if len(v) != 5 {
		return b, fmt.Errorf("%d values; expected 5", len(v))
	}
	if b.File, err = fileOf(v[0], v[1]); err != nil {
		return b, err
	}
	medium, err := journal.ParseNumber(v[3])
	b.Codec, b.Medium, b.Priority = Codec(v[2]), int(min(medium, 1<<30)), site.Priority(v[4])
	return b, err
}

// check holds the rules that a single line cannot break.
func (l *Label) check() *site.Fault {
	switch {
	case !validHierarchy(l.Hierarchy):
		return malformed("the label names no hierarchy")
	case !l.From.Valid() || !l.To.Valid() || l.From == l.To:
		return malformed("the label names no two sites")
	case len(l.Segments) > MaxSegments || len(l.Bundles) > MaxBundles:
		return beyond("the label names more than %d segments or %d bundles", MaxSegments, MaxBundles)
	case l.Number < 1 || !site.InRange(l.Number) || l.After < 0 || l.After >= l.Number:
		return malformed("the label's numbers do not fit together")
	case l.Needs < 1 || l.Media < 1 || l.Media > maxMedia || !l.Priority.Valid():
		return malformed("the label's needs, media or priority is out of range")
	case !validMarking(l.Marking):
		return malformed("the label's marking is too long or holds characters that do not print")
	}
	seen := map[site.Digest]bool{}
	if f := l.Body.check("body", MaxBody, seen); f != nil {
		return f
	}
	for _, s := range l.Segments {
		if f := s.check("segment", MaxSegment, seen); f != nil {
			return f
		}
	}
	for _, b := range l.Bundles {
		if f := b.File.check("bundle", MaxBundle, seen); f != nil {
			return f
		}
		if !b.Codec.Valid() || b.Medium < 1 || b.Medium > l.Media || !b.Priority.Valid() {
			return malformed("the label's bundle %s has no valid codec, medium or priority", b.Digest.Short())
		}
	}
	return nil
}

func (f File) check(what string, limit int64, seen map[site.Digest]bool) *site.Fault {
	if f.Size > limit {
		return beyond("the label's %s %s has %d bytes; the limit is %d", what, f.Digest.Short(), f.Size, limit)
	}
	if f.Size < 1 || f.Digest.IsZero() || seen[f.Digest] {
		return malformed("the label's %s %s is empty or stands twice", what, f.Digest.Short())
	}
	seen[f.Digest] = true
	return nil
}

// validHierarchy reports whether s has the form of a hierarchy id.
func validHierarchy(s string) bool {
	return len(s) == 16 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// validMarking demands text that prints as it was signed.
func validMarking(s string) bool {
	if len(s) > maxMarking || !utf8.ValidString(s) || strings.TrimSpace(s) != s || s == "-" {
		return false
	}
	for _, r := range s {
		if !journal.Printable(r) {
			return false
		}
	}
	return true
}
