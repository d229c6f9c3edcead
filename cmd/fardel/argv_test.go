package main

import (
	"errors"
	"strings"
	"testing"

	"fardel/site"
)

func TestNormalise(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"echo a b", "echo -- a b"},
		{"echo a --dry-run b", "echo --dry-run=true -- a b"},
		{"--dry-run echo a", "echo --dry-run=true -- a"},
		{"echo a --json", "--json=true echo -- a"},
		{"--to A thing add x", "thing add --to=A -- x"},
		{"thing --json add --to A x --to=B", "--json=true thing add --to=A --to=B -- x"},
		{"thing add -- --to", "thing add -- --to"},
		{"-n echo -v -c f", "--verbose=true --config=f echo --dry-run=true --"},
		{"echo --note=a=b", "echo --note=a=b --"},
		{"echo --note=", "echo --note= --"},
		{"echo --note - -", "echo --note=- -- -"},
		{"echo --note=--to", "echo --note=--to --"},
		{"echo --json=false", "--json=false echo --"},
		{"echo -- thing add", "echo -- thing add"},
		{"add x", "thing add -- x"},
		{"", "help --"},
		{"--json", "--json=true help --"},
		{"--help", "help --"},
		{"thing add --help", "help -- thing add"},
		{"thing -h", "help -- thing"},
		{"help thing add", "help -- thing add"},
		{"help thing --help", "help -- thing"},
		{"--version", "version --"},
		{"thing --version", "version --"},
	} {
		t.Run(tt.in, func(t *testing.T) {
			l, err := probes().normalise(strings.Fields(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(l.argv()[1:], " "); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestNormaliseComplains(t *testing.T) {
	for _, tt := range []struct{ in, what, next string }{
		{"echo a --bogus", "there is no flag --bogus", "fardel help echo"},
		{"--bogus echo a", "there is no flag --bogus", "fardel help echo"},
		{"echo --dryrun", "there is no flag --dryrun", "did you mean --dry-run?"},
		{"echo --dry", "there is no flag --dry", "did you mean --dry-run?"},
		{"echo -json", "there is no flag -json", "did you mean --json?"},
		{"echo -nv", "there is no flag -nv", "fardel help echo"},
		{"help --bogus", "there is no flag --bogus", "fardel help help"},
		{"thing list --to X", "fardel thing list has no flag --to", "fardel help thing list"},
		{"echo --resend x", `--resend takes a whole number, not "x"`, "fardel echo [WORD...]"},
		{"echo --resend=-1", `--resend takes a whole number, not "-1"`, "fardel echo [WORD...]"},
		{"echo --codec xy", `--codec takes xz or zstd, not "xy"`, "fardel echo [WORD...]"},
		{"echo --wait 90", `--wait takes a time such as 90s, 15m, 24h or 30d, not "90"`, "fardel echo [WORD...]"},
		{"echo --to A,,B", `--to has an empty item in "A,,B"`, "fardel echo [WORD...]"},
		{"echo --json=maybe", `--json takes true or false, not "maybe"`, "fardel echo [WORD...]"},
		{"echo --note a --note b", "--note is given twice", "fardel echo [WORD...]"},
		{"echo --note", "--note needs a value", "--note=TEXT"},
		{"echo --note --json", "--note needs a value", "--note=TEXT"},
		{"thing add", "DIR is missing", "fardel thing add DIR [CARD]"},
		{"thing add a b c", `"c" is one argument too many`, "fardel thing add DIR [CARD]"},
		{"ecoh", `there is no command "ecoh"`, "did you mean fardel echo?"},
		{"tihng add x", `there is no command "tihng"`, "did you mean fardel thing add?"},
		{"list", `there is no command "list"`, "did you mean fardel thing list?"},
		{"xyzzy", `there is no command "xyzzy"`, "fardel help"},
		{"-- echo", "no command stands before --", "fardel help"},
		{"thing", "fardel thing needs a verb: add or list", "fardel help thing"},
		{"thing lits", `fardel thing has no verb "lits"; it has add or list`, "did you mean fardel thing list?"},
	} {
		t.Run(tt.in, func(t *testing.T) {
			_, err := probes().normalise(strings.Fields(tt.in))
			if !errors.Is(err, site.BadUsage) {
				t.Fatalf("got %v", err)
			}
			f := site.AsFault(err)
			if f.What != tt.what || f.Next[0] != tt.next {
				t.Errorf("got  %q, next %q\nwant %q, next %q", f.What, f.Next[0], tt.what, tt.next)
			}
		})
	}
}

func FuzzNormalise(f *testing.F) {
	for _, s := range []string{"echo\x00--to\x00a", "--\x00-", "thing\x00add\x00--=", "=\x00-=\x00--to="} {
		f.Add(s)
	}
	table := probes()
	f.Fuzz(func(t *testing.T, s string) {
		l, err := table.normalise(strings.Split(s, "\x00"))
		if err != nil {
			if !errors.Is(err, site.BadUsage) {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		// What was understood once is understood again, in the same way.
		again, err := table.normalise(l.argv()[1:])
		if err != nil {
			t.Fatalf("%q: %v", l.argv(), err)
		}
		if a, b := strings.Join(l.argv(), "\x00"), strings.Join(again.argv(), "\x00"); a != b {
			t.Fatalf("%q became %q", a, b)
		}
	})
}

func TestClosest(t *testing.T) {
	words := []string{"export", "import", "exchange", "package", "site", "status"}
	for _, tt := range []struct{ word, want string }{
		{"exprot", "export"}, {"imprt", "import"}, {"Status", "status"}, {"exch", "exchange"}, {"pakcage", "package"},
		{"nosuch", ""}, {"x", ""}, {"", ""}, {"zite", "site"}, {"completion", ""},
	} {
		if got := closest(tt.word, words); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.word, got, tt.want)
		}
	}
}
