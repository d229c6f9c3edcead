package replicator

import (
	"fmt"
	"io"
	"iter"

	"fardel/media"
	"fardel/site"
	"fardel/site/charter"
	"fardel/site/host"
	"fardel/site/store"

	"filippo.io/age"
)

// Runs of entries above inlineBytes go into segments, and those that several
// destinations may share already above sharedBytes.
//
// A segment holds a power of two of entries, from smallestSegment up to
// largestSegment, and begins at a multiple of that: so the runs of destinations
// that have come to different places of a log end in the same segments, and one
// more entry makes a small segment new, not a large one.
const (
	inlineBytes     = 64 << 10
	sharedBytes     = 2 << 10
	smallestSegment = 128
	largestSegment  = 8192
)

// segmentEnd returns where the segment that begins at an entry ends.
func segmentEnd(from, to int64) int64 {
	n := int64(smallestSegment)
	for n < largestSegment && from%(2*n) == 0 && from+2*n <= to {
		n *= 2
	}
	return min(to, from-from%smallestSegment+n)
}

func newKey(sealing charter.Sealing) (string, age.Recipient, error) {
	secret, public, err := media.NewKey(string(sealing))
	if err != nil {
		return "", nil, err
	}
	to, err := media.ParseRecipient(public)
	return secret, to, err
}

// stretch is a run as it goes into a body: segments, then lines.
type stretch struct {
	Run
	checkpoint []byte
	segments   []media.Segment
	inline     int64 // index of the first entry that stands in the body
}

// stretches turns the runs of a plan into segments and lines. If segments may be
// shared, a run begins a little earlier, with entries that the destination
// compares with its own, so that it begins with a segment of others.
func (r *Replicator) stretches(plan Plan, shared bool) ([]stretch, error) {
	limit := int64(inlineBytes)
	if shared {
		limit = sharedBytes
	}
	var out []stretch
	for _, run := range plan.Runs {
		s := stretch{Run: run, inline: run.From}
		var small bool
		err := r.host.View(func(v *host.View) error {
			head, err := v.Head(run.LogID)
			s.checkpoint = head.Checkpoint
			if err == nil {
				small, err = fits(v, run, limit)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if !small && shared {
			s.From -= s.From % smallestSegment
			s.inline = s.From
		}
		for !small && s.inline < run.To {
			end := segmentEnd(s.inline, run.To)
			seg, err := r.segment(Run{run.LogID, run.Epoch, s.inline, end})
			if err != nil {
				return nil, err
			}
			s.segments, s.inline = append(s.segments, seg), end
		}
		out = append(out, s)
	}
	return out, nil
}

func fits(v *host.View, run Run, limit int64) (bool, error) {
	var bytes int64
	stop := fmt.Errorf("too large")
	err := v.Lines(run.LogID, run.From, run.To, func(_ int64, line []byte) error {
		if bytes += int64(len(line)) + 1; bytes > limit {
			return stop
		}
		return nil
	})
	if err == stop {
		return false, nil
	}
	return err == nil, err
}

// segment seals a run of entries, or finds it in the outbox.
func (r *Replicator) segment(run Run) (media.Segment, error) {
	key := fmt.Sprintf("segment/%s/%d/%d/%d/%s", run.LogID, run.Epoch, run.From, run.To, r.host.Me.Sealing)
	s, ok, err := r.findSealed(key, func(s sealed) string { return media.SegmentPath(s.Digest) })
	if err != nil {
		return media.Segment{}, err
	}
	if !ok {
		secret, to, err := newKey(r.host.Me.Sealing)
		if err != nil {
			return media.Segment{}, err
		}
		s = sealed{Key: secret}
		err = r.spool(1<<20, func(w io.Writer) error {
			var err error
			s.Plain, err = media.WriteSegment(w, to, r.lines(run))
			return err
		}, &s, func() string { return media.SegmentPath(s.Digest) })
		if err != nil {
			return media.Segment{}, err
		}
		if err := r.host.Store.Update(func(tx *store.Tx) error { return store.PutJSON(tx, key, s) }); err != nil {
			return media.Segment{}, err
		}
	}
	return media.Segment{File: s.file(), Key: s.Key, From: run.From, Count: run.To - run.From, Plain: s.Plain}, nil
}

// lines iterates over the entries of a run, a few hundred per look at the store,
// so that no transaction stays open for long.
func (r *Replicator) lines(run Run) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for from := run.From; from < run.To; {
			end := min(run.To, from+512)
			var batch [][]byte
			err := r.host.View(func(v *host.View) error {
				return v.Lines(run.LogID, from, end, func(_ int64, line []byte) error {
					batch = append(batch, append([]byte(nil), line...))
					return nil
				})
			})
			if err == nil && int64(len(batch)) != end-from {
				err = site.StateDamaged.New("%s lacks entries between %d and %d", run.LogID, from, end)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for _, line := range batch {
				if !yield(line, nil) {
					return
				}
			}
			from = end
		}
	}
}
