package store

import (
	"encoding/binary"
	"slices"
	"strings"

	"fardel/site"
	"fardel/site/journal"
)

// Entry returns the line with this index, counted from 0, in the current epoch
// of the log; [site.NoSuch] if it lies at or above the mark.
func (t *Tx) Entry(id site.LogID, index int64) ([]byte, error) {
	h, err := t.Head(id)
	if err != nil {
		return nil, err
	}
	if index < 0 || index >= h.Edge.Size {
		return nil, site.NoSuch.New("%s has %d entries, and no entry %d", id, h.Edge.Size, index)
	}
	return t.must(entryKey(id, h.Epoch, index))
}

// Lines calls fn for the entries from the index from up to, and without, to, in
// order. The lines are fn's to keep. [site.NoSuch] if to is above the mark.
func (t *Tx) Lines(id site.LogID, from, to int64, fn func(index int64, line []byte) error) error {
	h, err := t.Head(id)
	if err != nil {
		return err
	}
	if from < 0 || from > to || to > h.Edge.Size {
		return site.NoSuch.New("%s has %d entries, and not those from %d to %d", id, h.Edge.Size, from, to)
	}
	return t.lines(id, h.Epoch, from, to, fn)
}

func (t *Tx) lines(id site.LogID, epoch, from, to int64, fn func(index int64, line []byte) error) error {
	if from == to {
		return nil
	}
	cur := t.cursor(epochKey(Entries, id, epoch))
	defer cur.close()
	err := cur.seek(entryKey(id, epoch, from))
	for index := from; index < to; index++ {
		if err != nil {
			return err
		}
		if key := entryKey(id, epoch, index); !cur.ok || cur.key != key {
			return damaged("%s is missing", describe(key))
		}
		line, _, verr := cur.value()
		if verr != nil {
			return verr
		}
		if err := fn(index, line); err != nil {
			return err
		}
		err = cur.next()
	}
	return err
}

// Since calls fn for the entries from the index from on up to the mark, those
// of the given kinds only, or all if none is given.
func (t *Tx) Since(id site.LogID, from int64, fn func(e site.Entry, index int64) error, kinds ...site.Kind) error {
	h, err := t.Head(id)
	if err != nil || from >= h.Edge.Size {
		return err
	}
	return t.Lines(id, from, h.Edge.Size, func(index int64, line []byte) error {
		e, err := site.ParseEntry(line)
		if err != nil {
			return damaged("entry %d of %s is malformed", index, id).Because(err)
		}
		if len(kinds) > 0 && !slices.Contains(kinds, e.Kind) {
			return nil
		}
		return fn(e, index)
	})
}

// Latest returns the latest entry about an object, at or below the mark, and
// its index; false if there is none.
func (t *Tx) Latest(id site.LogID, kind site.Kind, object string) (site.Entry, int64, bool, error) {
	h, err := t.Head(id)
	if err != nil || h.Edge.Size == 0 {
		return site.Entry{}, 0, false, err
	}
	prefix := rowPrefix(id, h.Epoch, kind) + object + "\x00"
	cur := t.cursor(prefix)
	defer cur.close()
	if err := cur.seek(prefix + lastRow(h.Edge.Size)); err != nil || !cur.ok {
		return site.Entry{}, 0, false, err
	}
	e, index, err := t.follow(id, h, cur)
	if err == nil && (e.Kind != kind || e.ID != object) {
		err = damaged("a row of %s points at another entry", id)
	}
	return e, index, err == nil, err
}

// Objects calls fn for the latest entry, at or below the mark, about each
// object of a kind, in order of the objects' ids.
func (t *Tx) Objects(id site.LogID, kind site.Kind, fn func(e site.Entry, index int64) error) error {
	h, err := t.Head(id)
	if err != nil || h.Edge.Size == 0 {
		return err
	}
	prefix := rowPrefix(id, h.Epoch, kind)
	cur := t.cursor(prefix)
	defer cur.close()
	err = cur.seek("")
	for err == nil && cur.ok {
		object, _, found := strings.Cut(cur.key[len(prefix):], "\x00")
		if !found {
			return damaged("%s is malformed", describe(cur.key))
		}
		latest := prefix + object + "\x00" + lastRow(h.Edge.Size)
		if cur.key < latest { // it lies beyond the mark
			err = cur.seek(latest)
			continue
		}
		e, index, ferr := t.follow(id, h, cur)
		if ferr != nil {
			return ferr
		}
		if e.Kind != kind || e.ID != object {
			return damaged("a row of %s points at another entry", id)
		}
		if err := fn(e, index); err != nil {
			return err
		}
		// Most objects have few entries, so the next one is tried first.
		if err = cur.next(); err == nil && cur.ok && strings.HasPrefix(cur.key, prefix+object+"\x00") {
			err = cur.seek(prefix + object + "\x01")
		}
	}
	return err
}

// follow returns the entry that the row under the cursor points at.
func (t *Tx) follow(id site.LogID, h Head, cur *cursor) (site.Entry, int64, error) {
	value, _, err := cur.value()
	if err != nil {
		return site.Entry{}, 0, err
	}
	if len(value) != 8 || !strings.HasSuffix(cur.key, be(^int64(binary.BigEndian.Uint64(value)))) {
		return site.Entry{}, 0, damaged("%s is malformed", describe(cur.key))
	}
	index := int64(binary.BigEndian.Uint64(value))
	line, err := t.Entry(id, index)
	if err != nil {
		return site.Entry{}, 0, err
	}
	e, err := site.ParseEntry(line)
	if err != nil {
		return site.Entry{}, 0, damaged("entry %d of %s is malformed", index, id).Because(err)
	}
	return e, index, nil
}

// Tree returns the tree of the log's current epoch, for proofs; it gives out
// nothing beyond the mark. It is good as long as the Tx.
func (t *Tx) Tree(id site.LogID) journal.Tree {
	h, err := t.Head(id)
	return &logTree{t: t, id: id, epoch: h.Epoch, size: h.Edge.Size, err: err}
}

// RootAt returns the root of the first size entries of the current epoch;
// [site.NoSuch] if there are not so many.
func (t *Tx) RootAt(id site.LogID, size int64) (site.Digest, error) {
	h, err := t.Head(id)
	if err != nil {
		return site.Digest{}, err
	}
	return t.rootAt(id, h, size)
}

// Epochs returns the epochs of the log that are kept here, in order; the last
// is the current one.
func (t *Tx) Epochs(id site.LogID) ([]int64, error) {
	h, err := t.Head(id)
	if err != nil || h.Epoch == 0 {
		return nil, err
	}
	var list []int64
	err = t.Scan(Heads, logKey(id), func(key string, _ []byte) error {
		if len(key) == logKeyLen+8 {
			list = append(list, int64(binary.BigEndian.Uint64([]byte(key[logKeyLen:]))))
		}
		return nil
	})
	return append(list, h.Epoch), err
}

// RootAtEpoch is RootAt for the current epoch or one before it that was not
// pruned; [site.NoSuch] for any other.
func (t *Tx) RootAtEpoch(id site.LogID, epoch, size int64) (site.Digest, error) {
	h, err := t.Head(id)
	if err != nil {
		return site.Digest{}, err
	}
	if epoch != h.Epoch {
		old, ok, err := t.head(oldHeadKey(id, epoch))
		if err != nil {
			return site.Digest{}, err
		}
		if !ok {
			return site.Digest{}, site.NoSuch.New("epoch %d of %s is not known here", epoch, id)
		}
		h = old
	}
	return t.rootAt(id, h, size)
}

func (t *Tx) rootAt(id site.LogID, h Head, size int64) (site.Digest, error) {
	if size < 0 || size > h.Edge.Size {
		return site.Digest{}, site.NoSuch.New("epoch %d of %s has %d entries here, and not %d", h.Epoch, id, h.Edge.Size, size)
	}
	if size == h.Edge.Size {
		return site.Digest(h.Edge.Root()), nil
	}
	root, err := journal.RootAt(&logTree{t: t, id: id, epoch: h.Epoch, size: h.Edge.Size}, size)
	return site.Digest(root), err
}

// A logTree reads leaves and subtrees in blocks of 256, because whoever asks
// for one asks for its neighbours next.
type logTree struct {
	t      *Tx
	id     site.LogID
	epoch  int64
	size   int64
	err    error
	leaves map[int64][]journal.Hash
	roots  map[int64][]journal.Hash
}

// keepBlocks bounds the memory of a tree that gives many proofs: 8 KiB each.
const keepBlocks = 64

func (l *logTree) Leaf(n int64) (journal.Hash, error) {
	return l.read(&l.leaves, n, l.size, func(from, to int64, add func(journal.Hash)) error {
		return l.t.lines(l.id, l.epoch, from, to, func(_ int64, line []byte) error {
			add(journal.LeafHash(line))
			return nil
		})
	})
}

func (l *logTree) Subtree(n int64) (journal.Hash, error) {
	return l.read(&l.roots, n, l.size/journal.SubtreeSize, l.readRoots)
}

func (l *logTree) readRoots(from, to int64, add func(journal.Hash)) error {
	cur := l.t.cursor(epochKey(Subtrees, l.id, l.epoch))
	defer cur.close()
	err := cur.seek(subtreeKey(l.id, l.epoch, from))
	for n := from; n < to; n++ {
		if err != nil {
			return err
		}
		key := subtreeKey(l.id, l.epoch, n)
		if !cur.ok || cur.key != key {
			return damaged("%s is missing", describe(key))
		}
		value, _, verr := cur.value()
		if verr != nil {
			return verr
		}
		if len(value) != len(journal.Hash{}) {
			return damaged("%s is malformed", describe(key))
		}
		add(journal.Hash(value))
		err = cur.next()
	}
	return err
}

func (l *logTree) read(blocks *map[int64][]journal.Hash, n, size int64,
	load func(from, to int64, add func(journal.Hash)) error) (journal.Hash, error) {
	if l.err != nil {
		return journal.Hash{}, l.err
	}
	if n < 0 || n >= size {
		return journal.Hash{}, site.NoSuch.New("%s does not reach that far", l.id)
	}
	first := n &^ 255
	block, ok := (*blocks)[first]
	if !ok {
		to := min(first+256, size)
		err := load(first, to, func(h journal.Hash) { block = append(block, h) })
		if err != nil {
			return journal.Hash{}, err
		}
		if *blocks == nil || len(*blocks) >= keepBlocks {
			*blocks = map[int64][]journal.Hash{}
		}
		(*blocks)[first] = block
	}
	return block[n-first], nil
}
