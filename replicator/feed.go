package replicator

import (
	"errors"
	"iter"

	"fardel/media"
	"fardel/site"
)

// A feed reads a staged body for the second time and deals its entries out, log
// by log, in the order of the body.
type feed struct {
	next func() (fedLine, error, bool)
	stop func()
}

type fedLine struct {
	log  site.LogID
	line []byte
}

var errStopped = errors.New("stopped")

func newFeed(in *incoming) *feed {
	next, stop := iter.Pull2(func(yield func(fedLine, error) bool) {
		var log site.LogID
		err := in.read(func(it media.BodyItem) error {
			switch it := it.(type) {
			case media.BodyLog:
				log = it.LogID
				for _, s := range it.Segments {
					for line, err := range in.segment(s) {
						if err != nil {
							return err
						}
						if !yield(fedLine{log, line}, nil) {
							return errStopped
						}
					}
				}
			case media.BodyLine:
				if !yield(fedLine{log, it}, nil) {
					return errStopped
				}
			}
			return nil
		})
		if err != nil && err != errStopped {
			yield(fedLine{}, err)
		}
	})
	return &feed{next, stop}
}

// of yields the entries of a log that are new here.
func (f *feed) of(l *incomingLog) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for index := l.From; index < l.From+l.Count; index++ {
			got, err, ok := f.next()
			if err == nil && (!ok || got.log != l.LogID) {
				err = site.Internal.New("a staged parcel changed while it was being applied")
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if index >= l.first && !yield(got.line, nil) {
				return
			}
		}
	}
}

// skip passes over the entries of a log that are all held already.
func (f *feed) skip(l *incomingLog) error {
	for _, err := range f.of(&incomingLog{BodyLog: l.BodyLog, first: l.From + l.Count}) {
		if err != nil {
			return err
		}
	}
	return nil
}
