package charter

import (
	"errors"
	"testing"

	"fardel/site"
)

// story is a hierarchy whose root changed with charter 3.
type story struct {
	old, fresh []*signer
	charters   []Charter
	notes      [][]byte
}

func newStory(t testing.TB) story {
	t.Helper()
	s := story{old: rootKeys(t, 1), fresh: rootKeys(t, 1)}
	one := ruledBy(t, s.old, 1)
	two := one.Next(now)
	three := two.Next(now)
	three.Roots = publics(s.fresh)
	four := three.Next(now)
	s.charters = []Charter{one, two, three, four}
	s.notes = [][]byte{
		signed(t, one, s.old...), signed(t, two, s.old...),
		signed(t, three, s.old[0], s.fresh[0]), signed(t, four, s.fresh...),
	}
	return s
}

func TestOpenChain(t *testing.T) {
	s := newStory(t)
	oldRoot, freshRoot := s.charters[0].Root(), s.charters[2].Root()
	for _, c := range []struct {
		name  string
		notes [][]byte
		pin   site.Digest
		want  int64
	}{
		{"from the first root", s.notes, oldRoot, 4},
		{"from a later root", s.notes, freshRoot, 4},
		{"from whatever comes first", s.notes, site.Digest{}, 4},
		{"the beginning alone", s.notes[:2], oldRoot, 2},
		{"without the beginning", s.notes[2:], freshRoot, 4},
		{"a beginning between", s.notes[1:], freshRoot, 4},
	} {
		chain, err := OpenChain(c.notes, c.pin)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if chain.Latest().Version != c.want || len(chain.Notes()) != len(c.notes) || len(chain.Charters()) != len(c.notes) {
			t.Errorf("%s: at version %d, with %d notes", c.name, chain.Latest().Version, len(chain.Notes()))
		}
	}
}

// What came before the pinned root is vouched for by digests: the keys that
// signed it may be lost.
func TestOpenChainNeedsNoSignaturesBeforeThePin(t *testing.T) {
	s := newStory(t)
	s.notes[0] = signed(t, s.charters[0], rootKeys(t, 1)...)
	if _, err := OpenChain(s.notes, s.charters[2].Root()); err != nil {
		t.Error(err)
	}
	if _, err := OpenChain(s.notes, s.charters[0].Root()); !errors.Is(err, site.Untrusted) {
		t.Errorf("pinned to the first root: %v", err)
	}
}

func TestOpenChainRefuses(t *testing.T) {
	s := newStory(t)
	forged := s.charters[0]
	forged.Minimum = 9
	first := signed(t, forged, s.old...)
	strangers := rootKeys(t, 1)
	self := ruledBy(t, strangers, 1)
	oldRoot, freshRoot := s.charters[0].Root(), s.charters[2].Root()
	for _, c := range []struct {
		name  string
		notes [][]byte
		pin   site.Digest
		class *site.Class
	}{
		{"nothing", nil, oldRoot, site.Untrusted},
		{"a hierarchy of strangers", [][]byte{signed(t, self, strangers...)}, oldRoot, site.Untrusted},
		{"the root is never reached", s.notes[:2], freshRoot, site.Untrusted},
		{"another first charter before the pin", [][]byte{first, s.notes[1], s.notes[2]}, freshRoot, site.Conflict},
		{"a hole before the pin", [][]byte{s.notes[0], s.notes[2]}, freshRoot, site.Conflict},
		{"a hole after the pin", [][]byte{s.notes[0], s.notes[2]}, oldRoot, site.Held},
		{"the pinned root did not sign", [][]byte{signed(t, s.charters[0], strangers...)}, oldRoot, site.Untrusted},
		{"the new root did not sign", [][]byte{s.notes[0], s.notes[1], signed(t, s.charters[2], s.old...)}, oldRoot, site.Untrusted},
		{"the old root did not sign", [][]byte{s.notes[0], s.notes[1], signed(t, s.charters[2], s.fresh...)}, oldRoot, site.Untrusted},
		{"rubbish", [][]byte{s.notes[0], []byte("rubbish")}, oldRoot, site.Damaged},
	} {
		if chain, err := OpenChain(c.notes, c.pin); !errors.Is(err, c.class) {
			t.Errorf("%s: version %d, %v", c.name, chain.Latest().Version, err)
		}
	}
}

func TestExtend(t *testing.T) {
	s := newStory(t)
	chain, err := OpenChain(s.notes[:1], s.charters[0].Root())
	if err != nil {
		t.Fatal(err)
	}
	longer, err := chain.Extend(s.notes[1])
	if err != nil || longer.Latest().Version != 2 || chain.Latest().Version != 1 {
		t.Fatalf("version %d from %d, %v", longer.Latest().Version, chain.Latest().Version, err)
	}
	same, err := longer.Extend(s.notes[0])
	if err != nil || same.Latest().Version != 2 {
		t.Errorf("an old charter again: version %d, %v", same.Latest().Version, err)
	}
	held, err := longer.Extend(s.notes[3])
	if !errors.Is(err, site.Held) || held.Latest().Version != 2 {
		t.Errorf("a hole: version %d, %v", held.Latest().Version, err)
	}
}

func TestExtendTellsAForkFromAForgery(t *testing.T) {
	s := newStory(t)
	chain, err := OpenChain(s.notes, s.charters[0].Root())
	if err != nil {
		t.Fatal(err)
	}
	other := s.charters[1]
	other.Minimum = 9
	if _, err := chain.Extend(signed(t, other, s.old...)); !errors.Is(err, site.Conflict) {
		t.Errorf("another charter 2, signed by the root: %v", err)
	}
	if _, err := chain.Extend(signed(t, other, rootKeys(t, 1)...)); !errors.Is(err, site.Untrusted) {
		t.Errorf("another charter 2, signed by a stranger: %v", err)
	}
	first := s.charters[0]
	first.Minimum = 9
	if _, err := chain.Extend(signed(t, first, s.old...)); !errors.Is(err, site.Conflict) {
		t.Errorf("another charter 1, signed by the root: %v", err)
	}
}

func TestExtendNothing(t *testing.T) {
	if _, err := (Chain{}).Extend(newStory(t).notes[0]); !errors.Is(err, site.Untrusted) {
		t.Error(err)
	}
}
