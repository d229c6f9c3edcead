package media

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"filippo.io/age"
	"golang.org/x/mod/sumdb/note"

	"fardel/fixtures/vectors"
	"fardel/site"
)

// Every vector, through the reader that it names: the verdict must be exact.
func TestVectors(t *testing.T) {
	all, err := vectors.All()
	if err != nil {
		t.Fatal(err)
	}
	readers := map[string]func(vectors.Vector) error{
		"label": readLabelVector, "lines": readLinesVector, "body": readBodyVector,
		"segment": readSegmentVector, "bundle": readBundleVector, "entry": readEntryVector,
	}
	for _, v := range all {
		t.Run(v.Name, func(t *testing.T) {
			err := readers[v.Reads](v)
			if got := verdict(err); got != v.Expect {
				t.Errorf("%s The verdict is %s, want %s: %v", v.About, got, v.Expect, err)
			}
		})
	}
}

// verdict names the class of a fault as the vectors do.
func verdict(err error) string {
	switch {
	case err == nil:
		return vectors.OK
	case errors.Is(err, site.Untrusted):
		return vectors.Untrusted
	case errors.Is(err, site.WrongKey):
		return vectors.WrongKey
	case errors.Is(err, site.TooNew):
		return vectors.TooNew
	case errors.Is(err, site.Damaged) && errors.Is(err, ErrLimit):
		return vectors.Limit
	case errors.Is(err, site.Damaged) && errors.Is(err, ErrMalformed):
		return vectors.Malformed
	case errors.Is(err, site.Damaged):
		return vectors.Damaged
	}
	return fmt.Sprintf("no verdict but %T", err)
}

func readLabelVector(v vectors.Vector) error {
	var known []note.Verifier
	for _, key := range strings.Fields(v.Fact("verifiers")) {
		k, err := note.NewVerifier(key)
		if err != nil {
			return err
		}
		known = append(known, k)
	}
	l, _, err := OpenLabel(v.Data, note.VerifierList(known...))
	if err != nil {
		return err
	}
	return l.Understood()
}

func readLinesVector(v vectors.Vector) error {
	_, err := readBody(bytes.NewReader(v.Data))
	return err
}

func readBodyVector(v vectors.Vector) error {
	id, err := ParseIdentity(v.Fact("key"))
	if err != nil {
		return err
	}
	max, err := v.Number("max")
	if err != nil {
		return err
	}
	in, err := OpenBody(bytes.NewReader(v.Data), []age.Identity{id}, max)
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = readBody(in)
	return err
}

// vectorFile returns the facts of a file and the number under the keyword.
func vectorFile(v vectors.Vector, keyword string) (File, int64, error) {
	d, err := site.ParseDigest(v.Fact("digest"))
	size, err2 := v.Number("size")
	n, err3 := v.Number(keyword)
	return File{d, size}, n, errors.Join(err, err2, err3)
}

func readSegmentVector(v vectors.Vector) error {
	file, plain, err := vectorFile(v, "plain")
	if err != nil {
		return err
	}
	count, err := v.Number("count")
	if err != nil {
		return err
	}
	_, err = readLines(bytes.NewReader(v.Data), Segment{file, v.Fact("key"), 0, count, plain})
	return err
}

// A bundle is read twice, with its items and over them; both must agree.
func readBundleVector(v vectors.Vector) error {
	file, plain, err := vectorFile(v, "plain")
	if err != nil {
		return err
	}
	open := func() (*BundleReader, error) {
		return OpenBundle(bytes.NewReader(v.Data), file, Codec(v.Fact("codec")), v.Fact("key"), plain)
	}
	_, err = readAll(open())
	if over := readOver(open()); verdict(over) != verdict(err) {
		return fmt.Errorf("read over it is %v, else %v", over, err)
	}
	return err
}

func readOver(b *BundleReader, err error) error {
	for err == nil {
		_, _, err = b.Next()
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// Entries are read by package site, whose errors have no class.
func readEntryVector(v vectors.Vector) error {
	if _, err := site.ParseEntry(v.Data); err != nil {
		return malformed("%s", err)
	}
	return nil
}
