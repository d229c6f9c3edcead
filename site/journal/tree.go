package journal

import (
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"

	"fardel/site"
)

// SubtreeLevel is the height of the subtrees whose roots are kept beside the
// entries; SubtreeSize is the number of their leaves.
const (
	SubtreeLevel = 8
	SubtreeSize  = 1 << SubtreeLevel
)

// A Tree reads the hashes of a log that is stored somewhere. Both methods are
// asked only for what lies within the size given to the function that uses
// them, and return an error for what they do not have.
type Tree interface {
	// Leaf returns the hash of the n-th entry, counted from 0.
	Leaf(n int64) (Hash, error)
	// Subtree returns the root of the n-th complete subtree of SubtreeSize
	// leaves: that of the entries from n*SubtreeSize on.
	Subtree(n int64) (Hash, error)
}

// errProof hides what exactly a proof failed at: it is of no use to anyone.
var errProof = errors.New("the proof is wrong")

// EdgeAt returns the right edge of the first size entries. It reads
// size/SubtreeSize subtrees and at most SubtreeSize-1 leaves, one at a time.
func EdgeAt(t Tree, size int64) (Edge, error) {
	if !site.InRange(size) {
		return Edge{}, fmt.Errorf("no log has %d entries", size)
	}
	e := Edge{Size: size}
	var done int64
	for level := bits.Len64(uint64(size)) - 1; level >= 0; level-- {
		if size>>level&1 == 0 {
			continue
		}
		h, err := node(t, level, done>>level)
		if err != nil {
			return Edge{}, err
		}
		e.Hashes = append(e.Hashes, h)
		done += 1 << level
	}
	return e, nil
}

// RootAt returns the root of the first size entries.
func RootAt(t Tree, size int64) (Hash, error) {
	e, err := EdgeAt(t, size)
	if err != nil {
		return Hash{}, err
	}
	return e.Root(), nil
}

// Prove returns the proof that the entry with this index, counted from 0, is in
// the log of this size. [Check] checks it.
func Prove(t Tree, size, index int64) ([]Hash, error) {
	if !site.InRange(size) || index < 0 || index >= size {
		return nil, fmt.Errorf("no entry %d in a log of %d", index, size)
	}
	return tlog.ProveRecord(size, index, reader{t})
}

// Check checks a proof that [Prove] made: that the log of this size and root
// has this leaf at this index.
func Check(proof []Hash, size int64, root Hash, index int64, leaf Hash) error {
	if !site.InRange(size) || index < 0 || index >= size {
		return fmt.Errorf("no entry %d in a log of %d", index, size)
	}
	if tlog.CheckRecord(proof, size, root, index, leaf) != nil {
		return errProof
	}
	return nil
}

// ProveTree returns the proof that the log of size entries begins with the log
// of old entries. [CheckTree] checks it.
func ProveTree(t Tree, old, size int64) ([]Hash, error) {
	if !site.InRange(size) || old < 0 || old > size {
		return nil, fmt.Errorf("no log of %d entries in one of %d", old, size)
	}
	if old == 0 {
		return nil, nil // every log begins with the empty one
	}
	return tlog.ProveTree(size, old, reader{t})
}

// CheckTree checks a proof that [ProveTree] made: that the log of this size and
// root begins with the log of size old and root oldRoot.
func CheckTree(proof []Hash, old int64, oldRoot Hash, size int64, root Hash) error {
	if !site.InRange(size) || old < 0 || old > size {
		return fmt.Errorf("no log of %d entries in one of %d", old, size)
	}
	if old == 0 {
		if len(proof) > 0 || oldRoot != emptyRoot || size == 0 && root != emptyRoot {
			return errProof
		}
		return nil
	}
	if tlog.CheckTree(proof, size, root, old, oldRoot) != nil {
		return errProof
	}
	return nil
}

// proofLength returns how many hashes prove an entry: the path from leaf to
// root, less the levels on which the right-hand side is empty.
func proofLength(size, index int64) int {
	last := uint64(size - 1)
	inner := bits.Len64(uint64(index) ^ last)
	return inner + bits.OnesCount64(uint64(index)>>inner)
}

// node returns the root of the n-th complete subtree of 2^level leaves.
func node(t Tree, level int, n int64) (Hash, error) {
	switch level {
	case 0:
		return t.Leaf(n)
	case SubtreeLevel:
		return t.Subtree(n)
	}
	left, err := node(t, level-1, 2*n)
	if err != nil {
		return Hash{}, err
	}
	right, err := node(t, level-1, 2*n+1)
	if err != nil {
		return Hash{}, err
	}
	return tlog.NodeHash(left, right), nil
}

// reader lets the tree library read a [Tree].
type reader struct{ t Tree }

func (r reader) ReadHashes(indexes []int64) ([]Hash, error) {
	hashes := make([]Hash, len(indexes))
	for i, index := range indexes {
		level, n := tlog.SplitStoredHashIndex(index)
		h, err := node(r.t, level, n)
		if err != nil {
			return nil, err
		}
		hashes[i] = h
	}
	return hashes, nil
}
