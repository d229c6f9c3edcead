package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"fardel/site"
)

// A passphrase is never a flag's value and never in a variable, because other
// users of the machine can read both.

const (
	maxPassphrase = 1024 // bytes
	minNew        = 12   // characters of a new passphrase
)

// Passphrase returns the passphrase that opens something: from the file that
// --passphrase-file names, or asked for at the terminal. The command lists
// FlagPassphraseFile among its flags. The prompt says what it is for.
func (e *Env) Passphrase(ctx context.Context, in *Input, what string) ([]byte, error) {
	if path := in.String("passphrase-file"); path != "" {
		return e.passphraseFile(path)
	}
	return e.ask(ctx, "Passphrase of "+what+": ")
}

// NewPassphrase returns a passphrase that will seal something. At the terminal
// it is asked for twice.
func (e *Env) NewPassphrase(ctx context.Context, in *Input, what string) ([]byte, error) {
	path := in.String("passphrase-file")
	if path != "" {
		p, err := e.passphraseFile(path)
		if err != nil {
			return nil, err
		}
		return p, longEnough(p)
	}
	first, err := e.ask(ctx, "New passphrase for "+what+": ")
	if err != nil {
		return nil, err
	}
	if err := longEnough(first); err != nil {
		return nil, err
	}
	second, err := e.ask(ctx, "The same again: ")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(first, second) {
		return nil, site.BadUsage.New("the two passphrases differ").In("Nothing was done.").
			Then("run the same command again")
	}
	return first, nil
}

func longEnough(p []byte) error {
	if utf8.RuneCount(p) >= minNew {
		return nil
	}
	return site.BadUsage.New("the passphrase has fewer than %d characters", minNew).
		In("Nothing was done.").Then("take four or five words that have nothing to do with each other")
}

// passphraseFile reads the first line of a file that nobody else can read.
func (e *Env) passphraseFile(path string) ([]byte, error) {
	if path == "-" {
		return firstLine(e.Stdin, "stdin")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, site.BadUsage.New("the passphrase file cannot be read: %s", reason(err)).Because(err).
			Then("--passphrase-file FILE")
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, site.Failed.New("the passphrase file cannot be read: %s", reason(err)).Because(err)
	}
	if info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		return nil, site.BadUsage.New("%s can be read by others (mode %04o)", path, info.Mode().Perm()).
			In("Nothing was done.").Then("chmod 600 %s", path)
	}
	return firstLine(f, path)
}

func firstLine(r io.Reader, name string) ([]byte, error) {
	b, err := bufio.NewReader(io.LimitReader(r, maxPassphrase+2)).ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, site.Failed.New("the passphrase cannot be read from %s: %s", name, reason(err)).Because(err)
	}
	b = bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
	if len(b) == 0 || len(b) > maxPassphrase {
		return nil, site.BadUsage.New("%s holds no passphrase: its first line has to be 1 to %d bytes", name, maxPassphrase)
	}
	return b, nil
}

// ask reads a line from the terminal without showing it.
func (e *Env) ask(ctx context.Context, prompt string) ([]byte, error) {
	tty, shut, err := e.terminal()
	if err != nil {
		return nil, err
	}
	defer shut()
	fd := int(tty.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return nil, site.Failed.New("the terminal cannot be used: %s", reason(err)).Because(err)
	}
	defer term.Restore(fd, state) // an interrupt must not leave it without echo
	e.meter.interrupt(func() { io.WriteString(e.Stderr, clean(prompt)) })
	defer io.WriteString(e.Stderr, "\n")
	p, err := await(ctx, func() ([]byte, error) { return term.ReadPassword(fd) })
	if err != nil {
		return nil, err
	}
	if len(p) == 0 {
		return nil, site.BadUsage.New("the passphrase is empty").In("Nothing was done.").
			Then("run the same command again")
	}
	return p, nil
}

// terminal returns the terminal to ask at: stdin, or what the process is
// attached to when stdin is something else.
func (e *Env) terminal() (*os.File, func(), error) {
	if isTerminal(e.Stdin) {
		return e.Stdin.(*os.File), func() {}, nil
	}
	if tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0); err == nil {
		return tty, func() { tty.Close() }, nil
	}
	return nil, nil, site.BadUsage.New("there is no terminal to ask for the passphrase").
		In("Nothing was done.").Then("--passphrase-file FILE")
}

// await waits for what a person types, or for the end of the command.
func await[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	ch := make(chan answer, 1)
	go func() {
		v, err := read()
		ch <- answer{v, err}
	}()
	select {
	case a := <-ch:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

func readLine(r io.Reader) (string, error) {
	b, err := bufio.NewReader(io.LimitReader(r, maxPassphrase)).ReadString('\n')
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return strings.TrimSpace(b), err
}

// reason returns the operating system's words for an error, without the path
// and the name of the system call.
func reason(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}
