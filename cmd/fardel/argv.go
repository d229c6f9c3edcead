package main

import (
	"slices"
	"strings"

	"fardel/site"
)

// The flag library stops reading flags at the first argument, and takes what
// follows for arguments: "import /media --dry-run" would import. So the command
// line is put in order first: global flags, command, its flags, "--", arguments.
// All complaints about unknown flags and commands are made here.

// A line is a command line that was understood.
type line struct {
	command *Command
	globals []string // "--name=value"
	flags   []string // "--name=value"
	args    []string
}

// argv returns the line in the order that the flag library reads.
func (l *line) argv() []string {
	words := []string{"fardel"}
	words = append(words, l.globals...)
	words = append(words, strings.Fields(l.command.Name)...)
	words = append(words, l.flags...)
	return append(append(words, "--"), l.args...)
}

// A given is one flag as it stands on the command line.
type given struct {
	text     string // as typed, up to the =
	flag     Flag   // zero if nothing has such a flag
	value    string
	hasValue bool
}

// normalise understands the arguments that follow the program's name, in any
// order. It fails with BadUsage, naming the word that is wrong.
func (t *table) normalise(argv []string) (*line, error) {
	flags, words, rest, err := t.divide(argv)
	if err != nil {
		return nil, err
	}
	command, used := t.find(words)
	for _, g := range flags {
		if g.flag.Name == "" {
			return nil, t.unknownFlag(g.text, command)
		}
	}
	if has(flags, "version") {
		command, words, used = t.mustFind("version"), nil, 0
	}
	if has(flags, "help") || len(words)+len(rest) == 0 && command == nil {
		command, used = t.mustFind("help"), 0
		words = slices.DeleteFunc(words, func(w string) bool { return w == "help" })
		flags = slices.DeleteFunc(flags, func(g given) bool { return !t.global(g.flag.Name) })
	}
	if command == nil {
		return nil, t.unknownCommand(words)
	}
	l := &line{command: command, args: append(slices.Clone(words[used:]), rest...)}
	return l, t.assign(l, flags)
}

// divide tells flags, words and what follows "--" apart. Which flags take a
// value is known for the flags of all commands together.
func (t *table) divide(argv []string) (flags []given, words, rest []string, err error) {
	for i := 0; i < len(argv); i++ {
		word := argv[i]
		switch {
		case word == "--":
			return flags, words, argv[i+1:], nil
		case len(word) < 2 || word[0] != '-':
			words = append(words, word)
			continue
		}
		g := given{}
		g.text, g.value, g.hasValue = strings.Cut(word, "=")
		g.flag, _ = t.lookup(g.text)
		if g.flag.Name != "" && !g.hasValue {
			switch {
			case g.flag.Kind == SwitchKind:
				g.value = "true"
			case i+1 == len(argv) || len(argv[i+1]) > 1 && argv[i+1][0] == '-':
				return nil, nil, nil, site.BadUsage.New("%s needs a value", g.text).
					Then("%s=%s", g.text, g.flag.Value)
			default:
				i++
				g.value = argv[i]
			}
		}
		flags = append(flags, g)
	}
	return flags, words, nil, nil
}

// assign checks flags and number of arguments, and puts the flags where they
// belong.
func (t *table) assign(l *line, flags []given) error {
	seen := map[string]bool{}
	for _, g := range flags {
		name := g.flag.Name
		if name == "help" || name == "version" {
			continue
		}
		own := slices.IndexFunc(l.command.Flags, func(f Flag) bool { return f.Name == name })
		if own >= 0 {
			g.flag = l.command.Flags[own] // another command's may have other choices
		} else if !t.global(name) {
			return t.foreignFlag(g.text, l.command)
		}
		if seen[name] && g.flag.Kind != ListKind && g.flag.Kind != SwitchKind {
			return badUsage(l.command, "--%s is given twice", name)
		}
		seen[name] = true
		if err := g.flag.check(g.value); err != nil {
			return badUsage(l.command, "%s", err)
		}
		if text := "--" + name + "=" + g.value; own >= 0 {
			l.flags = append(l.flags, text)
		} else {
			l.globals = append(l.globals, text)
		}
	}
	return checkArgs(l.command, l.args)
}

func checkArgs(c *Command, args []string) error {
	least, most := c.arity()
	if len(args) < least {
		return badUsage(c, "%s is missing", parseArgs(c.Args)[len(args)].name)
	}
	if most >= 0 && len(args) > most {
		return badUsage(c, "%q is one argument too many", clip(args[most]))
	}
	return nil
}

// badUsage returns a fault that ends with how the command is used.
func badUsage(c *Command, format string, args ...any) *site.Fault {
	return site.BadUsage.New(format, args...).Then("%s", c.usage()).Then("fardel help %s", c.Name)
}

// wantsJSON reports whether --json stands anywhere before "--": complaints about
// a line that cannot be understood have the form that was asked for.
func wantsJSON(argv []string) bool {
	if i := slices.Index(argv, "--"); i >= 0 {
		argv = argv[:i]
	}
	return slices.Contains(argv, "--json") || slices.Contains(argv, "--json=true")
}

func has(flags []given, name string) bool {
	return slices.ContainsFunc(flags, func(g given) bool { return g.flag.Name == name && g.value == "true" })
}
