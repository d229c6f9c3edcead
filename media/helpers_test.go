package media

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"iter"
	"testing"
	"time"

	"filippo.io/age"
	"golang.org/x/mod/sumdb/note"

	"fardel/site"
)

// What the tests of labels, bodies, segments and bundles share.

const testHierarchy = "abcdefghij234567"

var testTime = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func testDigest(n byte) site.Digest { return sha256.Sum256([]byte{n}) }

func testLabel() Label {
	return Label{
		Hierarchy: testHierarchy, From: "HQ0", To: "FLD", Number: 42, After: 41, Created: testTime,
		Needs: 1, Marking: "OFFICIAL: site use", Priority: site.PriorityMedium, Media: 2,
		Body:     File{testDigest(1), 1000},
		Segments: []File{{testDigest(2), 70_000}},
		Bundles: []Bundle{
			{File{testDigest(3), 5 << 20}, Zstd, 1, site.PriorityHigh},
			{File{testDigest(4), 1 << 30}, XZ, 2, site.PriorityLow},
		},
	}
}

func testSigner(t testing.TB, name string) (note.Signer, note.Verifier) {
	t.Helper()
	skey, vkey, err := note.GenerateKey(nil, name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	return s, v
}

// testKey returns a secret, its recipient and its identity.
func testKey(t testing.TB) (string, age.Recipient, age.Identity) {
	t.Helper()
	secret, recipient, err := NewKey("x25519")
	if err != nil {
		t.Fatal(err)
	}
	to, err := ParseRecipient(recipient)
	if err != nil {
		t.Fatal(err)
	}
	id, err := ParseIdentity(secret)
	if err != nil {
		t.Fatal(err)
	}
	return secret, to, id
}

// testEntries returns n entries of about size bytes each.
func testEntries(t testing.TB, n, size int) [][]byte {
	t.Helper()
	var out [][]byte
	for i := range n {
		text := bytes.Repeat([]byte{'a' + byte(i%26)}, size)
		e, err := site.NewEntry(testTime, site.KindAlarm, string(rune('a'+i%26)), site.AlarmBody{About: "HQ0", Text: string(text)})
		if err != nil {
			t.Fatal(err)
		}
		line, err := e.Line()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, line)
	}
	return out
}

func sequence(lines [][]byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, l := range lines {
			if !yield(l, nil) {
				return
			}
		}
	}
}

// fileOfBytes returns the facts of a file.
func fileOfBytes(b []byte) File { return File{site.DigestOf(b), int64(len(b))} }

// wantFault fails the test unless err is a fault of the class, and has the cause
// if one is given.
func wantFault(t *testing.T, err error, class *site.Class, cause error) {
	t.Helper()
	var f *site.Fault
	if !errors.As(err, &f) || f.Class != class {
		t.Fatalf("got %v, want a fault of class %q", err, class.Title)
	}
	for _, c := range []error{ErrMalformed, ErrLimit} {
		if errors.Is(err, c) != (c == cause) {
			t.Fatalf("%v: cause %q is %v", err, c, c != cause)
		}
	}
}

// sealedWith returns plain compressed and sealed to the recipient.
func sealedWith(t testing.TB, plain []byte, c Codec, to age.Recipient) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := sealCodec(&buf, c, to, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// failing returns its bytes and then an error of the medium.
type failing struct {
	r   io.Reader
	err error
}

func (f failing) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err == io.EOF {
		err = f.err
	}
	return n, err
}

func ids(id ...age.Identity) []age.Identity { return id }

func second(_ string, _ age.Recipient, id age.Identity) age.Identity { return id }
