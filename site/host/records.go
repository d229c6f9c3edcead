package host

import (
	"time"

	"fardel/site"
	"fardel/site/charter"
)

// Me is what the site knows of itself since it was set up.
type Me struct {
	Code      site.Code       `json:"code"`
	Name      string          `json:"name"`
	Hierarchy string          `json:"hierarchy"`
	Root      site.Digest     `json:"root"` // the pinned root; no parcel can change it
	Sealing   charter.Sealing `json:"sealing"`
	Parent    site.Code       `json:"parent,omitempty"` // as of set-up; the top's entry overrules it
	Created   string          `json:"created"`
}

// A Link is what the site knows of its exchange with one other site.
type Link struct {
	Sent      int64              `json:"sent"`    // highest number that was taken for a parcel to the peer
	Handed    int64              `json:"handed"`  // number of the last parcel that was written and read back
	Applied   int64              `json:"applied"` // highest number of the peer's parcels that was applied here
	Label     site.Digest        `json:"label"`   // of that parcel
	AppliedAt string             `json:"applied_at,omitempty"`
	Told      int64              `json:"told,omitempty"`    // the highest such number that a parcel of ours has confirmed
	Heard     int64              `json:"heard"`             // number of the peer's parcel that held its latest receipt
	Confirmed int64              `json:"confirmed"`         // our number that this receipt says was applied
	Holds     []site.LogPosition `json:"holds,omitempty"`   // positions at the peer, by its receipt
	Agreed    []site.LogPosition `json:"agreed,omitempty"`  // of this site's own logs: the furthest that the peer held as they stand here
	Carried   []site.LogPosition `json:"carried,omitempty"` // positions that our last parcel reached
	Missing   int64              `json:"missing"`           // files that the peer said it wants
	Wants     []site.Digest      `json:"wants,omitempty"`   // those of them that it named
	Receipts  string             `json:"receipts,omitempty"`
	Codecs    []string           `json:"codecs,omitempty"`
	Fresh     bool               `json:"fresh,omitempty"`  // the peer lost its state: send it its own logs too
	Behind    bool               `json:"behind,omitempty"` // when its latest receipt came, less of its own logs was there than here
	Misses    int64              `json:"misses,omitempty"` // wrong receipt codes in a row
}

// Fence says that this site must not sign anything new: its state is older
// than what it has signed before.
type Fence struct {
	Why   string             `json:"why"`
	Since string             `json:"since"`
	Needs []site.LogPosition `json:"needs"` // lifted when the own logs have reached all of these; one per log
}

// Content is what the site holds of one package.
type Content struct {
	State      site.ContentState `json:"state"`
	Source     int64             `json:"source"`
	Generation int64             `json:"generation"`
	Held       site.Digest       `json:"held"`    // manifest of the version that is complete here; zero: none
	Missing    int64             `json:"missing"` // files still to come; -1 while not even the manifest is here
	Blocked    string            `json:"blocked,omitempty"`
}

// Version remembers the manifest of one source version of a package.
type Version struct {
	Manifest site.Digest `json:"manifest"`
	At       string      `json:"at"`
}

const (
	meKey         = "me"
	fenceKey      = "fence"
	packageKey    = "counter/package"
	alarmKey      = "counter/alarm"
	charterPrefix = "charter/"
	linkPrefix    = "link/"
	contentPrefix = "content/"
	versionPrefix = "version/"
)

func stamp(now time.Time) string { return site.Moment(now) }
