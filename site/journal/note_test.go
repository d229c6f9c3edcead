package journal

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"fardel/site"
)

// newKey returns a new key pair with this name.
func newKey(t testing.TB, name string) (note.Signer, note.Verifier) {
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

// fixedKey returns the same key pair each time. The processes of a fuzzer share
// their inputs, so what they verify with has to be the same in all of them.
func fixedKey(t testing.TB, name string) (note.Signer, note.Verifier) {
	t.Helper()
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	vkey, err := note.NewEd25519VerifierKey(name, key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	skey := fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", name, v.KeyHash(),
		base64.StdEncoding.EncodeToString(append([]byte{1}, key.Seed()...)))
	s, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return s, v
}

func sign(t testing.TB, text string, signers ...note.Signer) string {
	t.Helper()
	msg, err := SignNote([]byte(text), MaxNote, signers...)
	if err != nil {
		t.Fatal(err)
	}
	return string(msg)
}

// forge signs a text without any of our checks.
func forge(t testing.TB, text string, s note.Signer) string {
	t.Helper()
	msg, err := note.Sign(&note.Note{Text: text}, s)
	if err != nil {
		t.Fatal(err)
	}
	return string(msg)
}

const label = "fardel label v1"

func TestOpenNote(t *testing.T) {
	s, v := newKey(t, "one")
	other, _ := newKey(t, "two")
	n, err := OpenNote([]byte(sign(t, label+"\nfrom HQ0\n", s, other)), MaxNote, label, note.VerifierList(v))
	if err != nil {
		t.Fatal(err)
	}
	if n.Text != label+"\nfrom HQ0\n" || len(n.Sigs) != 1 || n.Sigs[0].Name != "one" || len(n.UnverifiedSigs) != 1 {
		t.Errorf("got %+v", n)
	}
}

func TestOpenNoteRefuses(t *testing.T) {
	s, v := newKey(t, "one")
	stranger, _ := newKey(t, "stranger")
	good := sign(t, label+"\nfrom HQ0\n", s)
	text, sig, _ := strings.Cut(good, "\n\n")
	raw, _ := base64.StdEncoding.DecodeString(strings.Fields(sig)[2])
	raw[10] ^= 1
	wrong := "— one " + base64.StdEncoding.EncodeToString(raw) + "\n"
	junk := func(n int) (out string) {
		for i := range n {
			out += "— x " + base64.StdEncoding.EncodeToString([]byte{byte(i), 2, 3, 4, 5, 6}) + "\n"
		}
		return out
	}
	for _, c := range []struct {
		name, msg string
		class     *site.Class
		cause     error
	}{
		{"nothing", "", site.Damaged, ErrMalformed},
		{"text alone", text + "\n", site.Damaged, ErrMalformed},
		{"a blank line and no signature", text + "\n\n", site.Damaged, ErrMalformed},
		{"no line end at the end", strings.TrimSuffix(good, "\n"), site.Damaged, ErrMalformed},
		{"lines that end in CRLF", strings.ReplaceAll(good, "\n", "\r\n"), site.Damaged, ErrMalformed},
		{"something behind the signature", good + "x\n", site.Damaged, ErrMalformed},
		{"too many signatures", good + junk(MaxSignatures), site.Damaged, ErrMalformed},
		{"the same signature twice", good + sig, site.Damaged, ErrMalformed},
		{"two signatures of one key", text + "\n\n" + sig + wrong, site.Damaged, ErrMalformed},
		{"too large", sign(t, label+"\n"+strings.Repeat("x", 1<<16)+"\n", s), site.Damaged, ErrMalformed},
		{"another type", sign(t, "fardel card v1\n", s), site.Damaged, ErrMalformed},
		{"a first line that goes on", sign(t, label+" \n", s), site.Damaged, ErrMalformed},
		{"a newer version", sign(t, "fardel label v2\n", s), site.TooNew, nil},
		{"an older version", sign(t, "fardel label v0\n", s), site.Damaged, ErrMalformed},
		{"a tab", forge(t, label+"\na\tb\n", s), site.Damaged, ErrMalformed},
		{"a delete character", forge(t, label+"\na\x7fb\n", s), site.Damaged, ErrMalformed},
		{"a control character above 127", forge(t, label+"\na\u0085b\n", s), site.Damaged, ErrMalformed},
		{"right-to-left override", forge(t, label+"\na\u202eb\n", s), site.Damaged, ErrMalformed},
		{"an isolate", forge(t, label+"\na\u2066b\n", s), site.Damaged, ErrMalformed},
		{"the Arabic letter mark", forge(t, label+"\na\u061cb\n", s), site.Damaged, ErrMalformed},
		{"a line separator", forge(t, label+"\na\u2028b\n", s), site.Damaged, ErrMalformed},
		{"invalid UTF-8", forge(t, label+"\na\xffb\n", s), site.Damaged, ErrMalformed},
		{"signed by a stranger", sign(t, label+"\n", stranger), site.Untrusted, ErrUnsigned},
		{"a changed text", strings.Replace(good, "HQ0", "HQ1", 1), site.Untrusted, ErrBadSignature},
		{"a wrong signature", text + "\n\n" + wrong, site.Untrusted, ErrBadSignature},
		{"sloppy base64", text + "\n\n" + strings.TrimSuffix(junk(1), "\n") + "\r\n", site.Damaged, ErrMalformed},
		{"stray bits in base64", text + "\n\n— x AQIDBAV=\n", site.Damaged, ErrMalformed},
		{"a signature of four bytes", text + "\n\n— x AQIDBA==\n", site.Damaged, ErrMalformed},
		{"a signature without a name", text + "\n\n—  AQIDBAUG\n", site.Damaged, ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, err := OpenNote([]byte(c.msg), 1<<16, label, note.VerifierList(v))
			if err == nil {
				t.Fatalf("accepted as %+v", n)
			}
			if !errors.Is(err, c.class) || c.cause != nil && !errors.Is(err, c.cause) {
				t.Errorf("%v (%v)", err, errors.Unwrap(err))
			}
		})
	}
}

func TestOpenNoteWithoutVerifiers(t *testing.T) {
	s, _ := newKey(t, "one")
	if _, err := OpenNote([]byte(sign(t, label+"\n", s)), MaxNote, label, nil); !errors.Is(err, ErrUnsigned) {
		t.Error(err)
	}
}

// renamed signs under a name that notes cannot hold.
type renamed struct{ note.Signer }

func (renamed) Name() string { return "has space" }

func TestSignNoteRefusesWhatCannotBeOpened(t *testing.T) {
	s, _ := newKey(t, "one")
	for name, c := range map[string]struct {
		text   string
		signer note.Signer
	}{
		"a tab":            {label + "\na\tb\n", s},
		"a bidi control":   {label + "\na\u202eb\n", s},
		"no line end":      {label, s},
		"too large":        {label + "\n" + strings.Repeat("x", 2000) + "\n", s},
		"an unusable name": {label + "\n", renamed{s}},
	} {
		if msg, err := SignNote([]byte(c.text), 1000, c.signer); err == nil {
			t.Errorf("%s: signed %q", name, msg)
		}
	}
}

func TestSignNoteNeedsASigner(t *testing.T) {
	if _, err := SignNote([]byte(label+"\n"), MaxNote); err == nil {
		t.Error("a note without signatures was made")
	}
}

func TestCosign(t *testing.T) {
	one, v1 := newKey(t, "one")
	two, v2 := newKey(t, "two")
	msg, err := Cosign([]byte(sign(t, label+"\n", one)), MaxNote, two)
	if err != nil {
		t.Fatal(err)
	}
	n, err := OpenNote(msg, MaxNote, label, note.VerifierList(v1, v2))
	if err != nil || len(n.Sigs) != 2 {
		t.Errorf("%+v, %v", n, err)
	}
	again, err := Cosign(msg, MaxNote, two)
	if err != nil || bytes.Count(again, []byte("—")) != 2 {
		t.Errorf("signing twice gave %s, %v", again, err)
	}
}

func TestNoteText(t *testing.T) {
	s, _ := newKey(t, "one")
	text, err := NoteText([]byte(sign(t, "anything\nat all\n", s)))
	if err != nil || string(text) != "anything\nat all\n" {
		t.Errorf("%q, %v", text, err)
	}
}

func FuzzOpenNote(f *testing.F) {
	s, v := fixedKey(f, "one")
	f.Add([]byte(sign(f, label+"\nfrom HQ0\n", s)))
	f.Add([]byte(label + "\n\n— x AQIDBAUG\n"))
	f.Add([]byte("\n\n— "))
	known := note.VerifierList(v)
	f.Fuzz(func(t *testing.T, msg []byte) {
		text, err := NoteText(msg)
		n, openErr := OpenNote(msg, MaxNote, label, known)
		if openErr == nil && (err != nil || n.Text != string(text) || !strings.HasPrefix(n.Text, label+"\n")) {
			t.Fatalf("opened %q, but its text is %q, %v", msg, text, err)
		}
		if err == nil && !bytes.HasPrefix(msg, append(text, '\n')) {
			t.Fatalf("%q does not begin with its text %q", msg, text)
		}
	})
}
