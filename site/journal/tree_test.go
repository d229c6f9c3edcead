package journal

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
)

// memory is a Tree over lines that are at hand.
type memory [][]byte

var errMissing = errors.New("not there")

func (m memory) Leaf(n int64) (Hash, error) {
	if n < 0 || n >= int64(len(m)) {
		return Hash{}, errMissing
	}
	return LeafHash(m[n]), nil
}

func (m memory) Subtree(n int64) (Hash, error) {
	if n < 0 || (n+1)*SubtreeSize > int64(len(m)) {
		return Hash{}, errMissing
	}
	return edgeOf(m[n*SubtreeSize : (n+1)*SubtreeSize]).Root(), nil
}

// sizes are those of logs at which something begins or ends.
var sizes = []int64{1, 2, 3, 7, 8, 255, 256, 257, 511, 512, 700, 1024, 1300}

func TestRootAtEqualsEdge(t *testing.T) {
	tree := memory(leaves(1300))
	var e Edge
	for n := range int64(len(tree)) {
		if n < 20 || n%61 == 0 || slices.Contains(sizes, n) {
			got, err := RootAt(tree, n)
			if err != nil || got != e.Root() {
				t.Fatalf("root at %d differs from the edge's, %v", n, err)
			}
		}
		e.Append(LeafHash(tree[n]))
	}
}

func TestEdgeAtCanBeAppendedTo(t *testing.T) {
	tree := memory(leaves(1300))
	for _, n := range sizes {
		e, err := EdgeAt(tree, n)
		if err != nil || !e.Valid() {
			t.Fatal(err)
		}
		for _, line := range tree[n:] {
			e.Append(LeafHash(line))
		}
		if e.Root() != edgeOf(tree).Root() {
			t.Errorf("continuing from %d leads elsewhere", n)
		}
	}
}

func TestProofsHold(t *testing.T) {
	tree := memory(leaves(1300))
	for _, size := range sizes {
		root, err := RootAt(tree, size)
		if err != nil {
			t.Fatal(err)
		}
		for index := int64(0); index < size; index += 1 + size/12 {
			proof, err := Prove(tree, size, index)
			if err != nil {
				t.Fatal(err)
			}
			if len(proof) != proofLength(size, index) {
				t.Errorf("proof of %d in %d has %d hashes, want %d", index, size, len(proof), proofLength(size, index))
			}
			if err := Check(proof, size, root, index, LeafHash(tree[index])); err != nil {
				t.Errorf("%d in %d: %v", index, size, err)
			}
		}
	}
}

func TestProofLengthOfAllSmallTrees(t *testing.T) {
	tree := memory(leaves(70))
	for size := range int64(70) {
		for index := range size {
			proof, err := Prove(tree, size, index)
			if err != nil || len(proof) != proofLength(size, index) {
				t.Fatalf("proof of %d in %d: %d hashes, want %d, %v", index, size, len(proof), proofLength(size, index), err)
			}
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	tree := memory(leaves(300))
	proof, _ := Prove(tree, 300, 17)
	root, _ := RootAt(tree, 300)
	leaf := LeafHash(tree[17])
	changed := append([]Hash(nil), proof...)
	changed[3][0] ^= 1
	for name, err := range map[string]error{
		"another leaf":  Check(proof, 300, root, 17, LeafHash(tree[18])),
		"another index": Check(proof, 300, root, 18, leaf),
		"another size":  Check(proof, 200, root, 17, leaf),
		"another root":  Check(proof, 300, leaf, 17, leaf),
		"a changed one": Check(changed, 300, root, 17, leaf),
		"a short one":   Check(proof[1:], 300, root, 17, leaf),
		"none":          Check(nil, 300, root, 17, leaf),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestTreeProofsHold(t *testing.T) {
	tree := memory(leaves(1300))
	for _, size := range sizes {
		root, _ := RootAt(tree, size)
		for _, old := range append([]int64{0}, sizes...) {
			if old > size {
				continue
			}
			oldRoot, _ := RootAt(tree, old)
			proof, err := ProveTree(tree, old, size)
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckTree(proof, old, oldRoot, size, root); err != nil {
				t.Errorf("%d in %d: %v", old, size, err)
			}
			if err := CheckTree(proof, old, LeafHash(nil), size, root); err == nil {
				t.Errorf("%d in %d: another old root was accepted", old, size)
			}
		}
	}
}

func TestCheckTreeRefusesAProofOfTheEmptyLog(t *testing.T) {
	if err := CheckTree(make([]Hash, 1), 0, emptyRoot, 5, Hash{1}); err == nil {
		t.Error("hashes that prove nothing were accepted")
	}
	if err := CheckTree(nil, 0, emptyRoot, 0, Hash{1}); err == nil {
		t.Error("an empty log with another root was accepted")
	}
}

// The library below loops for ever or panics on such numbers.
func TestNumbersOutOfRange(t *testing.T) {
	tree := memory(leaves(3))
	for _, n := range []int64{-1, math.MinInt64, 1<<53 + 1, 1 << 62, 1<<62 + 1, math.MaxInt64} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			if _, err := RootAt(tree, n); err == nil {
				t.Error("RootAt accepted it")
			}
			if _, err := Prove(tree, n, 1); err == nil {
				t.Error("Prove accepted it as a size")
			}
			if _, err := Prove(tree, 3, n); err == nil {
				t.Error("Prove accepted it as an index")
			}
			if _, err := ProveTree(tree, 1, n); err == nil {
				t.Error("ProveTree accepted it as a size")
			}
			if _, err := ProveTree(tree, n, 3); err == nil {
				t.Error("ProveTree accepted it as an old size")
			}
			if Check(nil, n, Hash{}, 0, Hash{}) == nil || Check(nil, 1, Hash{}, n, Hash{}) == nil {
				t.Error("Check accepted it")
			}
			if CheckTree(nil, 1, Hash{}, n, Hash{}) == nil || CheckTree(nil, n, Hash{}, n, Hash{}) == nil {
				t.Error("CheckTree accepted it")
			}
		})
	}
}

func TestTreeErrorsComeThrough(t *testing.T) {
	tree := memory(leaves(300))
	if _, err := RootAt(tree, 1<<50); !errors.Is(err, errMissing) {
		t.Errorf("RootAt: %v", err)
	}
	if _, err := Prove(tree, 600, 5); !errors.Is(err, errMissing) {
		t.Errorf("Prove: %v", err)
	}
	if _, err := ProveTree(tree, 5, 600); !errors.Is(err, errMissing) {
		t.Errorf("ProveTree: %v", err)
	}
}
