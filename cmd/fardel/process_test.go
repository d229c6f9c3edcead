package main

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"fardel/site/host"
)

// fardel returns a command that runs this program in a process of its own, at a
// site of the bench. It is the test's own binary, under another name.
func (b *bench) fardel(at, line string) *exec.Cmd {
	b.Helper()
	link := b.path("bin/fardel")
	if _, err := os.Lstat(link); err != nil {
		self, err := os.Executable()
		if err == nil {
			err = os.MkdirAll(filepath.Dir(link), 0o755)
		}
		if err == nil {
			err = os.Symlink(self, link)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	cmd := exec.Command(link, strings.Fields(line)...)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), "FARDEL_STATE="+b.path(strings.ToLower(at)), "FARDEL_CONFIG="+b.path("fardel.toml"), "HOME="+b.dir)
	return cmd
}

// oneParcel sets up HQ0 and FLD, and a stick with a package for FLD.
func oneParcel(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	b.write("tool/a", "a")
	noise := make([]byte, 3<<20) // so that a bundle of it takes several reads
	_, _ = rand.NewChaCha8([32]byte{1}).Read(noise)
	b.write("tool/b", string(noise))
	b.write("stick/x", "")
	b.must("HQ0", "init HQ0")
	b.must("FLD", "init FLD --parent ./hq0/hq0.card")
	b.must("HQ0", "site add ./fld/fld.card")
	b.must("HQ0", "package add ./tool --to FLD --codec xz")
	b.must("HQ0", "export FLD ./stick")
	return b
}

// TestSecondProcessNamesTheFirst: one process at a time works on a site, and who
// comes second is told who is there.
func TestSecondProcessNamesTheFirst(t *testing.T) {
	b := oneParcel(t)
	h, err := host.Open(context.Background(), b.path("fld"), host.Options{Command: "fardel serve", Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	out, err := b.fardel("FLD", "import stick").CombinedOutput()
	if exitOf(err) != 11 || !strings.Contains(string(out), "fardel serve") || !strings.Contains(string(out), "FDL-20006") {
		t.Errorf("exit code %d, want 11 and who holds the site:\n%s", exitOf(err), out)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	b.must("FLD", "import ./stick")
}

// TestTwoImportsAtOnce: the second waits, or is told to; nothing is done twice.
func TestTwoImportsAtOnce(t *testing.T) {
	b := oneParcel(t)
	var wg sync.WaitGroup
	exits, texts := make([]int, 2), make([]string, 2)
	for i := range exits {
		cmd := b.fardel("FLD", "import stick")
		wg.Go(func() {
			out, err := cmd.CombinedOutput()
			exits[i], texts[i] = exitOf(err), string(out)
		})
	}
	wg.Wait()
	applied := 0
	for i, exit := range exits {
		if exit != 0 && exit != 11 {
			t.Errorf("exit code %d:\n%s", exit, texts[i])
		}
		applied += strings.Count(texts[i], "signature ok")
	}
	if applied != 1 {
		t.Errorf("the parcel was applied %d times:\n%s\n%s", applied, texts[0], texts[1])
	}
	if out := b.must("FLD", "status"); !strings.Contains(out, "1 of 1 complete") {
		t.Error(out)
	}
}

// TestUnpluggedMidway: the stick goes away while a bundle is read. Nothing is
// half imported, and the same command goes on.
func TestUnpluggedMidway(t *testing.T) {
	strace := needTool(t, "strace")
	b := oneParcel(t)
	bundles, err := filepath.Glob(b.path("stick/FARDEL/HQ0/bundles/*"))
	if err != nil || len(bundles) != 1 {
		t.Fatal(bundles, err)
	}
	cmd := b.fardel("FLD", "import stick")
	cmd.Args = append([]string{"strace", "-f", "-qq", "-o", b.path("trace"), "-P", bundles[0],
		"-e", "trace=read,pread64", "-e", "inject=read,pread64:error=EIO:when=2+", cmd.Path}, cmd.Args[1:]...)
	cmd.Path = strace
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "PTRACE") {
		t.Skip("needs kernel: ptrace")
	}
	if exitOf(err) != 18 || !strings.Contains(string(out), "FDL-20218") {
		t.Errorf("exit code %d, want 18:\n%s", exitOf(err), out)
	}
	if strings.Contains(string(out), "Safe to unplug") || !strings.Contains(string(out), "Next:") {
		t.Errorf("wrong advice:\n%s", out)
	}
	if exit, out, _ := b.run("FLD", "package get HQ000001 ./early"); exit == 0 {
		t.Errorf("half a package can be had:\n%s", out)
	}
	if out := b.must("FLD", "import ./stick"); !strings.Contains(out, "Complete here now: HQ000001") {
		t.Error(out)
	}
}

// TestImagesAsISO: folders become discs where xorriso is installed.
func TestImagesAsISO(t *testing.T) {
	xorriso := needTool(t, "xorriso")
	b := oneParcel(t)
	b.must("HQ0", "export FLD --full --images ./discs --iso")
	iso := b.path("discs/hq0-fld-000002.1of1.iso")
	out, err := exec.Command(xorriso, "-indev", iso, "-find", "/FARDEL", "-type", "f").CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("labels/hq0-fld-000002.label")) {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := exec.Command(xorriso, "-osirrox", "on", "-indev", iso, "-extract", "/", b.path("disc")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out := b.must("FLD", "import ./disc --no-receipt"); !strings.Contains(out, "Complete here now: HQ000001") {
		t.Error(out)
	}
	_ = removeTree(b.path("disc")) // an ISO's folders are read-only
}

// TestDemo runs the demo as it is: all of it has to succeed, and nothing stays.
func TestDemo(t *testing.T) {
	b := newBench(t)
	cmd := b.fardel("XXX", "demo")
	cmd.Env = append(cmd.Env, "TMPDIR="+b.path("tmp"))
	if err := os.Mkdir(b.path("tmp"), 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"HQ0 $ fardel export EU1 FLD stick\n", "FLD $ fardel import other-stick\n", "The copy at FLD is what headquarters added: ",
		"HQ0 $ fardel status\n", "EU1 $ fardel status\n", "FLD $ fardel status\n", "All of it worked: ",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q does not appear", want)
		}
	}
	if wide := tooWide(string(out)); wide != "" && !strings.Contains(wide, "$ age") && !strings.Contains(wide, "whole/") {
		t.Error(wide)
	}
	left, err := os.ReadDir(b.path("tmp"))
	if err != nil || len(left) > 0 {
		t.Errorf("the demo leaves %v behind, %v", left, err)
	}
}

// TestDemoSaysWhatFails: a step that fails ends the demo with an error that names
// the step. Here the folder of a site cannot be made.
func TestDemoSaysWhatFails(t *testing.T) {
	b := newBench(t)
	b.write("taken", "")
	if exit, _, errs := b.run("XXX", "demo --keep ./taken"); exit != 1 || !strings.Contains(errs, "FDL-20009") {
		t.Errorf("exit code %d:\n%s", exit, errs)
	}
	d := &demo{ctx: t.Context(), env: newEnv(process{stderr: io.Discard, now: time.Now, getenv: os.Getenv}, commands()), out: io.Discard, dir: b.dir}
	d.program = b.fardel("HQ0", "").Path
	b.write("hq0", "a file")
	err := d.setUp()
	if err == nil || !strings.Contains(err.Error(), `"fardel init HQ0 --name Headquarters" ended with exit code`) {
		t.Errorf("the demo goes on: %v", err)
	}
}

// TestDemoWithoutModulesOrTools: where there is neither a module nor age, the
// demo takes itself for a package, and says what it leaves out.
func TestDemoWithoutModulesOrTools(t *testing.T) {
	b := newBench(t)
	cmd := b.fardel("XXX", "demo --json")
	cmd.Env = append(cmd.Env, "TMPDIR="+b.path("tmp"), "PATH="+b.path("empty"), "GOMODCACHE=", "GOPATH=")
	b.write("tmp/x", "")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	checkEnvelope(t, "demo", string(out))
	if !bytes.Contains(out, []byte(`"opened":[]`)) {
		t.Errorf("tools were used that are not there: %s", out)
	}
}

// TestDropFolders: import without a path takes what lies in the folders that the
// configuration names, and says where it looked when there is nothing.
func TestDropFolders(t *testing.T) {
	b := oneParcel(t)
	b.write("drop/x", "")
	b.write("fardel.toml", "media = []\ndrop = [\""+b.path("drop")+"\"]\n")
	if exit, _, errs := b.run("FLD", "import"); exit != 10 || !strings.Contains(errs, b.path("drop")) {
		t.Errorf("exit code %d, want 10 and the folder's name:\n%s", exit, errs)
	}
	if err := os.Rename(b.path("stick/FARDEL"), b.path("drop/FARDEL")); err != nil {
		t.Fatal(err)
	}
	if out := b.must("FLD", "import"); !strings.Contains(out, "Complete here now: HQ000001") {
		t.Error(out)
	}
}
