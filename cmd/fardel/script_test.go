package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the scripts run the real program as "fardel", and the frame
// with commands made for tests as "probe".
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"fardel": func() { os.Exit(run(testProcess(), commands())) },
		"probe":  func() { os.Exit(run(thisProcess(), probes())) },
	})
}

// testProcess is this process, with a clock that a script may set wrong: the
// variable FARDEL_TEST_CLOCK holds how far.
func testProcess() process {
	p := thisProcess()
	if wrong, err := time.ParseDuration(os.Getenv("FARDEL_TEST_CLOCK")); err == nil {
		p.now = func() time.Time { return time.Now().Add(wrong) }
	}
	return p
}

// TestScripts runs testdata/script/*.txtar. Besides the usual commands they have
// "exits CODE PROGRAM ARG...", which demands an exit code, "narrow FILE", which
// demands that no line is wider than 100 columns, and those of script_sites_test.go.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir+"/home")
			env.Setenv("FARDEL_STATE", env.WorkDir+"/state")
			env.Setenv("FARDEL_CONFIG", "")
			env.Setenv("XDG_CONFIG_HOME", "")
			env.Setenv("XDG_DATA_HOME", "")
			env.Setenv("NO_COLOR", "")
			env.Setenv("TERM", "xterm")
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":  scriptExits,
			"narrow": scriptNarrow,

			"hierarchy": scriptHierarchy,
			"at":        scriptAt,
			"first":     scriptFirst,
			"damage":    scriptDamage,
			"record":    scriptRecord,
			"fill":      scriptFill,
			"same":      scriptSame,
			"enter":     scriptEnter,
		},
	})
}

func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func scriptNarrow(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: narrow FILE")
	}
	if wide := tooWide(ts.ReadFile(args[0])); wide != "" {
		ts.Fatalf("%s", wide)
	}
}

// needTool skips a test that cannot run without a program.
func needTool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("needs tool: %s", name)
	}
	return path
}

func TestCommandsFit(t *testing.T) {
	for name, table := range map[string]*table{"fardel": commands(), "probe": probes()} {
		if err := table.check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTableCheckFinds makes sure that the check is one.
func TestTableCheckFinds(t *testing.T) {
	run := probes().commands[0].Run
	for name, c := range map[string]*Command{
		"no group":                 {Name: "stranger sleep", Short: "s", Run: run},
		"a group as command":       {Name: "config", Short: "s", Run: run},
		"taken":                    {Name: "echo", Short: "s", Run: run},
		"a global flag":            {Name: "x", Short: "s", Run: run, Flags: []Flag{Switch("json", "u")}},
		"a flag of another kind":   {Name: "x", Short: "s", Run: run, Flags: []Flag{Number("to", "N", "u")}},
		"a letter of another flag": {Name: "x", Short: "s", Run: run, Flags: []Flag{Switch("nothing", "u").Key("n")}},
		"a wrong example":          {Name: "x", Short: "s", Run: run, Examples: []string{"fardel x --nope"}},
		"nothing to run":           {Name: "x", Short: "s"},
	} {
		t.Run(name, func(t *testing.T) {
			broken := probes()
			broken.groups = append(broken.groups, Group{"config", "c"})
			broken.commands = append(broken.commands, c)
			if broken.check() == nil {
				t.Error("not found")
			}
		})
	}
}

func tooWide(text string) string {
	n := 1
	start := 0
	for i := 0; i <= len(text); i++ {
		if i < len(text) && text[i] != '\n' {
			continue
		}
		if w := columns(text[start:i]); w > width {
			return fmt.Sprintf("line %d is %d columns wide: %s", n, w, text[start:i])
		}
		start = i + 1
		n++
	}
	return ""
}
