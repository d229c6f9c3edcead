package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"fardel/replicator"
	"fardel/site"
)

type exportedParcel struct {
	Parcel   string    `json:"parcel"`
	To       site.Code `json:"to"`
	After    int64     `json:"after"`
	Entries  int64     `json:"entries"`
	Packages []string  `json:"packages"`
	Files    int64     `json:"files"`
	Bytes    int64     `json:"bytes"`
	State    string    `json:"state"`
	Fenced   bool      `json:"fenced,omitempty"`
}

type exportResult struct {
	Parcels  []exportedParcel `json:"parcels"`
	Relayed  []string         `json:"relayed"`
	Later    []string         `json:"later"` // packages that are not complete here
	Medium   string           `json:"medium,omitempty"`
	Media    int              `json:"media"`
	Written  []int            `json:"written"`
	Left     int              `json:"left"`
	Images   []string         `json:"images,omitempty"`
	Bytes    int64            `json:"bytes"`
	ReadBack bool             `json:"read_back"` // the bytes came from the medium, not from memory
	Nothing  bool             `json:"nothing"`

	done    bool     // all media
	Removed []string `json:"removed,omitempty"` // own parcels that receipts have confirmed
}

func newExportResult(s *replicator.Shipment, medium string, total int) exportResult {
	r := exportResult{Parcels: []exportedParcel{}, Relayed: []string{}, Later: []string{}, Medium: medium, Media: total, Written: []int{}}
	for _, p := range s.Parcels {
		e := exportedParcel{Parcel: p.Name().String(), To: p.To, After: p.After, Entries: p.Entries, Packages: []string{},
			Files: p.Parcel.Files, Bytes: p.Bytes, State: string(p.State), Fenced: p.Plan.Fenced}
		for _, l := range p.Plan.Loads {
			e.Packages = append(e.Packages, string(l.Package.ID))
		}
		for _, l := range p.Plan.Later {
			if text := fmt.Sprintf("%s (%s)", l.ID, l.Why); !slices.Contains(r.Later, text) {
				r.Later = append(r.Later, text)
			}
		}
		r.Parcels = append(r.Parcels, e)
	}
	for _, p := range s.Relays {
		r.Relayed = append(r.Relayed, p.Name.String())
	}
	seen := map[string]bool{}
	for _, f := range s.Files() {
		if !seen[f.Name] {
			seen[f.Name] = true
			r.Bytes += f.Size
		}
	}
	return r
}

// finished returns the result of an export that has written all its media.
func (r exportResult) finished() exportResult {
	r.done = true
	for i := range r.Parcels {
		r.Parcels[i].State = string(replicator.StateCreated)
	}
	return r
}

func (exportResult) Kind() string { return "Export" }

func (r exportResult) Text(w *Printer) {
	if r.Nothing {
		w.Para("Nothing waits for any site. Nothing was written.")
		return
	}
	for _, p := range r.Parcels {
		what := Count(p.Entries, "entry")
		if len(p.Packages) > 0 {
			what = Count(int64(len(p.Packages)), "package") + ", " + what
		}
		if p.Fenced {
			what = "a receipt only: this site is fenced"
		}
		w.Para("Parcel %s: %s, %s", p.Parcel, what, Bytes(p.Bytes))
	}
	for _, n := range r.Relayed {
		w.Para("Parcel %s, on its way through here", n)
	}
	for _, l := range r.Later {
		w.Indented("not yet: %s", l)
	}
	switch {
	case len(r.Images) > 0:
		w.Para("Ready to be burnt or copied: %s.", strings.Join(r.Images, ", "))
	case r.Left > 0:
		w.Para("Medium %d of %d is written and read back (%s in all). It can be used at once.", r.Written[len(r.Written)-1], r.Media, Bytes(r.Bytes))
	case r.done:
		w.Para("%s on %s, read back and %s.", Bytes(r.Bytes), r.Medium, Good("good"))
	}
}

// previewResult is what --dry-run shows.
type previewResult []previewSite

type previewSite struct {
	To       site.Code        `json:"to"`
	After    int64            `json:"after"`
	Entries  int64            `json:"entries"`
	Packages []previewPackage `json:"packages"`
	Bytes    int64            `json:"bytes"` // of content, before compression
	Active   bool             `json:"active"`
	Media    int              `json:"media"`
	Later    []string         `json:"later"`
}

type previewPackage struct {
	ID     site.PackageID `json:"id"`
	Name   string         `json:"name"`
	Source int64          `json:"source"`
	Files  int            `json:"files"`
	Bytes  int64          `json:"bytes"`
	Medium int            `json:"medium"` // after which it is usable, at the latest
}

func (previewResult) Kind() string { return "ExportPlan" }

func (r previewResult) Text(w *Printer) {
	for _, s := range r {
		if !s.Active {
			w.Para("%s: nothing waits.", s.To)
			continue
		}
		w.Para("%s: %s and %s of content before compression, on %s.", s.To, Count(s.Entries, "entry"), Bytes(s.Bytes), Count(int64(s.Media), "medium"))
		rows := [][]string{}
		for _, p := range s.Packages {
			rows = append(rows, []string{string(p.ID), p.Name, fmt.Sprint(p.Source), fmt.Sprint(p.Files), Bytes(p.Bytes), fmt.Sprint(p.Medium)})
		}
		if len(rows) > 0 {
			w.Table([]string{"PACKAGE", "NAME", ">SOURCE", ">FILES", ">BYTES", ">USABLE AFTER MEDIUM"}, rows)
		}
		for _, l := range s.Later {
			w.Indented("not yet: %s", l)
		}
	}
	if len(r) == 0 {
		w.Para("There is no site above or below this one.")
	}
	w.Para("Nothing was written.")
}

// preview says what an export would do. The size after compression is not known
// before it is done, so media are counted for content that does not compress.
func (j *exportJob) preview(ctx context.Context) (Result, error) {
	res := previewResult{}
	for _, to := range j.to {
		if err := j.r.Gate(to); err != nil {
			return nil, err
		}
		plan, err := j.r.Plan(ctx, to, j.full)
		if err != nil {
			return nil, err
		}
		s := previewSite{To: to, After: plan.After, Entries: plan.Entries, Packages: []previewPackage{}, Bytes: plan.Bytes(), Active: plan.Active, Media: 1, Later: []string{}}
		var filled int64
		for _, l := range plan.Loads {
			filled += l.Bytes
			if j.volume > 0 && filled > j.volume {
				s.Media += int(filled / j.volume)
				filled %= j.volume
			}
			s.Packages = append(s.Packages, previewPackage{l.Package.ID, l.Package.Name, l.Package.Source, len(l.Files), l.Bytes, s.Media})
		}
		for _, l := range plan.Later {
			s.Later = append(s.Later, fmt.Sprintf("%s (%s)", l.ID, l.Why))
		}
		res = append(res, s)
	}
	return res, nil
}
