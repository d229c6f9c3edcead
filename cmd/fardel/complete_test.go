package main

import "testing"

func TestFileNames(t *testing.T) {
	for _, tt := range []struct {
		args string
		n    int
		want string
	}{
		{"", 0, ""}, {"DIR", 0, completeFolders}, {"DIR", 1, ""}, {"CODE CARD", 0, ""}, {"CODE CARD", 1, completeFiles},
		{"[PATH...]", 7, completeFiles}, {"[SITE...] [DEST]", 0, completeFiles}, {"[SITE...] [DEST]", 4, completeFiles},
		{"CODE [CARD]", 0, ""}, {"[CODE] [CARD]", 0, completeFiles},
	} {
		got := ""
		if p := (&Command{Args: tt.args}).fileNames(tt.n); len(p) > 0 {
			got = p[0].text
		}
		if got != tt.want {
			t.Errorf("%q, argument %d: got %q, want %q", tt.args, tt.n, got, tt.want)
		}
	}
}

func TestArity(t *testing.T) {
	for _, tt := range []struct {
		args        string
		least, most int
	}{
		{"", 0, 0}, {"DIR", 1, 1}, {"CODE [CARD]", 1, 2}, {"[SITE...] [DEST]", 0, -1}, {"PATH...", 1, -1}, {"A [B...] C", 2, -1},
	} {
		if least, most := (&Command{Args: tt.args}).arity(); least != tt.least || most != tt.most {
			t.Errorf("%q: got %d to %d, want %d to %d", tt.args, least, most, tt.least, tt.most)
		}
	}
}
