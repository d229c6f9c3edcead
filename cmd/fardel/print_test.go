package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func printed(colour bool, fn func(*Printer)) string {
	var b bytes.Buffer
	p := newPrinter(&b, colour)
	fn(p)
	p.flush()
	return b.String()
}

func TestBytes(t *testing.T) {
	for _, tt := range []struct {
		n    int64
		want string
	}{
		{0, "0 B"}, {1023, "1023 B"}, {1024, "1.0 KiB"}, {1048575, "1.0 MiB"}, {1 << 20, "1.0 MiB"},
		{9771050598, "9.1 GiB"}, {1<<63 - 1, "8.0 EiB"},
	} {
		if got := Bytes(tt.n); got != tt.want {
			t.Errorf("%d: got %s, want %s", tt.n, got, tt.want)
		}
	}
}

func TestTimes(t *testing.T) {
	now := time.Date(2026, 11, 18, 14, 2, 0, 0, time.UTC)
	for _, tt := range []struct{ got, want string }{
		{When(now), "2026-11-18 14:02"}, {When(time.Time{}), "-"},
		{Span(59*time.Second + 400*time.Millisecond), "59 s"}, {Span(242 * time.Second), "4 min 2 s"},
		{Span(25 * time.Hour), "1 d 1 h"}, {Span(61 * time.Minute), "1 h 1 min"},
		{Ago(now, now.Add(-time.Minute)), "1m ago"}, {Ago(now, now.Add(-47*time.Hour)), "47h ago"},
		{Ago(now, now.Add(-9*24*time.Hour)), "9d ago"}, {Ago(now, now.Add(time.Hour)), "in future"},
		{Ago(now, time.Time{}), "-"}, {Ago(now, now), "just now"},
		{Count(1, "file"), "1 file"}, {Count(0, "file"), "0 files"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %s, want %s", tt.got, tt.want)
		}
	}
}

func TestTable(t *testing.T) {
	got := printed(false, func(p *Printer) {
		p.Table([]string{"CODE", "NAME", ">SIZE"}, [][]string{
			{"HQ0", "Zürich 東京", "9.1 GiB"}, {"FLD", Bad("late"), "214 B"}, {"SEA"},
		})
	})
	want := "CODE  NAME            SIZE\nHQ0   Zürich 東京  9.1 GiB\nFLD   late           214 B\nSEA\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestTableIsNarrow(t *testing.T) {
	row := []string{"HQ0-FLD-000043", strings.Repeat("a", 90), Good(strings.Repeat("b", 90)), "9.1 GiB"}
	got := printed(true, func(p *Printer) { p.Table([]string{"PARCEL", "A", "B", ">SIZE"}, [][]string{row}) })
	plain := printed(false, func(p *Printer) { p.Table([]string{"PARCEL", "A", "B", ">SIZE"}, [][]string{row}) })
	if wide := tooWide(plain); wide != "" {
		t.Error(wide)
	}
	if !strings.Contains(plain, "HQ0-FLD-000043") || !strings.Contains(plain, "9.1 GiB") {
		t.Errorf("a narrow column was cut:\n%s", plain)
	}
	if !strings.Contains(got, "bbb...\x1b[0m") {
		t.Errorf("a cut cell does not end its colour:\n%q", got)
	}
}

func TestWrap(t *testing.T) {
	got := printed(false, func(p *Printer) {
		p.Para("%s", strings.Repeat("word ", 30))
		p.Fields([2]string{"Site card", strings.Repeat("long ", 30)}, [2]string{"Left out", ""}, [2]string{"Key", "v"})
	})
	if wide := tooWide(got); wide != "" {
		t.Error(wide)
	}
	if strings.Contains(got, "Left out") || !strings.Contains(got, "\n              long") || !strings.Contains(got, "\n  Key         v\n") {
		t.Errorf("got\n%s", got)
	}
}

// TestNothingHostileIsPrinted tries each character that a terminal might obey.
func TestNothingHostileIsPrinted(t *testing.T) {
	for _, hostile := range []string{"\x1b[31m", "\x07", "\r", "\b", "\u009b31m", "\u202e", "\u2066", "\u2028", "\x7f", "\xff\xfe"} {
		got := printed(true, func(p *Printer) {
			p.Line("%s", "name"+hostile)
			p.Table([]string{"A"}, [][]string{{hostile}})
			p.Fields([2]string{hostile, hostile})
		})
		if strings.Contains(got, hostile) || !utf8.ValidString(got) {
			t.Errorf("%q was printed: %q", hostile, got)
		}
	}
}

func TestLostOutputIsAFailure(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no /dev/full on this system")
	}
	defer full.Close()
	for _, args := range [][]string{{"version"}, {"version", "--json"}} {
		var stderr bytes.Buffer
		p := process{args: args, stdin: strings.NewReader(""), stdout: full, stderr: &stderr,
			getenv: func(string) string { return "" }, now: time.Now}
		if got := run(p, commands()); got != 1 {
			t.Errorf("%v: exit code %d, want 1", args, got)
		}
		if !strings.Contains(stderr.String(), "The result cannot be written: no space left on device (FDL-20002)") {
			t.Errorf("%v: stderr: %s", args, stderr.String())
		}
	}
}
