package charter

import (
	"bytes"
	"slices"

	"fardel/site"
)

// A Chain is a row of charters, each following the one before, the last being
// what counts. It only ever grows; the zero value holds none.
type Chain struct {
	charters []Charter
	notes    [][]byte
}

// OpenChain opens signed charters, in order of their versions. Trust begins at
// the first charter whose root has the digest pin: it must be signed by its own
// root keys, and each later one by the thresholds of two. Charters before it
// are vouched for by the digests that link them. With a pin of zero trust
// begins at the first charter: the caller has compared the words of its root.
//
// Faults: [site.Untrusted] also when the pinned root does not appear;
// [site.Conflict] where the links break; [site.Damaged], [site.TooNew].
func OpenChain(notes [][]byte, pin site.Digest) (Chain, error) {
	start, charters, err := readUnverified(notes, pin)
	if err != nil {
		return Chain{}, err
	}
	first, err := CheckSelf(notes[start])
	if err != nil {
		return Chain{}, err
	}
	// Everything before the first trusted charter, from the newest down: each
	// is what the one above it says it is.
	above := first
	for i := start - 1; i >= 0; i-- {
		if charters[i].Version != above.Version-1 || charters[i].Digest() != above.Previous {
			return Chain{}, site.Conflict.New("charter %d does not follow the charter before it", above.Version)
		}
		above = charters[i]
	}
	chain := Chain{append(charters[:start:start], first), cloneNotes(notes[:start+1])}
	for _, msg := range notes[start+1:] {
		if chain, err = chain.Extend(msg); err != nil {
			return Chain{}, err
		}
	}
	return chain, nil
}

// readUnverified reads the charters up to the first with the pinned root, whose
// index it returns.
func readUnverified(notes [][]byte, pin site.Digest) (int, []Charter, error) {
	var charters []Charter
	for i, msg := range notes {
		c, err := ReadCharter(msg)
		if err != nil {
			return 0, nil, err
		}
		if pin.IsZero() || c.Root() == pin {
			return i, charters, nil
		}
		charters = append(charters, c)
	}
	if len(notes) == 0 {
		return 0, nil, site.Untrusted.New("there is no charter")
	}
	return 0, nil, site.Untrusted.New("no charter has the root that this site trusts").
		Then("Compare the words of the root with the administrator of the top site.")
}

// Extend returns the chain with one more charter, or c as it was and an error.
// A charter that it holds already changes nothing. Faults: those of [CheckNext];
// [site.Conflict] also for a second charter of one version, if it is signed by
// those who could; [site.Held] for a hole before it.
func (c Chain) Extend(msg []byte) (Chain, error) {
	if len(c.charters) == 0 {
		return c, site.Untrusted.New("there is no charter to follow")
	}
	next, err := ReadCharter(msg)
	if err != nil {
		return c, err
	}
	latest := c.Latest()
	if next.Version <= latest.Version {
		return c, c.compare(next, msg)
	}
	if next.Version > latest.Version+1 {
		return c, site.Held.New("charter %d arrived before charter %d", next.Version, latest.Version+1)
	}
	if next, err = CheckNext(latest, msg); err != nil {
		return c, err
	}
	return Chain{
		append(slices.Clone(c.charters), next),
		append(slices.Clone(c.notes), bytes.Clone(msg)),
	}, nil
}

// compare compares a charter with the one of its version in the chain. One from
// before the chain's beginning means nothing here.
func (c Chain) compare(other Charter, msg []byte) error {
	i := other.Version - c.charters[0].Version
	if i < 0 || c.charters[i].Digest() == other.Digest() {
		return nil
	}
	// Anyone can write a charter. Only one that the same root keys have signed
	// contradicts ours; any other is nobody's word.
	if _, err := open(msg, c.charters[max(i-1, 0)]); err != nil {
		return err
	}
	return site.Conflict.New("another charter %d is going round than the one that this site holds", other.Version)
}

// Latest returns the charter that counts, or the zero charter.
func (c Chain) Latest() Charter {
	if len(c.charters) == 0 {
		return Charter{}
	}
	return c.charters[len(c.charters)-1]
}

// Charters returns all charters, the oldest first.
func (c Chain) Charters() []Charter { return slices.Clone(c.charters) }

// Notes returns all charters as they were signed, the oldest first.
func (c Chain) Notes() [][]byte { return cloneNotes(c.notes) }

func cloneNotes(notes [][]byte) [][]byte {
	out := make([][]byte, len(notes))
	for i, n := range notes {
		out[i] = bytes.Clone(n)
	}
	return out
}
