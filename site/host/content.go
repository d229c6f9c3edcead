package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"fardel/site"
	"fardel/site/store"
	"fardel/site/tree"
)

// Content returns what the site holds of a package.
func (v *View) Content(id site.PackageID) (Content, error) {
	c, _, err := store.GetJSON[Content](v.Tx, contentPrefix+string(id))
	return c, err
}

// PutContent records what the site holds of a package, and remembers the
// version's manifest, which later versions are compared with.
func (v *View) PutContent(id site.PackageID, c Content) error {
	if c.State == site.ContentInstalled {
		if err := store.PutJSON(v.Tx, versionKey(id, c.Source), Version{Manifest: c.Held, At: stamp(v.Host.Now())}); err != nil {
			return err
		}
	}
	return store.PutJSON(v.Tx, contentPrefix+string(id), c)
}

// Describe says what the site holds, for a person.
func (c Content) Describe() string {
	switch {
	case c.Blocked != "":
		return "blocked by " + c.Blocked
	case c.State == site.ContentInstalled:
		return fmt.Sprintf("installed, version %d", c.Source)
	case c.State == site.ContentRemoved:
		return "given up"
	case c.Missing < 0:
		return "waiting for its first bundle"
	case c.State == site.ContentWaiting:
		return fmt.Sprintf("waiting for %d files", c.Missing)
	}
	return "not held here"
}

// EachContent calls fn for each package that the site holds or waits for.
func (v *View) EachContent(fn func(site.PackageID, Content) error) error {
	return v.Scan(store.Records, contentPrefix, func(key string, value []byte) error {
		var c Content
		if err := site.DecodeCanonical(value, &c); err != nil {
			return site.StateDamaged.New("a record of content cannot be read").Because(err)
		}
		return fn(site.PackageID(strings.TrimPrefix(key, contentPrefix)), c)
	})
}

func assumedKey(peer site.Code, id site.PackageID) string {
	return "assumed/" + string(peer) + "/" + string(id)
}

// Assume records that a peer holds a version of a package, by its receipt code:
// its own observations do not reach this site.
func (v *View) Assume(peer site.Code, id site.PackageID, source, generation int64) error {
	var held site.Digest
	rec, ok, err := store.GetJSON[Version](v.Tx, versionKey(id, source))
	if err != nil {
		return err
	}
	if ok {
		held = rec.Manifest
	}
	if old, ok, err := store.GetJSON[site.ContentBody](v.Tx, assumedKey(peer, id)); err != nil || ok && old.Has(source, generation) {
		return err
	}
	return store.PutJSON(v.Tx, assumedKey(peer, id), site.ContentBody{
		State: site.ContentInstalled, Source: source, Generation: generation, Held: held,
	})
}

func versionKey(id site.PackageID, source int64) string {
	return fmt.Sprintf("%s%s/%012d", versionPrefix, id, source)
}

// PeerContent returns what another site holds of each package: what its own
// observations say, or what its receipt codes do where those say something newer.
//
// The answer is looked up once for each view, and must not be changed.
func (v *View) PeerContent(peer site.Code) (map[site.PackageID]site.ContentBody, error) {
	if out, ok := v.peers[peer]; ok {
		return out, nil
	}
	out, err := v.said(peer)
	if err == nil {
		err = v.addAssumed(peer, out)
	}
	if err != nil {
		return nil, err
	}
	if v.peers == nil {
		v.peers = map[site.Code]map[site.PackageID]site.ContentBody{}
	}
	v.peers[peer] = out
	return out, nil
}

// addAssumed adds what receipt codes say that a site holds.
func (v *View) addAssumed(peer site.Code, out map[site.PackageID]site.ContentBody) error {
	prefix := assumedKey(peer, "")
	return v.Scan(store.Records, prefix, func(key string, value []byte) error {
		var b site.ContentBody
		if err := site.DecodeCanonical(value, &b); err != nil {
			return site.StateDamaged.New("a record of content at %s cannot be read", peer).Because(err)
		}
		id := site.PackageID(strings.TrimPrefix(key, prefix))
		if said, ok := out[id]; !ok || b.Source > said.Source {
			out[id] = b
		}
		return nil
	})
}

// said returns what a site's own observations say that it holds.
func (v *View) said(peer site.Code) (map[site.PackageID]site.ContentBody, error) {
	out := map[site.PackageID]site.ContentBody{}
	log := site.LogID{Site: peer, Log: site.Observations}
	err := v.Objects(log, site.KindContent, func(e site.Entry, _ int64) error {
		var b site.ContentBody
		if e.Decode(&b) == nil {
			out[site.PackageID(e.ID)] = b
		}
		return nil
	})
	return out, err
}

// WantedAt reports whether a site has to hold a package, and in which generation:
// because it is to hold it, or because a site below it is and lacks it still. A
// site on the way that holds some version keeps up with it, so that the next
// update is small.
func (v *View) WantedAt(at site.Code, p *Package, holds bool) (gen int64, wanted bool, err error) {
	below := v.subtree(at)
	gen, wanted = p.For(below)
	if !wanted || holds || p.Targets[at] > 0 {
		return gen, wanted, nil
	}
	for _, c := range below {
		if p.Targets[c] == 0 {
			continue
		}
		held, err := v.PeerContent(c)
		if err != nil || !held[p.ID].Has(p.Source, p.Targets[c]) {
			return gen, true, err
		}
	}
	return gen, false, nil
}

// WantedHere is [View.WantedAt] for this site. What a site has made itself it
// holds until it removes it.
func (v *View) WantedHere(p *Package) (gen int64, wanted bool, err error) {
	c, err := v.Content(p.ID)
	if err != nil {
		return 0, false, err
	}
	gen, wanted, err = v.WantedAt(v.Host.Self, p, !c.Held.IsZero())
	if !wanted && p.Author() == v.Host.Self && !p.Removed {
		return 1, true, err
	}
	return gen, wanted, err
}

// Wants are the files that the site is to hold and does not.
type Wants struct {
	Files     map[site.Digest]int64          // size by digest; manifests included
	Manifests map[site.Digest]site.PackageID // those that are manifests
	Packages  map[site.PackageID]int64       // how many files each package waits for; -1 for the manifest
}

// Settle brings what the site holds into line with what the logs say: it finds
// what is missing, marks as installed what is complete, gives up what is no
// longer wanted, and writes an observation for each change. It returns what is
// still wanted. Settle never trusts a record where a look at the library is
// cheap.
func (h *Host) Settle(ctx context.Context) (*Wants, error) {
	wants := &Wants{Files: map[site.Digest]int64{}, Manifests: map[site.Digest]site.PackageID{}, Packages: map[site.PackageID]int64{}}
	changes := map[site.PackageID]Content{}
	err := h.View(func(v *View) error {
		list, err := v.Packages()
		if err != nil {
			return err
		}
		said, err := v.said(h.Self)
		if err != nil {
			return err
		}
		for _, p := range list {
			if err := ctx.Err(); err != nil {
				return err
			}
			old, err := v.Content(p.ID)
			if err != nil {
				return err
			}
			now, err := v.assess(p, old, wants)
			if err != nil {
				return err
			}
			if now != old || p.Author() != h.Self && !now.told(said[p.ID]) {
				changes[p.ID] = now
			}
		}
		return nil
	})
	if err != nil || len(changes) == 0 {
		return wants, err
	}
	return wants, h.record(changes)
}

// record stores changed content states and tells the sites above, some hundreds
// at a time, so that a transaction stays small.
func (h *Host) record(changes map[site.PackageID]Content) error {
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(changes)), 500) {
		err := h.Update(func(v *View) error {
			var entries []site.Entry
			for _, id := range ids {
				now := changes[id]
				if err := v.PutContent(id, now); err != nil {
					return err
				}
				said, err := v.lastSaid(id)
				if err != nil {
					return err
				}
				if now.told(said) {
					continue // only the number of missing files: not worth an entry
				}
				e, err := site.NewEntry(h.Now(), site.KindContent, string(id), site.ContentBody{
					State: now.State, Source: now.Source, Generation: now.Generation, Held: now.Held,
				})
				if err != nil {
					return err
				}
				entries = append(entries, e)
			}
			if _, fenced, err := v.Fenced(); err != nil || fenced {
				return err // told when the fence is lifted: Settle writes what differs
			}
			return v.Append(site.Observations, entries...)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// told reports whether the site's last observation about a package says what it
// holds now. It may not, after a fence or a restored backup.
func (c Content) told(said site.ContentBody) bool {
	return c.State == said.State && c.Source == said.Source && c.Generation == said.Generation && c.Held == said.Held
}

func (v *View) lastSaid(id site.PackageID) (said site.ContentBody, err error) {
	e, _, ok, err := v.Latest(v.Host.Own(site.Observations), site.KindContent, string(id))
	if err != nil || !ok {
		return said, err
	}
	return said, e.Decode(&said)
}

// assess says what the site holds of one package, and adds what is missing to
// wants.
func (v *View) assess(p *Package, old Content, wants *Wants) (Content, error) {
	gen, wanted, err := v.WantedHere(p)
	if err != nil {
		return old, err
	}
	if !wanted {
		if old.State == site.ContentWaiting || old.State == site.ContentInstalled {
			old = Content{State: site.ContentRemoved, Source: old.Source, Generation: old.Generation}
		}
		return old, nil
	}
	now := Content{State: site.ContentInstalled, Source: p.Source, Generation: gen, Held: p.Manifest, Blocked: old.Blocked}
	if old.State == site.ContentInstalled && old.Source == p.Source && old.Held == p.Manifest {
		if old.Generation >= gen {
			return old, nil
		}
		// Distributed again: look at every byte before believing it.
		if err := v.Host.recheck(p); err != nil {
			return now, err
		}
	}
	if old.Blocked == blockedManifest {
		now.Blocked = ""
	}
	missing, err := v.Host.missing(p, wants)
	if errors.Is(err, ErrManifest) && (old.Blocked == blockedManifest || v.Host.Library.Verify(context.Background(), p.Manifest) == nil) {
		// As its author made it. That is no reason to stop at the others.
		now.State, now.Missing, now.Held, now.Blocked = site.ContentWaiting, -1, old.Held, blockedManifest
		return now, nil
	}
	if err != nil {
		return now, err
	}
	if missing != 0 {
		now.State, now.Missing, now.Held = site.ContentWaiting, missing, old.Held
		wants.Packages[p.ID] = missing
	} else {
		now.Blocked = ""
	}
	return now, nil
}

// ErrManifest is the cause of a fault about a file that is no list of files,
// though a package says so.
var ErrManifest = errors.New("not a list of files")

const blockedManifest = "its list of files, which is malformed"

// missing counts the files of a package that the library lacks and adds them to
// wants; -1 means that the manifest itself is missing.
func (h *Host) missing(p *Package, wants *Wants) (int64, error) {
	if !h.Library.Has(p.Manifest) {
		wants.Files[p.Manifest] = p.Listing
		wants.Manifests[p.Manifest] = p.ID
		return -1, nil
	}
	lacks := map[site.Digest]int64{}
	err := h.EachFile(p.Manifest, p.Listing, func(d site.Digest, size int64) error {
		if !h.Library.Has(d) {
			lacks[d] = size
		}
		return nil
	})
	if err == nil {
		maps.Copy(wants.Files, lacks)
	}
	return int64(len(lacks)), err
}

// recheck hashes every file of a package and throws out what does not match, so
// that it becomes a want.
func (h *Host) recheck(p *Package) error {
	if !h.Library.Has(p.Manifest) {
		return nil
	}
	if h.Library.Verify(context.Background(), p.Manifest) != nil {
		return h.Library.Remove(p.Manifest)
	}
	return h.EachFile(p.Manifest, p.Listing, func(d site.Digest, _ int64) error {
		if h.Library.Has(d) && h.Library.Verify(context.Background(), d) != nil {
			return h.Library.Remove(d)
		}
		return nil
	})
}

// EachFile calls fn for each distinct file in a manifest of the library.
func (h *Host) EachFile(manifest site.Digest, size int64, fn func(site.Digest, int64) error) error {
	f, err := h.Library.Open(manifest)
	if err != nil {
		return err
	}
	defer f.Close()
	return FilesOf(f, size, fn)
}

// FilesOf calls fn for each distinct file that a manifest names.
func FilesOf(r io.Reader, size int64, fn func(site.Digest, int64) error) error {
	seen := map[site.Digest]bool{}
	for item, err := range tree.ReadManifest(r, size) {
		if err != nil {
			return site.StateDamaged.New("a manifest in the library cannot be read: %v", err).
				Then("fardel library verify").Because(errors.Join(ErrManifest, err))
		}
		if item.Type != tree.File || seen[item.Digest] {
			continue
		}
		seen[item.Digest] = true
		if err := fn(item.Digest, item.Size); err != nil {
			return err
		}
	}
	return nil
}
