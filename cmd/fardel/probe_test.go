package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"fardel/site"
)

// probes are commands that do nothing but show how the frame behaves.
func probes() *table {
	return &table{
		globals: globalFlags,
		groups:  []Group{{"thing", "things"}},
		commands: append(helpCommands(),
			&Command{
				Name: "echo", Args: "[WORD...]", Short: "show the input", Run: probeEcho,
				Flags: []Flag{
					Text("note", "TEXT", "a text"), List("to", "CODE", "sites"), Number("resend", "N", "a number"),
					Choice("codec", "xz|zstd", "a choice").Or("xz"), Duration("wait", "a time"), FlagDryRun,
				},
			},
			&Command{
				Name: "thing add", Also: []string{"add"}, Args: "DIR [CARD]", Short: "take a folder",
				Flags: []Flag{List("to", "CODE", "sites")}, Run: probeEcho,
				Complete: func(_ context.Context, env *Env, args []string) []string {
					return []string{fmt.Sprintf("arg%d-%s", len(args), env.Config.Codec)}
				},
			},
			&Command{Name: "thing list", Short: "a list of things", Run: probeList},
			&Command{Name: "panic", Short: "panic", Run: func(context.Context, *Env, *Input) (Result, error) {
				var none *Env
				return nil, none.Config.parse("", "")
			}},
			&Command{Name: "fail", Args: "HOW", Short: "fail", Run: probeFail},
			&Command{Name: "sleep", Short: "wait for a signal", Run: probeSleep},
			&Command{Name: "work", Short: "show progress", Flags: []Flag{Number("resend", "N", "a number")}, Run: probeWork},
			&Command{Name: "open", Short: "ask for a passphrase", Flags: []Flag{FlagPassphraseFile}, Run: func(ctx context.Context, env *Env, in *Input) (Result, error) {
				p, err := env.Passphrase(ctx, in, "the box")
				return probeResult{Note: string(p)}, err
			}},
			&Command{Name: "seal", Short: "ask for a new passphrase", Flags: []Flag{FlagPassphraseFile}, Run: func(ctx context.Context, env *Env, in *Input) (Result, error) {
				p, err := env.NewPassphrase(ctx, in, "the box")
				return probeResult{Note: string(p)}, err
			}},
			&Command{Name: "erase", Short: "ask whether to go on", Run: func(ctx context.Context, env *Env, _ *Input) (Result, error) {
				return probeResult{Note: "erased"}, env.Confirm(ctx, "Erase %s?", "the stick")
			}},
		),
	}
}

type probeResult struct {
	Args    []string `json:"args,omitempty"`
	Note    string   `json:"note,omitempty"`
	To      []string `json:"to,omitempty"`
	Resend  int64    `json:"resend,omitempty"`
	Codec   string   `json:"codec,omitempty"`
	Wait    string   `json:"wait,omitempty"`
	DryRun  bool     `json:"dry_run,omitempty"`
	Verbose bool     `json:"verbose,omitempty"`
}

func (probeResult) Kind() string { return "Probe" }

func (r probeResult) Text(w *Printer) { w.Line("%+v", r) }

func probeEcho(_ context.Context, env *Env, in *Input) (Result, error) {
	r := probeResult{Args: in.Args, To: in.Strings("to"), Verbose: env.Verbose}
	if in.command.Name == "echo" {
		r.Note, r.Resend, r.Codec, r.DryRun = in.String("note"), in.Int("resend"), in.String("codec"), in.Bool("dry-run")
		if d := in.Duration("wait"); d > 0 {
			r.Wait = d.String()
		}
	} else {
		r.Note = in.Arg("DIR") + "+" + in.Arg("CARD")
	}
	env.Next("fardel echo again")
	return r, nil
}

type probeThings []struct {
	Name string `json:"name"`
}

func (probeThings) Kind() string      { return "ThingList" }
func (r probeThings) Text(w *Printer) { w.Line("%d things", len(r)) }

func probeList(context.Context, *Env, *Input) (Result, error) { return probeThings(nil), nil }

func probeFail(_ context.Context, env *Env, in *Input) (Result, error) {
	damaged := site.Damaged.New("Parcel 42 is damaged at 1.2 GiB").In("Volumes 1 and 3 are good and are kept.").
		Then("try another USB port").Then("ask HQ0 to export again").Because(errors.New("checksum mismatch"))
	switch in.Arg("HOW") {
	case "partly":
		env.Warn("one of two is bad: %s", "a\x1b[31mb\u202ec")
		return probeResult{Note: "one"}, fmt.Errorf("importing: %w", damaged)
	case "plain":
		return nil, io.ErrUnexpectedEOF
	case "long":
		return nil, site.Failed.New("%s", strings.Repeat("many words ", 20))
	case "hostile":
		return nil, site.Failed.New("the name is %s", "x\x1b]0;owned\x07\u202ey\r\n")
	}
	return nil, damaged
}

func probeSleep(ctx context.Context, env *Env, _ *Input) (Result, error) {
	fmt.Fprintln(env.Stdout, "ready")
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("copying: %w", ctx.Err())
	case <-time.After(30 * time.Second):
		return nil, errors.New("no signal came")
	}
}

func probeWork(_ context.Context, env *Env, in *Input) (Result, error) {
	p := env.Progress()
	p.Phase("Copying", 1<<20)
	time.Sleep(time.Duration(in.Int("resend")) * time.Millisecond)
	p.Add(1 << 20)
	p.Done()
	return probeResult{Note: "done"}, nil
}
