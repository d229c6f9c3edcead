package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Command is one thing that fardel can be told to do. The command line, the
// help, and the completion of all shells are made from it.
type Command struct {
	Name     string   // its words, such as "package add"
	Also     []string // other names for the same command
	Args     string   // such as "DIR", "CODE [CARD]" or "[SITE...]"; the number of arguments is checked against it
	Short    string   // one line, for lists
	Long     string   // paragraphs, divided by empty lines
	Examples []string // command lines; what follows "  #" is a remark
	Flags    []Flag
	Hidden   bool // left out of lists and completion
	NoConfig bool // runs without the configuration file, so that a bad file cannot block it

	// Complete gives the words that could stand as the next argument, after
	// those in args. It reads only, and says nothing when it cannot know.
	Complete func(ctx context.Context, env *Env, args []string) []string

	// Run does the work. A result is shown even if there is an error beside it.
	Run func(ctx context.Context, env *Env, in *Input) (Result, error)
}

// A Result is what a command found or did. The value itself is what --json
// encodes: a struct whose fields become fields of the envelope, or a slice,
// which becomes its items.
type Result interface {
	Kind() string    // such as "ParcelList"
	Text(w *Printer) // the same for people
}

// A FlagKind says what a flag's value has to look like.
type FlagKind int

// The kinds of flags.
const (
	SwitchKind FlagKind = iota // takes no value
	TextKind
	NumberKind   // a whole number, not negative
	DurationKind // 90s, 15m, 24h, 30d
	ListKind     // may be given several times; commas divide too
	ChoiceKind   // one of Choices
)

// A Flag is one flag of a command. One name has one kind in all commands, so
// that flags can stand before the command too.
type Flag struct {
	Name    string   // without dashes
	Letter  string   // one letter, or empty
	Kind    FlagKind //
	Value   string   // what help calls the value, such as "FILE"
	Usage   string   // one line
	Default string
	Choices []string
	Env     string // for global flags: the variable that sets it too
}

// Switch returns a flag that is on or off.
func Switch(name, usage string) Flag { return Flag{Name: name, Kind: SwitchKind, Usage: usage} }

// Text returns a flag with a value of any form.
func Text(name, value, usage string) Flag {
	return Flag{Name: name, Kind: TextKind, Value: value, Usage: usage}
}

// Number returns a flag that takes a whole number from 0.
func Number(name, value, usage string) Flag {
	return Flag{Name: name, Kind: NumberKind, Value: value, Usage: usage}
}

// Duration returns a flag that takes a span of time such as 15m or 30d.
func Duration(name, usage string) Flag {
	return Flag{Name: name, Kind: DurationKind, Value: "TIME", Usage: usage}
}

// List returns a flag that may be given several times, or once with commas.
func List(name, value, usage string) Flag {
	return Flag{Name: name, Kind: ListKind, Value: value, Usage: usage}
}

// Choice returns a flag that takes one of a few words, written "xz|zstd".
func Choice(name, words, usage string) Flag {
	return Flag{Name: name, Kind: ChoiceKind, Value: words, Choices: strings.Split(words, "|"), Usage: usage}
}

// Or returns the flag with the value that holds when it is not given.
func (f Flag) Or(value string) Flag { f.Default = value; return f }

// Key returns the flag with a one-letter name.
func (f Flag) Key(letter string) Flag { f.Letter = letter; return f }

// From returns the flag with an environment variable that sets it too.
func (f Flag) From(variable string) Flag { f.Env = variable; return f }

// Flags that several commands share.
var (
	FlagDryRun         = Switch("dry-run", "say what would be done; change nothing").Key("n")
	FlagPassphraseFile = Text("passphrase-file", "FILE", "read the passphrase from the first line of FILE (- is stdin)")
)

// check says in one sentence why v is no value for the flag, or nil.
func (f Flag) check(v string) error {
	switch f.Kind {
	case SwitchKind:
		if _, err := strconv.ParseBool(v); err != nil {
			return fmt.Errorf("--%s takes true or false, not %q", f.Name, clip(v))
		}
	case NumberKind:
		if n, err := strconv.ParseInt(v, 10, 64); err != nil || n < 0 {
			return fmt.Errorf("--%s takes a whole number, not %q", f.Name, clip(v))
		}
	case DurationKind:
		if _, err := parseDuration(v); err != nil {
			return fmt.Errorf("--%s takes a time such as 90s, 15m, 24h or 30d, not %q", f.Name, clip(v))
		}
	case ListKind:
		if slices.Contains(strings.Split(v, ","), "") {
			return fmt.Errorf("--%s has an empty item in %q", f.Name, clip(v))
		}
	case ChoiceKind:
		if !slices.Contains(f.Choices, v) {
			return fmt.Errorf("--%s takes %s, not %q", f.Name, alternatives(f.Choices), clip(v))
		}
	}
	return nil
}

// parseDuration reads what time.ParseDuration reads, and whole days such as 30d.
func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n int64
		n, err = strconv.ParseInt(days, 10, 32)
		d = time.Duration(n) * 24 * time.Hour
		if n > 100*365 {
			err = fmt.Errorf("more than a hundred years")
		}
	}
	if err == nil && d < 0 {
		err = fmt.Errorf("negative")
	}
	return d, err
}

// An Input is what was given on the command line: arguments and flags, checked
// against the command's description. Asking for a flag that the command does
// not have is a mistake in the program, and panics.
type Input struct {
	Args []string // all arguments, in order

	command *Command
	flags   []Flag
	values  map[string][]string
}

// Arg returns the argument that the command's Args call by this name, or "" if
// it was left out. It serves names before the first repeated one.
func (in *Input) Arg(name string) string {
	for i, slot := range parseArgs(in.command.Args) {
		if slot.name == name {
			if i < len(in.Args) {
				return in.Args[i]
			}
			return ""
		}
	}
	panic(fmt.Sprintf("command %q has no argument %s", in.command.Name, name))
}

// Has reports whether the flag was given.
func (in *Input) Has(name string) bool {
	in.flag(name)
	return len(in.values[name]) > 0
}

// String returns the value of a flag, or its default.
func (in *Input) String(name string) string {
	f := in.flag(name)
	if v := in.values[name]; len(v) > 0 {
		return v[len(v)-1]
	}
	return f.Default
}

// Bool reports whether a switch is on.
func (in *Input) Bool(name string) bool {
	b, _ := strconv.ParseBool(in.String(name)) // checked before
	return b
}

// Int returns the value of a number flag, or its default, or 0.
func (in *Input) Int(name string) int64 {
	n, _ := strconv.ParseInt(in.String(name), 10, 64)
	return n
}

// Duration returns the value of a flag that takes a time, or its default, or 0.
func (in *Input) Duration(name string) time.Duration {
	d, _ := parseDuration(in.String(name))
	return d
}

// Strings returns all values of a list flag, in order.
func (in *Input) Strings(name string) []string {
	in.flag(name)
	var all []string
	for _, v := range in.values[name] {
		all = append(all, strings.Split(v, ",")...)
	}
	return all
}

func (in *Input) flag(name string) Flag {
	for _, f := range in.flags {
		if f.Name == name {
			return f
		}
	}
	panic(fmt.Sprintf("command %q has no flag --%s", in.command.Name, name))
}

// slot is one word of a command's Args.
type slot struct {
	name             string
	optional, repeat bool
}

// parseArgs reads a description of arguments such as "CODE [CARD]" or "PATH...".
func parseArgs(s string) []slot {
	var slots []slot
	for word := range strings.FieldsSeq(s) {
		var a slot
		if inner, ok := strings.CutPrefix(word, "["); ok {
			a.optional = true
			word = strings.TrimSuffix(inner, "]")
		}
		a.name, a.repeat = strings.CutSuffix(word, "...")
		slots = append(slots, a)
	}
	return slots
}

// arity returns how many arguments a command takes; most is -1 for any number.
func (c *Command) arity() (least, most int) {
	for _, a := range parseArgs(c.Args) {
		if !a.optional {
			least++
		}
		if a.repeat {
			most = -1
		}
		if most >= 0 {
			most++
		}
	}
	return least, most
}

// usage returns the command as it is typed, such as "fardel package add DIR".
func (c *Command) usage() string {
	s := "fardel " + c.Name
	if c.Args != "" {
		s += " " + c.Args
	}
	return s
}

// names returns the command's name and its other names.
func (c *Command) names() []string { return append([]string{c.Name}, c.Also...) }

// alternatives writes words as "a, b or c".
func alternatives(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// clip shortens what was typed before it is shown again.
func clip(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:37], "") + "..."
	}
	return s
}
