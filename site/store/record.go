package store

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"fardel/site"
)

// A Collection is a set of records with a count of its own.
type Collection byte

// The collections. Callers put what they like into Records, under keys that
// begin with a word and a slash, such as "parcel/HQ0-FLD-000042"; the others
// are kept by the log layer and are read-only to everyone else.
const (
	Records  Collection = 'r'
	Heads    Collection = 'h'
	Entries  Collection = 'e'
	Subtrees Collection = 's'
	Rows     Collection = 'w'
)

// meta holds the tallies and the number of the last commit. It has no tally.
const meta Collection = 'm'

var collections = []Collection{Records, Heads, Entries, Subtrees, Rows}

// String returns the collection's name in messages.
func (c Collection) String() string {
	switch c {
	case Records:
		return "records"
	case Heads:
		return "heads"
	case Entries:
		return "entries"
	case Subtrees:
		return "subtrees"
	case Rows:
		return "rows"
	case meta:
		return "counts"
	}
	return fmt.Sprintf("collection %d", byte(c))
}

// A record on disk is: version, length of the value, tag, value. The tag is
// bound to the key, so that a value which the engine returns for another key is
// noticed too.
const (
	recordVersion = 1
	recordHeader  = 1 + 4 + len(tag{})
	maxKey        = 1 << 10
	maxValue      = 8 << 20
)

// A tag is the first half of the SHA-256 over key and value.
type tag [16]byte

func (t *tag) xor(o tag) {
	for i := range t {
		t[i] ^= o[i]
	}
}

func tagOf(key string, value []byte) tag {
	var stack [1024]byte
	buf := append(append(stack[:0], key...), value...)
	sum := sha256.Sum256(buf)
	return tag(sum[:len(tag{})])
}

// seal returns the record for a value. The key includes its collection.
func seal(key string, value []byte) []byte {
	rec := make([]byte, recordHeader, recordHeader+len(value))
	rec[0] = recordVersion
	binary.BigEndian.PutUint32(rec[1:], uint32(len(value)))
	t := tagOf(key, value)
	copy(rec[5:], t[:])
	return append(rec, value...)
}

// open returns the value of a record, which shares memory with it, and its tag.
func open(key string, rec []byte) ([]byte, tag, error) {
	if len(rec) < recordHeader {
		return nil, tag{}, damaged("%s is empty or cut short", describe(key))
	}
	if rec[0] != recordVersion {
		return nil, tag{}, damaged("%s has an unknown form", describe(key))
	}
	value, t := rec[recordHeader:], tag(rec[5:recordHeader])
	if uint32(len(value)) != binary.BigEndian.Uint32(rec[1:]) || tagOf(key, value) != t {
		return nil, tag{}, damaged("%s does not match its checksum", describe(key))
	}
	return value, t, nil
}

// full returns the engine's key.
func full(c Collection, key string) string { return string([]byte{byte(c)}) + key }

// damaged returns the one fault for everything that must not be so.
func damaged(format string, args ...any) *site.Fault {
	return site.StateDamaged.New(format, args...).
		In("Nothing was changed").
		Then("Check the disk, then restore the state from a backup; lost entries come back with the next parcels.")
}

// describe says in words what an engine's key stands for.
func describe(key string) string {
	if key == "" {
		return "a record"
	}
	c, rest := Collection(key[0]), key[1:]
	switch c {
	case Records:
		return fmt.Sprintf("the record %.60q", rest)
	case Heads:
		if id, ok := parseLogKey(rest); ok {
			return "the head of " + id.String()
		}
	case Entries, Subtrees:
		if id, ok := parseLogKey(rest); ok && len(rest) == logKeyLen+16 {
			what := "entry"
			if c == Subtrees {
				what = "subtree"
			}
			return fmt.Sprintf("%s %d of %s", what, binary.BigEndian.Uint64([]byte(rest[logKeyLen+8:])), id)
		}
	case Rows:
		if id, ok := parseLogKey(rest); ok {
			return "a row of " + id.String()
		}
	}
	return "a record of the " + c.String()
}

// A tally is what is known about a whole collection.
type tally struct {
	count int64
	sum   tag // of all records' tags
}

func (t *tally) add(o tally) {
	t.count += o.count
	t.sum.xor(o.sum)
}

func (t tally) encode() []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(t.count)), t.sum[:]...)
}

func parseTally(b []byte) (tally, error) {
	if len(b) != 8+len(tag{}) {
		return tally{}, damaged("a count has %d bytes", len(b))
	}
	t := tally{count: int64(binary.BigEndian.Uint64(b)), sum: tag(b[8:])}
	if t.count < 0 {
		return tally{}, damaged("a count is negative")
	}
	return t, nil
}

func tallyKey(c Collection) string { return full(meta, "count/"+string([]byte{byte(c)})) }

var commitsKey = full(meta, "commits")
