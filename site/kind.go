package site

import "time"

// A Kind is a sort of object that entries speak about.
type Kind string

// The kinds of entries. Those below "reserved" have their row in the table of
// authority already, so that a forged one is refused by name; what they mean
// comes with the features that need them.
const (
	KindEpoch        Kind = "epoch"        // the first entry of each epoch but the first
	KindSite         Kind = "site"         // a site's card, parent, rights and state
	KindCheckpoint   Kind = "checkpoint"   // the top's own observations, for its descendants to hold
	KindPackage      Kind = "package"      // a package and its current source version
	KindDistribution Kind = "distribution" // the sites that are to hold a package

	KindContent   Kind = "content"   // what a site holds of a package
	KindExport    Kind = "export"    // a parcel left
	KindImport    Kind = "import"    // a parcel arrived
	KindEnrolment Kind = "enrolment" // a card that was handed in below the top
	KindAlarm     Kind = "alarm"     // something that a person has to look at

	// Reserved.
	KindApproval   Kind = "approval"
	KindCollection Kind = "collection"
	KindDeployment Kind = "deployment"
	KindSync       Kind = "sync"
	KindUpdate     Kind = "update"
)

// Passive reports whether entries of the kind travel along with others but are
// no reason to send anything. Each crossing writes one, so if they were, a
// tree would never fall silent.
func (k Kind) Passive() bool { return k == KindExport || k == KindImport || k == KindCheckpoint }

// A Right is what the top lets a site do.
type Right string

// Rights below the top are none until they are granted.
const (
	RightPublish Right = "publish" // make packages under its own code
	RightDecide  Right = "decide"  // distribute, approve and deploy within its own subtree
)

// A SiteBody is the body of a [KindSite] entry; the id is the site's code.
// Its author is the top site.
type SiteBody struct {
	Name   string    `json:"name"`
	Parent Code      `json:"parent,omitempty"` // empty for the top
	Rights []Right   `json:"rights,omitempty"`
	Keys   []SiteKey `json:"keys"` // newest last
	State  SiteState `json:"state"`
}

// A SiteState says whether a site takes part.
type SiteState string

// The states of a site.
const (
	SiteActive  SiteState = "active"
	SiteRemoved SiteState = "removed"
)

// A SiteKey is one generation of a site's keys, as they stand on its card.
type SiteKey struct {
	Serial    int     `json:"serial"`        // counted from 1
	Sign      string  `json:"sign"`          // note verifier key: checkpoints and labels
	TLS       string  `json:"tls"`           // Ed25519 public key, base64: connections
	Recipient string  `json:"recipient"`     // age recipient: parcels to the site
	End       *KeyEnd `json:"end,omitempty"` // set when the key is no longer current
}

// A KeyEnd says how far the word of a former key reaches: what the log held at
// the last good position is believed, what came above is not unless a newer key
// signed for it.
type KeyEnd struct {
	Revoked      bool     `json:"revoked"` // false: replaced in good order
	Decisions    Position `json:"decisions"`
	Observations Position `json:"observations"`
}

// An EpochBody is the body of the first entry of a new epoch; the id is the
// number of the epoch. It names the position of the old epoch that everything
// now left out had reached.
type EpochBody struct {
	Previous Position `json:"previous"`
	Nonce    string   `json:"nonce"` // 32 hexadecimal digits, random: no two epochs are alike
	Reason   string   `json:"reason"`
}

// A CheckpointBody is the body of a [KindCheckpoint] entry; the id is the name
// of the log.
type CheckpointBody struct {
	Position
}

// A PackageBody is the body of a [KindPackage] entry; the id is the package's.
type PackageBody struct {
	Name        string    `json:"name"`
	Version     string    `json:"version,omitempty"` // the vendor's
	Vendor      string    `json:"vendor,omitempty"`
	Language    string    `json:"language,omitempty"`
	Description string    `json:"description,omitempty"`
	Platforms   []string  `json:"platforms,omitempty"`
	Codec       string    `json:"codec,omitempty"`    // the codec of its bundles; empty: the default
	Priority    Priority  `json:"priority,omitempty"` // empty: medium
	Programs    []Program `json:"programs,omitempty"`
	Source      int64     `json:"source"`   // source version, counted from 1
	Manifest    Digest    `json:"manifest"` // of the manifest file
	Listing     int64     `json:"listing"`  // size of the manifest file in bytes
	Files       int64     `json:"files"`
	Size        int64     `json:"size"` // sum of the files' sizes in bytes
	Notes       int64     `json:"notes,omitempty"`
	Release     []string  `json:"release,omitempty"` // release signatures
	Removed     bool      `json:"removed,omitempty"` // a tombstone: the package is withdrawn everywhere
}

// Valid reports whether the numbers of the body can be those of a package. Its
// author may have been anybody.
func (b PackageBody) Valid() bool {
	return b.Source > 0 && !b.Manifest.IsZero() && b.Listing > 0 && b.Files >= 0 && b.Size >= 0
}

// A Program is one command of a package, exactly as a machine will run it.
type Program struct {
	Name      string            `json:"name"`
	Command   string            `json:"command"`
	Uninstall string            `json:"uninstall,omitempty"`
	RunTime   int64             `json:"run_time"` // minutes after which it is stopped
	DependsOn []string          `json:"depends_on,omitempty"`
	ExitCodes map[string]string `json:"exit_codes,omitempty"` // code → success, reboot, retry or failure
}

// A DistributionBody is the body of a [KindDistribution] entry; the id is the
// package's. The number beside a site is its generation: it grows when the same
// version is to be sent again, and 0 means that the site is to give it up.
type DistributionBody struct {
	Sites map[Code]int64 `json:"sites"`
}

// A ContentState is how much of a package a site holds.
type ContentState string

// The states of content at a site.
const (
	ContentWaiting   ContentState = "waiting"   // some of it is still to come
	ContentInstalled ContentState = "installed" // all of it is here, and durable
	ContentRemoved   ContentState = "removed"   // it was here, and was given up
)

// A ContentBody is the body of a [KindContent] entry; the id is the package's.
type ContentBody struct {
	State      ContentState `json:"state"`
	Source     int64        `json:"source"` // source version
	Generation int64        `json:"generation"`
	Held       Digest       `json:"held"` // manifest of the version that is complete here; zero: none
}

// Has reports whether the site holds a version of the package, or a later one.
func (c ContentBody) Has(source, generation int64) bool {
	return c.State == ContentInstalled && (c.Source > source || c.Source == source && c.Generation >= generation)
}

// A CrossingBody is the body of [KindExport] and [KindImport] entries; the id
// is the name of the parcel and, if it crossed more than once, a count.
type CrossingBody struct {
	From    Code   `json:"from"`
	To      Code   `json:"to"`
	Number  int64  `json:"number"`
	Label   Digest `json:"label"` // of the label file
	By      string `json:"by"`    // the operating system's name of the person
	Medium  string `json:"medium,omitempty"`
	Files   int64  `json:"files"`
	Bytes   int64  `json:"bytes"`
	Outcome string `json:"outcome"`
}

// An EnrolmentBody is the body of a [KindEnrolment] entry; the id is the code
// of the site that wants to join.
type EnrolmentBody struct {
	Card   string `json:"card"` // the card file, as it was handed in
	Parent Code   `json:"parent"`
}

// An AlarmBody is the body of a [KindAlarm] entry; the id counts alarms.
type AlarmBody struct {
	About string `json:"about"` // a site, log or parcel
	Text  string `json:"text"`
}

// A ParcelName names a parcel to people, such as HQ0-FLD-000042.
type ParcelName struct {
	From, To Code
	Number   int64
}

// A Moment is a time as entries and labels hold it.
func Moment(t time.Time) string { return t.UTC().Truncate(time.Second).Format(TimeFormat) }
