package media

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"time"

	"fardel/site"
)

// A BodyItem is what a body consists of: a [BodyHead], a [Receipt], then for
// each log a [BodyLog] and its [BodyLine]s, then the [BodyBundle]s.
type BodyItem interface{ bodyItem() }

func (BodyHead) bodyItem()   {}
func (Receipt) bodyItem()    {}
func (BodyLog) bodyItem()    {}
func (BodyLine) bodyItem()   {}
func (BodyBundle) bodyItem() {}

// A BodyHead repeats the facts of the label inside the seal, so that nobody can
// put another label on a body, and says what the sender understands.
type BodyHead struct {
	Hierarchy     string
	From, To      site.Code
	Number, After int64
	Created       time.Time
	Secret        [16]byte // random; receipt codes are made from it
	Speaks        Speaks
	Receipts      string // how receipts come back: a lower-case word, may be empty
}

// Speaks is what a site can read, so that others write nothing else to it.
type Speaks struct {
	Format int64    `json:"format"`
	Codecs []string `json:"codecs"`
	Deltas []string `json:"deltas"`
}

// Agrees returns a fault unless the head's facts are those of the label.
func (h BodyHead) Agrees(l Label) error {
	same := h.Hierarchy == l.Hierarchy && h.From == l.From && h.To == l.To &&
		h.Number == l.Number && h.After == l.After && h.Created.Equal(l.Created)
	if same {
		return nil
	}
	return malformed("the body inside parcel %s belongs to another label", l.Name())
}

// A LogPosition is a position and the log it belongs to.
type LogPosition = site.LogPosition

// A Receipt says how far the sender of the parcel has come with what the
// receiver sent it, and what it still lacks.
type Receipt struct {
	Applied   int64         // highest number of the receiver's parcels that was applied; 0: none
	Label     site.Digest   // of that parcel's label file; zero: none, or not known any more
	Positions []LogPosition // of all logs that the receiver may hold or send
	Wants     Wants
}

// Wants is the content that a site is to hold and does not.
type Wants struct {
	Files   int64         `json:"files"`   // how many files in all
	Digests []site.Digest `json:"digests"` // their names, as long as they are few
}

// A BodyLog announces entries of one log: first those in the segments, then as
// many [BodyLine]s as [BodyLog.Lines] says.
type BodyLog struct {
	site.LogID
	Epoch      int64
	From       int64  // index of the first entry, counted from 0
	Count      int64  // entries in segments and lines together
	Checkpoint []byte // signed note over the log as it is after these entries
	Segments   []Segment
}

// Lines returns how many entries follow in the body itself.
func (l BodyLog) Lines() int64 {
	n := l.Count
	for _, s := range l.Segments {
		n -= s.Count
	}
	return n
}

// A Segment is a file with a long run of entries, sealed to a key of its own.
type Segment struct {
	File
	Key   string // the secret that opens it
	From  int64  // index of its first entry
	Count int64  // of its entries
	Plain int64  // bytes before compression, line ends included
}

// A BodyLine is one entry of the log that was announced last, without line end.
type BodyLine []byte

// A BodyBundle says how to open a bundle of the label, and what it belongs to.
type BodyBundle struct {
	Digest  site.Digest
	Key     string // the secret that opens it
	Plain   int64  // exact length of its tar in bytes
	Package site.PackageID
	Source  int64 // source version
}

// The types below are the lines as JSON spells them. Slices are never nil in
// them: an absent list is written as [].
type (
	headLine struct {
		Body      int64     `json:"body"`
		Hierarchy string    `json:"hierarchy"`
		From      site.Code `json:"from"`
		To        site.Code `json:"to"`
		Number    int64     `json:"number"`
		After     int64     `json:"after"`
		Created   string    `json:"created"`
		Secret    string    `json:"secret"`
		Speaks    Speaks    `json:"speaks"`
		Receipts  string    `json:"receipts"`
	}
	receiptLine struct {
		Receipt struct {
			Applied   int64         `json:"applied"`
			Label     string        `json:"label"`
			Positions []LogPosition `json:"positions"`
			Wants     Wants         `json:"wants"`
		} `json:"receipt"`
	}
	segmentLine struct {
		Digest site.Digest `json:"digest"`
		Size   int64       `json:"size"`
		Key    string      `json:"key"`
		From   int64       `json:"from"`
		Count  int64       `json:"count"`
		Plain  int64       `json:"plain"`
	}
	logLine struct {
		Log struct {
			site.LogID
			Epoch      int64         `json:"epoch"`
			From       int64         `json:"from"`
			Count      int64         `json:"count"`
			Checkpoint string        `json:"checkpoint"`
			Segments   []segmentLine `json:"segments"`
		} `json:"log"`
	}
	bundleLine struct {
		Bundle struct {
			Digest  site.Digest    `json:"digest"`
			Key     string         `json:"key"`
			Plain   int64          `json:"plain"`
			Package site.PackageID `json:"package"`
			Source  int64          `json:"source"`
		} `json:"bundle"`
	}
	endLine struct {
		End int64 `json:"end"`
	}
)

// listed returns s, or an empty list where JSON would say null.
func listed[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func (h BodyHead) encode() ([]byte, error) {
	speaks := Speaks{h.Speaks.Format, listed(h.Speaks.Codecs), listed(h.Speaks.Deltas)}
	return site.Canonical(headLine{
		Body: FormatVersion, Hierarchy: h.Hierarchy, From: h.From, To: h.To,
		Number: h.Number, After: h.After, Created: site.Moment(h.Created),
		Secret: hex.EncodeToString(h.Secret[:]), Speaks: speaks, Receipts: h.Receipts,
	})
}

func (r Receipt) encode() ([]byte, error) {
	var l receiptLine
	l.Receipt.Applied = r.Applied
	if !r.Label.IsZero() {
		l.Receipt.Label = r.Label.String()
	}
	l.Receipt.Positions = listed(r.Positions)
	l.Receipt.Wants = Wants{r.Wants.Files, listed(r.Wants.Digests)}
	return site.Canonical(l)
}

func (l BodyLog) encode() ([]byte, error) {
	var w logLine
	w.Log.LogID = l.LogID
	w.Log.Epoch, w.Log.From, w.Log.Count = l.Epoch, l.From, l.Count
	w.Log.Checkpoint = string(l.Checkpoint)
	w.Log.Segments = []segmentLine{}
	for _, s := range l.Segments {
		w.Log.Segments = append(w.Log.Segments, segmentLine{s.Digest, s.Size, s.Key, s.From, s.Count, s.Plain})
	}
	return site.Canonical(w)
}

func (b BodyBundle) encode() ([]byte, error) {
	var w bundleLine
	w.Bundle.Digest, w.Bundle.Key, w.Bundle.Plain = b.Digest, b.Key, b.Plain
	w.Bundle.Package, w.Bundle.Source = b.Package, b.Source
	return site.Canonical(w)
}

var (
	keyForm  = regexp.MustCompile(`^AGE-SECRET-KEY-[A-Z0-9-]{20,100}$`)
	wordForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
)

func (h BodyHead) check() error {
	switch {
	case !validHierarchy(h.Hierarchy), !h.From.Valid(), !h.To.Valid(), h.From == h.To:
		return fmt.Errorf("no hierarchy or no two sites")
	case h.Number < 1, h.After < 0, h.After >= h.Number:
		return fmt.Errorf("numbers that do not fit together")
	case h.Speaks.Format < 1, len(h.Speaks.Codecs) > 16, len(h.Speaks.Deltas) > 16:
		return fmt.Errorf("capabilities out of range")
	case h.Receipts != "" && !wordForm.MatchString(h.Receipts):
		return fmt.Errorf("receipts is not a word")
	}
	for _, list := range [][]string{h.Speaks.Codecs, h.Speaks.Deltas} {
		for _, w := range list {
			if !wordForm.MatchString(w) {
				return fmt.Errorf("a capability is not a word")
			}
		}
	}
	return nil
}

func (r Receipt) check() error {
	if r.Applied < 0 || r.Applied == 0 && !r.Label.IsZero() {
		return fmt.Errorf("applied and label do not fit together")
	}
	if r.Wants.Files < int64(len(r.Wants.Digests)) {
		return fmt.Errorf("more wants named than counted")
	}
	for i, p := range r.Positions {
		if !p.LogID.Valid() || p.Epoch < 1 || p.Size < 0 {
			return fmt.Errorf("position out of range")
		}
		if i > 0 && !before(r.Positions[i-1].LogID, p.LogID) {
			return fmt.Errorf("positions are not sorted, or one stands twice")
		}
	}
	return nil
}

// before is the order of logs: by site, then by name.
func before(a, b site.LogID) bool {
	if c := strings.Compare(string(a.Site), string(b.Site)); c != 0 {
		return c < 0
	}
	return a.Log < b.Log
}

func (l BodyLog) check() error {
	if !l.LogID.Valid() || l.Epoch < 1 || l.From < 0 || l.Count < 0 || l.From+l.Count > site.MaxInt {
		return fmt.Errorf("log out of range")
	}
	if len(l.Checkpoint) == 0 || len(l.Checkpoint) > 64<<10 {
		return fmt.Errorf("no checkpoint, or one that is too long")
	}
	next := l.From
	for _, s := range l.Segments {
		if err := s.check(); err != nil {
			return err
		}
		if s.From != next || s.Count > l.From+l.Count-next {
			return fmt.Errorf("segments leave a hole, overlap or hold too much")
		}
		next += s.Count
	}
	return nil
}

func (s Segment) check() error {
	if s.Size > MaxSegment || s.Plain > MaxSegmentPlain {
		return beyond("segment %s has %d bytes, %d unpacked; the limit is %d", s.Digest.Short(), s.Size, s.Plain, MaxSegmentPlain)
	}
	// An entry takes two bytes at least: one of its own and the line end.
	if s.Size < 1 || s.From < 0 || s.Count < 1 || s.Plain/2 < s.Count || s.Digest.IsZero() || !keyForm.MatchString(s.Key) {
		return fmt.Errorf("segment out of range, or without a key")
	}
	return nil
}

func (b BodyBundle) check() error {
	if b.Plain > MaxBundlePlain {
		return beyond("bundle %s has %d bytes unpacked; the limit is %d", b.Digest.Short(), b.Plain, int64(MaxBundlePlain))
	}
	if b.Digest.IsZero() || !keyForm.MatchString(b.Key) || b.Plain < tarEnd || b.Plain%tarBlock != 0 || !b.Package.Valid() || b.Source < 1 {
		return fmt.Errorf("bundle out of range, or without a key")
	}
	return nil
}

func (l BodyLine) check() error {
	if len(l) > site.MaxEntry {
		return beyond("an entry of %d bytes; the limit is %d", len(l), site.MaxEntry)
	}
	_, err := site.ParseEntry(l)
	return err
}
