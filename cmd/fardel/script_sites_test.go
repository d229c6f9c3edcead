package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// scriptHierarchy sets up sites: "hierarchy HQ0 EU1 FLD/EU1". The first is the
// top; each other one is below the top, or below what follows the slash. The
// state of HQ0 is the folder hq0.
func scriptHierarchy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: hierarchy TOP [SITE|SITE/PARENT]...")
	}
	top := args[0]
	scriptAt(ts, false, []string{top, "init", top, "--quiet"})
	for _, word := range args[1:] {
		code, parent, _ := strings.Cut(word, "/")
		if parent == "" {
			parent = top
		}
		card := func(c string) string { return ts.MkAbs(strings.ToLower(c) + "/" + strings.ToLower(c) + ".card") }
		scriptAt(ts, false, []string{code, "init", code, "--quiet", "--parent", card(parent)})
		scriptAt(ts, false, []string{top, "site", "add", card(code), "--quiet"})
	}
}

// scriptAt runs fardel at a site: "at FLD import stick", or "at FLD exit=14
// import stick" where it has to fail like that.
func scriptAt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: at SITE [exit=CODE] ARG...")
	}
	ts.Setenv("FARDEL_STATE", ts.MkAbs(strings.ToLower(args[0])))
	want, rest := "0", args[1:]
	if code, ok := strings.CutPrefix(rest[0], "exit="); ok {
		want, rest = code, rest[1:]
	}
	scriptExits(ts, false, append([]string{want, "fardel"}, rest...))
}

// scriptFirst sets a variable to the first path that a pattern matches: "first
// BUNDLE stick/FARDEL/HQ0/bundles/*".
func scriptFirst(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: [!] first VARIABLE PATTERN")
	}
	found, err := filepath.Glob(ts.MkAbs(args[1]))
	ts.Check(err)
	if neg != (len(found) == 0) {
		ts.Fatalf("%s matches %v", args[1], found)
	}
	if !neg {
		ts.Setenv(args[0], found[0])
	}
}

// scriptDamage flips one byte in the middle of a file.
func scriptDamage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: damage FILE")
	}
	path := ts.MkAbs(args[0])
	info, err := os.Stat(path)
	ts.Check(err)
	ts.Check(os.Chmod(path, 0o644))
	b, err := os.ReadFile(path)
	ts.Check(err)
	b[len(b)/2] ^= 1
	ts.Check(os.WriteFile(path, b, info.Mode()))
}

// scriptRecord writes all that can be told of a tree into a file, but for times
// of access: "record stick before".
func scriptRecord(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: record FOLDER FILE")
	}
	root := ts.MkAbs(args[0])
	var b strings.Builder
	ts.Check(filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return err
		}
		sum := ""
		if e.Type().IsRegular() {
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			sum = fmt.Sprintf("%x", sha256.Sum256(data))
		}
		rel, err := filepath.Rel(root, p)
		fmt.Fprintln(&b, rel, e.Type(), st.Ino, st.Mode, st.Size, st.Mtim.Nano(), st.Ctim.Nano(), sum)
		return err
	}))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(b.String()), 0o644))
}

// scriptFill makes a file of so many bytes that do not compress: "fill tree/a
// 100000".
func scriptFill(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: fill FILE BYTES")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	b := make([]byte, n)
	rng := rand.NewChaCha8(sha256.Sum256([]byte(args[0])))
	_, _ = rng.Read(b)
	path := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Dir(path), 0o755))
	ts.Check(os.WriteFile(path, b, 0o644))
}

// scriptSame compares two trees: names, modes and bytes.
func scriptSame(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: same FOLDER FOLDER")
	}
	_, err := sameTree(ts.MkAbs(args[0]), ts.MkAbs(args[1]))
	ts.Check(err)
}

// exitOf returns the exit code in an error of package exec.
func exitOf(err error) int {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}

// scriptEnter enters the receipt code that stands in a file: "enter HQ0 code".
func scriptEnter(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: enter SITE FILE")
	}
	scriptAt(ts, false, append([]string{args[0], "receipt", "enter"}, strings.Fields(ts.ReadFile(args[1]))...))
}
