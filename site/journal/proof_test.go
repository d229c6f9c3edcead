package journal

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"fardel/site"
)

// entries returns n lines that are entries.
func entries(t testing.TB, n int) [][]byte {
	t.Helper()
	out := make([][]byte, n)
	for i := range out {
		e, err := site.NewEntry(time.Unix(int64(i), 0), "alarm", "a1", site.AlarmBody{About: "EU1"})
		if err != nil {
			t.Fatal(err)
		}
		if out[i], err = e.Line(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// trustEntry returns the proof of the seventh of 300 entries, and who vouches
// for it.
func trustEntry(t testing.TB) (TrustEntry, note.Signer, note.Verifiers) {
	t.Helper()
	s, v := fixedKey(t, KeyName(hierarchy, "HQ0"))
	lines := entries(t, 300)
	checkpoint, err := SignCheckpoint(checkpointOf(lines), s)
	if err != nil {
		t.Fatal(err)
	}
	hashes, err := Prove(memory(lines), 300, 7)
	if err != nil {
		t.Fatal(err)
	}
	return TrustEntry{lines[7], Proof{7, hashes, checkpoint}}, s, note.VerifierList(v)
}

func TestTrustEntry(t *testing.T) {
	want, _, known := trustEntry(t)
	b, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseTrustEntry(b)
	if err != nil {
		t.Fatal(err)
	}
	c, sigs, e, err := got.Verify(known)
	if err != nil {
		t.Fatal(err)
	}
	if c.Size != 300 || len(sigs) != 1 || e.ID != "a1" || !e.At.Equal(time.Unix(7, 0)) {
		t.Errorf("%+v, %v, %+v", c, sigs, e)
	}
	if claim, _, err := got.Unverified(); err != nil || claim != c {
		t.Errorf("unverified %+v, %v", claim, err)
	}
}

func TestTrustEntryVerifyRefuses(t *testing.T) {
	good, s, known := trustEntry(t)
	stranger, _ := newKey(t, KeyName(hierarchy, "HQ0"))
	text, _ := NoteText(good.Proof.Checkpoint)
	byStranger, _ := SignNote(text, MaxNote, stranger)
	otherTree, _ := SignCheckpoint(checkpointOf(leaves(300)), s)
	otherLine := entries(t, 9)[8]
	changed := append([]Hash(nil), good.Proof.Hashes...)
	changed[0][0] ^= 1
	for name, e := range map[string]TrustEntry{
		"another entry":          {otherLine, good.Proof},
		"another index":          {good.Line, Proof{6, good.Proof.Hashes, good.Proof.Checkpoint}},
		"a changed hash":         {good.Line, Proof{7, changed, good.Proof.Checkpoint}},
		"a stranger's signature": {good.Line, Proof{7, good.Proof.Hashes, byStranger}},
		"another log's root":     {good.Line, Proof{7, good.Proof.Hashes, otherTree}},
	} {
		if _, _, _, err := e.Verify(known); !errors.Is(err, site.Untrusted) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseTrustEntryRefuses(t *testing.T) {
	good, _, _ := trustEntry(t)
	b, _ := good.Encode()
	s := string(b)
	first := hashText(good.Proof.Hashes[0])
	for name, text := range map[string]string{
		"nothing":               "",
		"an entry alone":        string(good.Line) + "\n",
		"a proof alone":         s[strings.Index(s, "\n")+1:],
		"a space in the entry":  strings.Replace(s, `"at":`, `"at": `, 1),
		"another proof version": strings.Replace(s, "tlog-proof@v1", "tlog-proof@v2", 1),
		"an extra line":         strings.Replace(s, "index 7", "extra AAAA\nindex 7", 1),
		"no index":              strings.Replace(s, "index 7\n", "", 1),
		"a negative index":      strings.Replace(s, "index 7", "index -7", 1),
		"an index with a zero":  strings.Replace(s, "index 7", "index 07", 1),
		"an index beyond":       strings.Replace(s, "index 7", "index 300", 1),
		"a hash too few":        strings.Replace(s, first+"\n", "", 1),
		"a hash too many":       strings.Replace(s, first, first+"\n"+first, 1),
		"a short hash":          strings.Replace(s, first, first[4:], 1),
		"two blank lines":       strings.Replace(s, "\n\nfardel", "\n\n\nfardel", 1),
		"a cut end":             s[:len(s)-1],
		"something behind":      s + "\n",
		"too large":             s + strings.Repeat("— x AQIDBAUG\n", 6000),
	} {
		if e, err := ParseTrustEntry([]byte(text)); !errors.Is(err, site.Damaged) {
			t.Errorf("%s: %+v, %v", name, e.Proof.Index, err)
		}
	}
}

func TestEncodeProofRefuses(t *testing.T) {
	good, _, _ := trustEntry(t)
	for name, p := range map[string]Proof{
		"no checkpoint":  {7, good.Proof.Hashes, nil},
		"an index of -1": {-1, good.Proof.Hashes, good.Proof.Checkpoint},
		"no hashes":      {7, nil, good.Proof.Checkpoint},
	} {
		if _, err := EncodeProof(p); err == nil {
			t.Errorf("%s: written", name)
		}
	}
}

func FuzzParseProof(f *testing.F) {
	good, _, _ := trustEntry(f)
	b, err := EncodeProof(good.Proof)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("c2sp.org/tlog-proof@v1\nindex 0\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseProof(b)
		if err != nil {
			return
		}
		if again, err := EncodeProof(p); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%q came back as %q, %v", b, again, err)
		}
	})
}

func FuzzParseTrustEntry(f *testing.F) {
	good, _, known := trustEntry(f)
	b, err := good.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ParseTrustEntry(b)
		if err != nil {
			return
		}
		if again, err := e.Encode(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%q came back as %q, %v", b, again, err)
		}
		if _, _, _, err := e.Verify(known); err == nil && !bytes.Equal(e.Line, good.Line) {
			t.Fatalf("an entry that nobody wrote is proven: %q", e.Line)
		}
	})
}
