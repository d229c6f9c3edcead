package store

import (
	"errors"
	"fmt"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"fardel/site"
)

// A Tx reads one state of the store and, within [Store.Update], collects the
// changes to it. It is good only until the function that was given it returns,
// and for one goroutine.
type Tx struct {
	s     *Store
	snap  *badger.Txn
	below *layer // earlier changes of the same commit; nil in a View
	top   *layer // changes of this Tx; nil in a View
	heads map[site.LogID]Head
}

// A layer holds changes that are not in the engine yet.
type layer struct {
	writes map[string][]byte // sealed records; nil deletes
	tally  map[Collection]tally
	size   int64 // what the engine will count
}

func newLayer() *layer {
	return &layer{writes: map[string][]byte{}, tally: map[Collection]tally{}}
}

func (l *layer) put(key string, rec []byte) {
	l.writes[key] = rec
	l.size += cost(key, rec)
}

func (l *layer) count(c Collection, d tally) {
	t := l.tally[c]
	t.add(d)
	l.tally[c] = t
}

// cost is at least what the engine counts for a record towards the size of a
// transaction.
func cost(key string, rec []byte) int64 {
	n := len(rec)
	if n >= valueThreshold {
		n = 12 // a pointer
	}
	return int64(len(key) + n + 32)
}

// Get returns the value under the key. A record that is there but cannot be
// read, or is not what was put, is a [site.StateDamaged] fault; false is
// returned only if there is none.
func (t *Tx) Get(c Collection, key string) ([]byte, bool, error) {
	return t.get(full(c, key))
}

func (t *Tx) get(key string) ([]byte, bool, error) {
	rec, ok, err := t.lookup(key)
	if err != nil || !ok {
		return nil, false, err
	}
	value, _, err := open(key, rec)
	return value, err == nil, err
}

// must is get for records that have to be there.
func (t *Tx) must(key string) ([]byte, error) {
	value, ok, err := t.get(key)
	if err == nil && !ok {
		err = damaged("%s is missing", describe(key))
	}
	return value, err
}

func (t *Tx) lookup(key string) (rec []byte, ok bool, err error) {
	for _, l := range []*layer{t.top, t.below} {
		if l == nil {
			continue
		}
		if rec, ok := l.writes[key]; ok {
			return rec, rec != nil, nil
		}
	}
	err = protect(func() error {
		item, err := t.snap.Get([]byte(key))
		if errors.Is(err, badger.ErrKeyNotFound) {
			return nil
		}
		if err != nil {
			return damaged("%s cannot be read", describe(key)).Because(shorten(err))
		}
		// The engine answers with nothing, and no error, if it cannot read
		// the value: open refuses that.
		rec, err = item.ValueCopy(nil)
		if err != nil {
			return damaged("%s cannot be read", describe(key)).Because(shorten(err))
		}
		ok = true
		return nil
	})
	return rec, ok, err
}

var errReadOnly = errors.New("store: a View changes nothing")

// Put sets the value under a key of [Records]. The value may be at most 8 MiB;
// what is large belongs into the library.
func (t *Tx) Put(c Collection, key string, value []byte) error {
	if err := writable(c, key); err != nil {
		return err
	}
	if len(value) > maxValue {
		return fmt.Errorf("store: value of %d bytes under %.60q; the limit is %d", len(value), key, maxValue)
	}
	return t.put(full(c, key), value)
}

// Delete removes the value under a key of [Records], if there is one.
func (t *Tx) Delete(c Collection, key string) error {
	if err := writable(c, key); err != nil {
		return err
	}
	return t.delete(full(c, key))
}

func writable(c Collection, key string) error {
	if c != Records {
		return fmt.Errorf("store: %s are written by the log layer only", c)
	}
	if len(key) == 0 || len(key) > maxKey {
		return fmt.Errorf("store: key of %d bytes", len(key))
	}
	return nil
}

func (t *Tx) put(key string, value []byte) error {
	if t.top == nil {
		return errReadOnly
	}
	rec := seal(key, value)
	d := tally{1, tag(rec[5:recordHeader])}
	old, ok, err := t.lookup(key)
	if err != nil {
		return err
	}
	if ok {
		_, oldTag, err := open(key, old)
		if err != nil {
			return err
		}
		d.add(tally{-1, oldTag})
	}
	t.top.count(Collection(key[0]), d)
	t.top.put(key, rec)
	return nil
}

// putNew is put for a key that is known to be absent; it spares the look-up.
func (t *Tx) putNew(key string, rec []byte) error {
	if t.top == nil {
		return errReadOnly
	}
	t.top.count(Collection(key[0]), tally{1, tag(rec[5:recordHeader])})
	t.top.put(key, rec)
	return nil
}

func (t *Tx) delete(key string) error {
	if t.top == nil {
		return errReadOnly
	}
	old, ok, err := t.lookup(key)
	if err != nil || !ok {
		return err
	}
	_, oldTag, err := open(key, old)
	if err != nil {
		return err
	}
	t.top.count(Collection(key[0]), tally{-1, oldTag})
	t.top.put(key, nil)
	return nil
}

// Count returns the number of records in the collection, without reading them.
func (t *Tx) Count(c Collection) (int64, error) {
	n, err := t.tally(c)
	return n.count, err
}

func (t *Tx) tally(c Collection) (tally, error) {
	b, err := t.must(tallyKey(c))
	if err != nil {
		return tally{}, err
	}
	n, err := parseTally(b)
	if err != nil {
		return tally{}, err
	}
	for _, l := range []*layer{t.below, t.top} {
		if l != nil {
			n.add(l.tally[c])
		}
	}
	return n, nil
}

// Scan calls fn for each record whose key begins with prefix, in order of the
// keys, as they were when Scan began. The values are fn's to keep. If the
// prefix is empty, what was seen is compared with the count.
func (t *Tx) Scan(c Collection, prefix string, fn func(key string, value []byte) error) error {
	cur := t.cursor(full(c, prefix))
	defer cur.close()
	var seen int64
	want := int64(-1)
	if prefix == "" {
		n, err := t.Count(c)
		if err != nil {
			return err
		}
		want = n
	}
	for err := cur.seek(""); ; err = cur.next() {
		if err != nil {
			return err
		}
		if !cur.ok {
			break
		}
		value, _, err := cur.value()
		if err != nil {
			return err
		}
		seen++
		if err := fn(strings.Clone(cur.key[1:]), value); err != nil {
			return err
		}
	}
	if want >= 0 && seen != want {
		return damaged("%d %s are here, and there should be %d", seen, c, want)
	}
	return nil
}

// GetJSON returns the value that [PutJSON] put under a key of [Records].
func GetJSON[T any](t *Tx, key string) (T, bool, error) {
	var v T
	b, ok, err := t.Get(Records, key)
	if err != nil || !ok {
		return v, false, err
	}
	if err := site.DecodeCanonical(b, &v); err != nil {
		return v, false, damaged("the record %.60q has an unknown form", key).Because(err)
	}
	return v, true, nil
}

// PutJSON puts v, as canonical JSON, under a key of [Records].
func PutJSON(t *Tx, key string, v any) error {
	b, err := site.Canonical(v)
	if err != nil {
		return fmt.Errorf("store: %.60q: %w", key, err)
	}
	return t.Put(Records, key, b)
}
