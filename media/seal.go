package media

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"

	"fardel/site"
)

// MaxSealHeader is the largest age header that is read, in bytes. One hybrid
// recipient needs less than 2 KiB.
const MaxSealHeader = 16 << 10

// The two kinds of sealing, as they stand in charters and cards.
const (
	sealX25519 = "x25519"
	sealHybrid = "hybrid"
)

// The stanza types that age writes for the two kinds.
var stanzaTypes = []string{"X25519", "mlkem768x25519"}

// NewKey makes a key of the given sealing, "x25519" or "hybrid": the secret as
// it stands in key files and parcels, and the recipient that seals to it.
func NewKey(sealing string) (secret, recipient string, err error) {
	switch sealing {
	case sealX25519:
		id, err := age.GenerateX25519Identity()
		if err != nil {
			return "", "", fmt.Errorf("new x25519 key: %w", err)
		}
		return id.String(), id.Recipient().String(), nil
	case sealHybrid:
		id, err := age.GenerateHybridIdentity()
		if err != nil {
			return "", "", fmt.Errorf("new hybrid key: %w", err)
		}
		return id.String(), id.Recipient().String(), nil
	}
	return "", "", fmt.Errorf("%q is not a kind of sealing", clip(sealing))
}

// ParseIdentity reads a secret that [NewKey] made. Passphrases, plugins and SSH
// keys are refused. The error never shows any of the secret.
func ParseIdentity(secret string) (age.Identity, error) {
	var id interface {
		age.Identity
		fmt.Stringer
	}
	var err error
	switch {
	case strings.HasPrefix(secret, "AGE-SECRET-KEY-PQ-1"):
		id, err = age.ParseHybridIdentity(secret)
	case strings.HasPrefix(secret, "AGE-SECRET-KEY-1"):
		id, err = age.ParseX25519Identity(secret)
	default:
		return nil, errors.New("this is not a secret key of a known kind")
	}
	// The library's errors can quote what they could not read, so they stay here.
	if err != nil || id.String() != secret {
		return nil, errors.New("the secret key is malformed")
	}
	return id, nil
}

// ParseRecipient reads a recipient that [NewKey] made, of either kind.
// Whether the kind fits the hierarchy is for the caller to say.
func ParseRecipient(recipient string) (age.Recipient, error) {
	var r interface {
		age.Recipient
		fmt.Stringer
	}
	var err error
	switch {
	case strings.HasPrefix(recipient, "age1pq1"):
		r, err = age.ParseHybridRecipient(recipient)
	case strings.HasPrefix(recipient, "age1"):
		r, err = age.ParseX25519Recipient(recipient)
	default:
		return nil, errors.New("this is not a recipient of a known kind")
	}
	if err != nil || r.String() != recipient {
		return nil, errors.New("the recipient is malformed")
	}
	return r, nil
}

// Seal returns a writer that encrypts to one recipient, onto w. The file is
// whole only after Close, which does not close w.
func Seal(w io.Writer, to age.Recipient) (io.WriteCloser, error) {
	switch to.(type) {
	case *age.X25519Recipient, *age.HybridRecipient:
	default:
		return nil, fmt.Errorf("cannot seal to a recipient of type %T", to)
	}
	out, err := age.Encrypt(w, to)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return out, nil
}

// Unseal returns the plain text of a sealed file. It refuses headers above
// [MaxSealHeader], with more than one recipient, or of another kind than
// [NewKey] makes, before anything of them is interpreted.
//
// What was read is known to be whole only at io.EOF: a file that was cut gives
// its first part and then a fault. Nobody signs a sealed file, so its digest has
// to be checked against a signed text as well.
//
// The identities may be of any type, since key holders wrap theirs; they are
// shown nothing but a recipient of the two kinds.
//
// Faults are [site.WrongKey] if no identity fits, and [site.Damaged] if bytes
// are wrong or missing. Errors of r itself come back as they are.
func Unseal(r io.Reader, ids ...age.Identity) (io.Reader, error) {
	if len(ids) == 0 {
		return nil, errors.New("unseal: no identities")
	}
	src := &source{r: r}
	in := newSealBuffer(src)
	header, err := readSealHeader(in)
	if err != nil {
		return nil, src.judge(err, unsealFault)
	}
	plain, err := age.Decrypt(io.MultiReader(bytes.NewReader(header), in), ids...)
	if err != nil {
		return nil, src.judge(err, unsealFault)
	}
	return &judged{r: plain, src: src, fault: unsealFault}, nil
}

// newSealBuffer returns a buffer that can hold any line of a legal header.
func newSealBuffer(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, 2*MaxSealHeader) }

// unsealFault words what went wrong while a file was unsealed.
func unsealFault(err error) *site.Fault {
	if _, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
		return site.WrongKey.New("it was sealed for a key that is not at hand").Because(err)
	}
	return site.Damaged.New("the sealed data is damaged or incomplete").Because(err)
}

// readSealHeader reads an age header up to and including its last line, and
// checks its size and form. It stops within one buffer of the limit.
func readSealHeader(in *bufio.Reader) ([]byte, error) {
	const intro, last, stanza = "age-encryption.org/v1\n", "---", "-> "
	var header []byte
	stanzas := 0
	for {
		line, err := in.ReadSlice('\n')
		if len(header)+len(line) > MaxSealHeader || err == bufio.ErrBufferFull {
			return nil, fmt.Errorf("header of more than %d bytes: %w", MaxSealHeader, ErrLimit)
		}
		if err != nil {
			return nil, noEOF(err)
		}
		switch {
		case header == nil && string(line) != intro:
			return nil, errors.New("not a sealed file")
		case bytes.HasPrefix(line, []byte(stanza)):
			stanzas++
			if err := checkStanza(line[len(stanza):]); err != nil {
				return nil, err
			}
		}
		header = append(header, line...)
		if bytes.HasPrefix(line, []byte(last)) {
			if stanzas != 1 {
				return nil, fmt.Errorf("header with %d recipients in place of 1: %w", stanzas, ErrMalformed)
			}
			return header, nil
		}
	}
}

// checkStanza takes the line without its arrow and accepts the two kinds.
func checkStanza(line []byte) error {
	kind, _, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
	for _, k := range stanzaTypes {
		if kind == k {
			return nil
		}
	}
	return fmt.Errorf("recipient of kind %q", clip(kind))
}

// clip shortens hostile input before it goes into a message.
func clip(s string) string {
	if len(s) > 40 {
		return s[:37] + "..."
	}
	return s
}
