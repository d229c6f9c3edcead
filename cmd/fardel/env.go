package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/term"

	"fardel/site"
)

// A process is what the operating system gives to a run of fardel.
type process struct {
	args           []string // without the program's name
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	now            func() time.Time
	root           bool
}

func thisProcess() process {
	return process{
		args: os.Args[1:], stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		getenv: os.Getenv, now: time.Now, root: os.Geteuid() == 0,
	}
}

// An Env is what a command may use of the world outside.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer // for data that is no result, such as a QR code; results are returned

	StateDir   string // --state, FARDEL_STATE or the default
	ConfigPath string // --config, FARDEL_CONFIG or the default; the file need not be there
	Config     Config // defaults, and what the file says
	Now        func() time.Time

	JSON    bool
	Quiet   bool
	Verbose bool
	Yes     bool // all questions are answered with yes

	table    *table
	getenv   func(string) string
	root     bool
	named    bool // the configuration file was named, so it has to be there
	colour   bool // on stderr
	colours  bool // on stdout
	mode     progressMode
	meter    *meter
	warnings []string
	next     []string
}

// newEnv returns the environment before any flag was read.
func newEnv(p process, t *table) *Env {
	return &Env{
		Stdin: p.stdin, Stdout: p.stdout, Stderr: p.stderr, Now: p.now,
		table: t, getenv: p.getenv, root: p.root, Config: defaultConfig(),
		mode: noProgress, meter: newMeter(p.stderr, noProgress, p.now),
	}
}

// apply takes over the global flags. A flag wins over its variable; an empty
// variable counts as not set.
func (e *Env) apply(in *Input) error {
	for _, f := range in.flags {
		if v := e.variable(f.Env); v != "" && !in.Has(f.Name) {
			if err := f.check(v); err != nil {
				return site.BadUsage.New("the variable %s is wrong: %s", f.Env, err).Then("unset %s", f.Env)
			}
			in.values[f.Name] = []string{v}
		}
	}
	e.JSON = in.Bool("json")
	e.Quiet = in.Bool("quiet")
	e.Verbose = in.Bool("verbose")
	e.Yes = in.Bool("yes")
	e.colour = e.wantsColour(e.Stderr, in.Bool("no-color"))
	e.colours = e.wantsColour(e.Stdout, in.Bool("no-color"))
	e.mode = progressModeOf(in.String("progress"), isTerminal(e.Stderr), e.variable("TERM"))
	if e.Quiet {
		e.mode = noProgress
	}
	e.meter = newMeter(e.Stderr, e.mode, e.Now)
	e.named = in.String("config") != ""
	var err error
	if e.StateDir, err = e.folder(in.String("state"), "/var/lib/fardel", "XDG_DATA_HOME", ".local/share"); err != nil {
		return err
	}
	if e.named {
		e.ConfigPath, err = absolute(in.String("config"))
		return err
	}
	dir, err := e.folder("", "/etc/fardel", "XDG_CONFIG_HOME", ".config")
	e.ConfigPath = filepath.Join(dir, "fardel.toml")
	return err
}

// folder returns the folder that was asked for, or the default: one for root,
// and one below the home folder for everybody else.
func (e *Env) folder(asked, system, xdg, below string) (string, error) {
	if asked != "" {
		return absolute(asked)
	}
	home := e.variable("HOME")
	base := e.variable(xdg)
	switch {
	case e.root || home == "" && base == "":
		return system, nil
	case filepath.IsAbs(base): // XDG demands that other paths are ignored
		return filepath.Join(base, "fardel"), nil
	}
	return filepath.Join(home, below, "fardel"), nil
}

func absolute(path string) (string, error) {
	p, err := filepath.Abs(path)
	if err != nil {
		return "", site.Failed.New("the current folder cannot be told").Because(err)
	}
	return p, nil
}

func (e *Env) variable(name string) string {
	if name == "" {
		return ""
	}
	return e.getenv(name)
}

// Warn tells of something that does not stop the command. It appears on stderr
// at once, or among the envelope's warnings.
func (e *Env) Warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	e.warnings = append(e.warnings, text)
	if e.JSON {
		return
	}
	e.meter.interrupt(func() {
		p := newPrinter(e.Stderr, e.colour)
		p.Para("%s", Notable("Warning: ")+text)
		p.flush()
	})
}

// Note tells what is about to be done. It appears on stderr at once; JSON has a
// field of the result for it.
func (e *Env) Note(format string, args ...any) {
	if e.JSON || e.Quiet {
		return
	}
	text := fmt.Sprintf(format, args...)
	e.meter.interrupt(func() {
		p := newPrinter(e.Stderr, e.colour)
		p.Para("%s", text)
		p.flush()
	})
}

// Next names a step that is sensible after this command. The most useful one
// comes first.
func (e *Env) Next(format string, args ...any) {
	e.next = append(e.next, fmt.Sprintf(format, args...))
}

// Progress returns the display for the command's work. Its methods may be
// called from several goroutines.
func (e *Env) Progress() Progress { return e.meter }

// Confirm asks a question that has to be answered with yes. Without a terminal,
// and in JSON, only --yes answers.
func (e *Env) Confirm(ctx context.Context, format string, args ...any) error {
	if e.Yes {
		return nil
	}
	question := fmt.Sprintf(format, args...)
	if e.JSON || !isTerminal(e.Stdin) {
		return site.BadUsage.New("this needs a yes: %s", question).
			In("Nothing was done.").Then("run the same command with --yes")
	}
	e.meter.interrupt(func() { fmt.Fprintf(e.Stderr, "%s [y/N] ", clean(question)) })
	answer, err := await(ctx, func() (string, error) { return readLine(e.Stdin) })
	if err != nil {
		return err
	}
	if answer == "y" || answer == "Y" || answer == "yes" {
		return nil
	}
	return site.BadUsage.New("the answer was not yes").In("Nothing was done.").Then("run again and answer y")
}

func (e *Env) wantsColour(w io.Writer, off bool) bool {
	force := e.variable("CLICOLOR_FORCE")
	switch {
	case off || e.variable("NO_COLOR") != "":
		return false
	case force != "" && force != "0":
		return true
	}
	return isTerminal(w) && e.variable("TERM") != "dumb"
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// truth reports whether a variable is set to something like true.
func (e *Env) truth(name string) bool {
	on, _ := strconv.ParseBool(e.variable(name))
	return on
}
