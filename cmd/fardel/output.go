package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"fardel/site"
)

// schema names the shape of everything that --json prints.
const schema = "fardel/v1"

// report shows what came out of a command and returns the exit code.
func (e *Env) report(r Result, err error) int {
	e.meter.close(err == nil)
	fault := site.AsFault(err)
	exit := 0
	if fault != nil {
		exit = exitCode(fault)
	}
	write := e.reportText
	if e.JSON {
		write = e.reportJSON
	}
	if err := write(r, fault, exit); err != nil {
		if errors.Is(err, syscall.EPIPE) {
			return max(exit, 1) // the reader has seen enough; nobody is left to tell
		}
		lost := site.Failed.New("the result cannot be written: %s", reason(err)).Because(err).
			In("What the command did is done.").Then("run the command again with its output elsewhere")
		p := newPrinter(e.Stderr, e.colour)
		printFault(p, lost, e.Verbose)
		p.flush()
		return max(exit, lost.Class.Exit)
	}
	return exit
}

func (e *Env) reportText(r Result, fault *site.Fault, _ int) error {
	var err error
	if r != nil {
		out := newPrinter(e.Stdout, e.colours)
		r.Text(out)
		err = out.flush()
	}
	p := newPrinter(e.Stderr, e.colour)
	defer p.flush()
	if fault != nil {
		printFault(p, fault, e.Verbose)
	} else if !e.Quiet {
		printNext(p, e.next)
	}
	return err
}

// printFault writes what happened and the id, what state things are in, and
// what to do next.
func printFault(p *Printer, f *site.Fault, verbose bool) {
	p.Para("%s (%s)", strings.TrimRight(sentence(f.What), ". "), Bad(f.Class.Name()))
	if f.State != "" {
		p.Para("%s", sentence(f.State))
	}
	if verbose && f.Err != nil {
		p.Para("Cause: %s", f.Err)
	}
	printNext(p, steps(f))
}

// openers are the words that sentences about faults begin with. What is not
// among them may be a path or a name, and stays as it is.
var openers = map[string]bool{
	"a": true, "an": true, "the": true, "this": true, "these": true, "that": true, "there": true, "no": true, "nobody": true,
	"nothing": true, "only": true, "name": true, "parcel": true, "package": true, "bundle": true, "what": true, "cannot": true,
	"it": true, "both": true, "other": true, "they": true,
}

// sentence gives text a capital letter in front and a full stop behind.
func sentence(s string) string {
	s = strings.TrimRight(s, ".\n ")
	if first, _, _ := strings.Cut(s, " "); openers[first] {
		s = strings.ToUpper(s[:1]) + s[1:]
	}
	return s + "."
}

func printNext(p *Printer, steps []string) {
	head := "Next:  "
	for _, s := range steps {
		p.hang(head, strings.Repeat(" ", 7), s)
		head = strings.Repeat(" ", 7)
	}
}

// steps returns what to do about a fault; every fault has something.
func steps(f *site.Fault) []string {
	if len(f.Next) > 0 {
		return f.Next
	}
	return []string{f.Class.Cure}
}

// exitCode returns the process's exit code for a fault.
func exitCode(f *site.Fault) int {
	if stop, ok := errors.AsType[stoppedBy](f.Err); ok {
		return 128 + int(stop.signal)
	}
	return f.Class.Exit
}

// stoppedBy is the cause of a context that a signal ended.
type stoppedBy struct{ signal syscall.Signal }

func (s stoppedBy) Error() string { return "stopped by " + s.signal.String() }

// interrupted turns the error of a command that a signal ended into the fault
// that says so.
func interrupted(ctx context.Context, err error) error {
	stop, ok := errors.AsType[stoppedBy](context.Cause(ctx))
	if !ok || err == nil || !errors.Is(err, context.Canceled) && !errors.As(err, new(stoppedBy)) {
		return err
	}
	state := "The state is consistent."
	if f, ok := errors.AsType[*site.Fault](err); ok && f.State != "" {
		state = f.State
	}
	return site.Interrupted.New("%s", stop).Because(stop).In("%s", state).
		Then("run the same command again: it continues where it stopped")
}

// problem is a fault as JSON.
type problem struct {
	ID     string   `json:"id"`
	Exit   int      `json:"exit"`
	Title  string   `json:"title"`
	Detail string   `json:"detail"`
	State  string   `json:"state"`
	Next   []string `json:"next"`
}

func (e *Env) reportJSON(r Result, f *site.Fault, exit int) error {
	var b bytes.Buffer
	var err error
	switch {
	case f == nil && r == nil:
		err = envelope(&b, "Done", struct{}{}, e.next, e.warnings, nil)
	case f == nil:
		err = envelope(&b, r.Kind(), r, e.next, e.warnings, nil)
	case r != nil:
		err = envelope(&b, r.Kind(), r, nil, e.warnings, &problem{f.Class.Name(), exit, f.Class.Title, f.What, f.State, steps(f)})
	default:
		err = envelope(&b, "Error", problem{f.Class.Name(), exit, f.Class.Title, f.What, f.State, steps(f)}, nil, e.warnings, nil)
	}
	if err != nil {
		return err
	}
	_, err = b.WriteTo(e.Stdout)
	return err
}

// envelope writes one JSON object on one line: schema and kind, the fields of
// the value or its items, next steps, the fault beside the result, warnings.
func envelope(w io.Writer, kind string, value any, next, warnings []string, p *problem) error {
	body, err := encode(value)
	if err != nil {
		return err
	}
	if body[0] == '[' {
		body = append(append([]byte(`{"items":`), body...), '}')
	} else if body[0] != '{' {
		return fmt.Errorf("a result of kind %s is neither an object nor a list", kind)
	}
	tail := []struct {
		name  string
		value any
		show  bool
	}{{"next", next, len(next) > 0}, {"error", p, p != nil}, {"warnings", append([]string{}, warnings...), true}}

	var b bytes.Buffer
	head, err := encode(kind)
	if err != nil {
		return err
	}
	fmt.Fprintf(&b, `{"schema":%q,"kind":%s`, schema, head)
	if inner := body[1 : len(body)-1]; len(inner) > 0 {
		b.WriteByte(',')
		b.Write(inner)
	}
	for _, t := range tail {
		if !t.show {
			continue
		}
		v, err := encode(t.value)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, `,%q:%s`, t.name, v)
	}
	b.WriteString("}\n")
	_, err = b.WriteTo(w)
	return err
}

// encode returns compact JSON, with < and & as they are. A nil list is an
// empty one: who reads it should not have to care.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	out := bytes.TrimSpace(b.Bytes())
	if bytes.Equal(out, []byte("null")) {
		return []byte("[]"), nil
	}
	return out, nil
}
