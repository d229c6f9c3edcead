package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"fardel/site"
)

// run does what the command line says, and returns the process's exit code.
func run(p process, t *table) (exit int) {
	ctx, stop := withSignals(context.Background())
	defer stop()
	if len(p.args) > 0 && p.args[0] == "__complete" {
		return complete(ctx, p, t) // its arguments are an unfinished line, not one of ours
	}
	env := newEnv(p, t)
	env.JSON = wantsJSON(p.args) || env.truth("FARDEL_JSON") // until the flags are read, for what may be wrong with them
	defer func() {
		if cause := recover(); cause != nil {
			exit = env.report(nil, env.panicked(cause, debug.Stack()))
		}
	}()
	l, err := t.normalise(p.args)
	if err != nil {
		return env.report(nil, err)
	}
	var result Result
	err = newApp(env, func(r Result) { result = r }).RunContext(ctx, l.argv())
	return env.report(result, interrupted(ctx, err))
}

// newApp makes the flag library's application of the table. Nothing of the
// library reaches a command, and the library prints nothing and never exits.
func newApp(env *Env, show func(Result)) *cli.App {
	app := &cli.App{
		Name:                      "fardel",
		HideHelp:                  true,
		HideVersion:               true,
		Writer:                    discard{},
		ErrWriter:                 discard{},
		DisableSliceFlagSeparator: true,
		ExitErrHandler:            func(*cli.Context, error) {},
		OnUsageError:              usageError,
		Flags:                     libraryFlags(env.table.globals),
		Before: func(c *cli.Context) error {
			return env.apply(inputOf(c, &Command{Name: "fardel"}, env.table.globals))
		},
	}
	groups := map[string]*cli.Command{}
	for _, c := range env.table.commands {
		leaf := libraryCommand(env, c, show)
		group, verb, ok := strings.Cut(c.Name, " ")
		if !ok {
			app.Commands = append(app.Commands, leaf)
			continue
		}
		if groups[group] == nil {
			groups[group] = &cli.Command{Name: group, HideHelp: true, OnUsageError: usageError}
			app.Commands = append(app.Commands, groups[group])
		}
		leaf.Name = verb
		groups[group].Subcommands = append(groups[group].Subcommands, leaf)
	}
	return app
}

func libraryCommand(env *Env, c *Command, show func(Result)) *cli.Command {
	return &cli.Command{
		Name:         c.Name,
		HideHelp:     true,
		OnUsageError: usageError,
		Flags:        libraryFlags(c.Flags),
		Action: func(ctx *cli.Context) error {
			in := inputOf(ctx, c, c.Flags)
			in.Args = ctx.Args().Slice()
			r, err := env.call(ctx.Context, c, in)
			show(r)
			return err
		},
	}
}

// call runs a command, with the configuration if it wants one.
func (e *Env) call(ctx context.Context, c *Command, in *Input) (Result, error) {
	if !c.NoConfig {
		var err error
		if e.Config, err = loadConfig(e.ConfigPath, e.named); err != nil {
			return nil, err
		}
	}
	return c.Run(ctx, e, in)
}

// panicked makes a fault of a panic. The stack helps nobody at a terminal, so
// it appears only when FARDEL_DEBUG asks for it.
func (e *Env) panicked(cause any, stack []byte) error {
	if e.truth("FARDEL_DEBUG") {
		e.meter.interrupt(func() { fmt.Fprintf(e.Stderr, "%v\n\n%s\n", cause, stack) })
	}
	return site.Internal.New("fardel met something that its authors had ruled out: %s", clip(fmt.Sprint(cause))).
		In("The state is consistent.").
		Then("report this sentence and the output of fardel version").
		Then("set FARDEL_DEBUG=1 and run again to see where it happened")
}

// inputOf reads what the flag library has parsed.
func inputOf(c *cli.Context, command *Command, flags []Flag) *Input {
	in := &Input{command: command, flags: flags, values: map[string][]string{}}
	for _, f := range flags {
		if !c.IsSet(f.Name) {
			continue
		}
		switch f.Kind {
		case SwitchKind:
			in.values[f.Name] = []string{fmt.Sprint(c.Bool(f.Name))}
		case NumberKind:
			in.values[f.Name] = []string{fmt.Sprint(c.Int64(f.Name))}
		case ListKind:
			in.values[f.Name] = c.StringSlice(f.Name)
		default:
			in.values[f.Name] = []string{c.String(f.Name)}
		}
	}
	return in
}

func libraryFlags(flags []Flag) []cli.Flag {
	var all []cli.Flag
	for _, f := range flags {
		switch f.Kind {
		case SwitchKind:
			all = append(all, &cli.BoolFlag{Name: f.Name})
		case NumberKind:
			all = append(all, &cli.Int64Flag{Name: f.Name})
		case ListKind:
			all = append(all, &cli.StringSliceFlag{Name: f.Name})
		default:
			all = append(all, &cli.StringFlag{Name: f.Name})
		}
	}
	return all
}

func usageError(_ *cli.Context, err error, _ bool) error {
	return site.BadUsage.New("%s", err)
}

// discard is where the flag library's own pages go.
type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// withSignals returns a context that the first SIGINT or SIGTERM ends; the
// second one ends the process at once.
func withSignals(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		select {
		case s := <-ch:
			signal.Stop(ch)
			cancel(stoppedBy{s.(syscall.Signal)})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(ch)
		cancel(nil)
	}
}
