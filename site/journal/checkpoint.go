package journal

import (
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"fardel/site"
)

// MaxCheckpoint is the largest checkpoint, in bytes, with its signatures.
const MaxCheckpoint = 64 << 10

// A Checkpoint is what a site says about one of its logs: how many entries it
// has and what the root over them is.
type Checkpoint struct {
	Origin Origin
	Size   int64
	Root   Hash
}

// Text returns the three lines that are signed.
func (c Checkpoint) Text() []byte {
	return fmt.Appendf(nil, "%s\n%d\n%s\n", c.Origin, c.Size, hashText(c.Root))
}

// Position returns the position that the checkpoint attests.
func (c Checkpoint) Position() site.Position {
	return site.Position{Epoch: c.Origin.Epoch, Size: c.Size, Root: site.Digest(c.Root)}
}

// ParseCheckpoint reads the text of a checkpoint, without signatures, in its
// one legal spelling. It verifies nothing.
func ParseCheckpoint(text []byte) (Checkpoint, error) {
	lines := strings.SplitN(string(text), "\n", 5)
	if len(lines) != 4 || lines[3] != "" {
		return Checkpoint{}, fmt.Errorf("checkpoint: not three lines")
	}
	origin, err := ParseOrigin(lines[0])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: %w", err)
	}
	size, err := ParseNumber(lines[1])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: size: %w", err)
	}
	root, err := parseHash(lines[2])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: root: %w", err)
	}
	if size == 0 && root != emptyRoot {
		return Checkpoint{}, fmt.Errorf("checkpoint: an empty log has another root")
	}
	return Checkpoint{origin, size, root}, nil
}

// SignCheckpoint returns the checkpoint as a note signed by a key of the log's
// site. It refuses what [OpenCheckpoint] would refuse.
func SignCheckpoint(c Checkpoint, signer note.Signer) ([]byte, error) {
	if _, err := ParseCheckpoint(c.Text()); err != nil {
		return nil, err
	}
	if name := KeyName(c.Origin.Hierarchy, c.Origin.Site); signer.Name() != name {
		return nil, fmt.Errorf("checkpoint of %s: the key is named %q, not %q", c.Origin, clip(signer.Name()), name)
	}
	return SignNote(c.Text(), MaxCheckpoint, signer)
}

// OpenCheckpoint reads a signed checkpoint and returns it with those verified
// signatures that bear the name of the log's own site; there is at least one.
// Whether such a key is still current is for the caller to judge. Faults:
// [site.Damaged] and [site.Untrusted].
func OpenCheckpoint(msg []byte, known note.Verifiers) (Checkpoint, []note.Signature, error) {
	text, err := checkNote(msg, MaxCheckpoint)
	if err != nil {
		return Checkpoint{}, nil, malformed("checkpoint", err)
	}
	c, err := ParseCheckpoint(text)
	if err != nil {
		return Checkpoint{}, nil, malformed("checkpoint", err)
	}
	what := "checkpoint of " + c.Origin.LogID.String()
	n, err := verifyNote(msg, what, known)
	if err != nil {
		return Checkpoint{}, nil, err
	}
	var own []note.Signature
	for _, sig := range n.Sigs {
		if sig.Name == KeyName(c.Origin.Hierarchy, c.Origin.Site) {
			own = append(own, sig)
		}
	}
	if len(own) == 0 {
		return Checkpoint{}, nil, site.Untrusted.New("the %s is signed by %s, and not by %s",
			what, keyNames(n.Sigs), c.Origin.Site).Because(ErrUnsigned)
	}
	return c, own, nil
}

func hashText(h Hash) string { return base64.StdEncoding.EncodeToString(h[:]) }

// parseHash reads 44 characters of base64. Decoders forgive line ends and stray
// bits at the end; we do not, and so compare with what we would have written.
func parseHash(s string) (Hash, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) != len(Hash{}) || hashText(Hash(b)) != s {
		return Hash{}, fmt.Errorf("%q is not a hash", clip(s))
	}
	return Hash(b), nil
}
