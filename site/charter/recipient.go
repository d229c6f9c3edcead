package charter

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strings"

	"filippo.io/age"
	"golang.org/x/mod/sumdb/note"
)

// A Sealing is the kind of key that a hierarchy seals with. The two are never
// mixed in one file, which is why the charter chooses for all.
type Sealing string

// The kinds of sealing.
const (
	X25519 Sealing = "x25519" // read by every age
	Hybrid Sealing = "hybrid" // ML-KEM-768 with X25519: safe from quantum computers
)

// Valid reports whether s is one of the two.
func (s Sealing) Valid() bool { return s == X25519 || s == Hybrid }

// ParseRecipient reads an age recipient of the given kind. Other kinds, SSH keys
// and plugins are refused, as is a key that cannot be sealed to.
func ParseRecipient(s string, sealing Sealing) (age.Recipient, error) {
	var r interface {
		age.Recipient
		fmt.Stringer
	}
	var err error
	switch sealing {
	case X25519:
		r, err = age.ParseX25519Recipient(s)
	case Hybrid:
		r, err = age.ParseHybridRecipient(s)
	default:
		return nil, fmt.Errorf("%q is not a kind of sealing", clip(string(sealing)))
	}
	if err != nil || r.String() != s {
		return nil, fmt.Errorf("%q is not a recipient for %s sealing", clip(s), sealing)
	}
	// Some points of the curve are well formed and useless. Better to refuse
	// them here than in the middle of an export.
	if _, err := r.Wrap(make([]byte, 16)); err != nil {
		return nil, fmt.Errorf("recipient %q cannot be sealed to: %w", clip(s), err)
	}
	return r, nil
}

// ParseIdentity reads an age identity, the private half of a recipient, of the
// given kind. Unlike age's own, it does not print its secret.
func ParseIdentity(s string, sealing Sealing) (age.Identity, error) {
	id, err := parseIdentity(s, sealing)
	if err != nil {
		return nil, err
	}
	return id, nil
}

// identity hides an age identity, which would print its secret.
type identity struct {
	unwrap    func([]*age.Stanza) ([]byte, error)
	recipient string
}

// Unwrap implements [age.Identity].
func (id *identity) Unwrap(stanzas []*age.Stanza) ([]byte, error) { return id.unwrap(stanzas) }

// String names the public half.
func (id *identity) String() string { return "identity of " + clip(id.recipient) }

// GoString is the same, for %#v.
func (id *identity) GoString() string { return id.String() }

// parseIdentity never puts its input into an error: it is a secret.
func parseIdentity(s string, sealing Sealing) (*identity, error) {
	switch sealing {
	case X25519:
		if id, err := age.ParseX25519Identity(s); err == nil && id.String() == s {
			return &identity{id.Unwrap, id.Recipient().String()}, nil
		}
	case Hybrid:
		if id, err := age.ParseHybridIdentity(s); err == nil && id.String() == s {
			return &identity{id.Unwrap, id.Recipient().String()}, nil
		}
	}
	return nil, fmt.Errorf("not an identity for %q sealing", clip(string(sealing)))
}

// RootName returns the name that root keys bear.
func RootName(hierarchy string) string { return hierarchy + "/root" }

// ReleaseName returns the name that release keys bear.
func ReleaseName(hierarchy string) string { return hierarchy + "/release" }

// ParseVerifier reads an Ed25519 note verifier key, which must bear this name
// and be in its one legal spelling.
func ParseVerifier(s, name string) (note.Verifier, error) {
	v, err := note.NewVerifier(s)
	if err != nil || v.Name() != name {
		return nil, fmt.Errorf("%q is not a key named %q", clip(s), name)
	}
	// What follows the name is "+", eight digits and "+": NewVerifier saw to it.
	key, err := base64.StdEncoding.DecodeString(s[len(name)+10:])
	if err != nil || len(key) != 1+ed25519.PublicKeySize {
		return nil, fmt.Errorf("%q is not a key named %q", clip(s), name)
	}
	// Upper-case digits and stray bits at the end are read as well; a key that
	// can be written in two ways would count twice.
	if again, err := note.NewEd25519VerifierKey(name, key[1:]); err != nil || again != s {
		return nil, fmt.Errorf("%q is not a key in its legal spelling", clip(s))
	}
	return v, nil
}

// ParseTLSKey reads the key with which a site proves itself on connections: 32
// bytes in base64.
func ParseTLSKey(s string) (ed25519.PublicKey, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) != ed25519.PublicKeySize || base64.StdEncoding.EncodeToString(b) != s {
		return nil, fmt.Errorf("%q is not an Ed25519 key in base64", clip(s))
	}
	return b, nil
}

// clip shortens hostile input before it stands in an error.
func clip(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:37], "") + "..."
	}
	return s
}
