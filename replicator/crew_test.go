package replicator

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"fardel/media"
	"fardel/site"
	"fardel/site/library"
)

func wholeItem(data []byte) media.Item {
	n := int64(len(data))
	return media.Item{Kind: media.Whole, Digest: site.DigestOf(data), Size: n, Length: n}
}

// A crew takes small and large files in any number, and all of them are there
// after the batch was committed.
func TestCrew(t *testing.T) {
	lib, err := library.Open([]string{t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer lib.Close()
	batch := lib.Begin(func(site.Digest) bool { return true })
	c := newCrew(batch, 3)
	var want []site.Digest
	for i, size := range []int{0, 1, 100, crewFile, crewFile + 1, 3 << 20, 70_000, 5, 6, 7} {
		data := bytes.Repeat([]byte{byte(i)}, size)
		want = append(want, site.DigestOf(data))
		if err := c.receive(wholeItem(data), bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(c.wait(), batch.Commit()); err != nil {
		t.Fatal(err)
	}
	for i, d := range want {
		if err := lib.Verify(t.Context(), d); err != nil {
			t.Errorf("file %d: %v", i, err)
		}
	}
}

// One wrong file among many is told at the latest by wait, so that the batch is
// never committed with it.
func TestCrewTellsOfWrongFiles(t *testing.T) {
	lib, err := library.Open([]string{t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer lib.Close()
	for wrong := range 8 {
		batch := lib.Begin(func(site.Digest) bool { return true })
		c := newCrew(batch, 2)
		for i := range 8 {
			data := fmt.Appendf(nil, "file %d", i)
			it := wholeItem(data)
			if i == wrong {
				data[0] ^= 1
			}
			c.receive(it, bytes.NewReader(data))
		}
		if err := c.wait(); !errors.Is(err, site.Damaged) {
			t.Errorf("file %d is wrong: %v, want %v", wrong, err, site.Damaged)
		}
		batch.Abort()
	}
}
