package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fardel/courier"
	"fardel/media"
	"fardel/replicator"
	"fardel/site"
	"fardel/site/host"
)

func exportCommands() []*Command {
	return []*Command{{
		Name: "export", Args: "[SITE|PATH...]", Short: "write what sites lack onto a medium, and read it back",
		Long: "The medium is the last argument; without one it is the one removable medium that is plugged in. What no receipt has " +
			"confirmed goes again, so a lost medium heals with the next export. If one medium is too small, the content is spread " +
			"over several: each can be used alone, in any order, and the command can be run again to go on with the next.",
		Examples: []string{
			"fardel export FLD /media/usb", "fardel export FLD SEA /media/usb", "fardel export --all /media/usb",
			"fardel export FLD --dry-run", "fardel export FLD --images ./discs --volume-size dvd --iso",
		},
		Flags: []Flag{
			Switch("all", "for every site that something waits for"), FlagDryRun,
			Switch("full", "carry everything again, as if nothing had ever arrived"),
			Text("volume-size", "SIZE", "cd, dvd, bd or a number with k, m, g: the size of each medium"),
			Text("images", "DIR", "make one folder for each medium in DIR"),
			Switch("iso", "with --images: make ISO images of them, through xorriso"),
			Choice("codec", "xz|zstd", "how bundles are compressed"),
			Choice("priority", "high|medium|low", "of the parcels"),
			Text("marking", "TEXT", "a security label, shown on the parcel"),
		},
		Complete: completeSites, Run: runExport,
	}}
}

// exportJob is one export.
type exportJob struct {
	env    *Env
	h      *host.Host
	r      *replicator.Replicator
	to     []site.Code
	dest   string // folder of the medium; empty for images
	images string
	iso    bool
	volume int64 // capacity of one medium; 0: what is free
	all    bool
	full   bool
	pack   replicator.PackOptions

	removed []string // parcels that were taken off the medium
}

func runExport(ctx context.Context, env *Env, in *Input) (Result, error) {
	var res Result
	err := env.withReplicator(ctx, "export", in.String("codec"), func(h *host.Host, r *replicator.Replicator) error {
		job := &exportJob{env: env, h: h, r: r, full: in.Bool("full"), all: in.Bool("all"), images: in.String("images"), iso: in.Bool("iso")}
		job.pack = replicator.PackOptions{Marking: in.String("marking"), Priority: site.Priority(in.String("priority"))}
		if err := job.where(ctx, in); err != nil {
			return err
		}
		var err error
		if in.Bool("dry-run") {
			res, err = job.preview(ctx)
			return err
		}
		if err := env.mayWrite("Nothing was written"); err != nil {
			return err
		}
		res, err = job.run(ctx)
		return err
	})
	env.Progress().Done()
	return res, err
}

// mayWrite refuses to touch media where the administrator has said that no byte
// is ever written to one.
func (e *Env) mayWrite(state string) error {
	if e.Config.Receipts != "code" && e.Config.Receipts != "never" {
		return nil
	}
	f := site.Gated.New("this site writes nothing onto media: receipts = %q", e.Config.Receipts).In("%s", state)
	if e.Config.Receipts == "code" {
		f.Then("fardel receipt show PARCEL    gives the code to be read aloud")
	}
	return f.Then("change receipts in %s, if the administrator agrees", e.ConfigPath)
}

// where finds out for which sites, and onto what.
func (j *exportJob) where(ctx context.Context, in *Input) (err error) {
	args := in.Args
	if n := len(args); n > 0 && (j.all || looksLikePath(args[n-1]) || n > 1 && j.noSite(args[n-1]) || isFolder(args[n-1])) {
		j.dest, args = args[n-1], args[:n-1]
	}
	for _, a := range args {
		if looksLikePath(a) {
			return site.BadUsage.New("%q is neither a site code nor the last argument, which is the medium", clip(a))
		}
	}
	if j.to, err = codes(args); err != nil {
		return err
	}
	if in.Has("volume-size") {
		if j.volume, err = courier.ParseVolumeSize(in.String("volume-size")); err != nil {
			return err
		}
	}
	if j.iso && j.images == "" {
		return site.BadUsage.New("--iso needs --images DIR")
	}
	if j.images != "" && j.dest != "" {
		return site.BadUsage.New("name a medium or --images, not both")
	}
	if j.all != (len(j.to) == 0) {
		return site.BadUsage.New("name the sites to export for, or --all").Then("fardel export FLD /media/usb").Then("fardel export --all /media/usb")
	}
	if j.all {
		if err := j.everyone(); err != nil {
			return err
		}
	}
	if j.dest == "" && j.images == "" && !in.Bool("dry-run") {
		j.dest, err = j.oneMedium(ctx)
	}
	return err
}

// isFolder tells a folder from a site code, where a word could be either: codes
// are meant to be typed in upper case.
func isFolder(word string) bool {
	info, err := os.Stat(word)
	return err == nil && info.IsDir() && !site.Code(word).Valid()
}

// noSite reports whether a word that could be a code in lower case is none.
func (j *exportJob) noSite(word string) bool {
	known := site.Code(word).Valid()
	_ = j.h.View(func(v *host.View) error {
		_, ok := v.Hier.Sites[site.Code(strings.ToUpper(word))]
		known = known || ok
		return nil
	})
	return !known
}

// everyone lists the sites next to this one.
func (j *exportJob) everyone() error {
	err := j.h.View(func(v *host.View) error {
		j.to = v.Hier.Children(j.h.Self)
		if p := v.Parent(); p != "" {
			j.to = append(j.to, p)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return j.leaveOutHeld()
}

// leaveOutHeld takes those sites off the list for which an operator holds a
// parcel, unless there is no other: then the export itself says why not.
func (j *exportJob) leaveOutHeld() error {
	var rest []site.Code
	var held []replicator.Parcel
	err := j.h.View(func(v *host.View) error {
		for _, c := range j.to {
			p, yes, err := replicator.Holding(v, c)
			if err != nil {
				return err
			}
			if !yes {
				rest = append(rest, c)
			} else {
				held = append(held, p)
			}
		}
		return nil
	})
	if err != nil || len(rest) == 0 {
		return err
	}
	for _, p := range held {
		j.env.Warn("Nothing is exported for %s: parcel %s is held by %s.", p.To, p.Name(), p.HeldBy)
		j.env.Next("fardel parcel release %s    if it may leave", p.Name())
	}
	j.to = rest
	return nil
}

// oneMedium returns the removable medium that is plugged in, if there is one.
func (j *exportJob) oneMedium(ctx context.Context) (string, error) {
	all, err := j.env.mounted(ctx)
	if err != nil {
		return "", err
	}
	var found []string
	for _, m := range all {
		if m.Removable && !m.ReadOnly {
			found = append(found, m.Path)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	if len(found) == 0 {
		return "", site.NoMedium.New("no removable medium that can be written was found").
			In("I looked at: %s. Nothing was done", strings.Join(j.env.Config.Media, ", ")).
			Then("plug in the medium and run again, or name a path: fardel export %s /path", j.who())
	}
	return "", site.NoMedium.New("there are %d removable media: %s", len(found), strings.Join(found, ", ")).
		In("Nothing was done").Then("name one: fardel export %s %s", j.who(), found[0])
}

// who returns the destinations as they are typed.
func (j *exportJob) who() string {
	if j.all {
		return "--all"
	}
	words := make([]string, len(j.to))
	for i, c := range j.to {
		words[i] = string(c)
	}
	return strings.Join(words, " ")
}

// run exports for real.
func (j *exportJob) run(ctx context.Context) (Result, error) {
	if j.dest != "" {
		m, err := courier.At(ctx, j.dest)
		if err != nil {
			return nil, err
		}
		if m.ReadOnly {
			return nil, site.NoMedium.New("%s is mounted read-only", j.dest).In("Nothing was done").Then("unlock the medium, or take another")
		}
		if j.volume == 0 {
			j.volume = m.Free
		}
		if err := j.tidy(); err != nil {
			return nil, err
		}
	}
	j.pack.Assign = j.assign
	if j.volume > 0 {
		j.pack.Largest = j.volume
	}
	s, err := j.r.Export(ctx, j.to, j.full, !j.all, j.pack)
	if err != nil {
		return nil, err
	}
	if len(s.Parcels)+len(s.Relays) == 0 {
		return exportResult{Nothing: true, Removed: j.removed}, nil
	}
	load := loadOf(j.h.Self, s)
	if j.images != "" {
		return j.toImages(ctx, s, load)
	}
	return j.toMedia(ctx, s, load)
}

// assign spreads bundles over media.
func (j *exportJob) assign(slots []replicator.Slot) (int, error) {
	cargo := make([]courier.Cargo, len(slots))
	var total int64
	for i, s := range slots {
		cargo[i] = courier.Cargo{Size: s.Size, Priority: s.Priority}
		total += s.Size
	}
	const fixed = 4 << 20 // labels, bodies, trust files; segments are small beside it
	if j.volume == 0 || total+fixed < j.volume {
		return 1, nil
	}
	plan, err := courier.Plan(cargo, fixed, j.volume)
	if err != nil {
		return 0, err
	}
	for i := range slots {
		slots[i].Medium = plan[i]
	}
	return courier.Media(plan), nil
}

// toMedia writes one medium after the other. At a terminal it asks for the next
// one; otherwise it stops after each, and the same command goes on.
func (j *exportJob) toMedia(ctx context.Context, s *replicator.Shipment, load courier.Load) (Result, error) {
	total := mediaCount(s)
	res := newExportResult(s, j.dest, total)
	res.Removed = j.removed
	for n := j.firstUnwritten(s, total); n <= total; n++ {
		if n > 1 {
			if err := j.nextMedium(ctx, s, n, total); err != nil {
				return res, err
			}
		}
		fromMedium, err := j.writeOne(ctx, load.On(n))
		if err != nil {
			return res, err
		}
		res.ReadBack = fromMedium
		res.Written = append(res.Written, n)
		if err := j.r.Handed(s.Parcels, mediumName(n, total, j.dest), n == total); err != nil {
			return res, err
		}
		if n < total && !isTerminal(j.env.Stdin) {
			j.env.Next("plug in medium %d of %d and run the same command again", n+1, total)
			res.Left = total - n
			return res, nil
		}
	}
	if !res.ReadBack {
		j.env.Warn("%s could not be read back past the system's memory: the bytes were compared, but perhaps not those on the medium.", j.dest)
	}
	j.env.Next("fardel media eject %s", j.dest)
	return res.finished(), nil
}

func mediumName(n, total int, path string) string {
	return fmt.Sprintf("medium %d of %d (%s)", n, total, filepath.Base(path))
}

func (j *exportJob) firstUnwritten(s *replicator.Shipment, total int) int {
	n := 1
	for ; n < total; n++ {
		done := true
		for _, p := range s.Parcels {
			done = done && slices.ContainsFunc(p.Written, func(w string) bool { return strings.HasPrefix(w, fmt.Sprintf("medium %d of %d ", n, total)) })
		}
		if !done {
			return n
		}
	}
	return n
}

// nextMedium asks for the next medium, and makes sure that it is another one.
func (j *exportJob) nextMedium(ctx context.Context, s *replicator.Shipment, n, total int) error {
	for {
		if !j.holdsOther(s, n) {
			if _, err := courier.At(ctx, j.dest); err == nil {
				return nil
			}
		}
		if !isTerminal(j.env.Stdin) {
			return site.NoMedium.New("%s still holds another medium of this export than %d of %d", j.dest, n, total).
				In("The media written so far are good").Then("plug in an empty medium and run the same command again")
		}
		j.env.Progress().Done()
		j.env.meter.interrupt(func() {
			fmt.Fprintf(j.env.Stderr, "Medium %d of %d is good. Plug in medium %d at %s and press Enter. ", n-1, total, n, j.dest)
		})
		_, err := await(ctx, func() (string, error) { return bufio.NewReader(j.env.Stdin).ReadString('\n') })
		if ctx.Err() != nil {
			return err
		}
		if err != nil {
			return site.Interrupted.New("no further medium was given").In("The media written so far are good").Then("run the same command again to go on")
		}
	}
}

// holdsOther reports whether the medium holds a bundle that belongs onto another.
func (j *exportJob) holdsOther(s *replicator.Shipment, n int) bool {
	c, err := courier.List(j.dest)
	if err != nil {
		return false
	}
	for _, f := range c.Folders {
		for _, p := range s.Parcels {
			for _, file := range p.Files {
				if f.From == j.h.Self && file.Medium > 0 && file.Medium != n && f.Has(file.Name) {
					return true
				}
			}
		}
	}
	return false
}

func (j *exportJob) writeOne(ctx context.Context, load courier.Load) (fromMedium bool, err error) {
	err = courier.Write(ctx, j.dest, load, phase(j.env, "Writing"))
	if err == nil {
		fromMedium, err = courier.ReadBack(ctx, j.dest, load, phase(j.env, "Checking"))
	}
	if errors.Is(err, site.NoMedium) { // it was there when we began
		err = site.MediumGone.New("%s went away before it was written", j.dest).In("Nothing is half-done").
			Then("plug it in and run the same command again: it continues").Because(err)
	}
	return fromMedium, err
}

// phase shows one of the courier's jobs as one bar.
func phase(env *Env, name string) courier.Progress {
	show := env.bytesDone()
	return func(_ string, done, total int64) { show(name, done, total) }
}

func (j *exportJob) toImages(ctx context.Context, s *replicator.Shipment, load courier.Load) (Result, error) {
	if len(s.Parcels) == 0 {
		return exportResult{Nothing: true}, nil
	}
	res := newExportResult(s, j.images, mediaCount(s))
	name := strings.ToLower(s.Parcels[0].Name().String())
	if len(s.Parcels) > 1 {
		name = j.h.Self.Lower() + "-" + j.h.Now().Format("20060102-150405")
	}
	if err := os.MkdirAll(j.images, 0o755); err != nil {
		return nil, site.Failed.New("cannot make %s: %s", j.images, reason(err))
	}
	folders, err := courier.Images(ctx, j.images, name, load, phase(j.env, "Writing"))
	if err != nil {
		return nil, err
	}
	res.Images = folders
	for i, folder := range folders {
		if j.iso {
			volume := fmt.Sprintf("FARDEL_%s_%d", j.h.Self, i+1)
			if err := courier.ISO(ctx, folder, folder+".iso", volume); err != nil {
				return nil, err
			}
			res.Images[i] = folder + ".iso"
		}
		res.Written = append(res.Written, i+1)
		if err := j.r.Handed(s.Parcels, mediumName(i+1, len(folders), folder), i == len(folders)-1); err != nil {
			return nil, err
		}
	}
	return res.finished(), nil
}

// tidy removes this site's own parcels from a returned medium once receipts have
// confirmed them, and says so.
func (j *exportJob) tidy() error {
	contents, err := courier.List(j.dest)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(contents.Folders, func(f courier.Folder) bool { return f.From == j.h.Self })
	if i < 0 {
		return nil
	}
	c, err := courier.OpenCarrier(j.dest)
	if err != nil {
		return err
	}
	defer c.Close()
	gone, names, err := j.r.Confirmed(contents.Folders[i].Labels, func(name string) ([]byte, error) {
		return c.ReadFile(j.h.Self, name, media.MaxLabel)
	})
	if err != nil || len(names) == 0 {
		return err
	}
	j.env.Note("Removing from %s what receipts have confirmed: %s.", j.dest, parcelNames(gone))
	for _, n := range gone {
		j.removed = append(j.removed, n.String())
	}
	return courier.RemoveOwn(j.dest, j.h.Self, names)
}

func parcelNames(list []site.ParcelName) string {
	var s []string
	for _, n := range list {
		s = append(s, n.String())
	}
	return strings.Join(s, ", ")
}

func mediaCount(s *replicator.Shipment) int {
	n := 1
	for _, p := range s.Parcels {
		n = max(n, int(p.Media))
	}
	return n
}

// loadOf turns a shipment into what the courier writes.
func loadOf(from site.Code, s *replicator.Shipment) courier.Load {
	var items []courier.Item
	for _, t := range s.Trust {
		items = append(items, courier.NewItem(t.Name, t.Data))
	}
	for _, f := range s.Files() {
		items = append(items, courier.Item{Name: f.Name, Source: f.Path, Size: f.Size, Digest: f.Digest, Medium: f.Medium})
	}
	return courier.NewLoad(from, items)
}
