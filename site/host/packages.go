package host

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fardel/site"
	"fardel/site/store"
	"fardel/site/tree"
)

// A Package is a package as the logs that are held here describe it.
type Package struct {
	ID site.PackageID
	site.PackageBody
	// Targets are the sites that are to hold the package, with the generation
	// that they are to hold; sites that are to give it up are not in it.
	Targets map[site.Code]int64
}

// Author returns the site that made the package.
func (p *Package) Author() site.Code { return p.ID.Author() }

// For returns the generation that the sites of a set are to hold, the highest of
// them, and false if none of them is a target.
func (p *Package) For(codes []site.Code) (int64, bool) {
	var gen int64
	for _, c := range codes {
		gen = max(gen, p.Targets[c])
	}
	return gen, gen > 0 && !p.Removed
}

// Packages returns every package that its author may publish, in order of ids,
// with the sites that are to hold it. The result must not be changed.
func (v *View) Packages() ([]*Package, error) {
	key, authors, err := v.deciders()
	if err != nil {
		return nil, err
	}
	if list, ok := v.Host.fold.packages[key]; ok {
		return list, nil
	}
	found := map[site.PackageID]*Package{}
	for _, author := range authors {
		log := site.LogID{Site: author, Log: site.Decisions}
		err := v.Objects(log, site.KindPackage, func(e site.Entry, _ int64) error {
			p := &Package{ID: site.PackageID(e.ID), Targets: map[site.Code]int64{}}
			if p.ID.Valid() && v.Hier.May(log, e.Kind, e.ID) == nil && e.Decode(&p.PackageBody) == nil && p.PackageBody.Valid() {
				found[p.ID] = p
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	// Authors are in order from the top down, so that a site that an ancestor
	// has told to give a package up stays told.
	declined := map[string]bool{}
	for _, author := range authors {
		if err := v.addTargets(author, found, declined); err != nil {
			return nil, err
		}
	}
	list := slices.SortedFunc(maps.Values(found), func(a, b *Package) int { return strings.Compare(string(a.ID), string(b.ID)) })
	v.Host.fold.packages = map[string][]*Package{key: list}
	return list, nil
}

func (v *View) addTargets(author site.Code, found map[site.PackageID]*Package, declined map[string]bool) error {
	log := site.LogID{Site: author, Log: site.Decisions}
	return v.Objects(log, site.KindDistribution, func(e site.Entry, _ int64) error {
		p := found[site.PackageID(e.ID)]
		var body site.DistributionBody
		if p == nil || v.Hier.May(log, e.Kind, e.ID) != nil || e.Decode(&body) != nil {
			return nil
		}
		for target, gen := range body.Sites {
			spot := e.ID + string(target)
			if _, ok := v.Hier.Active(target); !ok || !v.Hier.MayReach(author, target) || declined[spot] {
				continue
			}
			if gen <= 0 {
				declined[spot] = true // for those below; what one above has decided stands
				continue
			}
			p.Targets[target] = max(p.Targets[target], gen)
		}
		return nil
	})
}

// deciders returns the sites whose decisions are held, from the top down, and a
// key that changes whenever one of their logs does.
func (v *View) deciders() (string, []site.Code, error) {
	logs, err := v.Logs()
	if err != nil {
		return "", nil, err
	}
	var key strings.Builder
	var authors []site.Code
	for _, l := range logs {
		if l.Log == site.Decisions {
			fmt.Fprintf(&key, "%s %d %d %x\n", l.Site, l.Epoch, l.Size, l.Root[:8])
			authors = append(authors, l.Site)
		}
	}
	slices.SortStableFunc(authors, func(a, b site.Code) int { return len(v.Hier.Path(a)) - len(v.Hier.Path(b)) })
	return key.String(), authors, nil
}

// Package returns the package with this id, or a [site.NoSuch] fault.
func (v *View) Package(id site.PackageID) (*Package, error) {
	list, err := v.Packages()
	if err != nil {
		return nil, err
	}
	i, ok := slices.BinarySearchFunc(list, id, func(p *Package, id site.PackageID) int { return strings.Compare(string(p.ID), string(id)) })
	if !ok {
		return nil, site.NoSuch.New("there is no package %s here", id).Then("fardel package list")
	}
	return list[i], nil
}

// AddOptions say how a package is added or updated.
type AddOptions struct {
	To        []site.Code // sites that are to hold it
	Platforms []string    // overrules package.toml; nil leaves it
	Codec     string      // of its bundles; empty is the default
	Priority  site.Priority
	Progress  Progress
}

// A Progress is told how far a long operation has come: its phase, and the
// bytes that are done and that there are in all; 0 if nobody knows yet.
type Progress func(phase string, done, total int64)

// files adapts a Progress to a package that knows nothing of phases.
func (p Progress) files(phase string, total int64) func(files, bytes int64) {
	if p == nil {
		return nil
	}
	return func(_, bytes int64) { p(phase, bytes, total) }
}

// An Addition is what adding or updating a package came to.
type Addition struct {
	Package *Package
	Changed bool     // false when the tree is what it was
	New     int64    // bytes that the library did not hold before
	Notes   []string // what was left out or changed, path by path
}

// AddPackage takes the tree at dir into the library as a new package.
func (h *Host) AddPackage(ctx context.Context, dir string, opts AddOptions) (Addition, error) {
	id, err := h.nextPackage(opts.To)
	if err != nil {
		return Addition{}, err
	}
	body, add, err := h.takeTree(ctx, dir, opts)
	if err != nil {
		return add, err
	}
	body.Source, add.Changed = 1, true
	err = h.Update(func(v *View) error {
		// Numbered again: another process may have been faster.
		n, err := v.Count(packageKey)
		if err != nil {
			return err
		}
		id = site.NewPackageID(h.Self, n)
		add.Package = &Package{ID: id, PackageBody: body, Targets: map[site.Code]int64{}}
		for _, c := range opts.To {
			add.Package.Targets[c] = 1
		}
		return v.publish(add.Package, true)
	})
	return add, err
}

// nextPackage refuses early what could only be refused after the whole tree was
// read.
func (h *Host) nextPackage(to []site.Code) (id site.PackageID, err error) {
	err = h.View(func(v *View) error {
		n, _, err := store.GetJSON[int64](v.Tx, packageKey)
		if err != nil {
			return err
		}
		if id = site.NewPackageID(h.Self, n+1); id.Number() != n+1 {
			return site.Failed.New("%s has used up its package ids", h.Self)
		}
		if err := v.mayPublish(id); err != nil {
			return err
		}
		return v.checkTargets(to)
	})
	return id, err
}

func (v *View) mayPublish(id site.PackageID) error {
	if err := v.mayWrite(); err != nil {
		return err
	}
	if err := v.Hier.May(v.Host.Own(site.Decisions), site.KindPackage, string(id)); err != nil {
		return site.NotAllowed.New("%v", err).In("Nothing was added").
			Then("ask the administrator of %s for the right: fardel site grant %s publish", v.Hier.Top, v.Host.Self)
	}
	return nil
}

func (v *View) checkTargets(to []site.Code) error {
	for _, c := range to {
		if _, ok := v.Hier.Active(c); !ok {
			return site.NoSuch.New("%s is not a member of the hierarchy", c).In("Nothing was changed").Then("fardel site list")
		}
		if !v.Hier.MayReach(v.Host.Self, c) {
			return site.NotAllowed.New("%s is not below %s", c, v.Host.Self).In("Nothing was changed").
				Then("ask the administrator of a site above %s", c)
		}
	}
	return nil
}

// publish writes the entries of a package: itself, its distribution, and that
// its author holds it.
func (v *View) publish(p *Package, distribution bool) error {
	now := v.Host.Now()
	e, err := site.NewEntry(now, site.KindPackage, string(p.ID), p.PackageBody)
	if err != nil {
		return err
	}
	entries := []site.Entry{e}
	if distribution && len(p.Targets) > 0 {
		d, err := site.NewEntry(now, site.KindDistribution, string(p.ID), site.DistributionBody{Sites: p.Targets})
		if err != nil {
			return err
		}
		entries = append(entries, d)
	}
	if err := v.Append(site.Decisions, entries...); err != nil {
		return err
	}
	return v.PutContent(p.ID, Content{State: site.ContentInstalled, Source: p.Source, Generation: 1, Held: p.Manifest})
}

// UpdatePackage takes the tree at dir as the next source version of a package.
// If the tree and its description are what they were, nothing is written.
func (h *Host) UpdatePackage(ctx context.Context, id site.PackageID, dir string, opts AddOptions) (Addition, error) {
	var old site.PackageBody
	err := h.View(func(v *View) error {
		p, err := v.Package(id)
		if err != nil {
			return err
		}
		if p.Removed {
			return site.NoSuch.New("package %s was removed; ids are never used again", id).Then("fardel package add %s", dir)
		}
		old = p.PackageBody
		return v.mayPublish(id)
	})
	if err != nil {
		return Addition{}, err
	}
	body, add, err := h.takeTree(ctx, dir, opts)
	if err != nil {
		return add, err
	}
	body.Source = old.Source
	if opts.Codec == "" {
		body.Codec = old.Codec
	}
	if opts.Priority == "" {
		body.Priority = old.Priority
	}
	before, err := site.Canonical(old)
	if err != nil {
		return add, err
	}
	after, err := site.Canonical(body)
	if err != nil {
		return add, err
	}
	add.Changed = string(before) != string(after)
	err = h.Update(func(v *View) error {
		p, err := v.Package(id)
		if err != nil {
			return err
		}
		if !add.Changed {
			add.Package = p
			return nil
		}
		body.Source = p.Source + 1
		add.Package = &Package{ID: id, PackageBody: body, Targets: p.Targets}
		return v.publish(add.Package, false)
	})
	return add, err
}

// takeTree reads a tree into the library: its files, then its manifest. When it
// returns, all of them are durable.
func (h *Host) takeTree(ctx context.Context, dir string, opts AddOptions) (body site.PackageBody, add Addition, err error) {
	spec, err := tree.ReadSpec(dir)
	if err != nil {
		return body, add, err
	}
	spec.Fill(&body)
	if opts.Platforms != nil {
		body.Platforms = opts.Platforms
	}
	body.Codec, body.Priority = opts.Codec, opts.Priority
	batch := h.Library.Begin(nil)
	defer batch.Abort()
	result, err := tree.Scan(ctx, dir, tree.Options{
		Platforms: body.Platforms,
		Add:       func(_ string, r io.Reader) (site.Digest, int64, error) { return batch.Add(r) },
		Progress:  opts.Progress.files("Hashing", 0),
	})
	if err != nil {
		return body, add, err
	}
	pr, pw := io.Pipe()
	go func() { pw.CloseWithError(tree.WriteManifest(pw, result.Items)) }()
	body.Manifest, body.Listing, err = batch.Add(pr)
	if err != nil {
		return body, add, err
	}
	body.Files, body.Size, body.Notes = result.Files, result.Bytes, int64(len(result.Notes))
	for _, n := range result.Notes {
		add.Notes = append(add.Notes, n.Path+": "+n.Note)
	}
	return body, add, batch.Commit()
}

// Distribute changes which sites are to hold a package. Change maps the
// generation that a site has now to the one that it is to have.
func (h *Host) Distribute(id site.PackageID, to []site.Code, change func(now int64) int64) error {
	return h.Update(func(v *View) error {
		p, err := v.Package(id)
		if err != nil {
			return err
		}
		if p.Removed {
			return site.NoSuch.New("package %s was removed", id)
		}
		if err := v.mayWrite(); err != nil {
			return err
		}
		log := h.Own(site.Decisions)
		if err := v.Hier.May(log, site.KindDistribution, string(id)); err != nil {
			return site.NotAllowed.New("%v", err).In("Nothing was changed").
				Then("ask the administrator of %s for the right: fardel site grant %s decide", v.Hier.Top, h.Self)
		}
		if err := v.checkTargets(to); err != nil {
			return err
		}
		body := site.DistributionBody{Sites: map[site.Code]int64{}}
		if e, _, ok, err := v.Latest(log, site.KindDistribution, string(id)); err != nil {
			return err
		} else if ok {
			if err := e.Decode(&body); err != nil {
				return err
			}
		}
		changed := false
		for _, c := range to {
			if gen := change(body.Sites[c]); gen != body.Sites[c] {
				body.Sites[c], changed = gen, true
			}
		}
		if !changed {
			return nil
		}
		e, err := site.NewEntry(h.Now(), site.KindDistribution, string(id), body)
		if err != nil {
			return err
		}
		return v.Append(site.Decisions, e)
	})
}

// RemovePackage withdraws a package everywhere. Its id is never used again.
func (h *Host) RemovePackage(id site.PackageID) error {
	return h.Update(func(v *View) error {
		p, err := v.Package(id)
		if err != nil || p.Removed {
			return err
		}
		if err := v.mayPublish(id); err != nil {
			return err
		}
		body := p.PackageBody
		body.Removed = true
		e, err := site.NewEntry(h.Now(), site.KindPackage, string(id), body)
		if err != nil {
			return err
		}
		if err := v.Append(site.Decisions, e); err != nil {
			return err
		}
		c, err := v.Content(id)
		if err != nil {
			return err
		}
		return v.PutContent(id, Content{State: site.ContentRemoved, Source: c.Source, Generation: c.Generation})
	})
}

// GetPackage writes the tree of a package to dest, which must not exist or be
// empty. Every file is verified on the way.
func (h *Host) GetPackage(ctx context.Context, id site.PackageID, dest string, progress Progress) (*Package, error) {
	var p *Package
	err := h.View(func(v *View) (err error) {
		if p, err = v.Package(id); err != nil {
			return err
		}
		c, err := v.Content(id)
		if err != nil {
			return err
		}
		if c.State != site.ContentInstalled || c.Source != p.Source {
			return site.NoSuch.New("package %s version %d is not complete here", id, p.Source).
				In("%s", c.Describe()).Then("fardel package show %s", id)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	f, err := h.Library.Open(p.Manifest)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return p, tree.Write(ctx, tree.ReadManifest(f, p.Listing), func(d site.Digest) (*os.File, error) { return h.Library.Open(d) },
		filepath.Clean(dest), progress.files("Writing", p.Size))
}
