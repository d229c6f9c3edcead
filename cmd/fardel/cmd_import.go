package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"fardel/courier"
	"fardel/replicator"
	"fardel/site"
	"fardel/site/host"
)

func importCommands() []*Command {
	flags := []Flag{
		FlagDryRun,
		Switch("no-receipt", "write no receipt onto the medium"),
		Switch("accept-clock", "a parcel's date is right, though more than 30 days ahead"),
		Switch("accept-epoch", "a site's new epoch is right, though it does not follow from what is held here"),
	}
	return []*Command{
		{
			Name: "import", Args: "[PATH...]", Short: "take in what came on a medium: parcels, or returned receipts",
			Long: "Without a path it looks at the removable media that are mounted, and at the drop folders of the configuration. " +
				"It can be run again at any time: what was imported before is recognised.",
			Examples: []string{"fardel import", "fardel import /media/usb", "fardel import --dry-run"},
			Flags:    flags, Run: runImport,
		},
		{
			Name: "exchange", Args: "[PATH]", Short: "import, then export what waits for the neighbours",
			Examples: []string{"fardel exchange /media/usb"},
			Flags:    flags, Run: runExchange,
		},
	}
}

// carrier makes a medium readable for a replicator.
type carrier struct{ *courier.Carrier }

func (c carrier) Writers() ([]site.Code, error) {
	contents, err := c.List()
	if err != nil {
		return nil, err
	}
	var out []site.Code
	for _, f := range contents.Folders {
		out = append(out, f.From)
	}
	return out, nil
}

func (c carrier) Names(from site.Code) ([]string, error) {
	contents, err := c.List()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, f := range contents.Folders {
		for _, file := range f.Files {
			if f.From == from {
				out = append(out, file.Name)
			}
		}
	}
	return out, nil
}

func (c carrier) Open(from site.Code, name string) (io.ReadCloser, int64, error) {
	f, err := c.Carrier.Open(from, name)
	if err != nil {
		return nil, 0, err
	}
	return f, f.Size(), nil
}

// importJob is one import, of one or several carriers.
type importJob struct {
	env     *Env
	h       *host.Host
	r       *replicator.Replicator
	opts    replicator.ImportOptions
	receipt bool
}

func runImport(ctx context.Context, env *Env, in *Input) (Result, error) {
	res := importResult{}
	err := env.withReplicator(ctx, "import", "", func(h *host.Host, r *replicator.Replicator) error {
		paths, err := carriers(ctx, env, in.Args)
		if err != nil {
			return err
		}
		job := newImportJob(env, h, r, in)
		var faults []error
		for _, path := range paths {
			one, err := job.run(ctx, path)
			if one != nil {
				res = append(res, *one)
			}
			if err != nil {
				faults = append(faults, err)
			}
			if ctx.Err() != nil {
				break
			}
		}
		return worst(faults)
	})
	env.Progress().Done()
	if len(res) == 0 || err != nil && len(res) == 1 && len(res[0].Parcels) == 0 {
		return nil, err
	}
	return res, err
}

// worst returns the first fault that is more than an empty medium, else the
// first.
func worst(faults []error) error {
	for _, err := range faults {
		if !errors.Is(err, site.NoParcels) {
			return err
		}
	}
	if len(faults) > 0 {
		return faults[0]
	}
	return nil
}

func newImportJob(env *Env, h *host.Host, r *replicator.Replicator, in *Input) *importJob {
	return &importJob{env: env, h: h, r: r, receipt: env.Config.Receipts == "medium" && !in.Bool("no-receipt") && !in.Bool("dry-run"),
		opts: replicator.ImportOptions{DryRun: in.Bool("dry-run"), AcceptClock: in.Bool("accept-clock"), AcceptEpoch: in.Bool("accept-epoch")}}
}

// carriers finds out what to import from.
func carriers(ctx context.Context, env *Env, args []string) ([]string, error) {
	if len(args) > 0 {
		return args, nil
	}
	all, err := env.mounted(ctx)
	if err != nil {
		return nil, err
	}
	candidates := slices.Clone(env.Config.Drop)
	for _, m := range all {
		candidates = append(candidates, m.Path)
	}
	if found := courier.ListCarriers(candidates); len(found) > 0 {
		return found, nil
	}
	removable := 0
	for _, m := range all {
		if m.Removable {
			removable++
		}
	}
	if removable > 0 || len(env.Config.Drop) > 0 {
		return nil, site.NoParcels.New("no parcels on %s", strings.Join(candidates, ", ")).
			In("Nothing was read or changed").Then("check that it is the right medium")
	}
	return nil, site.NoMedium.New("no removable medium found").
		In("I looked at: %s (%s)", strings.Join(env.Config.Media, ", "), Count(int64(len(all)), "mount")).
		Then("plug in the medium and run again, or give a path: fardel import /path")
}

// run imports one carrier and, where the site wants that, leaves the receipt on
// it.
func (j *importJob) run(ctx context.Context, path string) (*importedMedium, error) {
	c, err := courier.OpenCarrier(path)
	if errors.Is(err, site.NoParcels) {
		return nil, noParcels(path)
	}
	if err != nil {
		return nil, err
	}
	j.opts.Medium = mediumLabel(ctx, path)
	rep, err := j.r.Import(ctx, carrier{c}, j.opts)
	if closed := c.Close(); err == nil {
		err = closed
	}
	if rep == nil || errors.Is(err, site.NoParcels) {
		return nil, errors.Join(err, c.Close())
	}
	one := newImportedMedium(path, rep, j.opts.DryRun)
	if err != nil {
		one.spoken = site.AsFault(err).Error()
	}
	one.broken = ctx.Err() != nil || errors.Is(err, site.MediumGone) || errors.Is(err, site.StateDamaged)
	if j.opts.DryRun || one.broken {
		return one, err
	}
	one.Code, one.Receipt = j.answer(ctx, path, rep)
	if err == nil && len(rep.Installed) > 0 {
		j.env.Next("fardel package list")
	}
	return one, err
}

func noParcels(path string) error {
	f := site.NoParcels.New("%s has no parcels", path).In("Nothing was read or changed").Then("check that it is the right medium")
	if c, err := courier.List(path); err == nil && c.Foreign > 0 {
		f.State = fmt.Sprintf("It holds %s of other kinds. Nothing was read or changed", Count(int64(c.Foreign), "file"))
	}
	return f
}

func mediumLabel(ctx context.Context, path string) string {
	m, err := courier.At(ctx, path)
	if err != nil || m.Serial+m.Label+m.Model == "" {
		return path
	}
	return strings.Join(strings.Fields(m.Model+" "+m.Label+" "+m.Serial), " ")
}

// answer sends the receipt back on the medium, or shows the code to read aloud.
func (j *importJob) answer(ctx context.Context, path string, rep *replicator.Report) (codes []string, receipt string) {
	if j.env.Config.Receipts == "code" {
		for _, p := range rep.Parcels {
			if p.Outcome != replicator.Imported && p.Outcome != replicator.Already {
				continue
			}
			if code, err := j.r.Code(p.Name); err == nil {
				codes = append(codes, fmt.Sprintf("%s %s", p.Name, code))
			}
		}
		return codes, ""
	}
	if !j.receipt {
		return nil, ""
	}
	var above []site.Code
	_ = j.h.View(func(v *host.View) error {
		for _, c := range rep.Senders {
			if v.Hier.Above(c, j.h.Self) {
				above = append(above, c)
			}
		}
		return nil
	})
	if len(above) == 0 {
		return nil, ""
	}
	m, err := courier.At(ctx, path)
	if err != nil || m.ReadOnly {
		j.env.Warn("%s cannot be written, so it carries no receipt back.", path)
		j.env.Next("fardel export %s /media/other    takes the receipt on another medium", above[0])
		return nil, ""
	}
	back := &exportJob{env: j.env, h: j.h, r: j.r, to: above, dest: path}
	if _, err := back.run(ctx); err != nil {
		j.env.Warn("The receipt could not be written onto %s: %s", path, site.AsFault(err).Error())
		j.env.Next("fardel export %s /media/other    takes the receipt on another medium", above[0])
		return nil, ""
	}
	return nil, path
}

func runExchange(ctx context.Context, env *Env, in *Input) (Result, error) {
	res := exchangeResult{}
	err := env.withReplicator(ctx, "exchange", "", func(h *host.Host, r *replicator.Replicator) error {
		var args []string
		if in.Arg("PATH") != "" {
			args = []string{in.Arg("PATH")}
		}
		paths, err := carriers(ctx, env, args)
		if err != nil {
			return err
		}
		job := newImportJob(env, h, r, in)
		job.receipt = false // the export below carries it
		one, err := job.run(ctx, paths[0])
		if one != nil {
			res.Import = importResult{*one}
		}
		if err != nil && !errors.Is(err, site.NoParcels) {
			return err
		}
		if env.Config.Receipts == "code" || env.Config.Receipts == "never" {
			return env.mayWrite("The import is done; nothing was exported")
		}
		back := &exportJob{env: env, h: h, r: r, dest: paths[0], all: true}
		if err := back.everyone(); err != nil {
			return err
		}
		res.Export, err = back.run(ctx)
		return err
	})
	env.Progress().Done()
	return res, err
}

type exchangeResult struct {
	Import importResult `json:"import"`
	Export Result       `json:"export"`
}

func (exchangeResult) Kind() string { return "Exchange" }

func (r exchangeResult) Text(w *Printer) {
	r.Import.Text(w)
	if r.Export != nil {
		r.Export.Text(w)
	}
}
