package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"fardel/site"
)

func demoCommands() []*Command {
	return []*Command{{
		Name: "demo", Short: "show a package travel over three sites, in a temporary folder",
		Long: "It sets up headquarters (HQ0), a site below it (EU1) and one below that (FLD), in a folder of their own, and runs the " +
			"commands that a person would type, as they stand there. A second folder plays the stick. The content is the source " +
			"tree of a Go module that lies on this machine. Nothing else on the machine is touched, and no network is used.",
		Examples: []string{"fardel demo", "fardel demo --keep ./sites  # to look around afterwards"},
		Flags:    []Flag{Text("keep", "DIR", "make it in DIR, which must not be there, and leave it there")},
		NoConfig: true, Run: runDemo,
	}}
}

// A demo is a hierarchy in a folder, and the commands that are run in it.
type demo struct {
	ctx     context.Context
	env     *Env
	out     io.Writer
	dir     string
	program string
	typed   int
	content demoContent
	checked []string
}

type demoResult struct {
	Folder   string   `json:"folder,omitempty"` // if it was kept
	Commands int      `json:"commands"`
	Content  string   `json:"content"`
	Files    int      `json:"files"`  // compared at the end
	Opened   []string `json:"opened"` // without fardel
	Seconds  int64    `json:"seconds"`
}

func (demoResult) Kind() string { return "Demo" }

func (r demoResult) Text(w *Printer) {
	w.Line("")
	w.Para("%s %s, %s compared, in %d s.", Good("All of it worked:"), Count(int64(r.Commands), "command"), Count(int64(r.Files), "file"), r.Seconds)
	if r.Folder != "" {
		w.Para("The sites stay in %s.", r.Folder)
	}
}

func runDemo(ctx context.Context, env *Env, in *Input) (res Result, err error) {
	began := env.Now()
	d := &demo{ctx: ctx, env: env, out: env.Stdout, checked: []string{}}
	if env.JSON || env.Quiet {
		d.out = io.Discard
	}
	if d.program, err = os.Executable(); err != nil {
		return nil, site.Failed.New("the program cannot find itself: %s", reason(err))
	}
	keep := in.String("keep")
	if d.dir, err = demoFolder(keep); err != nil {
		return nil, err
	}
	if keep == "" {
		defer func() {
			if gone := removeTree(d.dir); err == nil && gone != nil {
				err = site.Failed.New("the temporary folder %s cannot be removed: %s", d.dir, reason(gone))
			}
		}()
	}
	if err := d.play(); err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("the demo was ended: %w", ctx.Err())
		}
		return nil, err
	}
	r := demoResult{Commands: d.typed, Content: d.content.first, Files: d.content.files, Opened: d.checked, Seconds: int64(env.Now().Sub(began) / time.Second)}
	if keep != "" {
		r.Folder = d.dir
		env.Next("fardel status --state %s", filepath.Join(d.dir, "fld"))
	}
	return r, nil
}

func demoFolder(keep string) (string, error) {
	if keep == "" {
		dir, err := os.MkdirTemp("", "fardel-demo-")
		if err != nil {
			return "", site.Failed.New("no temporary folder can be made: %s", reason(err))
		}
		return dir, nil
	}
	dir, err := absolute(keep)
	if err != nil {
		return "", err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", site.Exists.New("the folder %s cannot be made: %s", keep, reason(err)).In("Nothing was done").
			Then("fardel demo --keep DIR    with a folder that is not there yet")
	}
	return dir, nil
}

// removeTree removes a tree in which folders may be read-only, as those of
// modules are.
func removeTree(dir string) error {
	_ = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}

// play is the story that the demo tells.
func (d *demo) play() error {
	for _, f := range []string{"stick", "other-stick", "content", "opened"} {
		if err := os.Mkdir(filepath.Join(d.dir, f), 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(d.dir, "fardel.toml"), []byte("media = []\n"), 0o644); err != nil {
		return err
	}
	var err error
	if d.content, err = findContent(d.ctx, filepath.Join(d.dir, "content")); err != nil {
		return err
	}
	for _, act := range []func() error{d.setUp, d.firstTrip, d.secondTrip, d.lookAround, d.openByHand} {
		if err := act(); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) setUp() error {
	d.say("Three sites that no cable connects: headquarters HQ0, EU1 below it, and FLD below EU1. " +
		"Each has a folder here; on real machines nobody names it.")
	return d.type3(
		"HQ0", "fardel init HQ0 --name Headquarters",
		"EU1", "fardel init EU1 --name Europe --parent hq0/hq0.card",
		"FLD", "fardel init FLD --name Depot --parent eu1/eu1.card",
		"HQ0", "fardel site add eu1/eu1.card",
		"HQ0", "fardel site add fld/fld.card",
	)
}

func (d *demo) firstTrip() error {
	d.say("%s Both sites below are to have it. One stick goes the whole way: at EU1 it brings what is for EU1, "+
		"and EU1 keeps a copy of what is for FLD.", d.content.says)
	return d.type3(
		"HQ0", "fardel package add "+d.content.first+" --to EU1,FLD",
		"HQ0", "fardel export EU1 FLD stick",
		"EU1", "fardel import stick",
		"FLD", "fardel import stick",
		"HQ0", "fardel import stick",
		"HQ0", "fardel parcel list",
	)
}

func (d *demo) secondTrip() error {
	d.say("%s Only what has changed travels. This time FLD's courier never meets headquarters': EU1 hands on what is for FLD "+
		"on a stick of its own, and the receipt comes back the same way.", d.content.update)
	return d.type3(
		"HQ0", "fardel package update HQ000001 "+d.content.second,
		"HQ0", "fardel export EU1 FLD stick --dry-run",
		"HQ0", "fardel export EU1 FLD stick",
		"EU1", "fardel import stick",
		"EU1", "fardel export FLD other-stick",
		"FLD", "fardel import other-stick",
		"EU1", "fardel import other-stick",
		"EU1", "fardel export HQ0 stick",
		"HQ0", "fardel import stick",
	)
}

func (d *demo) lookAround() error {
	d.say("Everybody knows how things stand, headquarters from the receipts.")
	if err := d.type3(
		"HQ0", "fardel status",
		"EU1", "fardel status",
		"FLD", "fardel status",
		"HQ0", "fardel export --all stick --dry-run",
		"FLD", "fardel package get HQ000001 copy",
	); err != nil {
		return err
	}
	n, err := sameTree(filepath.Join(d.dir, d.content.second), filepath.Join(d.dir, "copy"))
	if err != nil {
		return err
	}
	d.content.files = n
	if diff, err := exec.LookPath("diff"); err == nil {
		if err := d.shell("FLD", diff, "diff -r "+d.content.second+" copy"); err != nil {
			return err
		}
	}
	fmt.Fprintf(d.out, "The copy at FLD is what headquarters added: %s, byte for byte, with their modes.\n", Count(int64(n), "file"))
	return nil
}

func (d *demo) say(format string, args ...any) {
	p := newPrinter(d.out, false)
	p.Line("")
	p.hang("# ", "# ", fmt.Sprintf(format, args...))
	p.flush()
}

// type3 types commands, each given as the site that it is typed at and its words.
func (d *demo) type3(lines ...string) error {
	for i := 0; i < len(lines); i += 2 {
		if err := d.shell(lines[i], d.program, lines[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// shell shows a command, runs it in the demo's folder and shows what it says.
func (d *demo) shell(at, program, line string) error {
	words := strings.Fields(line)
	if script, ok := strings.CutPrefix(line, "sh -c "); ok {
		line, words = script, []string{"sh", "-c", script}
	}
	fmt.Fprintf(d.out, "\n%s $ %s\n", at, line)
	cmd := exec.CommandContext(d.ctx, program, words[1:]...)
	cmd.Args[0] = words[0]
	cmd.Dir = d.dir
	cmd.Env = d.environment(at)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = d.out, io.MultiWriter(d.out, &said)
	if d.out == io.Discard {
		cmd.Stdout, cmd.Stderr = nil, &said
	}
	d.typed++
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return site.Failed.New("%q ended with exit code %d at %s", line, exit.ExitCode(), at).
			In("The demo stops here").Then("fardel demo --keep DIR    leaves its folder, to look around").Because(errors.New(said.String()))
	}
	return err
}

// environment is that of a person at the site: the state folder, and nothing of
// the configuration of this machine.
func (d *demo) environment(at string) []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "FARDEL_") {
			env = append(env, v)
		}
	}
	return append(env, "FARDEL_STATE="+filepath.Join(d.dir, strings.ToLower(at)), "FARDEL_CONFIG="+filepath.Join(d.dir, "fardel.toml"),
		"TMPDIR="+d.dir, "NO_COLOR=1", "FARDEL_PROGRESS=none")
}

// openByHand shows that a medium needs no fardel to be checked and opened, only
// the site's key and programs that every system has.
func (d *demo) openByHand() error {
	tools := []string{"sh", "sha256sum", "age", "xz", "zstd", "tar"}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			d.say("Without fardel: the stick can be checked and opened with sha256sum, age, xz, zstd and tar. %s is not installed "+
				"here, so this is left out.", tool)
			return nil
		}
	}
	d.checked = tools[1:]
	bodies, err := filepath.Glob(filepath.Join(d.dir, "stick/FARDEL/HQ0/bodies/hq0-fld-*"))
	if err != nil || len(bodies) == 0 {
		return site.Failed.New("the stick holds no parcel for FLD")
	}
	bundles, err := filepath.Glob(filepath.Join(d.dir, "stick/FARDEL/HQ0/bundles/*.tar.zst.age"))
	if err != nil || len(bundles) == 0 {
		return site.Failed.New("the stick holds no bundle")
	}
	d.say("Nothing on the stick needs fardel to be read: these are age, xz, zstd and tar, and the key of FLD.")
	hq := "stick/FARDEL/HQ0/"
	for _, line := range []string{
		"cd " + hq + " && sha256sum --check --quiet SHA256SUMS && ls -R",
		"age -d -i fld/keys/age.key " + hq + "bodies/" + filepath.Base(bodies[len(bodies)-1]) + " >opened/body.xz",
		"xz -d <opened/body.xz >opened/body.jsonl",
		"grep -o AGE-SECRET-KEY-[0-9A-Z]* opened/body.jsonl >opened/bundle.key",
		"age -d -i opened/bundle.key " + hq + "bundles/" + filepath.Base(bundles[0]) + " >opened/bundle.tar.zst",
		"zstd -d -q opened/bundle.tar.zst -o opened/bundle.tar",
		"tar -tvf opened/bundle.tar | head -n 3",
	} {
		if err := d.shell("FLD", "sh", "sh -c "+line); err != nil {
			return err
		}
	}
	return nil
}
