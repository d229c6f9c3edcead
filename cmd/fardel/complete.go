package main

import (
	"bufio"
	"context"
	"io"
	"slices"
	"strings"
)

// A proposal is one word that could stand next.
type proposal struct{ text, short string }

// The words that the shells' scripts understand, on a line of their own: let
// the shell complete names of files, or of folders.
const (
	completeFiles   = ":files"
	completeFolders = ":folders"
)

// complete answers a shell that asks how a line could go on. The arguments are
// the words after "fardel" up to the cursor; the last one may be unfinished. It
// prints "word TAB remark" lines, and never fails: a shell has no use for errors.
func complete(ctx context.Context, p process, t *table) int {
	defer func() { _ = recover() }() // a broken line is no reason for noise at the prompt
	w := bufio.NewWriter(p.stdout)
	defer w.Flush()
	words := p.args[1:]
	if len(words) == 0 {
		words = []string{""}
	}
	p.stderr = io.Discard
	for _, c := range t.propose(ctx, newEnv(p, t), words[:len(words)-1], words[len(words)-1]) {
		w.WriteString(clean(c.text))
		if c.short != "" {
			w.WriteString("\t" + clean(c.short))
		}
		w.WriteByte('\n')
	}
	return 0
}

// propose returns what could stand in place of the unfinished last word.
func (t *table) propose(ctx context.Context, env *Env, before []string, last string) []proposal {
	ended := slices.Contains(before, "--")
	name, value, assigned := strings.Cut(last, "=")
	if f, ok := t.lookup(name); ok && assigned && !ended {
		return prefixed(f.values(), name+"=", value)
	}
	flags, args, rest, err := t.divide(before)
	if err != nil { // the word before waits for its value
		f, _ := t.lookup(before[len(before)-1])
		return matching(f.values(), last)
	}
	c, used := t.find(args)
	if strings.HasPrefix(last, "-") && !ended {
		return matching(t.proposeFlags(c, flags), last)
	}
	if c == nil {
		return matching(t.nextWords(args), last)
	}
	args = append(slices.Clone(args[used:]), rest...)
	var all []proposal
	if c.Complete != nil {
		env.prepare(t, flags)
		for _, word := range c.Complete(ctx, env, args) {
			all = append(all, proposal{text: word})
		}
	}
	return append(matching(all, last), c.fileNames(len(args))...)
}

// prepare gives a completing command the state folder and the configuration
// that the line so far asks for.
func (e *Env) prepare(t *table, flags []given) {
	in := &Input{command: &Command{}, flags: t.globals, values: map[string][]string{}}
	for _, g := range flags {
		in.values[g.flag.Name] = []string{g.value}
	}
	if e.apply(in) == nil {
		if c, err := loadConfig(e.ConfigPath, e.named); err == nil {
			e.Config = c
		}
	}
}

// proposeFlags returns the flags that the line may still take.
func (t *table) proposeFlags(c *Command, given []given) []proposal {
	flags := slices.Clone(t.globals)
	if c != nil {
		flags = append(slices.Clone(c.Flags), flags...)
	}
	var all []proposal
	for _, f := range flags {
		used := false
		for _, g := range given {
			used = used || g.flag.Name == f.Name && f.Kind != ListKind
		}
		if !used {
			all = append(all, proposal{"--" + f.Name, f.Usage})
		}
	}
	return all
}

// nextWords returns the words with which the name of a command could go on.
func (t *table) nextWords(words []string) []proposal {
	var all []proposal
	switch len(words) {
	case 0:
		for _, c := range t.commands {
			if !c.Hidden && !strings.Contains(c.Name, " ") {
				all = append(all, proposal{c.Name, c.Short})
			}
		}
		for _, g := range t.groups {
			if len(t.verbs(g.Name)) > 0 {
				all = append(all, proposal{g.Name, g.Short})
			}
		}
	case 1:
		for _, c := range t.verbs(words[0]) {
			all = append(all, proposal{strings.TrimPrefix(c.Name, words[0]+" "), c.Short})
		}
	}
	return all
}

// values returns what a flag takes.
func (f Flag) values() []proposal {
	switch {
	case f.Kind == ChoiceKind:
		var all []proposal
		for _, c := range f.Choices {
			all = append(all, proposal{text: c})
		}
		return all
	case f.Value == "FILE":
		return []proposal{{text: completeFiles}}
	case f.Value == "DIR":
		return []proposal{{text: completeFolders}}
	}
	return nil
}

// fileNames says whether the n-th argument of a command is a file or a folder,
// by the name that it has in Args.
func (c *Command) fileNames(n int) []proposal {
	slots := parseArgs(c.Args)
	if many := slices.IndexFunc(slots, func(s slot) bool { return s.repeat }); many >= 0 {
		n = min(n, many) // however many there are, another one may follow
	}
	if n >= len(slots) {
		return nil
	}
	// An optional argument before may have been left out: look at what follows too.
	for _, s := range slots[n:] {
		switch s.name {
		case "DIR":
			return []proposal{{text: completeFolders}}
		case "FILE", "PATH", "CARD", "DEST", "KIT", "MEDIUM":
			return []proposal{{text: completeFiles}}
		}
		if !s.optional {
			break
		}
	}
	return nil
}

func matching(all []proposal, last string) []proposal { return prefixed(all, "", last) }

// prefixed returns the proposals that begin with last, each behind the text
// that stands before it in the same word.
func prefixed(all []proposal, before, last string) []proposal {
	var fit []proposal
	for _, p := range all {
		switch {
		case strings.HasPrefix(p.text, ":"):
			fit = append(fit, p)
		case strings.HasPrefix(p.text, last):
			fit = append(fit, proposal{before + p.text, p.short})
		}
	}
	return fit
}
