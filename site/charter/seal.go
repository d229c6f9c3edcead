package charter

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"fardel/site"
)

// How costly it is to try a passphrase: 2^n steps of scrypt, and 2^n KiB of
// memory. The bound is for reading: a hostile file could otherwise ask for
// gigabytes.
const (
	workFactor    = 18
	maxWorkFactor = 20
)

// sealOverhead is what sealing adds at most to a plain text: the header, whose
// bound is generous, and 16 bytes for each 64 KiB.
func sealOverhead(plain int64) int64 { return 16<<10 + 16*(plain/(64<<10)+2) }

// SealSecret seals a key backup or an enrolment kit with a passphrase. It takes
// about a second and 256 MiB of memory, which is the point of it.
func SealSecret(w io.Writer, passphrase string, plain []byte) error {
	return sealSecret(w, passphrase, plain, workFactor)
}

func sealSecret(w io.Writer, passphrase string, plain []byte, work int) error {
	r, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return site.BadUsage.New("the passphrase is empty")
	}
	r.SetWorkFactor(work)
	out, err := age.Encrypt(w, r)
	if err != nil {
		return fmt.Errorf("sealing: %w", err)
	}
	if _, err := out.Write(plain); err != nil {
		return fmt.Errorf("sealing: %w", err)
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("sealing: %w", err)
	}
	return nil
}

// OpenSecret opens what [SealSecret] sealed and returns it whole, at most max
// bytes; nothing is returned unless the end was reached and is right. Faults:
// [site.BadPassphrase] and [site.Damaged].
func OpenSecret(r io.Reader, passphrase string, max int64) ([]byte, error) {
	id, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, site.BadUsage.New("the passphrase is empty")
	}
	id.SetMaxWorkFactor(maxWorkFactor)
	// The bound on what is read also bounds the header.
	in, err := age.Decrypt(io.LimitReader(r, max+sealOverhead(max)), id)
	if err != nil {
		return nil, openFault(err)
	}
	var plain bytes.Buffer
	n, err := io.Copy(&plain, io.LimitReader(in, max+1))
	if err != nil {
		return nil, openFault(err)
	}
	if n > max {
		return nil, openFault(fmt.Errorf("more than %d bytes", max))
	}
	return plain.Bytes(), nil
}

func openFault(err error) error {
	// A file sealed to a key, and not with a passphrase, reads as a wrong
	// passphrase too.
	if none, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
		if len(none.StanzaTypes) == 1 && none.StanzaTypes[0] == "scrypt" {
			return site.BadPassphrase.New("the passphrase does not open this file").Because(err)
		}
	}
	return site.Damaged.New("the sealed file cannot be opened: it is damaged, or was not sealed with a passphrase").Because(err)
}
