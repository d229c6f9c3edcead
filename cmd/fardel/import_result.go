package main

import (
	"fmt"
	"strings"

	"fardel/replicator"
	"fardel/site"
)

type importedParcel struct {
	Parcel  string `json:"parcel"`
	Outcome string `json:"outcome"`
	Created string `json:"created,omitempty"`
	After   int64  `json:"after"`
	Entries int64  `json:"entries"`
	Before  string `json:"before,omitempty"`
	ID      string `json:"id,omitempty"` // of the fault
	Detail  string `json:"detail,omitempty"`
	Warning string `json:"warning,omitempty"`
}

type waitingPackage struct {
	ID      site.PackageID `json:"id"`
	Missing int64          `json:"missing"`
	Media   []int          `json:"media,omitempty"`
	Parcel  string         `json:"parcel,omitempty"`
}

type importedMedium struct {
	Medium    string           `json:"medium"`
	Parcels   []importedParcel `json:"parcels"`
	Bundles   int              `json:"bundles"`
	Unneeded  int              `json:"unneeded"`
	Files     int64            `json:"files"`
	Bytes     int64            `json:"bytes"`
	Installed []site.PackageID `json:"installed"`
	Waiting   []waitingPackage `json:"waiting"`
	Void      []string         `json:"void"`
	Damaged   []string         `json:"damaged"`
	Healed    bool             `json:"healed"`
	Receipt   string           `json:"receipt,omitempty"` // where it was written
	Code      []string         `json:"code,omitempty"`
	dry       bool
	broken    bool   // the import did not come to its end
	spoken    string // of the fault that is shown below
}

type importResult []importedMedium

func (importResult) Kind() string { return "ImportList" }

func newImportedMedium(path string, rep *replicator.Report, dry bool) *importedMedium {
	m := &importedMedium{Medium: path, Parcels: []importedParcel{}, Bundles: rep.Bundles, Unneeded: rep.Unneeded, Files: rep.Files, Bytes: rep.Bytes,
		Installed: append([]site.PackageID{}, rep.Installed...), Waiting: []waitingPackage{}, Void: append([]string{}, rep.Void...), Damaged: []string{},
		Healed: rep.Healed, dry: dry}
	for _, p := range rep.Parcels {
		one := importedParcel{Parcel: p.Name.String(), Outcome: string(p.Outcome), After: p.Label.After, Entries: p.Entries, Before: p.Before, Warning: p.Warning}
		if !p.Label.Created.IsZero() {
			one.Created = site.Moment(p.Label.Created)
		}
		if p.Fault != nil {
			one.ID, one.Detail = p.Fault.Class.Name(), p.Fault.Error()
		}
		m.Parcels = append(m.Parcels, one)
	}
	for _, x := range rep.Waiting {
		one := waitingPackage{ID: x.ID, Missing: x.Missing, Media: x.Media}
		if x.Parcel.Number > 0 {
			one.Parcel = x.Parcel.String()
		}
		m.Waiting = append(m.Waiting, one)
	}
	for _, f := range rep.Faults {
		m.Damaged = append(m.Damaged, f.Error())
	}
	return m
}

func (r importResult) Text(w *Printer) {
	for i := range r {
		r[i].text(w)
	}
}

func (m *importedMedium) text(w *Printer) {
	for _, p := range m.Parcels {
		if m.spoken == "" || p.Detail != m.spoken {
			p.text(w)
		}
	}
	for _, d := range m.Damaged {
		if d != m.spoken {
			w.Para("%s %s", Bad("Damaged:"), sentence(d))
		}
	}
	for _, v := range m.Void {
		w.Para("%s %s. It is kept and means nothing; an alarm was raised.", Bad("Void:"), v)
	}
	if m.Healed {
		w.Para("%s this site's own lost entries came back; the fence is lifted.", Good("Healed:"))
	}
	if len(m.Installed) > 0 {
		ids := make([]string, len(m.Installed))
		for i, id := range m.Installed {
			ids[i] = string(id)
		}
		w.Para("Complete here now: %s (%s, %s new).", strings.Join(ids, ", "), Count(m.Files, "file"), Bytes(m.Bytes))
	}
	for _, x := range m.Waiting {
		w.Para("%s", x.words())
	}
	for _, c := range m.Code {
		w.Para("Receipt code, to be read aloud: %s", c)
	}
	switch {
	case m.broken:
	case m.dry:
		w.Para("Nothing was changed.")
	case m.Receipt != "":
		w.Para("The receipt is on %s. Safe to unplug; take the medium back.", m.Receipt)
	default:
		w.Para("Safe to unplug.")
	}
}

func (x waitingPackage) words() string {
	what := Count(x.Missing, "file")
	if x.Missing < 0 {
		what = "its first bundle"
	}
	if len(x.Media) == 0 {
		return fmt.Sprintf("Package %s waits for %s, which came on no medium yet.", x.ID, what)
	}
	media := make([]string, len(x.Media))
	for i, n := range x.Media {
		media[i] = fmt.Sprint(n)
	}
	return fmt.Sprintf("Package %s waits for %s: medium %s of parcel %s.", x.ID, what, strings.Join(media, ", "), x.Parcel)
}

func (p importedParcel) text(w *Printer) {
	switch replicator.Outcome(p.Outcome) {
	case replicator.Imported:
		follows := "needs no earlier one"
		if p.After > 0 {
			follows = fmt.Sprintf("follows %d", p.After)
		}
		entries := Count(p.Entries, "entry") + " applied"
		if p.Entries == 0 {
			entries = "no entry that is new here"
		}
		w.Para("Parcel %s of %s: signature ok, %s, %s.", p.Parcel, day(p.Created), follows, entries)
	case replicator.Already:
		before := ""
		if at, by, ok := strings.Cut(p.Before, " by "); ok {
			before = " on " + minute(at) + " by " + by
		}
		w.Para("Parcel %s was imported%s. Nothing to do.", p.Parcel, before)
	case replicator.Relayed:
		w.Para("Parcel %s passes through here: a copy is kept, unchanged, for the next export that way.", p.Parcel)
	case replicator.OwnParcel:
		w.Para("Parcel %s was written by this site.", p.Parcel)
	case replicator.Verified:
		w.Para("Parcel %s of %s: %s, %s.", p.Parcel, day(p.Created), Good("good"), Count(p.Entries, "new entry"))
	case replicator.Foreign:
		w.Para("Parcel %s is for another site. It was not opened.", p.Parcel)
	case replicator.HeldBack:
		w.Para("Parcel %s is good and %s: parcel %d has not arrived.", p.Parcel, Notable("is kept"), p.After)
	default:
		w.Para("Parcel %s was %s: %s", p.Parcel, Bad("refused"), sentence(p.Detail))
	}
	if p.Warning != "" {
		w.Para("  %s", Notable(p.Warning))
	}
}

// minute writes a moment as people do, to the minute.
func minute(moment string) string {
	t, err := site.ParseTime(moment)
	if err != nil {
		return moment
	}
	return When(t)
}

func day(moment string) string {
	if len(moment) < 10 {
		return moment
	}
	return moment[:10]
}
