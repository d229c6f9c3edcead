package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"fardel/site"
	"fardel/site/host"
)

var packageFlags = []Flag{
	List("platform", "NAME", "where it runs: linux, windows, darwin; overrules package.toml"),
	Choice("codec", "xz|zstd", "how its bundles are compressed"),
	Choice("priority", "high|medium|low", "what goes onto a medium first"),
}

func packageCommands() []*Command {
	return []*Command{
		{
			Name: "package add", Args: "DIR", Short: "take a folder into the library as a new package",
			Long: "The file package.toml in the folder says what it is: name, version, vendor, language, description, platforms and " +
				"programs. Without that file it is a package with no program, named after the folder.",
			Examples: []string{"fardel package add ./firefox-153 --to FLD,SEA", "fardel package add ./tools --platform linux,windows"},
			Flags:    append([]Flag{List("to", "SITE", "the sites that are to hold it")}, packageFlags...), Run: packageAdd,
		},
		{
			Name: "package update", Args: "ID DIR", Short: "take a folder as a package's next version",
			Examples: []string{"fardel package update HQ000001 ./firefox-153.1"},
			Flags:    packageFlags, Complete: completePackages, Run: packageUpdate,
		},
		{
			Name: "package distribute", Args: "ID SITE...", Short: "have sites hold a package", Complete: completePackages,
			Run: distribute("is to be held by", func(now int64) int64 { return max(now, 1) }),
		},
		{
			Name: "package redistribute", Args: "ID SITE...", Short: "send the same version to sites again, every file", Complete: completePackages,
			Run: distribute("goes again, whole, to", func(now int64) int64 { return now + 1 }),
		},
		{
			Name: "package undistribute", Args: "ID SITE...", Short: "have sites give a package up", Complete: completePackages,
			Run: distribute("is to be given up by", func(int64) int64 { return 0 }),
		},
		{Name: "package remove", Args: "ID", Short: "withdraw a package everywhere, for ever", Complete: completePackages, Run: packageRemove},
		{Name: "package verify", Args: "ID", Short: "hash every file of a package; damaged ones are asked for again", Complete: completePackages, Run: packageVerify},
		{Name: "package list", Short: "list the packages", Run: packageList},
		{Name: "package show", Args: "ID", Short: "show one package", Complete: completePackages, Run: packageShow},
		{
			Name: "package get", Args: "ID DEST", Short: "write a package's files into a folder, verifying each",
			Examples: []string{"fardel package get HQ000001 ./firefox"}, Complete: completePackages, Run: packageGet,
		},
	}
}

// packageDetail is a package as commands show it.
type packageDetail struct {
	ID site.PackageID `json:"id"`
	site.PackageBody
	Targets map[site.Code]string `json:"targets"` // what each site holds, as far as is known here
	Here    string               `json:"here"`
	Changed *bool                `json:"changed,omitempty"`
	Left    []string             `json:"notes_text,omitempty"`
	verb    string
}

func (packageDetail) Kind() string { return "Package" }

func (r packageDetail) Text(w *Printer) {
	if r.verb != "" {
		r.added(w)
		return
	}
	title := r.Name
	if r.Version != "" {
		title += " " + r.Version
	}
	rows := [][2]string{{"Package", string(r.ID)}, {"Name", title}, {"Vendor", r.Vendor}, {"Language", r.Language},
		{"Description", r.Description}, {"Platforms", strings.Join(r.Platforms, ", ")},
		{"Source version", fmt.Sprint(r.Source)}, {"Content", fmt.Sprintf("%s, %s", Count(r.Files, "file"), Bytes(r.Size))},
		{"Manifest", r.Manifest.Short()}, {"Here", r.Here}}
	for _, p := range r.Programs {
		rows = append(rows, [2]string{"Program", p.Name}, [2]string{"  runs", p.Command}, [2]string{"  uninstalls", p.Uninstall},
			[2]string{"  stopped after", fmt.Sprintf("%d min", p.RunTime)}, [2]string{"  after", strings.Join(p.DependsOn, ", ")})
	}
	var sites []site.Code
	for c := range r.Targets {
		sites = append(sites, c)
	}
	slices.Sort(sites)
	for _, c := range sites {
		rows = append(rows, [2]string{"At " + string(c), r.Targets[c]})
	}
	w.Fields(rows...)
	if r.Removed {
		w.Para("The package was removed.")
	}
}

func (r packageDetail) added(w *Printer) {
	for i, n := range r.Left {
		if i == 10 {
			w.Indented("and %s more", Count(int64(len(r.Left)-10), "note"))
			break
		}
		w.Indented("noted: %s", n)
	}
	if r.Changed != nil && !*r.Changed {
		w.Para("Nothing has changed: package %s stays at version %d.", r.ID, r.Source)
		return
	}
	var to []site.Code
	for c := range r.Targets {
		to = append(to, c)
	}
	slices.Sort(to)
	where := "distributed to no site yet"
	if len(to) > 0 {
		where = "waiting for " + site.Codes(to)
	}
	w.Para("Package %s %q version %d %s: %s, %s; %s.", r.ID, r.Name, r.Source, r.verb, Count(r.Files, "file"), Bytes(r.Size), where)
}

func addOptions(env *Env, in *Input) host.AddOptions {
	o := host.AddOptions{Codec: in.String("codec"), Priority: site.Priority(in.String("priority")), Progress: env.bytesDone()}
	if in.Has("platform") {
		o.Platforms = in.Strings("platform")
	}
	return o
}

func packageAdd(ctx context.Context, env *Env, in *Input) (Result, error) {
	opts := addOptions(env, in)
	var err error
	if opts.To, err = codes(in.Strings("to")); err != nil {
		return nil, err
	}
	return addOrUpdate(ctx, env, "added", func(h *host.Host) (host.Addition, error) { return h.AddPackage(ctx, in.Arg("DIR"), opts) })
}

func packageUpdate(ctx context.Context, env *Env, in *Input) (Result, error) {
	id, err := site.ParsePackageID(in.Arg("ID"))
	if err != nil {
		return nil, err
	}
	opts := addOptions(env, in)
	return addOrUpdate(ctx, env, "updated", func(h *host.Host) (host.Addition, error) {
		return h.UpdatePackage(ctx, id, in.Arg("DIR"), opts)
	})
}

func addOrUpdate(ctx context.Context, env *Env, verb string, do func(*host.Host) (host.Addition, error)) (Result, error) {
	var res packageDetail
	err := env.withSite(ctx, "package add", func(h *host.Host) error {
		add, err := do(h)
		env.Progress().Done()
		if err != nil {
			return err
		}
		res = packageDetail{ID: add.Package.ID, PackageBody: add.Package.PackageBody, Targets: map[site.Code]string{},
			Here: "installed", Changed: &add.Changed, Left: add.Notes, verb: verb}
		var to []string
		for c := range add.Package.Targets {
			res.Targets[c] = "waiting"
			to = append(to, string(c))
		}
		slices.Sort(to)
		switch {
		case !add.Changed:
		case len(to) == 0:
			env.Next("fardel package distribute %s SITE", res.ID)
		default:
			env.Next("fardel export %s /media/usb", strings.Join(to, " "))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

type packageChange struct {
	ID   site.PackageID `json:"id"`
	Done string         `json:"done"`
}

func (packageChange) Kind() string      { return "PackageChange" }
func (r packageChange) Text(w *Printer) { w.Para("%s", r.Done) }

func distribute(says string, change func(int64) int64) func(context.Context, *Env, *Input) (Result, error) {
	return func(ctx context.Context, env *Env, in *Input) (Result, error) {
		id, err := site.ParsePackageID(in.Args[0])
		if err != nil {
			return nil, err
		}
		var words []string
		for _, w := range in.Args[1:] {
			words = append(words, strings.Split(w, ",")...)
		}
		to, err := codes(words)
		if err != nil {
			return nil, err
		}
		if err := env.withSite(ctx, "package distribute", func(h *host.Host) error { return h.Distribute(id, to, change) }); err != nil {
			return nil, err
		}
		env.Next("fardel export %s /media/usb", strings.Join(strings.Fields(strings.Join(words, " ")), " "))
		return packageChange{id, fmt.Sprintf("Package %s %s %s.", id, says, site.Codes(to))}, nil
	}
}

func packageRemove(ctx context.Context, env *Env, in *Input) (Result, error) {
	id, err := site.ParsePackageID(in.Arg("ID"))
	if err != nil {
		return nil, err
	}
	if err := env.Confirm(ctx, "Remove package %s at every site? Its id is never used again.", id); err != nil {
		return nil, err
	}
	if err := env.withSite(ctx, "package remove", func(h *host.Host) error { return h.RemovePackage(id) }); err != nil {
		return nil, err
	}
	env.Next("fardel library clean    frees the space here")
	return packageChange{id, fmt.Sprintf("Package %s is removed. Sites give it up when they hear of it.", id)}, nil
}

type verifyResult struct {
	host.Verified
	what string
}

func (verifyResult) Kind() string { return "Verification" }

func (r verifyResult) Text(w *Printer) {
	if len(r.Damaged) == 0 {
		w.Para("%s: %s, %s, all %s.", r.what, Count(r.Files, "file"), Bytes(r.Bytes), Good("good"))
		return
	}
	w.Para("%s: %s of %s damaged and thrown out: %s.", r.what, Bad(Count(int64(len(r.Damaged)), "file")), Count(r.Files, "file"), strings.Join(r.Damaged, ", "))
}

func damagedFault(v host.Verified, parent site.Code) error {
	if len(v.Damaged) == 0 {
		return nil
	}
	if parent == "" {
		return site.Damaged.New("%s in the library changed on the disk", Count(int64(len(v.Damaged)), "file")).
			In("They were thrown out; packages that need them are incomplete").
			Then("fardel package update ID DIR    with the folder that it was made of, brings them back").
			Then("look at the disk: this should not happen")
	}
	return site.Damaged.New("%s in the library changed on the disk", Count(int64(len(v.Damaged)), "file")).
		In("They were thrown out; packages that need them wait for them").
		Then("fardel export %s /media/usb    tells the parent, whose next parcel brings them", parent).
		Then("look at the disk: this should not happen")
}

func packageVerify(ctx context.Context, env *Env, in *Input) (Result, error) {
	id, err := site.ParsePackageID(in.Arg("ID"))
	if err != nil {
		return nil, err
	}
	res := verifyResult{what: "Package " + string(id)}
	var parent site.Code
	err = env.withSite(ctx, "package verify", func(h *host.Host) (err error) {
		parent = h.Me.Parent
		res.Verified, err = h.VerifyPackage(ctx, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return res, damagedFault(res.Verified, parent)
}

type packageLine struct {
	ID      site.PackageID `json:"id"`
	Name    string         `json:"name"`
	Version string         `json:"version,omitempty"`
	Source  int64          `json:"source"`
	Files   int64          `json:"files"`
	Size    int64          `json:"size"`
	Here    string         `json:"here"`
	To      []site.Code    `json:"to"`
	Missing []site.Code    `json:"missing"` // sites that are to hold it and, as far as is known here, do not
}

type packageListResult []packageLine

func (packageListResult) Kind() string { return "PackageList" }

func (r packageListResult) Text(w *Printer) {
	if len(r) == 0 {
		w.Para("No package is known here.")
		return
	}
	rows := [][]string{}
	for _, p := range r {
		held := "-"
		if len(p.To) > 0 {
			held = fmt.Sprintf("%d of %d", len(p.To)-len(p.Missing), len(p.To))
		}
		rows = append(rows, []string{string(p.ID), strings.TrimSpace(p.Name + " " + p.Version), fmt.Sprint(p.Source), fmt.Sprint(p.Files), Bytes(p.Size), p.Here, held})
	}
	w.Table([]string{"PACKAGE", "NAME", ">SOURCE", ">FILES", ">SIZE", "HERE", "AT SITES"}, rows)
}

func packageList(ctx context.Context, env *Env, _ *Input) (Result, error) {
	res := packageListResult{}
	err := env.withSite(ctx, "package list", func(h *host.Host) error {
		return h.View(func(v *host.View) error {
			list, err := v.Packages()
			if err != nil {
				return err
			}
			peers := peerCache{v: v}
			for _, p := range list {
				if p.Removed {
					continue
				}
				c, err := v.Content(p.ID)
				if err != nil {
					return err
				}
				line := packageLine{ID: p.ID, Name: p.Name, Version: p.Version, Source: p.Source, Files: p.Files, Size: p.Size,
					Here: c.Describe(), To: []site.Code{}, Missing: []site.Code{}}
				for target, gen := range p.Targets {
					line.To = append(line.To, target)
					held, err := peers.holds(target, p, gen)
					if err != nil {
						return err
					}
					if !held {
						line.Missing = append(line.Missing, target)
					}
				}
				slices.Sort(line.To)
				slices.Sort(line.Missing)
				res = append(res, line)
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	if len(res) == 0 {
		env.Next("fardel package add DIR")
	}
	return res, nil
}

// peerCache looks up what sites hold, each site once.
type peerCache struct {
	v    *host.View
	held map[site.Code]map[site.PackageID]site.ContentBody
}

func (p *peerCache) content(at site.Code, id site.PackageID) (site.ContentBody, error) {
	if p.held == nil {
		p.held = map[site.Code]map[site.PackageID]site.ContentBody{}
	}
	if p.held[at] == nil {
		m, err := p.v.PeerContent(at)
		if err != nil {
			return site.ContentBody{}, err
		}
		p.held[at] = m
	}
	return p.held[at][id], nil
}

func (p *peerCache) holds(at site.Code, pkg *host.Package, gen int64) (bool, error) {
	if at == p.v.Host.Self {
		c, err := p.v.Content(pkg.ID)
		return c.State == site.ContentInstalled && c.Source == pkg.Source, err
	}
	c, err := p.content(at, pkg.ID)
	return c.State == site.ContentInstalled && c.Source == pkg.Source && c.Generation >= gen, err
}

func packageShow(ctx context.Context, env *Env, in *Input) (Result, error) {
	id, err := site.ParsePackageID(in.Arg("ID"))
	if err != nil {
		return nil, err
	}
	var res packageDetail
	err = env.withSite(ctx, "package show", func(h *host.Host) error {
		return h.View(func(v *host.View) error {
			p, err := v.Package(id)
			if err != nil {
				return err
			}
			c, err := v.Content(id)
			if err != nil {
				return err
			}
			res = packageDetail{ID: id, PackageBody: p.PackageBody, Targets: map[site.Code]string{}, Here: c.Describe()}
			peers := peerCache{v: v}
			for target := range p.Targets {
				if target == h.Self {
					res.Targets[target] = c.Describe()
					continue
				}
				pc, err := peers.content(target, id)
				if err != nil {
					return err
				}
				res.Targets[target] = describePeer(pc, p)
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

func describePeer(c site.ContentBody, p *host.Package) string {
	switch {
	case c.State == "":
		return "nothing heard yet"
	case c.State == site.ContentInstalled && c.Source == p.Source:
		return fmt.Sprintf("installed, version %d", c.Source)
	case c.State == site.ContentInstalled:
		return fmt.Sprintf("installed, version %d of %d", c.Source, p.Source)
	case c.State == site.ContentRemoved:
		return "given up"
	}
	return fmt.Sprintf("waiting for version %d", c.Source)
}

func packageGet(ctx context.Context, env *Env, in *Input) (Result, error) {
	id, err := site.ParsePackageID(in.Arg("ID"))
	if err != nil {
		return nil, err
	}
	var p *host.Package
	err = env.withSite(ctx, "package get", func(h *host.Host) (err error) {
		p, err = h.GetPackage(ctx, id, in.Arg("DEST"), env.bytesDone())
		return err
	})
	env.Progress().Done()
	if err != nil {
		return nil, err
	}
	return packageChange{id, fmt.Sprintf("Package %s version %d is in %s: %s, %s, all verified.", id, p.Source, in.Arg("DEST"), Count(p.Files, "file"), Bytes(p.Size))}, nil
}
