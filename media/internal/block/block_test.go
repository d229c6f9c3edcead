package block

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
)

func TestQueueKeepsOrder(t *testing.T) {
	q := NewQueue[int](3)
	next := 0
	for i := range 200 {
		q.Go(func() int {
			for range i % 7 * 1000 { // let later jobs overtake
				_ = rand.Int()
			}
			return i
		})
		if q.Full() {
			if got := q.Next(); got != next {
				t.Fatalf("got %d, want %d", got, next)
			}
			next++
		}
	}
	for ; q.Len() > 0; next++ {
		if got := q.Next(); got != next {
			t.Fatalf("got %d, want %d", got, next)
		}
	}
	if next != 200 {
		t.Errorf("%d results", next)
	}
}

func TestQueueBoundsWorkers(t *testing.T) {
	var running, most atomic.Int32
	q := NewQueue[int](2)
	for range 50 {
		q.Go(func() int {
			n := running.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			for range 10_000 {
				_ = rand.Int()
			}
			running.Add(-1)
			return 0
		})
	}
	q.Drain()
	if most.Load() > 2 || q.Len() != 0 {
		t.Errorf("%d jobs ran at once, %d are left", most.Load(), q.Len())
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func text(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, "the %d. word of %d ", r.IntN(1000), r.IntN(10))
	}
	return b.Bytes()[:n]
}

func deflated(b []byte) []byte {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, flate.BestCompression)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func TestProbe(t *testing.T) {
	for _, c := range []struct {
		name string
		b    []byte
		want bool
	}{
		{"nothing", nil, false},
		{"a few bytes", random(100), false},
		{"random", random(Size), true},
		{"a little random", random(2000), true},
		{"random, odd length", random(1_234_567), true},
		{"deflated text", deflated(text(2 << 20)), true},
		{"text", text(1 << 20), false},
		{"zeros", make([]byte, Size), false},
		{"random with zeros between", bytes.Repeat(append(random(3000), make([]byte, 1000)...), 500), false},
		{"the same random bytes again and again", bytes.Repeat(random(1024), 4096), false},
		{"hexadecimal digits", []byte(fmt.Sprintf("%x", random(100_000))), false},
		{"bytes in turn", bytes.Repeat(func() []byte {
			b := make([]byte, 256)
			for i := range b {
				b[i] = byte(i)
			}
			return b
		}(), 1000), false},
	} {
		if got := Incompressible(c.b); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// parts returns a next function for a Reader that gives these parts.
func parts(list ...Part) func([]byte) (Part, error) {
	return func([]byte) (Part, error) {
		if len(list) == 0 {
			return Part{}, io.EOF
		}
		p := list[0]
		list = list[1:]
		return p, nil
	}
}

func held(s string) Part {
	return Part{Packed: []byte(s), Plain: len(s), Open: func(packed, plain []byte) error {
		copy(plain, packed)
		return nil
	}}
}

func TestReaderKeepsOrder(t *testing.T) {
	r := NewReader(3, parts(held("one "), Part{}, held(""), Part{Stream: strings.NewReader("two ")}, held("three "),
		held("four "), Part{Stream: strings.NewReader("")}, held("five")))
	got, err := io.ReadAll(r)
	if err != nil || string(got) != "one two three four five" {
		t.Errorf("%q, %v", got, err)
	}
}

var errPart = errors.New("this part is broken")

func TestReaderErrorsComeInTheirPlace(t *testing.T) {
	broken := held("xx")
	broken.Open = func(_, _ []byte) error { return errPart }
	for name, next := range map[string]func([]byte) (Part, error){
		"part":   parts(held("one "), held("two"), broken, held("three")),
		"stream": parts(held("one "), held("two"), Part{Stream: io.MultiReader(strings.NewReader(""), errReader{})}, held("three")),
	} {
		r := NewReader(2, next)
		got, err := io.ReadAll(r)
		if err != errPart || string(got) != "one two" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if _, err := r.Read(make([]byte, 10)); err != errPart {
			t.Errorf("%s: afterwards %v", name, err)
		}
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errPart }

type panicReader struct{}

func (panicReader) Read([]byte) (int, error) { panic("index out of range") }

func TestReaderSurvivesPanics(t *testing.T) {
	wild := held("xx")
	wild.Open = func(_, _ []byte) error { panic("index out of range") }
	for _, p := range []Part{wild, {Stream: panicReader{}}} {
		got, err := io.ReadAll(NewReader(2, parts(held("one"), p)))
		if err == nil || string(got) != "one" {
			t.Errorf("%q, %v", got, err)
		}
	}
}

func TestWriterReportsPackErrors(t *testing.T) {
	var out bytes.Buffer
	blocks := 0
	w := NewWriter(&out, 2, func(plain, spare []byte) Packed {
		if plain[0] == 1 {
			return Packed{Err: errPart}
		}
		return Packed{Data: append(spare, 'x')}
	}, func(Packed) { blocks++ })
	w.Write(make([]byte, Size))
	w.Write([]byte{1})
	if err := w.Close(); err != errPart {
		t.Error(err)
	}
	if out.String() != "x" || blocks != 1 {
		t.Errorf("%q, %d blocks", out.String(), blocks)
	}
	if _, err := w.Write([]byte{0}); err != errPart {
		t.Errorf("afterwards: %v", err)
	}
}

func BenchmarkProbe(b *testing.B) {
	p := random(Size)
	b.SetBytes(Size)
	for b.Loop() {
		Incompressible(p)
	}
}
