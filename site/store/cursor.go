package store

import (
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/dgraph-io/badger/v4"
)

// A cursor walks over the records under a prefix, those in the engine and those
// that are still to be written, in order of their keys. The pending ones are as
// they were when the cursor was made.
type cursor struct {
	it      *badger.Iterator
	prefix  string
	pending []string // keys of the layers, sorted
	recs    map[string][]byte
	i       int // next of pending

	ok  bool
	key string
	// rec is set if the record comes from a layer.
	rec []byte
}

// cursor returns a cursor that must be closed. It stands nowhere until the
// first seek.
func (t *Tx) cursor(prefix string) *cursor {
	c := &cursor{prefix: prefix}
	for _, l := range []*layer{t.below, t.top} {
		if l == nil {
			continue
		}
		for key, rec := range l.writes {
			if strings.HasPrefix(key, prefix) {
				if c.recs == nil {
					c.recs = map[string][]byte{}
				}
				c.recs[key] = rec
			}
		}
	}
	c.pending = slices.Sorted(maps.Keys(c.recs))
	opt := badger.DefaultIteratorOptions
	opt.PrefetchValues = false
	opt.Prefix = []byte(prefix)
	c.it = t.snap.NewIterator(opt)
	return c
}

func (c *cursor) close() { c.it.Close() }

// seek moves to the first record at or after the key; "" is the first of all.
func (c *cursor) seek(key string) error {
	if key == "" {
		key = c.prefix
	}
	return protect(func() error {
		c.it.Seek([]byte(key))
		c.i = sort.SearchStrings(c.pending, key)
		c.settle()
		return nil
	})
}

// next moves to the record after this one.
func (c *cursor) next() error {
	return protect(func() error {
		if c.rec != nil {
			c.i++
		} else {
			c.it.Next()
		}
		c.settle()
		return nil
	})
}

// settle finds the smaller of the two candidates. A pending record hides the
// engine's record of the same key, and a pending deletion hides both.
func (c *cursor) settle() {
	for {
		inEngine := c.it.ValidForPrefix([]byte(c.prefix))
		if c.i == len(c.pending) {
			c.ok, c.rec = inEngine, nil
			if inEngine {
				c.key = string(c.it.Item().Key())
			}
			return
		}
		key := c.pending[c.i]
		if inEngine {
			if k := string(c.it.Item().Key()); k < key {
				c.ok, c.key, c.rec = true, k, nil
				return
			} else if k == key {
				c.it.Next()
			}
		}
		if rec := c.recs[key]; rec != nil {
			c.ok, c.key, c.rec = true, key, rec
			return
		}
		c.i++
	}
}

// value returns the checked value of the record that the cursor stands on, and
// its tag.
func (c *cursor) value() ([]byte, tag, error) {
	rec := c.rec
	if rec == nil {
		err := protect(func() (err error) {
			rec, err = c.it.Item().ValueCopy(nil)
			return err
		})
		if err != nil {
			return nil, tag{}, damaged("%s cannot be read", describe(c.key)).Because(shorten(err))
		}
	}
	return open(c.key, rec)
}
