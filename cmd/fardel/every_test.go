package main

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A bench is a place to run commands in, within this process: states and media
// are folders of it.
type bench struct {
	*testing.T
	dir string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t, t.TempDir()}
	b.write("fardel.toml", "media = []\n")
	return b
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, filepath.FromSlash(name)) }

func (b *bench) write(name, text string) {
	b.Helper()
	err := os.MkdirAll(filepath.Dir(b.path(name)), 0o755)
	if err == nil {
		err = os.WriteFile(b.path(name), []byte(text), 0o600)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// run runs a command line at a site. A word that begins with ./ is a path in the
// bench.
func (b *bench) run(at, line string) (exit int, stdout, stderr string) {
	b.Helper()
	args := strings.Fields(line)
	for i, a := range args {
		if rest, ok := strings.CutPrefix(a, "./"); ok {
			args[i] = b.path(rest)
		}
	}
	var out, errs bytes.Buffer
	vars := map[string]string{"FARDEL_STATE": b.path(strings.ToLower(at)), "FARDEL_CONFIG": b.path("fardel.toml")}
	p := process{args: args, stdin: strings.NewReader(""), stdout: &out, stderr: &errs,
		getenv: func(name string) string { return vars[name] }, now: time.Now}
	exit = run(p, commands())
	return exit, out.String(), errs.String()
}

// must runs a command that has to succeed.
func (b *bench) must(at, line string) string {
	b.Helper()
	exit, out, errs := b.run(at, line)
	if exit != 0 {
		b.Fatalf("%s: fardel %s: exit code %d\n%s%s", at, line, exit, out, errs)
	}
	return out
}

// everyCommand is each command at least once, in an order in which all of them
// succeed. What stands before the colon is the site.
var everyCommand = []string{
	"HQ0: init HQ0 --name Headquarters",
	"FLD: init FLD --parent ./hq0/hq0.card",
	"SEA: init SEA --parent ./hq0/hq0.card",
	"SE2: init SEA --parent ./hq0/hq0.card",
	"HQ0: site add ./fld/fld.card",
	"HQ0: site add ./sea/sea.card",
	"HQ0: site kit KIT ./stick --passphrase-file ./secret",
	"HQ0: site grant SEA publish",
	"HQ0: site list", "HQ0: site show FLD", "HQ0: site card",
	"HQ0: package list",
	"HQ0: package add ./tool --to FLD",
	"HQ0: package update HQ000001 ./tool-2",
	"HQ0: package distribute HQ000001 FLD", "HQ0: package redistribute HQ000001 FLD",
	"HQ0: package verify HQ000001", "HQ0: package list", "HQ0: package show HQ000001", "HQ0: package get HQ000001 ./copy",
	"HQ0: library verify", "HQ0: library clean", "HQ0: library show",
	"HQ0: export FLD --dry-run",
	"HQ0: export FLD ./stick",
	"HQ0: media list ./stick",
	"HQ0: parcel list", "HQ0: parcel show HQ0-FLD-000001", "HQ0: parcel inspect ./stick", "HQ0: parcel verify ./stick",
	"HQ0: parcel hold HQ0-FLD-000001", "HQ0: parcel release HQ0-FLD-000001", "HQ0: parcel label HQ0-FLD-000001",
	"HQ0: parcel mark-sent HQ0-FLD-000001", "HQ0: parcel resend HQ0-FLD-000001",
	"HQ0: media eject ./stick",
	"FLD: import ./stick --no-receipt",
	"FLD: receipt show HQ0-FLD-000001",
	"HQ0: receipt enter CODE",
	"HQ0: receipt unlock FLD",
	"FLD: exchange ./stick",
	"HQ0: import ./stick",
	"HQ0: status", "FLD: status",
	"HQ0: package undistribute HQ000001 FLD", "HQ0: package remove HQ000001 --yes",
	"HQ0: media erase ./stick --yes",
	"HQ0: key list", "FLD: key backup ./safe --passphrase-file ./secret",
	"FL2: key restore BACKUP --passphrase-file ./secret",
	"FLD: exit=2 recover --yes", // it needs none
	"HQ0: site rekey SEA ./se2/sea.card", "HQ0: site remove SEA --yes",
	"HQ0: config show", "HQ0: config check", "HQ0: config path",
	"HQ0: version", "HQ0: completion bash", "HQ0: help", "HQ0: help export", "HQ0: help site", "HQ0: help FDL-20213", "HQ0: help air-gap",
	"HQ0: help exit-codes",
}

// TestJSONOfEveryCommand holds the one envelope: schema, kind, fields or items,
// warnings; on one line, and nothing else on stdout.
func TestJSONOfEveryCommand(t *testing.T) {
	b := newBench(t)
	for name, text := range map[string]string{
		"tool/a": "a", "tool-2/a": "b", "secret": "correct horse battery staple\n", "stick/x": "", "safe/x": "",
	} {
		b.write(name, text)
	}
	run := map[string]bool{"demo": true} // has a test of its own
	for _, line := range everyCommand {
		at, line, _ := strings.Cut(line, ": ")
		if before, after, ok := strings.Cut(line, "CODE"); ok {
			line = before + strings.TrimSpace(b.must("FLD", "receipt show HQ0-FLD-000001")) + after
		}
		if strings.Contains(line, "BACKUP") {
			found, _ := filepath.Glob(b.path("safe/*.backup"))
			line = strings.Replace(line, "BACKUP", found[0], 1)
		}
		want := 0
		if rest, fails := strings.CutPrefix(line, "exit=2 "); fails {
			want, line = 2, rest
		}
		exit, out, errs := b.run(at, line+" --json")
		if exit != want || errs != "" {
			t.Fatalf("%s: fardel %s --json: exit code %d\n%s%s", at, line, exit, out, errs)
		}
		checkEnvelope(t, line, out)
		c, _ := commands().find(strings.Fields(line))
		run[c.Name] = true
	}
	for _, c := range commands().commands {
		if !run[c.Name] && !c.Hidden {
			t.Errorf("no line for: fardel %s", c.Name)
		}
	}
}

var kindForm = regexp.MustCompile(`^[A-Z][A-Za-z]+$`)

func checkEnvelope(t *testing.T, line, out string) {
	t.Helper()
	if strings.Count(out, "\n") != 1 || !strings.HasSuffix(out, "\n") {
		t.Errorf("fardel %s: more than one line", line)
	}
	var e map[string]json.RawMessage
	if err := json.Unmarshal([]byte(out), &e); err != nil {
		t.Errorf("fardel %s: %v in %s", line, err, out)
		return
	}
	var schemaName, kind string
	var warnings []string
	for name, into := range map[string]any{"schema": &schemaName, "kind": &kind, "warnings": &warnings} {
		if err := json.Unmarshal(e[name], into); err != nil {
			t.Errorf("fardel %s: %s: %v", line, name, err)
		}
	}
	if schemaName != "fardel/v1" || !kindForm.MatchString(kind) || warnings == nil {
		t.Errorf("fardel %s: schema %q, kind %q, warnings %v", line, schemaName, kind, warnings)
	}
	if items, ok := e["items"]; ok {
		var list []json.RawMessage
		if err := json.Unmarshal(items, &list); err != nil || list == nil {
			t.Errorf("fardel %s: items are %s", line, items)
		}
	} else if len(e) < 4 {
		t.Errorf("fardel %s: neither items nor fields: %s", line, out)
	}
}

// TestNoSecretsInJSON looks for what must never be printed.
func TestNoSecretsInJSON(t *testing.T) {
	b := newBench(t)
	b.write("tool/a", "a")
	b.write("stick/x", "")
	b.must("HQ0", "init HQ0")
	b.must("FLD", "init FLD --parent ./hq0/hq0.card")
	b.must("HQ0", "site add ./fld/fld.card")
	b.must("HQ0", "package add ./tool --to FLD")
	b.must("HQ0", "export FLD ./stick")
	b.must("FLD", "import ./stick")
	for _, line := range []string{"parcel list", "parcel show HQ0-FLD-000001", "key list", "status", "site show"} {
		for _, at := range []string{"HQ0", "FLD"} {
			out := b.must(at, line+" --json")
			if strings.Contains(out, "AGE-SECRET") || strings.Contains(out, `"secret":"`) && !strings.Contains(out, `"secret":""`) {
				t.Errorf("%s: fardel %s shows a secret: %s", at, line, out)
			}
		}
	}
}

// TestHintsAreCommands holds that every next step that begins with "fardel" can
// be typed: command, flags and number of arguments are right. What follows four
// spaces is a remark.
func TestHintsAreCommands(t *testing.T) {
	seen := 0
	err := filepath.WalkDir("../..", func(path string, e fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			to, ok := call.Fun.(*ast.SelectorExpr)
			at := map[string]int{"Then": 0, "Next": 0, "need": 1}
			if !ok || len(call.Args) <= at[to.Sel.Name] {
				return true
			}
			if n, hint := at[to.Sel.Name]; hint {
				text := wording(call.Args[n])
				if strings.HasPrefix(text, "fardel ") {
					seen++
					if wrong := badHint(text); wrong != nil {
						t.Errorf("%s: %q: %v", path, text, wrong)
					}
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 40 {
		t.Errorf("only %d hints were found", seen)
	}
}

// wording returns the text of an expression, with XXX for what is not constant.
func wording(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(e.Value); err == nil {
			return s
		}
	case *ast.BinaryExpr:
		return wording(e.X) + wording(e.Y)
	}
	return "XXX"
}

// badHint says what keeps a line from being a command; nil if nothing does.
func badHint(text string) error {
	text, _, _ = strings.Cut(text, "    ")
	text = regexp.MustCompile(`%[a-z]`).ReplaceAllString(text, "XXX")
	words := strings.Fields(strings.TrimRight(text, " .;,?"))[1:]
	t := commands()
	if len(words) == 0 || slices.Contains([]string{"XXX", "completion", "help"}, words[0]) {
		return nil // made of other names, which are checked elsewhere
	}
	_, err := t.normalise(words)
	return err
}

// TestTopicsAreTrue holds that the texts name commands, flags, settings and ids
// that exist.
func TestTopicsAreTrue(t *testing.T) {
	table := commands()
	for _, topic := range topics {
		text, _ := topicText(topic.name)
		for _, quoted := range regexp.MustCompile(`"(fardel [^"]*)"|(?m:^ *(?:[0-9]+\. +)?(fardel [a-z].*)$)`).FindAllStringSubmatch(text, -1) {
			line := strings.Join(strings.Fields(quoted[1]+quoted[2]), " ")
			words := strings.Fields(line)[1:]
			if words[0] == "help" {
				if _, err := table.explain(slices.DeleteFunc(words[1:], func(w string) bool { return w == "TOPIC" || w == "ID" })); err != nil {
					t.Errorf("%s: %q: %v", topic.name, line, err)
				}
				continue
			}
			c, used := table.find(words)
			if c == nil {
				t.Errorf("%s: there is no command in %q", topic.name, line)
				continue
			}
			if len(words) > used {
				if err := badHint("fardel " + strings.Join(words, " ")); err != nil {
					t.Errorf("%s: %q: %v", topic.name, line, err)
				}
			}
		}
		for _, id := range regexp.MustCompile(`FDL-[0-9]+`).FindAllString(text, -1) {
			if _, err := table.explain([]string{id}); err != nil {
				t.Errorf("%s: %v", topic.name, err)
			}
		}
		if wide := tooWide(text); wide != "" {
			t.Errorf("%s: %s", topic.name, wide)
		}
	}
}
