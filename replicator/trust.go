package replicator

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"fardel/media"
	"fardel/site"
	"fardel/site/charter"
	"fardel/site/host"
	"fardel/site/journal"
)

// readTrust takes in charters and remembers the cards that trust entries prove.
// What does not verify is passed over: it may be a stranger's, and whatever
// needs it fails by itself, with a better sentence.
func (r *Replicator) readTrust(c Carrier, opts ImportOptions) ([]journal.TrustEntry, error) {
	writers, err := c.Writers()
	if err != nil {
		return nil, err
	}
	var folders [][][]byte // of charters, by writer
	var entries []journal.TrustEntry
	for _, w := range writers {
		names, err := c.Names(w)
		if err != nil {
			return nil, err
		}
		var charters [][]byte
		read := 0
		for _, name := range names {
			if !strings.HasPrefix(name, media.TrustDir+"/") || read >= maxTrust {
				continue
			}
			read++
			b, err := readSmall(c, w, name, media.MaxLabel)
			if errors.Is(err, site.MediumGone) {
				return nil, err
			}
			if err != nil {
				continue
			}
			if strings.HasSuffix(name, ".note") {
				charters = append(charters, b)
			} else if t, err := journal.ParseTrustEntry(b); err == nil {
				entries = append(entries, t)
			}
		}
		folders = append(folders, charters)
	}
	if err := r.takeCharters(folders, opts.DryRun); err != nil {
		return nil, err
	}
	return entries, nil
}

// maxTrust bounds the trust files that are read from one writer's folder.
const maxTrust = 1000

// provedSites returns what trust entries say of sites. Of two about one site the
// later counts, wherever it lies: an old card must not hide a revocation.
func (r *Replicator) provedSites(entries []journal.TrustEntry) (map[site.Code]site.Site, error) {
	extra := map[site.Code]site.Site{}
	latest := map[site.Code]site.Position{}
	return extra, r.host.View(func(v *host.View) error {
		for _, t := range entries {
			s, ok := r.provedSite(v, t)
			if !ok {
				continue
			}
			cp, _, err := t.Unverified() // it was verified just now
			if err != nil {
				return err
			}
			at := site.Position{Epoch: cp.Origin.Epoch, Size: t.Proof.Index + 1}
			if older(latest[s.Code], at) {
				extra[s.Code], latest[s.Code] = s, at
			}
		}
		return nil
	})
}

// provedSite returns what a trust entry says of a site, if it is newer than what
// the top's log says here.
func (r *Replicator) provedSite(v *host.View, t journal.TrustEntry) (site.Site, bool) {
	if v.Hier.Top == "" {
		return site.Site{}, false
	}
	cp, sigs, e, err := t.Verify(v.Known.For(v.Hier.Top))
	log := site.LogID{Site: v.Hier.Top, Log: site.Decisions}
	if err != nil || !believed(v.Known, log, sigs, cp) || cp.Origin.Hierarchy != v.Hier.ID || cp.Origin.LogID != log || e.Kind != site.KindSite {
		return site.Site{}, false
	}
	have, err := v.Position(log)
	if err != nil || cp.Origin.Epoch < have.Epoch || cp.Origin.Epoch == have.Epoch && t.Proof.Index < have.Size {
		return site.Site{}, false
	}
	s := site.Site{Code: site.Code(e.ID)}
	if !s.Code.Valid() || s.Code == v.Hier.Top || e.Decode(&s.SiteBody) != nil {
		return site.Site{}, false
	}
	return s, true
}

// believed reports whether the keys that signed a checkpoint may speak for its
// log that far. A key that a site replaced in good order is believed until it is
// revoked; one that the top replaced only as far as the charter's top has said
// since, for whoever stole it could admit sites.
func believed(known *charter.Known, id site.LogID, sigs []note.Signature, cp journal.Checkpoint) bool {
	verdict, end := known.Best(id.Site, sigs)
	switch verdict {
	case charter.Current:
		return true
	case charter.Replaced:
		return id.Site != known.Charter().Top || charter.Covers(end, id.Log, cp.Position())
	case charter.RevokedKey:
		return charter.Covers(end, id.Log, cp.Position())
	}
	return false
}

// takeCharters extends the chain of charters by what the folders of a carrier
// hold. At a site that has none yet, the longest of those that lead to its root
// counts; a medium may bear folders of other hierarchies as well.
func (r *Replicator) takeCharters(folders [][][]byte, dry bool) error {
	var chain charter.Chain
	err := r.host.View(func(v *host.View) error { chain = v.Chain; return nil })
	if err != nil {
		return err
	}
	had := len(chain.Notes())
	var fault error
	for _, notes := range folders {
		longer, err := r.longer(chain, notes)
		if err != nil {
			fault = errors.Join(fault, err)
		} else if len(longer.Notes()) > len(chain.Notes()) {
			chain = longer
		}
	}
	if len(chain.Notes()) == 0 && fault != nil {
		return site.Untrusted.New("the medium does not belong to the hierarchy that %s was set up for", r.host.Self).
			In("Nothing was opened").
			Then("compare the root's words with the sender by phone; here they are: %s", r.host.Words()).Because(fault)
	}
	if dry && had > 0 || len(chain.Notes()) == had {
		return nil
	}
	return r.host.PutCharters(chain)
}

// longer extends a chain of charters, or opens the first.
func (r *Replicator) longer(chain charter.Chain, notes [][]byte) (charter.Chain, error) {
	if len(notes) == 0 {
		return chain, nil
	}
	version := func(note []byte) int64 {
		c, err := charter.ReadCharter(note)
		if err != nil {
			return 0
		}
		return c.Version
	}
	slices.SortStableFunc(notes, func(a, b []byte) int { return cmp.Compare(version(a), version(b)) })
	if len(chain.Notes()) == 0 {
		return charter.OpenChain(notes, r.host.Me.Root)
	}
	for _, n := range notes {
		if longer, err := chain.Extend(n); err == nil {
			chain = longer
		}
	}
	return chain, nil
}
