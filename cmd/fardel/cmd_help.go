package main

import (
	"context"
	"embed"
	"runtime"
	"runtime/debug"

	"fardel/site"
)

func helpCommands() []*Command {
	return []*Command{
		{
			Name:  "help",
			Args:  "[TOPIC...]",
			Short: "explain a command, a topic, or the id of a message",
			Examples: []string{
				"fardel help config show  # a command",
				"fardel help air-gap      # a topic",
				"fardel help FDL-20213    # the id that ends a message",
			},
			NoConfig: true,
			Complete: completeHelp,
			Run: func(_ context.Context, env *Env, in *Input) (Result, error) {
				return env.table.explain(in.Args)
			},
		},
		{
			Name:  "completion",
			Args:  "SHELL",
			Short: "print the completion script for bash, zsh, fish or powershell",
			Long:  "The script asks fardel itself for the words, so it stays right when fardel is upgraded.",
			Examples: []string{
				"fardel completion bash  # >/etc/bash_completion.d/fardel",
				"fardel completion zsh   # >\"${fpath[1]}/_fardel\"",
				"fardel completion fish  # >~/.config/fish/completions/fardel.fish",
			},
			NoConfig: true,
			Complete: func(context.Context, *Env, []string) []string { return shells },
			Run:      completionScript,
		},
		{
			Name:     "version",
			Short:    "print the version",
			NoConfig: true,
			Run:      printVersion,
		},
	}
}

// completeHelp gives topics beside the commands, which the frame knows.
func completeHelp(_ context.Context, env *Env, args []string) []string {
	words := []string{}
	if len(args) == 0 {
		for _, t := range topics {
			words = append(words, t.name)
		}
	}
	for _, p := range env.table.nextWords(args) {
		words = append(words, p.text)
	}
	return words
}

//go:embed completion/*
var completionFiles embed.FS

var shells = []string{"bash", "zsh", "fish", "powershell"}

type script struct {
	Shell string `json:"shell"`
	Body  string `json:"script"`
}

func (script) Kind() string      { return "CompletionScript" }
func (s script) Text(w *Printer) { w.w.WriteString(s.Body) } // code of ours, with tabs

func completionScript(_ context.Context, _ *Env, in *Input) (Result, error) {
	shell := in.Arg("SHELL")
	b, err := completionFiles.ReadFile("completion/fardel." + shell)
	if err != nil {
		f := site.BadUsage.New("there is no completion for %q; there is one for %s", clip(shell), alternatives(shells))
		if near := closest(shell, shells); near != "" {
			f.Then("did you mean fardel completion %s?", near)
		}
		return nil, f.Then("fardel help completion")
	}
	return script{shell, string(b)}, nil
}

// version is set when a release is built.
var version = "0.1.0-dev"

type versionResult struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the source
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Format   int    `json:"format"` // the newest version of parcels that is understood
}

func (versionResult) Kind() string { return "Version" }

func (v versionResult) Text(w *Printer) {
	revision := v.Revision
	if revision != "" {
		revision = ", " + revision[:min(12, len(revision))]
	}
	w.Line("fardel %s (%s, %s%s)", v.Version, v.Platform, v.Go, revision)
}

func printVersion(context.Context, *Env, *Input) (Result, error) {
	v := versionResult{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Format: 1}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Revision = s.Value
			}
		}
	}
	return v, nil
}
