package replicator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"fardel/media"
	"fardel/site"
	"fardel/site/charter"
	"fardel/site/journal"
)

// InspectOptions say how closely to look.
type InspectOptions struct {
	Words string // the ten words of the root that is trusted; empty: whatever the charter says
	Files bool   // read and compare every file
	Only  string // the name of one label; empty: all

	Progress func(what string, done, total int64) // of the files that are read; may be nil
}

// An Inspection is what a label on a carrier says, and what can be told of it
// without any key of the hierarchy.
type Inspection struct {
	Parcel    string    `json:"parcel"`
	From      site.Code `json:"from"`
	To        site.Code `json:"to"`
	Created   string    `json:"created"`
	After     int64     `json:"after"`
	Marking   string    `json:"marking,omitempty"`
	Media     int       `json:"media"`
	Bundles   int       `json:"bundles"`
	Bytes     int64     `json:"bytes"`
	Signature string    `json:"signature"`
	Words     string    `json:"words,omitempty"` // of the root that the signature leads to
	Files     string    `json:"files,omitempty"`
	Faults    []string  `json:"faults"`
}

// Inspect reads the labels on a carrier on a machine that holds no keys at all:
// a kiosk, or the desk of somebody who has found a stick. The charter on the
// carrier says who may sign; whether it is the right charter, only the words of
// its root can tell.
func Inspect(ctx context.Context, c Carrier, opts InspectOptions) ([]Inspection, error) {
	var list []Inspection
	writers, err := c.Writers()
	if err != nil {
		return nil, err
	}
	var fault error
	for _, w := range writers {
		names, err := c.Names(w)
		if err != nil {
			return nil, err
		}
		trust, err := openTrust(c, w, names, opts.Words)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if _, err := media.ParseLabelPath(name); err != nil || opts.Only != "" && !strings.HasSuffix(name, "/"+opts.Only) {
				continue
			}
			one, err := trust.inspect(ctx, c, w, name, names, opts)
			if errors.Is(err, site.MediumGone) || ctx.Err() != nil {
				return list, err
			}
			if err != nil {
				one.Faults = append(one.Faults, err.Error())
				fault = errors.Join(fault, err)
			}
			list = append(list, one)
		}
	}
	return list, fault
}

// openedTrust is what the trust folder of one writer proves.
type openedTrust struct {
	known *charter.Known
	words string
}

func openTrust(c Carrier, w site.Code, names []string, words string) (openedTrust, error) {
	var notes [][]byte
	var entries []journal.TrustEntry
	for _, name := range names {
		if !strings.HasPrefix(name, media.TrustDir+"/") || len(notes)+len(entries) > 1000 {
			continue
		}
		b, err := readSmall(c, w, name, media.MaxLabel)
		if errors.Is(err, site.MediumGone) {
			return openedTrust{}, err
		}
		if strings.HasSuffix(name, ".note") && err == nil {
			notes = append(notes, b)
		} else if t, err := journal.ParseTrustEntry(b); err == nil {
			entries = append(entries, t)
		}
	}
	slices.SortStableFunc(notes, func(a, b []byte) int { return int(versionOf(a) - versionOf(b)) })
	chain, err := charter.OpenChain(notes, site.Digest{})
	if err != nil || len(notes) == 0 {
		return openedTrust{}, nil // every label will say that nothing vouches for it
	}
	first := chain.Charters()[0].Root()
	t := openedTrust{words: charter.Words(first)}
	if words != "" {
		if ok, err := charter.MatchWords(words, first); err != nil {
			return t, site.BadUsage.New("these are not the words of a root: %v", err)
		} else if !ok {
			return t, site.Untrusted.New("the charter on the medium has another root than you gave: %s", t.words).
				In("Nothing was verified").Then("do not use this medium")
		}
	}
	t.known = charter.NewKnown(chain, provedSites(chain, entries))
	return t, nil
}

func versionOf(note []byte) int64 {
	c, err := charter.ReadCharter(note)
	if err != nil {
		return 0
	}
	return c.Version
}

func provedSites(chain charter.Chain, entries []journal.TrustEntry) map[site.Code]site.Site {
	sites := map[site.Code]site.Site{}
	top := charter.NewKnown(chain, nil).For(chain.Latest().Top)
	log := site.LogID{Site: chain.Latest().Top, Log: site.Decisions}
	for _, t := range entries {
		cp, _, e, err := t.Verify(top)
		s := site.Site{Code: site.Code(e.ID)}
		if err == nil && cp.Origin.LogID == log && e.Kind == site.KindSite && e.Decode(&s.SiteBody) == nil {
			sites[s.Code] = s
		}
	}
	return sites
}

func (t openedTrust) inspect(ctx context.Context, c Carrier, w site.Code, name string, names []string, opts InspectOptions) (Inspection, error) {
	want, _ := media.ParseLabelPath(name)
	one := Inspection{Parcel: want.String(), Faults: []string{}}
	msg, err := readSmall(c, w, name, media.MaxLabel)
	if err != nil {
		return one, err
	}
	l, err := media.ReadLabel(msg)
	if err != nil {
		return one, err
	}
	one.Parcel, one.From, one.To, one.After = l.Name().String(), l.From, l.To, l.After
	one.Created, one.Marking, one.Media, one.Bundles = site.Moment(l.Created), l.Marking, l.Media, len(l.Bundles)
	one.Bytes = l.Body.Size
	for _, b := range l.Bundles {
		one.Bytes += b.Size
	}
	if t.known == nil {
		one.Signature = "cannot be checked: no charter lies beside it"
		return one, site.Untrusted.New("no charter on the medium vouches for parcel %s", want)
	}
	if _, sigs, err := media.OpenLabel(msg, t.known.For(l.From)); err != nil {
		one.Signature = "not by " + string(l.From)
		return one, site.Untrusted.New("the label of parcel %s is not signed by %s, or was changed", want, l.From).Because(err)
	} else if verdict, _ := t.known.Best(l.From, sigs); verdict < charter.Replaced {
		one.Signature = "by a revoked key of " + string(l.From)
		return one, site.Revoked.New("parcel %s is signed with a revoked key", want)
	}
	one.Signature, one.Words = "good, by "+string(l.From), t.words
	if opts.Files {
		var done int64
		one.Files, err = checkFiles(ctx, c, w, l, names, func(n int64) {
			if done += n; opts.Progress != nil {
				opts.Progress("Checking "+one.Parcel, done, one.Bytes)
			}
		})
	}
	return one, err
}

// checkFiles compares every file that the label names with its digest. Bundles
// on other media are counted, not missed.
func checkFiles(ctx context.Context, c Carrier, w site.Code, l media.Label, names []string, add func(int64)) (string, error) {
	want := map[string]media.File{media.BodyPath(l.Name()): l.Body}
	elsewhere := map[string]bool{}
	for _, s := range l.Segments {
		want[media.SegmentPath(s.Digest)] = s
	}
	for _, b := range l.Bundles {
		path := media.BundlePath(b.Digest, b.Codec)
		want[path] = b.File
		elsewhere[path] = l.Media > 1
	}
	good, away := 0, 0
	for path, file := range want {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if !slices.Contains(names, path) {
			if !elsewhere[path] {
				return "", site.Damaged.New("parcel %s lacks its file %s", l.Name(), path)
			}
			away++
			continue
		}
		f, size, err := c.Open(w, path)
		if err != nil {
			return "", err
		}
		if size != file.Size {
			err = site.Damaged.New("the size of %s is wrong", path)
		} else {
			_, err = io.Copy(counter(add), media.Checked(f, file))
		}
		if closed := f.Close(); err == nil {
			err = closed
		}
		if errors.Is(err, site.Damaged) {
			return "", site.Damaged.New("parcel %s is damaged in %s", l.Name(), path).Because(err)
		}
		if err != nil {
			return "", err
		}
		good++
	}
	if away > 0 {
		return fmt.Sprintf("%d good, %d on other media", good, away), nil
	}
	return fmt.Sprintf("%d good", good), nil
}

// counter is a writer that only counts.
type counter func(n int64)

func (c counter) Write(b []byte) (int, error) {
	c(int64(len(b)))
	return len(b), nil
}
