package journal

import (
	"bytes"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"fardel/site"
)

const proofFirstLine = "c2sp.org/tlog-proof@v1"

// MaxTrustEntry is the largest trust entry, in bytes.
const MaxTrustEntry = 64 << 10

// A Proof shows that an entry stands in a log, to a reader who has no more than
// the keys of the log's site.
type Proof struct {
	Index      int64  // of the entry, counted from 0
	Hashes     []Hash // from the leaf up
	Checkpoint []byte // the signed note under which the entry arrived
}

// EncodeProof returns the proof as a C2SP tlog-proof.
func EncodeProof(p Proof) ([]byte, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	fmt.Fprintf(&buf, "%s\nindex %d\n", proofFirstLine, p.Index)
	for _, h := range p.Hashes {
		buf.WriteString(hashText(h) + "\n")
	}
	buf.WriteByte('\n')
	buf.Write(p.Checkpoint)
	return buf.Bytes(), nil
}

// ParseProof reads a tlog-proof in its one legal spelling. It verifies neither
// the hashes nor the signature; see [TrustEntry.Verify].
func ParseProof(b []byte) (Proof, error) {
	if len(b) > MaxTrustEntry {
		return Proof{}, fmt.Errorf("proof of %d bytes; the limit is %d", len(b), MaxTrustEntry)
	}
	head, checkpoint, ok := bytes.Cut(b, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !ok || len(lines) < 2 || lines[0] != proofFirstLine {
		return Proof{}, fmt.Errorf("proof: not a %s", proofFirstLine)
	}
	number, ok := strings.CutPrefix(lines[1], "index ")
	index, err := ParseNumber(number)
	if !ok || err != nil {
		return Proof{}, fmt.Errorf("proof: %q is not an index", clip(lines[1]))
	}
	p := Proof{Index: index, Checkpoint: bytes.Clone(checkpoint)}
	for _, line := range lines[2:] {
		h, err := parseHash(line)
		if err != nil {
			return Proof{}, fmt.Errorf("proof: %w", err)
		}
		p.Hashes = append(p.Hashes, h)
	}
	return p, p.check()
}

// check checks everything that needs no key.
func (p Proof) check() error {
	c, err := p.checkpoint()
	if err != nil {
		return err
	}
	if p.Index < 0 || p.Index >= c.Size {
		return fmt.Errorf("proof: no entry %d in a log of %d", p.Index, c.Size)
	}
	if n := proofLength(c.Size, p.Index); len(p.Hashes) != n {
		return fmt.Errorf("proof: %d hashes where there must be %d", len(p.Hashes), n)
	}
	return nil
}

// checkpoint returns the checkpoint, unverified.
func (p Proof) checkpoint() (Checkpoint, error) {
	text, err := checkNote(p.Checkpoint, MaxCheckpoint)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("proof: %w", err)
	}
	return ParseCheckpoint(text)
}

// A TrustEntry is one entry with the proof that its author wrote it. It travels
// in the clear, beside labels, so that a reader can learn of a new key before
// meeting it.
type TrustEntry struct {
	Line  []byte // the entry, without a line end
	Proof Proof
}

// Encode returns the trust entry as a file. A proof is never made again, so
// that the copies of an entry stay equal everywhere.
func (t TrustEntry) Encode() ([]byte, error) {
	if _, err := site.ParseEntry(t.Line); err != nil {
		return nil, err
	}
	proof, err := EncodeProof(t.Proof)
	if err != nil {
		return nil, err
	}
	b := append(append(bytes.Clone(t.Line), '\n'), proof...)
	if len(b) > MaxTrustEntry {
		return nil, fmt.Errorf("trust entry of %d bytes; the limit is %d", len(b), MaxTrustEntry)
	}
	return b, nil
}

// ParseTrustEntry reads what [TrustEntry.Encode] wrote. It verifies nothing.
// Faults: [site.Damaged].
func ParseTrustEntry(b []byte) (TrustEntry, error) {
	t, err := parseTrustEntry(b)
	if err != nil {
		return TrustEntry{}, malformed("trust entry", err)
	}
	return t, nil
}

func parseTrustEntry(b []byte) (TrustEntry, error) {
	if len(b) > MaxTrustEntry {
		return TrustEntry{}, fmt.Errorf("%d bytes; the limit is %d", len(b), MaxTrustEntry)
	}
	line, rest, _ := bytes.Cut(b, []byte("\n"))
	if _, err := site.ParseEntry(line); err != nil {
		return TrustEntry{}, err
	}
	proof, err := ParseProof(rest)
	if err != nil {
		return TrustEntry{}, err
	}
	return TrustEntry{bytes.Clone(line), proof}, nil
}

// Unverified returns the checkpoint and the entry as the file claims them, so
// that a reader can find out whose keys to verify it with.
func (t TrustEntry) Unverified() (Checkpoint, site.Entry, error) {
	c, err := t.Proof.checkpoint()
	if err != nil {
		return Checkpoint{}, site.Entry{}, malformed("trust entry", err)
	}
	e, err := site.ParseEntry(t.Line)
	if err != nil {
		return Checkpoint{}, site.Entry{}, malformed("trust entry", err)
	}
	return c, e, nil
}

// Verify checks the checkpoint's signature and the proof, and returns the
// checkpoint and the entry. It does not say that the author had the right to
// write the entry, nor that the key is still current. Faults: [site.Damaged]
// and [site.Untrusted].
func (t TrustEntry) Verify(known note.Verifiers) (Checkpoint, []note.Signature, site.Entry, error) {
	c, sigs, err := OpenCheckpoint(t.Proof.Checkpoint, known)
	if err != nil {
		return Checkpoint{}, nil, site.Entry{}, err
	}
	if err := Check(t.Proof.Hashes, c.Size, c.Root, t.Proof.Index, LeafHash(t.Line)); err != nil {
		return Checkpoint{}, nil, site.Entry{}, site.Untrusted.New(
			"an entry is not part of the log %s that it claims to be from", c.Origin.LogID).Because(err)
	}
	e, err := site.ParseEntry(t.Line)
	if err != nil {
		return Checkpoint{}, nil, site.Entry{}, malformed("trust entry", err)
	}
	return c, sigs, e, nil
}
