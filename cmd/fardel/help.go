package main

import (
	"embed"
	"slices"
	"strconv"
	"strings"

	"fardel/site"
)

// Everything that explains fardel is in the program itself, because its readers
// are offline.

//go:embed topics/*.txt
var topicFiles embed.FS

// topics are the texts that belong to no command, in the order of the overview.
var topics = []struct{ name, short string }{
	{"air-gap", "the first parcel across a gap, step by step"},
	{"recovery", "lost media, damaged disks, restored and stolen sites"},
	{"files", "what lies where, on the disk and on media"},
	{"environment", "the variables that fardel reads"},
	{"exit-codes", "what each exit code means"},
}

// topicText returns the text of a topic.
func topicText(name string) (string, bool) {
	b, err := topicFiles.ReadFile("topics/" + name + ".txt")
	return string(b), err == nil
}

// explain returns what there is to say about what was asked for: nothing, a
// command, a group, an id or a topic.
func (t *table) explain(words []string) (Result, error) {
	if len(words) == 0 {
		return overview{t}, nil
	}
	if c, used := t.find(words); c != nil && used == len(words) {
		return commandHelp{c, t.globals}, nil
	}
	if len(words) > 1 {
		return nil, t.noHelp(words)
	}
	word := strings.ToLower(words[0])
	if g, ok := t.group(word); ok {
		return groupHelp{g, t.verbs(g.Name)}, nil
	}
	if c := classOf(word); c != nil {
		return classHelp{c.Name(), c.Exit, c.Title, c.Cause, c.Cure}, nil
	}
	if word == "exit-codes" {
		return exitHelp(exitCodes()), nil
	}
	if text, ok := topicText(word); ok {
		return topicHelp{word, text}, nil
	}
	return nil, t.noHelp(words)
}

// classOf returns the class that an id such as FDL-20213 or 20213 names.
func classOf(word string) *site.Class {
	n, err := strconv.Atoi(strings.TrimPrefix(word, "fdl-"))
	if err != nil {
		return nil
	}
	return site.ClassByID(n)
}

func (t *table) noHelp(words []string) error {
	if _, ok := t.group(words[0]); ok {
		return t.unknownCommand(words)
	}
	f := site.BadUsage.New("there is no command, topic or id %q", clip(strings.Join(words, " ")))
	names := []string{}
	for _, topic := range topics {
		names = append(names, topic.name)
	}
	for _, g := range t.groups {
		names = append(names, g.Name)
	}
	for _, c := range t.commands {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	if near := closest(strings.Join(words, " "), names); near != "" {
		f.Then("did you mean fardel help %s?", near)
	}
	return f.Then("fardel help")
}

type flagLine struct {
	Name    string   `json:"name"`
	Letter  string   `json:"letter,omitempty"`
	Value   string   `json:"value,omitempty"`
	Usage   string   `json:"usage"`
	Default string   `json:"default,omitempty"`
	Choices []string `json:"choices,omitempty"`
}

type nameLine struct {
	Name  string `json:"name"`
	Short string `json:"short"`
}

func flagLines(flags []Flag) []flagLine {
	all := []flagLine{}
	for _, f := range flags {
		all = append(all, flagLine{f.Name, f.Letter, f.Value, f.Usage, f.Default, f.Choices})
	}
	return all
}

// typed returns the flag as it is typed, such as "-n, --dry-run".
func (f flagLine) typed() string {
	s := "    --" + f.Name
	if f.Letter != "" {
		s = "-" + f.Letter + ", --" + f.Name
	}
	if f.Value != "" {
		s += "=" + f.Value
	}
	return s
}

func (w *Printer) flags(flags []flagLine) {
	rows := [][2]string{}
	for _, f := range flags {
		usage := f.Usage
		if f.Default != "" {
			usage += " (" + f.Default + ")"
		}
		rows = append(rows, [2]string{f.typed(), usage})
	}
	w.Fields(rows...)
}

// overview is the help of fardel as a whole.
type overview struct{ table *table }

func (overview) Kind() string { return "Help" }

func (o overview) MarshalJSON() ([]byte, error) {
	v := struct {
		Commands []nameLine `json:"commands"`
		Topics   []nameLine `json:"topics"`
		Flags    []flagLine `json:"flags"`
	}{Flags: flagLines(o.table.globals)}
	for _, c := range o.table.commands {
		if !c.Hidden {
			v.Commands = append(v.Commands, nameLine{c.Name, c.Short})
		}
	}
	for _, t := range topics {
		v.Topics = append(v.Topics, nameLine{t.name, t.short})
	}
	return encode(v)
}

func (o overview) Text(w *Printer) {
	w.Para("fardel replicates software packages down a tree of sites, on media that a courier carries across an air gap, and brings the receipts back.")
	w.Line("")
	verbs, nouns := [][2]string{}, [][2]string{}
	for _, c := range o.table.commands {
		if !c.Hidden && !strings.Contains(c.Name, " ") {
			verbs = append(verbs, [2]string{strings.TrimPrefix(c.usage(), "fardel "), c.Short})
		}
	}
	for _, g := range o.table.groups {
		if words := o.table.verbs(g.Name); len(words) > 0 {
			names := []string{}
			for _, c := range words {
				names = append(names, strings.TrimPrefix(c.Name, g.Name+" "))
			}
			nouns = append(nouns, [2]string{g.Name, g.Short + ": " + strings.Join(names, ", ")})
		}
	}
	w.Line("Commands:")
	w.Fields(verbs...)
	w.Line("")
	w.Line("Nouns, each with its verbs:")
	w.Fields(nouns...)
	w.Line("")
	w.Line("Topics (fardel help TOPIC):")
	rows := [][2]string{}
	for _, t := range topics {
		rows = append(rows, [2]string{t.name, t.short})
	}
	w.Fields(rows...)
	w.Line("")
	w.Line("Flags that every command has, anywhere on the line:")
	w.flags(flagLines(o.table.globals))
	w.Line("")
	w.Para("fardel help COMMAND explains a command, and fardel help FDL-20213 the id at the end of a message.")
}

// groupHelp is the help of a noun.
type groupHelp struct {
	group Group
	verbs []*Command
}

func (groupHelp) Kind() string { return "Help" }

func (g groupHelp) MarshalJSON() ([]byte, error) {
	v := struct {
		nameLine
		Commands []nameLine `json:"commands"`
	}{nameLine: nameLine{g.group.Name, g.group.Short}}
	for _, c := range g.verbs {
		v.Commands = append(v.Commands, nameLine{c.Name, c.Short})
	}
	return encode(v)
}

func (g groupHelp) Text(w *Printer) {
	w.Para("fardel %s: %s", g.group.Name, g.group.Short)
	w.Line("")
	rows := [][2]string{}
	for _, c := range g.verbs {
		rows = append(rows, [2]string{strings.TrimPrefix(c.usage(), "fardel "), c.Short})
	}
	w.Fields(rows...)
	w.Line("")
	w.Para("fardel help %s VERB explains one.", g.group.Name)
}

// commandHelp is the help of one command: examples first, because they are what
// most readers came for.
type commandHelp struct {
	command *Command
	globals []Flag
}

func (commandHelp) Kind() string { return "Help" }

func (h commandHelp) MarshalJSON() ([]byte, error) {
	return encode(struct {
		nameLine
		Also     []string   `json:"also,omitempty"`
		Usage    string     `json:"usage"`
		Long     string     `json:"long,omitempty"`
		Examples []string   `json:"examples,omitempty"`
		Flags    []flagLine `json:"flags"`
	}{nameLine{h.command.Name, h.command.Short}, h.command.Also, h.command.usage(), h.command.Long,
		h.command.Examples, flagLines(h.command.Flags)})
}

func (h commandHelp) Text(w *Printer) {
	c := h.command
	w.Para("fardel %s: %s", c.Name, c.Short)
	if len(c.Examples) > 0 {
		w.Line("")
		margin := 0
		for _, e := range c.Examples {
			typed, _, _ := strings.Cut(e, "  #")
			margin = max(margin, columns(typed))
		}
		for _, e := range c.Examples {
			typed, remark, ok := strings.Cut(e, "  #")
			if ok {
				typed = pad(typed, margin, false) + "   #" + remark
			}
			w.Line("  %s", typed)
		}
	}
	w.Line("")
	usage := c.usage()
	if len(c.Flags) > 0 {
		usage += " [FLAGS]"
	}
	w.Line("Usage: %s", usage)
	for _, name := range c.Also {
		w.Line("  or:  fardel %s", name)
	}
	for part := range strings.SplitSeq(c.Long, "\n\n") {
		if part != "" {
			w.Line("")
			w.Para("%s", strings.ReplaceAll(part, "\n", " "))
		}
	}
	if len(c.Flags) > 0 {
		w.Line("")
		w.flags(flagLines(c.Flags))
	}
	w.Line("")
	w.Para("fardel help lists the flags that every command has, such as --json and --state.")
}

// classHelp is the help of an id.
type classHelp struct {
	ID    string `json:"id"`
	Exit  int    `json:"exit"`
	Title string `json:"title"`
	Cause string `json:"cause"`
	Cure  string `json:"cure"`
}

func (classHelp) Kind() string { return "FaultHelp" }

func (h classHelp) Text(w *Printer) {
	w.Line("%s: %s (exit code %d)", h.ID, h.Title, h.Exit)
	w.Line("")
	w.Fields([2]string{"Cause", h.Cause}, [2]string{"Cure", h.Cure})
}

// topicHelp is a text.
type topicHelp struct {
	Topic string `json:"topic"`
	Body  string `json:"text"`
}

func (topicHelp) Kind() string { return "Help" }

func (h topicHelp) Text(w *Printer) {
	for line := range strings.SplitSeq(strings.TrimRight(h.Body, "\n"), "\n") {
		w.Line("%s", line)
	}
}

type exitLine struct {
	Exit    int      `json:"exit"`
	Meaning string   `json:"meaning"`
	IDs     []string `json:"ids"`
}

type exitHelp []exitLine

func (exitHelp) Kind() string { return "ExitCodeList" }

func (h exitHelp) Text(w *Printer) {
	text, _ := topicText("exit-codes")
	topicHelp{Body: text}.Text(w)
	w.Line("")
	rows := [][]string{}
	for _, l := range h {
		ids := l.IDs
		if len(ids) > 4 {
			ids = append(slices.Clone(ids[:3]), "and others")
		}
		rows = append(rows, []string{strconv.Itoa(l.Exit), l.Meaning, strings.Join(ids, " ")})
	}
	w.Table([]string{">CODE", "MEANING", "IDS"}, rows)
}

// meanings says what each exit code means; the ids come from the classes.
var meanings = map[int]string{
	0:  "done; also when there was nothing to do",
	1:  "failed",
	2:  "command line, configuration or package is wrong",
	3:  "partly done",
	4:  "not allowed",
	10: "nothing found: no medium, no such thing",
	11: "another fardel is using the state",
	12: "cannot be opened: wrong key or passphrase",
	13: "damaged data",
	14: "kept, but an earlier parcel is missing",
	15: "for another site",
	16: "not enough space",
	17: "not signed by anyone who is trusted",
	18: "the medium went away; safe to run again",
	20: "histories contradict, or the state is too old",
	21: "blocked by a rule of this site",
	70: "a fault in fardel itself",

	130: "interrupted (SIGINT); the state is consistent",
	143: "interrupted (SIGTERM); the state is consistent",
}

// exitCodes returns all exit codes, in order.
func exitCodes() []exitLine {
	ids := map[int][]string{0: {}, 143: {site.Interrupted.Name()}}
	for _, c := range site.Classes() {
		ids[c.Exit] = append(ids[c.Exit], c.Name())
	}
	all := []exitLine{}
	for exit, names := range ids {
		slices.Sort(names)
		all = append(all, exitLine{exit, meanings[exit], names})
	}
	slices.SortFunc(all, func(a, b exitLine) int { return a.Exit - b.Exit })
	return all
}
