package media

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"

	"fardel/site"
)

func TestSum(t *testing.T) {
	plain := noise(100_000)
	s := NewSum()
	if s.Digest() != site.DigestOf(nil) || s.Size() != 0 {
		t.Error("the sum of nothing is wrong")
	}
	if _, err := io.Copy(s, iotest.HalfReader(bytes.NewReader(plain))); err != nil {
		t.Fatal(err)
	}
	if s.Digest() != site.DigestOf(plain) || s.Size() != int64(len(plain)) {
		t.Errorf("%v of %d bytes", s.Digest(), s.Size())
	}
	s.Digest() // asking does not change the answer
	if !s.Is(site.DigestOf(plain), int64(len(plain))) {
		t.Error("Is does not know it")
	}
	if s.Is(site.DigestOf(plain), 1) || s.Is(site.DigestOf(nil), int64(len(plain))) {
		t.Error("Is is content with half")
	}
}

// What is hashed in the background counts in its order, wherever it is cut, and
// asking in between changes nothing.
func TestSumOfMuch(t *testing.T) {
	plain := noise(3*sumBuffer + 17)
	s := NewSum()
	for at := 0; at < len(plain); {
		n := min(at/2+1, len(plain)-at)
		s.Write(plain[at : at+n])
		at += n
		if !s.Is(site.DigestOf(plain[:at]), int64(at)) {
			t.Fatalf("after %d bytes: %v", at, s.Digest())
		}
	}
	all := NewSum()
	all.Write(plain)
	if !all.Is(site.DigestOf(plain), int64(len(plain))) {
		t.Errorf("at once: %v", all.Digest())
	}
}

func TestSumReader(t *testing.T) {
	plain := noise(50_000)
	s := NewSumReader(iotest.DataErrReader(bytes.NewReader(plain)))
	got, err := io.ReadAll(s)
	if err != nil || !bytes.Equal(got, plain) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if !s.Is(site.DigestOf(plain), int64(len(plain))) {
		t.Errorf("%v of %d bytes", s.Digest(), s.Size())
	}
}
