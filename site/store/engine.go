package store

import (
	"errors"
	"io/fs"
	"math"
	"strings"
	"syscall"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"fardel/site"
)

// valueThreshold is the size from which on a value lies in the engine's value
// log, and only a pointer in its tables. With larger thresholds the compaction
// of tables takes most of the time and a gigabyte of memory.
const valueThreshold = 256

// valueLogSize is the size of one file of the value log. The last one is read
// whenever the store is opened or closed.
const valueLogSize = 32 << 20

func engineOptions(dir string, log badger.Logger) badger.Options {
	o := badger.DefaultOptions(dir)
	// Without it a power cut takes what was reported as done.
	o.SyncWrites = true
	o.ValueThreshold = valueThreshold
	o.MemTableSize = 16 << 20
	o.NumMemtables = 2
	o.ValueLogFileSize = valueLogSize
	// Keys are short and values are elsewhere: there is little to compress, and
	// without compression tables are read in place and need no cache.
	o.Compression = options.None
	o.BlockCacheSize = 0
	o.IndexCacheSize = 0
	// Tables are merged when we say so: see merge.go.
	o.NumCompactors = 0
	o.NumLevelZeroTables = 2
	o.NumLevelZeroTablesStall = math.MaxInt32
	// We check all tables before the engine opens them. Its own checks turn
	// damage into absence, or end the process.
	o.ChecksumVerificationMode = options.NoVerification
	o.DetectConflicts = false // there is one writer
	o.MetricsEnabled = false
	o.Logger = log
	return o
}

// zeroLength is in the text of the error with which the engine's first Open
// after a crash may fail: it finds a file of length zero, has made one of the
// right length by then, and the second Open succeeds.
const zeroLength = "Create a new file"

func openEngine(dir string, log badger.Logger) (db *badger.DB, err error) {
	open := func() (err error) {
		db, err = badger.Open(engineOptions(dir, log))
		return err
	}
	err = protect(open)
	if err != nil && strings.Contains(err.Error(), zeroLength) {
		err = protect(open)
	}
	switch {
	case err == nil:
		return db, nil
	case errors.Is(err, syscall.ENOSPC):
		return nil, site.NoSpace.New("the disk under %s is full", dir).Because(shorten(err))
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS), errors.Is(err, syscall.EMFILE):
		return nil, site.Failed.New("the record files in %s cannot be opened", dir).Because(shorten(err))
	}
	return nil, damaged("the record files in %s cannot be opened", dir).Because(shorten(err))
}
