package journal

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"

	"fardel/site"
)

// A Hash is a node of a log's tree: 32 bytes, convertible to [site.Digest].
type Hash = tlog.Hash

// emptyRoot is the root of the tree without entries: the SHA-256 of nothing.
var emptyRoot = Hash(sha256.Sum256(nil))

// LeafHash returns the hash of an entry's line, given without a line end.
func LeafHash(line []byte) Hash {
	// Most lines are short: hashing them from a buffer on the stack takes no
	// memory from the heap.
	var buf [1 + 1024]byte
	if len(line) < len(buf) {
		n := copy(buf[1:], line)
		return sha256.Sum256(buf[:1+n])
	}
	return tlog.RecordHash(line)
}

// An Edge is the right edge of a log's tree: all that is needed to append to it
// and to know its root. The zero value is the edge of the empty tree.
//
// Copies are independent: appending to one never changes another.
type Edge struct {
	Size   int64  // entries so far
	Hashes []Hash // roots of the complete subtrees, largest first; one for each bit set in Size
}

// Append adds one leaf at the right. It is for edges that [Edge.Append] or
// [Edge.UnmarshalBinary] made; check any other with [Edge.Valid] first.
func (e *Edge) Append(leaf Hash) {
	// Each subtree that is as large as what is being added merges with it.
	keep := len(e.Hashes)
	for n := e.Size; n&1 == 1; n >>= 1 {
		keep--
		leaf = tlog.NodeHash(e.Hashes[keep], leaf)
	}
	// A fresh array for each leaf keeps copies independent: a transaction that
	// fails leaves the edge it began with as it was.
	next := make([]Hash, keep+1)
	copy(next, e.Hashes[:keep])
	next[keep] = leaf
	e.Size++
	e.Hashes = next
}

// Root returns the root of the tree. That of the empty tree is the SHA-256 of
// nothing.
func (e Edge) Root() Hash {
	if len(e.Hashes) == 0 {
		return emptyRoot
	}
	root := e.Hashes[len(e.Hashes)-1]
	for i := len(e.Hashes) - 2; i >= 0; i-- {
		root = tlog.NodeHash(e.Hashes[i], root)
	}
	return root
}

// Clone returns a copy that shares no memory with e.
func (e Edge) Clone() Edge {
	return Edge{e.Size, append([]Hash(nil), e.Hashes...)}
}

// Valid reports whether the size is one that a log can have, and the number of
// hashes the one that the size demands.
func (e Edge) Valid() bool {
	return site.InRange(e.Size) && len(e.Hashes) == bits.OnesCount64(uint64(e.Size))
}

// MarshalBinary returns the size as eight bytes, the most significant first,
// and the hashes.
func (e Edge) MarshalBinary() ([]byte, error) {
	if !e.Valid() {
		return nil, fmt.Errorf("edge of size %d with %d hashes", e.Size, len(e.Hashes))
	}
	b := make([]byte, 8, 8+tlog.HashSize*len(e.Hashes))
	binary.BigEndian.PutUint64(b, uint64(e.Size))
	for _, h := range e.Hashes {
		b = append(b, h[:]...)
	}
	return b, nil
}

// UnmarshalBinary reads what [Edge.MarshalBinary] wrote.
func (e *Edge) UnmarshalBinary(b []byte) error {
	if len(b) < 8 {
		return fmt.Errorf("edge of %d bytes", len(b))
	}
	size := int64(binary.BigEndian.Uint64(b))
	if !site.InRange(size) || len(b) != 8+tlog.HashSize*bits.OnesCount64(uint64(size)) {
		return fmt.Errorf("edge of %d bytes for size %d", len(b), size)
	}
	next := Edge{Size: size}
	for b = b[8:]; len(b) > 0; b = b[tlog.HashSize:] {
		next.Hashes = append(next.Hashes, Hash(b[:tlog.HashSize]))
	}
	*e = next
	return nil
}
