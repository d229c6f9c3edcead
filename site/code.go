package site

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// A Code names a site within its hierarchy: three characters, upper-case
// letters and digits, such as HQ0. Codes are never given to another site.
type Code string

// ParseCode returns the code that s spells. Lower-case letters are accepted,
// because people type them; the result is always upper case.
func ParseCode(s string) (Code, error) {
	c := Code(upper(s))
	if !c.Valid() {
		return "", BadUsage.New("%q is not a site code: a code is three letters or digits, such as HQ0", clip(s))
	}
	return c, nil
}

// Valid reports whether c has the form of a site code.
func (c Code) Valid() bool {
	if len(c) != 3 {
		return false
	}
	for _, r := range []byte(c) {
		if !isUpperAlnum(r) {
			return false
		}
	}
	return true
}

// Lower returns the code as it stands in file names.
func (c Code) Lower() string { return strings.ToLower(string(c)) }

func isUpperAlnum(r byte) bool { return r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' }

// upper turns the letters a-z into upper case and touches nothing else:
// [strings.ToUpper] makes plain letters of some that only look like them.
func upper(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, s)
}

// clip shortens hostile or accidental input before it is shown to a person.
func clip(s string) string {
	if len(s) > 40 {
		return s[:37] + "..."
	}
	return s
}

// A Digest is the SHA-256 of a file's bytes, and the file's name everywhere.
type Digest [sha256.Size]byte

// ParseDigest returns the digest that 64 lower-case hexadecimal digits spell.
// It has exactly one spelling, so upper case is refused.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if len(s) != 2*len(d) || strings.ToLower(s) != s {
		return d, fmt.Errorf("%q is not a SHA-256 digest", clip(s))
	}
	if _, err := hex.Decode(d[:], []byte(s)); err != nil {
		return d, fmt.Errorf("%q is not a SHA-256 digest", clip(s))
	}
	return d, nil
}

// DigestOf returns the digest of b.
func DigestOf(b []byte) Digest { return sha256.Sum256(b) }

// String returns the digest as 64 lower-case hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Short returns the first 12 digits, which is all that a message shows.
func (d Digest) Short() string { return hex.EncodeToString(d[:6]) }

// IsZero reports whether d was never set.
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText implements [encoding.TextMarshaler].
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *Digest) UnmarshalText(b []byte) error {
	v, err := ParseDigest(string(b))
	if err != nil {
		return err
	}
	*d = v
	return nil
}

// A PackageID names a package for ever: the code of the site that made it and
// five characters, such as HQ000001. Ids are never reused.
type PackageID string

// ParsePackageID returns the id that s spells; lower case is accepted.
func ParsePackageID(s string) (PackageID, error) {
	id := PackageID(upper(s))
	if !id.Valid() {
		return "", BadUsage.New("%q is not a package id: an id is a site code and five letters or digits, such as HQ000001", clip(s))
	}
	return id, nil
}

// Valid reports whether id has the form of a package id.
func (id PackageID) Valid() bool {
	if len(id) != 8 {
		return false
	}
	for _, r := range []byte(id) {
		if !isUpperAlnum(r) {
			return false
		}
	}
	return true
}

// Author returns the code of the site that made the package.
func (id PackageID) Author() Code {
	if len(id) < 3 {
		return ""
	}
	return Code(id[:3])
}

const base36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// NewPackageID returns the n-th id of a site, counted from 1.
func NewPackageID(author Code, n int64) PackageID {
	b := []byte("00000")
	for i := len(b) - 1; i >= 0 && n > 0; i-- {
		b[i] = base36[n%36]
		n /= 36
	}
	return PackageID(string(author) + string(b))
}

// Number returns the n that [NewPackageID] made the id from.
func (id PackageID) Number() int64 {
	var n int64
	for _, r := range []byte(id[min(3, len(id)):]) {
		n = n*36 + int64(strings.IndexByte(base36, r))
	}
	return n
}
