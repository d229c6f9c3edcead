package xz

import (
	"crypto/sha256"
	"errors"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"slices"
)

// check is a kind of checksum over a block's content.
type check byte

// The checks of the format. Others are reserved, and refused.
const (
	checkNone   check = 0
	checkCRC32  check = 1
	checkCRC64  check = 4
	checkSHA256 check = 10
)

// size returns the length of the check in a block, and -1 for unknown ones.
func (c check) size() int {
	switch c {
	case checkNone:
		return 0
	case checkCRC32:
		return 4
	case checkCRC64:
		return 8
	case checkSHA256:
		return 32
	}
	return -1
}

var crc64Table = crc64.MakeTable(crc64.ECMA)

// hash returns a new hash of this kind.
func (c check) hash() hash.Hash {
	switch c {
	case checkCRC32:
		return crc32.NewIEEE()
	case checkCRC64:
		return crc64.New(crc64Table)
	case checkSHA256:
		return sha256.New()
	}
	return noHash{crc32.NewIEEE()}
}

// noHash is the check of files without checks.
type noHash struct{ hash.Hash }

func (noHash) Write(p []byte) (int, error) { return len(p), nil }
func (noHash) Sum(b []byte) []byte         { return b }

// compare reports whether sum, from a file, is that of h. In files the CRCs
// stand with the low byte first, which is not Go's order.
func (c check) compare(h hash.Hash, sum []byte) error {
	got := h.Sum(nil)
	if c == checkCRC32 || c == checkCRC64 {
		slices.Reverse(got)
	}
	if !slices.Equal(got, sum) {
		return errors.New("xz: block: wrong checksum")
	}
	return nil
}

// demand demands that sum is the check of plain.
func (c check) demand(plain, sum []byte) error {
	h := c.hash()
	h.Write(plain)
	return c.compare(h, sum)
}
