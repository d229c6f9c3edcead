package main

import (
	"fmt"
	"slices"
	"strings"

	"fardel/site"
)

// A Group is a noun that has verbs, such as package.
type Group struct {
	Name  string
	Short string
}

// table is all that can be typed.
type table struct {
	commands []*Command
	groups   []Group
	globals  []Flag
}

// globalFlags may stand on every command line.
var globalFlags = []Flag{
	Text("config", "FILE", "read the configuration from FILE").Key("c").From("FARDEL_CONFIG"),
	Text("state", "DIR", "keep the site's state in DIR").From("FARDEL_STATE"),
	Switch("json", "print one JSON object instead of text").From("FARDEL_JSON"),
	Switch("quiet", "no progress, no next steps").Key("q").From("FARDEL_QUIET"),
	Switch("verbose", "say more, such as the causes of errors").Key("v").From("FARDEL_VERBOSE"),
	Switch("yes", "answer yes to all questions").Key("y").From("FARDEL_YES"),
	Switch("no-color", "no colours"),
	Choice("progress", "auto|bar|plain|json|none", "how progress is shown on stderr").Or("auto").From("FARDEL_PROGRESS"),
	Switch("help", "explain the command").Key("h"),
	Switch("version", "print the version"),
}

// find returns the command that the words begin with, and how many words name
// it; the longest name wins.
func (t *table) find(words []string) (*Command, int) {
	var best *Command
	used := 0
	for _, c := range t.commands {
		for _, name := range c.names() {
			parts := strings.Fields(name)
			if len(parts) > used && len(parts) <= len(words) && slices.Equal(parts, words[:len(parts)]) {
				best, used = c, len(parts)
			}
		}
	}
	return best, used
}

func (t *table) mustFind(name string) *Command {
	c, _ := t.find(strings.Fields(name))
	if c == nil {
		panic("no command " + name)
	}
	return c
}

// group returns the group of this name.
func (t *table) group(name string) (Group, bool) {
	i := slices.IndexFunc(t.groups, func(g Group) bool { return g.Name == name })
	if i < 0 {
		return Group{}, false
	}
	return t.groups[i], true
}

// verbs returns the commands of a group that are not hidden.
func (t *table) verbs(group string) []*Command {
	var all []*Command
	for _, c := range t.commands {
		if strings.HasPrefix(c.Name, group+" ") && !c.Hidden {
			all = append(all, c)
		}
	}
	return all
}

func (t *table) global(name string) bool {
	return slices.ContainsFunc(t.globals, func(f Flag) bool { return f.Name == name })
}

// lookup returns the flag that is typed as "--name" or "-x", of any command.
func (t *table) lookup(typed string) (Flag, bool) {
	for f := range t.allFlags() {
		if typed == "--"+f.Name || f.Letter != "" && typed == "-"+f.Letter {
			return f, true
		}
	}
	return Flag{}, false
}

func (t *table) allFlags() func(yield func(Flag) bool) {
	return func(yield func(Flag) bool) {
		for _, f := range t.globals {
			if !yield(f) {
				return
			}
		}
		for _, c := range t.commands {
			for _, f := range c.Flags {
				if !yield(f) {
					return
				}
			}
		}
	}
}

// check finds mistakes in the table itself. The frame relies on all of this, so
// a test demands that it is nil.
func (t *table) check() error {
	kinds := map[string]Flag{}
	for f := range t.allFlags() {
		old, ok := kinds[f.Name]
		if ok && (old.Kind != f.Kind || old.Letter != f.Letter) {
			return fmt.Errorf("--%s differs between commands", f.Name)
		}
		kinds[f.Name] = f
		if f.Letter != "" {
			if other, ok := kinds["-"+f.Letter]; ok && other.Name != f.Name {
				return fmt.Errorf("-%s is both --%s and --%s", f.Letter, other.Name, f.Name)
			}
			kinds["-"+f.Letter] = f
		}
		if (f.Kind == SwitchKind) != (f.Value == "") || f.Usage == "" {
			return fmt.Errorf("--%s has no usage, or no name for its value", f.Name)
		}
	}
	taken := map[string]bool{}
	for _, c := range t.commands {
		if err := t.checkCommand(c, taken); err != nil {
			return err
		}
	}
	return nil
}

func (t *table) checkCommand(c *Command, taken map[string]bool) error {
	if c.Short == "" || len(c.Short) > 70 || c.Run == nil {
		return fmt.Errorf("%s: no Run, or no Short of at most 70 characters", c.Name)
	}
	for _, name := range c.names() {
		if taken[name] {
			return fmt.Errorf("two commands are called %s", name)
		}
		taken[name] = true
		parts := strings.Fields(name)
		if _, ok := t.group(parts[0]); len(parts) > 2 || ok != (len(parts) == 2) {
			return fmt.Errorf("%s: a name is one word, or a group and one word", name)
		}
	}
	for _, f := range c.Flags {
		if t.global(f.Name) {
			return fmt.Errorf("%s: --%s is global", c.Name, f.Name)
		}
	}
	for _, example := range c.Examples {
		typed, _, _ := strings.Cut(example, "  #")
		words := strings.Fields(typed)
		if len(words) < 2 || words[0] != "fardel" {
			return fmt.Errorf("%s: example %q does not start with fardel", c.Name, example)
		}
		if l, err := t.normalise(words[1:]); err != nil || l.command != c {
			return fmt.Errorf("%s: example %q: %v", c.Name, example, err)
		}
	}
	return nil
}

// unknownFlag explains a flag that no command has.
func (t *table) unknownFlag(typed string, c *Command) error {
	known := t.flagNames(c)
	fault := site.BadUsage.New("there is no flag %s", clip(typed))
	bare := strings.TrimLeft(typed, "-")
	if s := closest(bare, known); s != "" {
		fault.Then("did you mean --%s?", s)
	}
	if c == nil {
		return fault.Then("fardel help")
	}
	return fault.Then("fardel help %s", c.Name)
}

// foreignFlag explains a flag that another command has.
func (t *table) foreignFlag(typed string, c *Command) error {
	fault := site.BadUsage.New("fardel %s has no flag %s", c.Name, clip(typed))
	if s := closest(strings.TrimLeft(typed, "-"), t.flagNames(c)); s != "" {
		fault.Then("did you mean --%s?", s)
	}
	return fault.Then("fardel help %s", c.Name)
}

// flagNames returns the long names that fit a command, or all names.
func (t *table) flagNames(c *Command) []string {
	var names []string
	for _, f := range t.globals {
		names = append(names, f.Name)
	}
	if c != nil {
		for _, f := range c.Flags {
			names = append(names, f.Name)
		}
		return names
	}
	for f := range t.allFlags() {
		names = append(names, f.Name)
	}
	return names
}

// unknownCommand explains words that no command begins with.
func (t *table) unknownCommand(words []string) error {
	if len(words) == 0 {
		return site.BadUsage.New("no command stands before --").Then("fardel help")
	}
	first := words[0]
	if _, ok := t.group(first); ok {
		return t.unknownVerb(first, words[1:])
	}
	fault := site.BadUsage.New("there is no command %q", clip(first))
	var names []string
	for _, c := range t.commands {
		if c.Hidden {
			continue
		}
		noun, verb, _ := strings.Cut(c.Name, " ")
		if verb == first {
			fault.Then("did you mean fardel %s?", c.Name)
		}
		names = append(names, noun)
	}
	if s := closest(first, names); s != "" && len(fault.Next) == 0 {
		whole := append([]string{s}, words[1:]...)
		if c, _ := t.find(whole); c != nil {
			s = c.Name
		}
		fault.Then("did you mean fardel %s?", s)
	}
	if len(fault.Next) > 3 {
		fault.Next = fault.Next[:3]
	}
	return fault.Then("fardel help")
}

func (t *table) unknownVerb(group string, rest []string) error {
	var verbs []string
	for _, c := range t.verbs(group) {
		verbs = append(verbs, strings.TrimPrefix(c.Name, group+" "))
	}
	if len(rest) == 0 {
		return site.BadUsage.New("fardel %s needs a verb: %s", group, alternatives(verbs)).
			Then("fardel help %s", group)
	}
	fault := site.BadUsage.New("fardel %s has no verb %q; it has %s", group, clip(rest[0]), alternatives(verbs))
	if s := closest(rest[0], verbs); s != "" {
		fault.Then("did you mean fardel %s %s?", group, s)
	}
	return fault.Then("fardel help %s", group)
}
