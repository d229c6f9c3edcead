package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"

	"fardel/site"
	"fardel/site/journal"
)

// A Head is how far a log has come here. Its edge is the mark: entries above it
// do not exist for readers.
type Head struct {
	Epoch      int64        // counted from 1; 0: nothing is known of the log
	Edge       journal.Edge // of the entries that count
	Checkpoint []byte       // signed note over exactly this edge; nil for an empty log
	Stopped    string       // why the log is quarantined; empty: it is not
}

// Position returns the head as a position.
func (h Head) Position() site.Position {
	return site.Position{Epoch: h.Epoch, Size: h.Edge.Size, Root: site.Digest(h.Edge.Root())}
}

// headRecord is a head as it is stored.
type headRecord struct {
	Checkpoint []byte `json:"checkpoint"`
	Edge       []byte `json:"edge"`
	Epoch      int64  `json:"epoch"`
	Stopped    string `json:"stopped"`
}

// Keys of the log layer begin with the log: the site's code and d or o. Then
// come the epoch and the rest:
//
//	head      LOG                     the current one
//	head      LOG EPOCH               of a former epoch, as it was left
//	entry     LOG EPOCH INDEX         → line
//	subtree   LOG EPOCH N             → root of the n-th complete subtree
//	row       LOG EPOCH KIND 0 OBJECT 0 ^INDEX   → index
const logKeyLen = 4

func logKey(id site.LogID) string { return string(id.Site) + string(id.Log[:1]) }

func parseLogKey(key string) (site.LogID, bool) {
	if len(key) < logKeyLen {
		return site.LogID{}, false
	}
	id := site.LogID{Site: site.Code(key[:3])}
	switch key[3] {
	case 'd':
		id.Log = site.Decisions
	case 'o':
		id.Log = site.Observations
	}
	return id, id.Valid()
}

func be(n int64) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	return string(b[:])
}

func headKey(id site.LogID) string                 { return full(Heads, logKey(id)) }
func oldHeadKey(id site.LogID, epoch int64) string { return full(Heads, logKey(id)+be(epoch)) }

func epochKey(c Collection, id site.LogID, epoch int64) string {
	return full(c, logKey(id)+be(epoch))
}

func entryKey(id site.LogID, epoch, index int64) string {
	return epochKey(Entries, id, epoch) + be(index)
}

func subtreeKey(id site.LogID, epoch, n int64) string {
	return epochKey(Subtrees, id, epoch) + be(n)
}

func rowPrefix(id site.LogID, epoch int64, kind site.Kind) string {
	return epochKey(Rows, id, epoch) + string(kind) + "\x00"
}

func rowKey(id site.LogID, epoch int64, e site.Entry, index int64) string {
	return rowPrefix(id, epoch, e.Kind) + e.ID + "\x00" + be(^index)
}

// logs is what the process remembers of logs beyond their marks. All of it can
// be found out again by reading.
type logs struct {
	mu     sync.Mutex
	busy   map[site.LogID]*sync.Mutex // held by a Stage and by a sweep
	staged map[site.LogID]Head        // where the last finished Stage ended
	clean  map[site.LogID]bool        // known to have nothing beyond the mark
}

func (l *logs) init() {
	l.busy = map[site.LogID]*sync.Mutex{}
	l.staged = map[site.LogID]Head{}
	l.clean = map[site.LogID]bool{}
}

func (l *logs) take(id site.LogID) (giveBack func()) {
	l.mu.Lock()
	m := l.busy[id]
	if m == nil {
		m = &sync.Mutex{}
		l.busy[id] = m
	}
	l.mu.Unlock()
	m.Lock()
	return m.Unlock
}

func (l *logs) stagedAt(id site.LogID) Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.staged[id]
}

func (l *logs) setStaged(id site.LogID, h Head) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.staged[id] = h
}

func (l *logs) isClean(id site.LogID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.clean[id]
}

func (l *logs) setClean(id site.LogID, clean bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clean[id] = clean
}

// Head returns the head of a log, the zero Head if nothing is known of it. The
// caller must not change what its slices hold.
func (t *Tx) Head(id site.LogID) (Head, error) {
	if h, ok := t.heads[id]; ok {
		return h, nil
	}
	if !id.Valid() {
		return Head{}, badLog(id)
	}
	h, _, err := t.head(headKey(id))
	if err == nil {
		t.keep(id, h)
	}
	return h, err
}

func (t *Tx) keep(id site.LogID, h Head) {
	if t.heads == nil {
		t.heads = map[site.LogID]Head{}
	}
	t.heads[id] = h
}

func (t *Tx) head(key string) (Head, bool, error) {
	b, ok, err := t.get(key)
	if err != nil || !ok {
		return Head{}, false, err
	}
	h, err := parseHead(b)
	if err != nil {
		return Head{}, false, damaged("%s has an unknown form", describe(key)).Because(err)
	}
	return h, true, nil
}

func parseHead(b []byte) (Head, error) {
	var r headRecord
	if err := site.DecodeCanonical(b, &r); err != nil {
		return Head{}, err
	}
	h := Head{Epoch: r.Epoch, Checkpoint: r.Checkpoint, Stopped: r.Stopped}
	if err := h.Edge.UnmarshalBinary(r.Edge); err != nil {
		return Head{}, err
	}
	if h.Checkpoint != nil && len(h.Checkpoint) == 0 {
		return Head{}, errors.New("an empty checkpoint")
	}
	return h, validHead(h)
}

func validHead(h Head) error {
	if h.Epoch < 1 || !site.InRange(h.Epoch) || !h.Edge.Valid() {
		return fmt.Errorf("head of epoch %d and size %d", h.Epoch, h.Edge.Size)
	}
	return nil
}

func encodeHead(h Head) ([]byte, error) {
	edge, err := h.Edge.MarshalBinary()
	if err != nil {
		return nil, err
	}
	if len(h.Checkpoint) == 0 {
		h.Checkpoint = nil // one spelling for none
	}
	return site.Canonical(headRecord{Checkpoint: h.Checkpoint, Edge: edge, Epoch: h.Epoch, Stopped: h.Stopped})
}

func (t *Tx) putHead(key string, h Head) error {
	b, err := encodeHead(h)
	if err != nil {
		return err
	}
	return t.put(key, b)
}

// Heads calls fn for each log that is known here, in order of site and log.
func (t *Tx) Heads(fn func(id site.LogID, h Head) error) error {
	return t.Scan(Heads, "", func(key string, value []byte) error {
		id, ok := parseLogKey(key)
		if !ok {
			return damaged("a head belongs to no log")
		}
		if len(key) > logKeyLen {
			return nil // of a former epoch
		}
		h, err := parseHead(value)
		if err != nil {
			return damaged("the head of %s has an unknown form", id).Because(err)
		}
		return fn(id, h)
	})
}

// SetHead moves the mark of a log forward, to entries that [Store.Stage] has
// written, or changes the checkpoint or the quarantine at the same mark. It does
// not move it back, nor to a root that the entries here do not have. A new
// epoch replaces the one before as a whole; the positions of that one can still
// be checked until [Store.Prune].
func (t *Tx) SetHead(id site.LogID, h Head) error {
	if !id.Valid() {
		return badLog(id)
	}
	if err := validHead(h); err != nil {
		return site.Internal.New("%s: %v", id, err).In("Nothing was changed")
	}
	if t.top == nil {
		return errReadOnly
	}
	now, err := t.Head(id)
	if err != nil {
		return err
	}
	if err := t.mayMove(id, now, h); err != nil {
		return err
	}
	if h.Epoch > now.Epoch && now.Epoch > 0 {
		if err := t.putHead(oldHeadKey(id, now.Epoch), now); err != nil {
			return err
		}
	}
	if err := t.putHead(headKey(id), h); err != nil {
		return err
	}
	t.keep(id, h)
	return nil
}

func (t *Tx) mayMove(id site.LogID, now, next Head) error {
	from := journal.Edge{}
	if next.Epoch == now.Epoch {
		from = now.Edge
	}
	if next.Epoch < now.Epoch || next.Edge.Size < from.Size {
		return site.Internal.New("%s stands at epoch %d, size %d and shall go back to epoch %d, size %d",
			id, now.Epoch, now.Edge.Size, next.Epoch, next.Edge.Size).In("Nothing was changed")
	}
	root := next.Edge.Root()
	if s := t.s.logs.stagedAt(id); s.Epoch == next.Epoch && s.Edge.Size == next.Edge.Size && s.Edge.Root() == root {
		return nil
	}
	// Not what the last Stage of this process has written: what is there must
	// speak for itself.
	for i := from.Size; i < next.Edge.Size; i++ {
		line, ok, err := t.get(entryKey(id, next.Epoch, i))
		if err != nil {
			return err
		}
		if !ok {
			return site.Internal.New("entry %d of %s was not staged", i, id).In("Nothing was changed")
		}
		from.Append(journal.LeafHash(line))
	}
	if from.Root() != root {
		return site.Internal.New("the entries of %s have another root than its new head", id).In("Nothing was changed")
	}
	return nil
}

// A leftover is the error of an Append that finds entries beyond the mark.
// Update sweeps them and tries again.
type leftover struct{ id site.LogID }

func (l leftover) Error() string { return "store: " + l.id.String() + " has entries beyond its mark" }

// Append adds entries to a log that is written here: entries, rows, subtrees
// and head in one transaction, so a few thousand at most. The checkpoint is
// signed by sign; if that fails, or the log is stopped, nothing is added. A log
// that does not exist begins with epoch 1.
func (t *Tx) Append(id site.LogID, lines [][]byte, sign func(journal.Checkpoint) ([]byte, error), hierarchy string) (Head, error) {
	h, err := t.Head(id)
	if err != nil || len(lines) == 0 {
		return h, err
	}
	if t.top == nil {
		return Head{}, errReadOnly
	}
	if h.Stopped != "" {
		return Head{}, site.Conflict.New("%s is stopped: %s", id, h.Stopped).In("Nothing was added")
	}
	h.Epoch = max(h.Epoch, 1)
	if !t.s.logs.isClean(id) {
		beyond, err := t.beyond(id, h)
		if err != nil {
			return Head{}, err
		}
		if beyond {
			return Head{}, leftover{id}
		}
		t.s.logs.setClean(id, true)
	}
	w := newEntryWriter(id, h.Epoch, h.Edge)
	for _, line := range lines {
		if err := w.add(line); err != nil {
			return Head{}, err
		}
	}
	if err := w.into(t); err != nil {
		return Head{}, err
	}
	h.Edge = w.edge
	h.Checkpoint, err = sign(journal.Checkpoint{
		Origin: journal.Origin{Hierarchy: hierarchy, LogID: id, Epoch: h.Epoch},
		Size:   h.Edge.Size,
		Root:   h.Edge.Root(),
	})
	if err != nil {
		return Head{}, err
	}
	if err := t.putHead(headKey(id), h); err != nil {
		return Head{}, err
	}
	t.keep(id, h)
	return h, nil
}

// beyond reports whether anything of the log lies beyond the head.
func (t *Tx) beyond(id site.LogID, h Head) (bool, error) {
	cur := t.cursor(full(Entries, logKey(id)))
	defer cur.close()
	err := cur.seek(entryKey(id, h.Epoch, h.Edge.Size))
	return cur.ok, err
}

func badLog(id site.LogID) error {
	return site.Internal.New("%.40q is no log", id.String()).In("Nothing was changed")
}

// lastRow is the part of a row's key that comes first among those below size.
func lastRow(size int64) string {
	if size <= 0 {
		return be(math.MinInt64) // ^MaxInt64: no row has it
	}
	return be(^(size - 1))
}
