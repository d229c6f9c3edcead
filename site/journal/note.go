package journal

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"

	"fardel/site"
)

// Limits of signed texts.
const (
	MaxNote       = 1 << 20 // bytes of the largest of them, labels and charters
	MaxSignatures = 16      // signature lines
)

// The causes of the faults that [OpenNote] and [OpenCheckpoint] return.
var (
	ErrMalformed    = errors.New("malformed signed text")
	ErrUnsigned     = errors.New("no signature by a known key")
	ErrBadSignature = errors.New("a known key's signature is wrong")
)

// OpenNote checks a signed text and returns it with its signatures. The text
// must be at most max bytes with its signatures and begin with exactly the line
// firstLine; at least one signature must be by a key in known, and none by such
// a key may be wrong. Signatures by other keys are returned as unverified.
//
// One known signature is all that it demands: thresholds are the caller's.
// Faults: [site.Damaged], [site.TooNew] and [site.Untrusted], with one of the
// causes above.
func OpenNote(msg []byte, max int, firstLine string, known note.Verifiers) (*note.Note, error) {
	if _, err := ReadNote(msg, max, firstLine); err != nil {
		return nil, err
	}
	return verifyNote(msg, subject(firstLine), known)
}

// ReadNote checks all that [OpenNote] checks except the signatures, and returns
// the text. It proves nothing: it serves to find out whose keys to ask for.
// Faults: [site.Damaged] and [site.TooNew].
func ReadNote(msg []byte, max int, firstLine string) ([]byte, error) {
	text, err := checkNote(msg, max)
	if err != nil {
		return nil, malformed(subject(firstLine), err)
	}
	return text, checkFirstLine(text, firstLine)
}

// NoteText returns the text of a signed note of at most [MaxNote] bytes, with
// its last line end, whatever its first line says. It verifies no signature: the
// text is for showing to people, and proves nothing.
func NoteText(msg []byte) ([]byte, error) {
	text, err := checkNote(msg, MaxNote)
	if err != nil {
		return nil, malformed("text", err)
	}
	return text, nil
}

// SignNote signs a text, which must end in a line end, and returns the note. It
// refuses to sign what [OpenNote] would refuse with the same max.
func SignNote(text []byte, max int, signers ...note.Signer) ([]byte, error) {
	return signNote(&note.Note{Text: string(text)}, max, signers)
}

// Cosign adds signatures to a note that may have some already. It verifies
// none: whoever signs has read the text, not the signatures.
func Cosign(msg []byte, max int, signers ...note.Signer) ([]byte, error) {
	text, err := checkNote(msg, max)
	if err != nil {
		return nil, malformed("text", err)
	}
	n := &note.Note{Text: string(text)}
	// With no verifiers at all, every signature comes back as unverified.
	_, err = note.Open(msg, note.VerifierList())
	unsigned, ok := errors.AsType[*note.UnverifiedNoteError](err)
	if !ok {
		return nil, malformed("text", err)
	}
	n.UnverifiedSigs = unsigned.Note.UnverifiedSigs
	return signNote(n, max, signers)
}

func signNote(n *note.Note, max int, signers []note.Signer) ([]byte, error) {
	msg, err := note.Sign(n, signers...)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	// A text with a blank line near its end would be cut there by readers.
	text, err := checkNote(msg, max)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	if string(text) != n.Text {
		return nil, fmt.Errorf("signing: %w: the text does not end where it should", ErrMalformed)
	}
	return msg, nil
}

// checkNote checks everything about a note that needs no key, and returns its
// text. The note library has no bound on size, lets control characters above
// U+001F and bidirectional controls pass, reads sloppy base64, and drops a
// second signature of one key unread; so all this comes first.
func checkNote(msg []byte, max int) ([]byte, error) {
	if len(msg) > max {
		return nil, fmt.Errorf("%w: %d bytes; the limit is %d", ErrMalformed, len(msg), max)
	}
	if err := checkCharacters(msg); err != nil {
		return nil, err
	}
	split := bytes.LastIndex(msg, []byte("\n\n"))
	if split < 0 {
		return nil, fmt.Errorf("%w: no signatures", ErrMalformed)
	}
	text, sigs := msg[:split+1], msg[split+2:]
	if len(sigs) == 0 || sigs[len(sigs)-1] != '\n' {
		return nil, fmt.Errorf("%w: it does not end in a signature", ErrMalformed)
	}
	if bytes.Count(sigs, []byte("\n")) > MaxSignatures {
		return nil, fmt.Errorf("%w: more than %d signatures", ErrMalformed, MaxSignatures)
	}
	seen := make(map[string]bool)
	for line := range strings.Lines(string(sigs)) {
		key, err := checkSignatureLine(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return nil, err
		}
		if seen[key] {
			return nil, fmt.Errorf("%w: two signatures of one key", ErrMalformed)
		}
		seen[key] = true
	}
	return text, nil
}

// checkSignatureLine returns what tells one signer from another: name and hash.
func checkSignatureLine(line string) (string, error) {
	rest, ok := strings.CutPrefix(line, "— ")
	name, b64, ok2 := strings.Cut(rest, " ")
	raw, err := base64.StdEncoding.Strict().DecodeString(b64)
	if !ok || !ok2 || name == "" || err != nil || len(raw) < 5 || base64.StdEncoding.EncodeToString(raw) != b64 {
		return "", fmt.Errorf("%w: a signature line is not in its legal form", ErrMalformed)
	}
	return name + " " + string(raw[:4]), nil
}

func checkCharacters(msg []byte) error {
	for i := 0; i < len(msg); {
		r, size := utf8.DecodeRune(msg[i:])
		if r == utf8.RuneError && size == 1 {
			return fmt.Errorf("%w: not valid UTF-8", ErrMalformed)
		}
		if r != '\n' && !Printable(r) {
			return fmt.Errorf("%w: the character %U is not allowed", ErrMalformed, r)
		}
		i += size
	}
	return nil
}

// Printable reports whether r may stand in a line of a signed text: no control
// character, no other kind of line end, and nothing that makes a terminal show
// characters in another order than they are signed in.
func Printable(r rune) bool {
	return !unicode.IsControl(r) && !unicode.Is(unicode.Bidi_Control, r) && r != 0x2028 && r != 0x2029
}

// checkFirstLine demands the first line, and tells a newer version of the same
// type from something else.
func checkFirstLine(text []byte, want string) error {
	line, _, _ := strings.Cut(string(text), "\n")
	if line == want {
		return nil
	}
	what := subject(want)
	if kind, version, ok := cutVersion(want); ok {
		if k, v, ok := cutVersion(line); ok && k == kind && v > version {
			return site.TooNew.New("the %s has format version %d; this fardel knows version %d", what, v, version)
		}
	}
	return malformed(what, fmt.Errorf("%w: it begins with %q", ErrMalformed, clip(line)))
}

// cutVersion takes "fardel label v1" apart.
func cutVersion(line string) (kind string, version int64, ok bool) {
	kind, v, ok := strings.Cut(line, " v")
	n, err := ParseNumber(v)
	return kind, n, ok && err == nil
}

// subject makes "label" of "fardel label v1".
func subject(firstLine string) string {
	kind, _, _ := strings.Cut(strings.TrimPrefix(firstLine, "fardel "), " ")
	return kind
}

func verifyNote(msg []byte, what string, known note.Verifiers) (*note.Note, error) {
	n, err := note.Open(msg, known)
	if err == nil {
		return n, nil
	}
	if unsigned, ok := errors.AsType[*note.UnverifiedNoteError](err); ok {
		return nil, site.Untrusted.New("the %s is signed by %s, with a key that this site does not know",
			what, keyNames(unsigned.Note.UnverifiedSigs)).Because(fmt.Errorf("%w: %w", ErrUnsigned, err))
	}
	if bad, ok := errors.AsType[*note.InvalidSignatureError](err); ok {
		return nil, site.Untrusted.New("the signature of %s on the %s is wrong: one of the two was changed",
			clip(bad.Name), what).Because(fmt.Errorf("%w: %w", ErrBadSignature, err))
	}
	return nil, malformed(what, fmt.Errorf("%w: %w", ErrMalformed, err))
}

func keyNames(sigs []note.Signature) string {
	if len(sigs) == 0 {
		return "nobody"
	}
	if len(sigs) == 1 {
		return clip(sigs[0].Name)
	}
	return fmt.Sprintf("%s and %d more", clip(sigs[0].Name), len(sigs)-1)
}

func malformed(what string, err error) *site.Fault {
	if !errors.Is(err, ErrMalformed) {
		err = fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return site.Damaged.New("this is not a well-formed %s", what).Because(err)
}
