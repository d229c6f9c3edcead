package site

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// A LogName is one of the two logs that each site keeps.
type LogName string

// The two logs of a site.
const (
	Decisions    LogName = "decisions"    // what the site decided; goes down, and up
	Observations LogName = "observations" // what the site saw; goes up only
)

// Valid reports whether n is one of the two.
func (n LogName) Valid() bool { return n == Decisions || n == Observations }

// A LogID names one log of one site.
type LogID struct {
	Site Code    `json:"site"`
	Log  LogName `json:"log"`
}

// String returns the id as people read it, such as HQ0/decisions.
func (id LogID) String() string { return string(id.Site) + "/" + string(id.Log) }

// Valid reports whether both parts are well formed.
func (id LogID) Valid() bool { return id.Site.Valid() && id.Log.Valid() }

// A Position is how far a log has come: the first Size entries of an epoch,
// whose RFC 6962 tree has this root. Two positions of equal size and different
// roots are a fork: somebody told two stories.
type Position struct {
	Epoch int64  `json:"epoch"` // counted from 1; 0 means that nothing is known of the log
	Size  int64  `json:"size"`
	Root  Digest `json:"root"`
}

// A LogPosition is a position and the log it belongs to.
type LogPosition struct {
	LogID
	Position
}

// MaxEntry is the largest entry, in bytes. What is larger is a file in the
// library, and the entry names its digest.
const MaxEntry = 16 << 10

// An Entry is one line of a log: something that the log's site says about one
// object. The latest entry about an object replaces the earlier ones.
type Entry struct {
	At    time.Time       // when it was written, by the author's clock; order never depends on it
	Kind  Kind            // what sort of object
	ID    string          // which object; unique within author and kind, never reused
	Needs int             // the least format version that understands it; 0 means 1
	Body  json.RawMessage // canonical JSON, one of the …Body types
}

type entryLine struct {
	At    string          `json:"at"`
	Body  json.RawMessage `json:"body"`
	ID    string          `json:"id"`
	Kind  Kind            `json:"kind"`
	Needs int             `json:"needs,omitempty"`
}

// TimeFormat is how times stand in entries and labels: UTC, whole seconds.
const TimeFormat = "2006-01-02T15:04:05Z"

// ParseTime reads a time in [TimeFormat] and accepts its one legal spelling.
func ParseTime(s string) (time.Time, error) {
	t, err := time.Parse(TimeFormat, s)
	if err != nil || t.Format(TimeFormat) != s {
		return time.Time{}, fmt.Errorf("%q is not a time of the form 2006-01-02T15:04:05Z", clip(s))
	}
	return t.UTC(), nil
}

// NewEntry makes an entry about the object (kind, id), with body as its body.
func NewEntry(now time.Time, kind Kind, id string, body any) (Entry, error) {
	raw, err := Canonical(body)
	if err != nil {
		return Entry{}, err
	}
	return Entry{At: now.UTC().Truncate(time.Second), Kind: kind, ID: id, Body: raw}, nil
}

// Line returns the entry as the line that is stored, hashed and sent: canonical
// JSON without a line end.
func (e Entry) Line() ([]byte, error) {
	line, err := Canonical(entryLine{e.At.UTC().Format(TimeFormat), e.Body, e.ID, e.Kind, e.Needs})
	if err != nil {
		return nil, err
	}
	if _, err := ParseEntry(line); err != nil {
		return nil, err
	}
	return line, nil
}

// ParseEntry reads one line of a log. It accepts kinds that it does not know:
// such entries are kept and forwarded, and mean nothing here.
func ParseEntry(line []byte) (Entry, error) {
	if len(line) > MaxEntry {
		return Entry{}, fmt.Errorf("entry of %d bytes; the limit is %d", len(line), MaxEntry)
	}
	e, ok := scanEntry(line)
	if !ok {
		return Entry{}, fmt.Errorf("entry: %w", whyNot(line))
	}
	return e, nil
}

// scanEntry reads the envelope by hand, because a log has many lines and
// encoding/json takes twenty times as long. The entry shares no memory with
// the line.
func scanEntry(line []byte) (Entry, bool) {
	s := scanner{b: line}
	at, ok := s.field(`{"at":`)
	if !ok || !s.literal(`,"body":`) {
		return Entry{}, false
	}
	from := s.i
	if !s.value(1) {
		return Entry{}, false
	}
	body := line[from:s.i]
	id, ok1 := s.field(`,"id":`)
	kind, ok2 := s.field(`,"kind":`)
	if !ok1 || !ok2 || !isObjectID(id) || !isKindName(kind) {
		return Entry{}, false
	}
	var needs int64
	if s.literal(`,"needs":`) {
		if needs, ok = s.integer(); !ok || needs < 1 || int64(int(needs)) != needs {
			return Entry{}, false
		}
	}
	when, err := ParseTime(string(at))
	if err != nil || !s.literal("}") || !s.done() {
		return Entry{}, false
	}
	return Entry{At: when, Kind: Kind(kind), ID: string(id), Needs: int(needs), Body: bytes.Clone(body)}, true
}

// field reads a name, with the marks around it, and the string behind it.
func (s *scanner) field(name string) ([]byte, bool) {
	if !s.literal(name) {
		return nil, false
	}
	return s.text()
}

// whyNot says what is wrong with a line that scanEntry refused.
func whyNot(line []byte) error {
	var l entryLine
	if err := DecodeCanonical(line, &l); err != nil {
		return err
	}
	if _, err := ParseTime(l.At); err != nil {
		return err
	}
	return errors.New("malformed kind, id or body")
}

// isObjectID reports whether b matches [A-Za-z0-9][A-Za-z0-9._/+-]{0,127}.
func isObjectID(b []byte) bool {
	for i, c := range b {
		switch {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case i > 0 && (c == '.' || c == '_' || c == '/' || c == '+' || c == '-'):
		default:
			return false
		}
	}
	return len(b) >= 1 && len(b) <= 128
}

// isKindName reports whether b matches [a-z][a-z-]{0,31}.
func isKindName(b []byte) bool {
	for i, c := range b {
		if (c < 'a' || c > 'z') && (c != '-' || i == 0) {
			return false
		}
	}
	return len(b) >= 1 && len(b) <= 32
}

// Decode reads the body into v, one of the …Body types, strictly.
func (e Entry) Decode(v any) error {
	if err := DecodeCanonical(e.Body, v); err != nil {
		return fmt.Errorf("%s %s: %w", e.Kind, e.ID, err)
	}
	return nil
}
