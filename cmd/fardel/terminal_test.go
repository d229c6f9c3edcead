//go:build linux

package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A terminal is a program that runs in a terminal of its own.
type terminal struct {
	t      *testing.T
	cmd    *exec.Cmd
	master *os.File

	mu   sync.Mutex
	seen bytes.Buffer
}

// startTerminal starts a program whose three streams are a terminal.
func startTerminal(t *testing.T, name string, args ...string) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("needs tool: /dev/ptmx")
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	term := &terminal{t: t, master: master, cmd: exec.Command(name, args...)}
	term.cmd.Stdin, term.cmd.Stdout, term.cmd.Stderr = slave, slave, slave
	term.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	term.cmd.Env = append(os.Environ(), "TERM=xterm", "HOME="+t.TempDir(), "PS1=> ", "FARDEL_STATE=", "NO_COLOR=")
	if err := term.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go term.read()
	t.Cleanup(func() {
		term.cmd.Process.Kill()
		term.cmd.Wait()
		master.Close()
	})
	return term
}

func (term *terminal) read() {
	b := make([]byte, 4096)
	for {
		n, err := term.master.Read(b)
		term.mu.Lock()
		term.seen.Write(b[:n])
		term.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (term *terminal) text() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.seen.String()
}

// expect waits until a text appears.
func (term *terminal) expect(text string) {
	term.t.Helper()
	for end := time.Now().Add(20 * time.Second); !strings.Contains(term.text(), text); {
		if time.Now().After(end) {
			term.t.Fatalf("no %q in:\n%s", text, term.text())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// echoes reports whether the terminal shows what is typed.
func (term *terminal) echoes() bool {
	state, err := unix.IoctlGetTermios(int(term.master.Fd()), unix.TCGETS)
	if err != nil {
		term.t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

func (term *terminal) awaitEcho(on bool) {
	term.t.Helper()
	for end := time.Now().Add(20 * time.Second); term.echoes() != on; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			term.t.Fatalf("the terminal's echo did not become %v", on)
		}
	}
}

func (term *terminal) typeIn(text string) {
	term.t.Helper()
	if _, err := term.master.WriteString(text); err != nil {
		term.t.Fatal(err)
	}
}

func TestPassphraseIsNotShown(t *testing.T) {
	term := startTerminal(t, "probe", "open")
	term.expect("Passphrase of the box: ")
	term.awaitEcho(false)
	term.typeIn("correct horse\n")
	term.expect("Note:correct horse")
	if n := strings.Count(term.text(), "horse"); n != 1 {
		t.Errorf("the passphrase was shown:\n%s", term.text())
	}
	term.cmd.Wait()
	if !term.echoes() {
		t.Error("the terminal was left without echo")
	}
}

func TestInterruptedPromptRestoresEcho(t *testing.T) {
	term := startTerminal(t, "probe", "open")
	term.expect("Passphrase of the box: ")
	term.awaitEcho(false)
	term.typeIn("\x03")
	term.cmd.Wait()
	if !term.echoes() {
		t.Error("the terminal was left without echo")
	}
	if got := term.cmd.ProcessState.ExitCode(); got != 130 {
		t.Errorf("exit code %d, want 130", got)
	}
}

func TestNextStepAndColourOnTerminal(t *testing.T) {
	term := startTerminal(t, "probe", "fail", "damaged")
	term.cmd.Wait()
	term.expect("\x1b[31mFDL-20213\x1b[0m")
}

func TestBarOnTerminal(t *testing.T) {
	term := startTerminal(t, "probe", "work", "--resend", "1500")
	term.expect("Copying        [....................]   0%")
	term.expect("\r\x1b[KCopying        [####################] 100%  1.0 MiB  in ")
}

// TestBashInteractive presses the tabulator in a real shell.
func TestBashInteractive(t *testing.T) {
	term := startTerminal(t, needTool(t, "bash"), "--norc", "--noprofile", "-i")
	term.expect("> ")
	term.typeIn("bind 'set bell-style none'; source <(fardel completion bash); echo re''ady\n")
	term.expect("ready")
	term.typeIn("fardel conf\tpa\t--js\t\n")
	term.expect(`"kind":"ConfigPath"`)
}

// TestBashCompletion asks the function that bash calls, with lines divided as
// bash divides them.
func TestBashCompletion(t *testing.T) {
	bash := needTool(t, "bash")
	dir := t.TempDir()
	for _, name := range []string{"file one.toml", "file-two.toml"} {
		if err := os.WriteFile(dir+"/"+name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(dir+"/folder", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, words, want string }{
		{"a command", "fardel conf", "config"},
		{"a verb", "fardel config ''", "check|path|show"},
		{"a flag anywhere", "fardel --js", "--json"},
		{"a value after a space", "probe echo --codec ''", "xz|zstd"},
		{"a value after =", "probe echo --codec = z", "zstd"},
		{"an empty value after =", "probe echo --codec =", "xz|zstd"},
		{"files", "fardel --config file", "file one.toml|file-two.toml"},
		{"files after =", "fardel --config = file-", "file-two.toml"},
		{"folders", "probe thing add fo", "folder/"},
		{"nothing", "fardel nonsense ''", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.Command(bash, "--norc", "-c", `export LC_ALL=C; source <(fardel completion bash)
				COMP_WORDS=(`+tt.words+`) COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
				_fardel; printf '%s\n' "${COMPREPLY[@]}" | sort`)
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if got := strings.ReplaceAll(strings.TrimSpace(string(out)), "\n", "|"); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestZshInteractive(t *testing.T) {
	term := startTerminal(t, needTool(t, "zsh"), "-f", "-i")
	term.expect("> ")
	term.typeIn("autoload -U compinit; compinit -D -u; source <(fardel completion zsh); echo re''ady\n")
	term.expect("ready")
	term.typeIn("fardel conf\tpa\t--js\t\n")
	term.expect(`"kind":"ConfigPath"`)
}

func TestFishCompletion(t *testing.T) {
	fish := needTool(t, "fish")
	for line, want := range map[string]string{
		"fardel conf":          "config\tthe configuration file",
		"fardel config --js":   "--json\tprint one JSON object instead of text",
		"probe echo --codec=z": "--codec=zstd",
	} {
		// The script completes "fardel"; a wrapper lends it to the probe.
		cmd := exec.Command(fish, "--no-config", "-c", "fardel completion fish | source; complete -c probe -f -a '(__fardel_complete)'; complete -C $argv[1]", line)
		out, err := cmd.CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != want {
			t.Errorf("%q: got %q, %v; want %q", line, out, err, want)
		}
	}
}

// TestExportAsksForTheNextMedium: at a terminal an export that needs two media
// is one command. It is not content with the medium that it has just written,
// and nothing is drawn over the question.
func TestExportAsksForTheNextMedium(t *testing.T) {
	b := oneParcel(t)
	b.must("HQ0", "package add ./tool --to FLD") // shares all files with the first
	noise := make([]byte, 7<<20)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(noise)
	b.write("more/a", string(noise))
	b.must("HQ0", "package add ./more --to FLD")
	b.write("usb/x", "")
	term := startTerminal(t, b.fardel("HQ0", "").Path, "export", "FLD", b.path("usb"), "--full", "--volume-size", "12m",
		"--state", b.path("hq0"), "--config", b.path("fardel.toml"), "--progress", "none")
	term.expect("Medium 1 of 2 is good. Plug in medium 2 at ")
	term.typeIn("\n") // without having changed it
	for end := time.Now().Add(20 * time.Second); strings.Count(term.text(), "Plug in medium 2") < 2; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it takes the same medium twice:\n%s", term.text())
		}
	}
	if err := os.Rename(b.path("usb"), b.path("usb-1")); err != nil {
		t.Fatal(err)
	}
	b.write("usb/x", "")
	term.typeIn("\n")
	term.expect("read back and ")
	b.must("FLD", "import ./usb-1 --no-receipt")
	if out := b.must("FLD", "import ./usb --no-receipt"); !strings.Contains(out, "Complete here now") {
		t.Error(out)
	}
}
