package store

import (
	"context"
	"errors"
	"fmt"

	"fardel/site"
	"fardel/site/journal"
)

// A Report is what [Store.Verify] has seen.
type Report struct {
	Records map[Collection]int64 // records that were read, by collection
	Logs    int                  // logs whose trees were computed again
	Damage  []string             // what is wrong, in words; at most 20
}

const maxDamage = 20

func (r *Report) bad(err error) {
	if err != nil && len(r.Damage) < maxDamage {
		r.Damage = append(r.Damage, err.Error())
	}
}

// Verify reads every record and compares checksums, counts and, for each log,
// entries, rows, subtrees and root with each other. If anything is wrong it
// returns a [site.StateDamaged] fault, with the particulars in the report.
func (s *Store) Verify(ctx context.Context) (Report, error) {
	r := Report{Records: map[Collection]int64{}}
	err := s.View(func(t *Tx) error {
		for _, c := range collections {
			if err := t.verifyCollection(ctx, c, &r); err != nil {
				return err
			}
		}
		cur := t.cursor(full(Heads, ""))
		defer cur.close()
		err := cur.seek("")
		for ; err == nil && cur.ok; err = cur.next() {
			if err := interrupted(ctx); err != nil {
				return err
			}
			if err := t.verifyLog(ctx, cur.key, &r); err != nil {
				if !errors.Is(err, site.StateDamaged) {
					return err
				}
				r.bad(err)
			}
			r.Logs++
		}
		r.bad(err)
		return nil
	})
	if err == nil && len(r.Damage) > 0 {
		err = damaged("%d or more faults were found in the state; the first: %s", len(r.Damage), r.Damage[0])
	}
	return r, err
}

func interrupted(ctx context.Context) error {
	if ctx.Err() != nil {
		return site.Interrupted.New("interrupted while the state was checked").Because(ctx.Err())
	}
	return nil
}

func (t *Tx) verifyCollection(ctx context.Context, c Collection, r *Report) error {
	want, err := t.tally(c)
	if err != nil {
		r.bad(err)
		want.count = -1
	}
	var seen tally
	cur := t.cursor(full(c, ""))
	defer cur.close()
	err = cur.seek("")
	for ; err == nil && cur.ok; err = cur.next() {
		if seen.count%1000 == 0 {
			if err := interrupted(ctx); err != nil {
				return err
			}
		}
		_, tag, verr := cur.value()
		r.bad(verr)
		seen.add(tally{1, tag})
	}
	r.bad(err)
	r.Records[c] = seen.count
	if want.count >= 0 && seen != want {
		r.bad(fmt.Errorf("the %s are not those that were written: %d, and there should be %d", c, seen.count, want.count))
	}
	return nil
}

// recount compares the number of records in each collection with the count,
// without reading the values. It is for the start after a crash.
func (t *Tx) recount() error {
	for _, c := range collections {
		want, err := t.Count(c)
		if err != nil {
			return err
		}
		var seen int64
		cur := t.cursor(full(c, ""))
		err = cur.seek("")
		for ; err == nil && cur.ok; err = cur.next() {
			seen++
		}
		cur.close()
		if err != nil {
			return err
		}
		if seen != want {
			return damaged("%d %s are here, and there should be %d", seen, c, want)
		}
	}
	return nil
}

// verifyLog computes the tree of the log whose head has this key, from the
// entries alone, and compares all that was derived from them.
func (t *Tx) verifyLog(ctx context.Context, key string, r *Report) error {
	id, ok := parseLogKey(key[1:])
	if !ok {
		return damaged("a head belongs to no log")
	}
	h, _, err := t.head(key)
	if err != nil {
		return err
	}
	w := newEntryWriter(id, h.Epoch, journal.Edge{})
	err = t.lines(id, h.Epoch, 0, h.Edge.Size, func(index int64, line []byte) error {
		if index%1000 == 0 {
			if err := interrupted(ctx); err != nil {
				return err
			}
		}
		w.keys, w.recs = w.keys[:0], w.recs[:0]
		if err := w.add(line); err != nil {
			return damaged("entry %d of %s is malformed", index, id).Because(err)
		}
		// The first record is the entry itself.
		for i, key := range w.keys[1:] {
			rec, ok, err := t.lookup(key)
			if err == nil && (!ok || string(rec) != string(w.recs[1+i])) {
				err = damaged("%s does not fit its entry", describe(key))
			}
			r.bad(err)
		}
		return nil
	})
	if err == nil && w.edge.Root() != h.Edge.Root() {
		err = damaged("the entries of %s have another root than its head", id)
	}
	return err
}
