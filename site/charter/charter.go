package charter

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"fardel/site"
	"fardel/site/journal"
)

const firstLine = "fardel charter v1"

// Limits of a charter. Two thresholds of 8 fit into the 16 signatures that a
// signed text may have, so that every lawful change can be signed.
const (
	MaxCharter   = 1 << 20 // bytes, with signatures
	MaxThreshold = 8       // keys that have to sign
	MaxKeys      = 16      // keys of one role
)

// A Charter says who speaks for a hierarchy. Keys stand in it as they are
// written: note verifier keys, TLS keys in base64, age recipients.
type Charter struct {
	Hierarchy        string      // 16 characters of a-z2-7
	Version          int64       // counted from 1
	Previous         site.Digest // of the text of the version before; zero for version 1
	Created          time.Time   // whole seconds; informs people only
	Sealing          Sealing
	RootThreshold    int      // root keys that must sign the next charter
	Roots            []string // named HIERARCHY/root
	Top              site.Code
	TopSign          string
	TopTLS           string
	TopRecipient     string
	TopFormer        []string // the top's former signing keys
	ReleaseThreshold int      // release keys that must sign a release; 0 if there are none
	Releases         []string // named HIERARCHY/release
	Minimum          int64    // the least format version that readers must accept
}

// Text returns the charter as it is signed. It fails if the charter says
// something that [ParseCharter] would refuse.
func (c Charter) Text() ([]byte, error) {
	text := c.render()
	if _, err := ParseCharter(text); err != nil {
		return nil, err
	}
	return text, nil
}

func (c Charter) render() []byte {
	var b bytes.Buffer
	line := func(keyword, format string, args ...any) {
		fmt.Fprintf(&b, keyword+" "+format+"\n", args...)
	}
	lines := func(keyword string, values []string) {
		for _, v := range values {
			line(keyword, "%s", v)
		}
	}
	b.WriteString(firstLine + "\n")
	line("hierarchy", "%s", c.Hierarchy)
	line("version", "%d", c.Version)
	if c.Previous.IsZero() {
		line("previous", "-")
	} else {
		line("previous", "%s", c.Previous)
	}
	line("created", "%s", site.Moment(c.Created))
	line("sealing", "%s", c.Sealing)
	line("root-threshold", "%d", c.RootThreshold)
	lines("root", c.Roots)
	line("top", "%s", c.Top)
	line("top-sign", "%s", c.TopSign)
	line("top-tls", "%s", c.TopTLS)
	line("top-recipient", "%s", c.TopRecipient)
	lines("top-former", c.TopFormer)
	line("release-threshold", "%d", c.ReleaseThreshold)
	lines("release", c.Releases)
	line("minimum", "%d", c.Minimum)
	return b.Bytes()
}

// ParseCharter reads the text of a charter, without signatures, in its one
// legal spelling. It verifies nothing.
func ParseCharter(text []byte) (Charter, error) {
	if len(text) > MaxCharter {
		return Charter{}, fmt.Errorf("charter of %d bytes; the limit is %d", len(text), MaxCharter)
	}
	f := journal.ParseFields(text, firstLine)
	c := Charter{Hierarchy: f.One("hierarchy"), Version: f.Number("version", 1)}
	c.Previous = parsePrevious(f)
	c.Created = parseTime(f, "created")
	c.Sealing = Sealing(f.One("sealing"))
	c.RootThreshold = int(f.Number("root-threshold", 1))
	c.Roots = f.Many("root", MaxKeys)
	c.Top = site.Code(f.One("top"))
	c.TopSign = f.One("top-sign")
	c.TopTLS = f.One("top-tls")
	c.TopRecipient = f.One("top-recipient")
	c.TopFormer = f.Many("top-former", maxFormer)
	c.ReleaseThreshold = int(f.Number("release-threshold", 0))
	c.Releases = f.Many("release", MaxKeys)
	c.Minimum = f.Number("minimum", 1)
	err := f.End()
	if err == nil {
		err = c.check()
	}
	if err == nil && !bytes.Equal(c.render(), text) {
		err = fmt.Errorf("it is not in its legal spelling")
	}
	if err != nil {
		return Charter{}, fmt.Errorf("charter: %w", err)
	}
	return c, nil
}

// maxFormer bounds the top's former keys: one a month for forty years.
const maxFormer = 480

func (c Charter) check() error {
	if !journal.ValidHierarchy(c.Hierarchy) || !c.Sealing.Valid() || !c.Top.Valid() {
		return fmt.Errorf("malformed hierarchy, sealing or top")
	}
	if (c.Version == 1) != c.Previous.IsZero() {
		return fmt.Errorf("only version 1 has no previous one")
	}
	if err := checkRole("root", c.RootThreshold, c.Roots, RootName(c.Hierarchy)); err != nil {
		return err
	}
	if c.ReleaseThreshold > 0 || len(c.Releases) > 0 {
		if err := checkRole("release", c.ReleaseThreshold, c.Releases, ReleaseName(c.Hierarchy)); err != nil {
			return err
		}
	}
	name := journal.KeyName(c.Hierarchy, c.Top)
	if _, err := ParseVerifier(c.TopSign, name); err != nil {
		return err
	}
	for i, key := range c.TopFormer {
		// A former key may be that of a former top, so the code may differ.
		holder := keyName(key)
		code, ok := strings.CutPrefix(holder, c.Hierarchy+"/")
		if _, err := ParseVerifier(key, holder); err != nil || !ok || !site.Code(code).Valid() {
			return fmt.Errorf("%q is not the key of a site", clip(key))
		}
		if key == c.TopSign || slices.Contains(c.TopFormer[:i], key) {
			return fmt.Errorf("a former key of the top stands twice")
		}
	}
	if _, err := ParseTLSKey(c.TopTLS); err != nil {
		return err
	}
	_, err := ParseRecipient(c.TopRecipient, c.Sealing)
	return err
}

func checkRole(role string, threshold int, keys []string, name string) error {
	if threshold < 1 || threshold > MaxThreshold || threshold > len(keys) {
		return fmt.Errorf("%d %s keys, of which %d have to sign", len(keys), role, threshold)
	}
	for i, key := range keys {
		if _, err := ParseVerifier(key, name); err != nil {
			return err
		}
		if slices.Contains(keys[:i], key) {
			return fmt.Errorf("a %s key stands twice", role)
		}
	}
	return nil
}

func parsePrevious(f *journal.Fields) site.Digest {
	value := f.One("previous")
	if value == "-" || f.Err() != nil {
		return site.Digest{}
	}
	d, err := site.ParseDigest(value)
	if err != nil {
		f.Fail("previous: %w", err)
	}
	return d
}

func parseTime(f *journal.Fields, keyword string) time.Time {
	value := f.One(keyword)
	if f.Err() != nil {
		return time.Time{}
	}
	t, err := site.ParseTime(value)
	if err != nil {
		f.Fail("%s: %w", keyword, err)
	}
	return t
}

// Digest returns the digest of the charter's text, by which the next version
// names it.
func (c Charter) Digest() site.Digest { return site.DigestOf(c.render()) }

// Root returns the root digest, which says who the root keys are and how many
// of them have to sign. It is what a site pins and what [Words] spells.
func (c Charter) Root() site.Digest {
	var b strings.Builder
	fmt.Fprintf(&b, "fardel root v1\n%s\n%d\n", c.Hierarchy, c.RootThreshold)
	for _, key := range slices.Sorted(slices.Values(c.Roots)) {
		b.WriteString(key + "\n")
	}
	return site.DigestOf([]byte(b.String()))
}

// Sign returns the charter as a note. More signatures can be added, elsewhere
// and later, with [Cosign].
func (c Charter) Sign(signers ...note.Signer) ([]byte, error) {
	text, err := c.Text()
	if err != nil {
		return nil, err
	}
	return journal.SignNote(text, MaxCharter, signers...)
}

// Cosign adds signatures to a charter that was signed by others.
func Cosign(msg []byte, signers ...note.Signer) ([]byte, error) {
	if _, err := ReadCharter(msg); err != nil {
		return nil, err
	}
	return journal.Cosign(msg, MaxCharter, signers...)
}

// ReadCharter reads a signed charter without verifying it, to show it or to
// find its place in a chain. Faults: [site.Damaged] and [site.TooNew].
func ReadCharter(msg []byte) (Charter, error) {
	text, err := journal.ReadNote(msg, MaxCharter, firstLine)
	if err != nil {
		return Charter{}, err
	}
	c, err := ParseCharter(text)
	if err != nil {
		return Charter{}, site.Damaged.New("this is not a well-formed charter").Because(err)
	}
	return c, nil
}

// Next returns the version that follows c, as a copy to be changed and signed.
func (c Charter) Next(created time.Time) Charter {
	next := c
	next.Version++
	next.Previous = c.Digest()
	next.Created = created.UTC().Truncate(time.Second)
	next.Roots = slices.Clone(c.Roots)
	next.TopFormer = slices.Clone(c.TopFormer)
	next.Releases = slices.Clone(c.Releases)
	return next
}

// CheckSelf opens a signed charter that has no verified predecessor: it must be
// signed by the threshold of its own root keys. That proves that the holders of
// those keys made it, and not that they may. Faults: [site.Damaged],
// [site.TooNew] and [site.Untrusted].
func CheckSelf(msg []byte) (Charter, error) { return open(msg) }

// CheckNext opens a signed charter that follows prev: next in version, linked
// to it by digest, of the same hierarchy, and signed by the thresholds of both.
// Faults: [site.Damaged], [site.TooNew], [site.Untrusted] and [site.Conflict].
func CheckNext(prev Charter, msg []byte) (Charter, error) {
	next, err := open(msg, prev)
	if err != nil {
		return Charter{}, err
	}
	if next.Hierarchy != prev.Hierarchy {
		return Charter{}, site.Untrusted.New("charter %d belongs to another hierarchy", next.Version)
	}
	if next.Version != prev.Version+1 {
		return Charter{}, site.Untrusted.New("charter %d does not follow charter %d", next.Version, prev.Version)
	}
	if next.Previous != prev.Digest() {
		return Charter{}, site.Conflict.New("charter %d follows another charter %d than the one that this site holds",
			next.Version, prev.Version)
	}
	return next, nil
}

// open reads a signed charter and demands the thresholds of its own root keys
// and of those of the charters before.
func open(msg []byte, before ...Charter) (Charter, error) {
	c, err := ReadCharter(msg)
	if err != nil {
		return Charter{}, err
	}
	authors := append(slices.Clone(before), c)
	n, err := journal.OpenNote(msg, MaxCharter, firstLine, rootVerifiers(authors))
	if err != nil {
		return Charter{}, err
	}
	for _, a := range authors {
		if got := CountSigned(n.Sigs, a.Roots); got < a.RootThreshold {
			return Charter{}, site.Untrusted.New("charter %d is signed by %d of the root keys of charter %d; it takes %d",
				c.Version, got, a.Version, a.RootThreshold)
		}
	}
	return c, nil
}

func rootVerifiers(list []Charter) note.Verifiers {
	var keys []note.Verifier
	seen := make(map[string]bool)
	for _, c := range list {
		for _, key := range c.Roots {
			v, err := ParseVerifier(key, RootName(c.Hierarchy))
			if err == nil && !seen[key] {
				keys = append(keys, v)
			}
			seen[key] = true
		}
	}
	return note.VerifierList(keys...)
}

// CountSigned returns how many of the keys, verifier keys that all differ, have
// made one of the verified signatures. A key counts once, however often it
// signed or stands in the list.
func CountSigned(verified []note.Signature, keys []string) int {
	counted := make(map[string]bool)
	for _, key := range keys {
		v, err := note.NewVerifier(key)
		if err != nil {
			continue
		}
		if slices.ContainsFunc(verified, func(sig note.Signature) bool {
			return sig.Name == v.Name() && sig.Hash == v.KeyHash()
		}) {
			counted[key] = true
		}
	}
	return len(counted)
}
